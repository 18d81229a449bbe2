//! What `tamis tune --target-ms` shows: the table, the plot, what fits.

use std::path::Path;

use serde_json::{Value, json};

use super::print_line;
use crate::error::Result;
use crate::lab::plot::{Plot, Point, Series, panels};
use crate::lab::tune::{Found, Staircase};
use crate::runtime::TunedRow;

/// Places of labels, where every file lies in a folder that is called like one.
pub fn truths(names: &[String], labels: &[String]) -> Option<Vec<usize>> {
    let truth = |name: &String| {
        let folder = Path::new(name).parent()?.file_name()?;
        labels.iter().position(|l| folder == l.as_str())
    };
    names.iter().map(truth).collect()
}

/// Prints the table, and what fits.
///
/// # Errors
/// `Io` if it cannot be printed.
pub fn print(found: &Found, target: f64, plot: &Path) -> Result<()> {
    let (tuned, picked) = (&found.tuned, found.tuned.within(target).ok());
    print_line(format!(
        "\n{}, one thread, {} tokens, n = {}; {} ways were tried",
        tuned.machine,
        tuned.tokens,
        tuned.latents,
        found.tried.len()
    ))?;
    let right = |row: &TunedRow| row.accuracy.map_or(String::new(), |a| format!("  {a:>5.1} %"));
    let truths = tuned.rows.iter().any(|r| r.accuracy.is_some());
    let title = if truths { "    right" } else { "" };
    print_line(format!("      ms  speed-up   cosine  same label{title}   way"))?;
    for row in &tuned.rows {
        let mark = if picked == Some(row) { '>' } else { ' ' };
        print_line(format!(
            "{mark}{:>7.3}  {:>7.2}x  {:>7.5}     {:>5.1} %{}   {}",
            row.ms,
            row.speedup,
            row.cosine,
            row.agreement,
            right(row),
            row.way()
        ))?;
    }
    if let Some(row) = picked {
        print_line(format!("> is what {target} ms buy: {}", row.way()))?;
    }
    print_line(format!("plot in {}", plot.display()))
}

/// Adds the same to a report.
pub fn add_fields(report: &mut Value, found: &Found, target: f64, plot: &Path) {
    let steps = |stairs: &Staircase| json!(stairs.steps);
    report["target_ms"] = json!(target);
    report["picked"] = json!(found.tuned.within(target).ok());
    report["tuned"] = json!(found.tuned);
    report["tried"] = json!(found.tried.len());
    report["ms_of_tokens"] =
        json!({ "float": steps(&found.stairs[0]), "int8": steps(&found.stairs[1]) });
    report["plot"] = json!(plot);
}

/// Agreement and cosine against time, and time against tokens, as SVG.
pub fn plot(found: &Found, target: f64) -> String {
    let tuned = &found.tuned;
    let against = |y_label: &str, of: &dyn Fn(&TunedRow) -> f64| {
        let points = |rows: &[TunedRow]| -> Vec<Point> {
            rows.iter().map(|r| Point { x: r.ms, y: of(r), label: None }).collect()
        };
        let tried = points(&found.tried);
        let heights = || tried.iter().map(|p| p.y);
        let [low, high] =
            [heights().fold(f64::INFINITY, f64::min), heights().fold(f64::NEG_INFINITY, f64::max)];
        let line = [low, high].map(|y| Point { x: target, y, label: None });
        let named = |name: &str, points| Series { name: name.into(), points, faint: false };
        Plot {
            title: format!("{y_label} against time, n = {}", tuned.latents),
            x_label: format!("ms of a latent, one thread, {}", tuned.machine),
            y_label: y_label.into(),
            log_x: false,
            series: vec![
                Series { faint: true, ..named("tried", tried) },
                named("in the table", points(&tuned.rows)),
                named(&format!("{target} ms"), line.to_vec()),
            ],
        }
    };
    let stairs = |name: &str, stairs: &Staircase| {
        let point = |&(n, ms): &(usize, f64)| Point { x: n as f64, y: ms, label: None };
        Series { name: name.into(), points: stairs.steps.iter().map(point).collect(), faint: false }
    };
    panels(&[
        against("same first label, %", &|r| r.agreement),
        against("cosine of the logits", &|r| r.cosine),
        Plot {
            title: "Blocks of the transformer against tokens".into(),
            x_label: "tokens".into(),
            y_label: "ms".into(),
            log_x: false,
            series: vec![stairs("floats", &found.stairs[0]), stairs("int8", &found.stairs[1])],
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_labels_if_all_are() {
        let of = |names: &[&str]| {
            let words = |x: &[&str]| x.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
            truths(&words(names), &words(&["glass", "metal"]))
        };
        assert_eq!(of(&["x/metal/1.png", "x/glass/2.png"]), Some(vec![1, 0]));
        assert_eq!(of(&["x/metal/1.png", "x/3.png"]), None);
        assert_eq!(of(&["metal"]), None);
    }
}
