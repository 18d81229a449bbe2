//! Line plots as SVG text.

use std::fmt::Write;

/// What a plot shows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plot {
    /// Heading above the frame.
    pub title: String,
    /// Quantity and unit along the bottom.
    pub x_label: String,
    /// Quantity and unit along the left side.
    pub y_label: String,
    /// Whether x is on a logarithmic scale; points with x of 0 or less are then left out.
    pub log_x: bool,
    /// The lines, in the order of the legend.
    pub series: Vec<Series>,
}

/// One named line.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points in the order they are joined; one that is not finite, or beyond 1e100, is left out.
    pub points: Vec<Point>,
    /// Whether it is only there to compare with: grey, its points not joined.
    pub faint: bool,
}

/// One measured point.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Point {
    /// Place along the bottom.
    pub x: f64,
    /// Place along the left side.
    pub y: f64,
    /// Words beside the point.
    pub label: Option<String>,
}

/// Colours that stay apart on white, also for the colour-blind (Okabe and Ito, yellow left out).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#b0528a", "#c98600", "#3f9fd8", "#333333"];
/// Of what is only there to compare with.
const FAINT: &str = "#c4c4c4";
/// One pattern for each round through the colours.
const DASHES: [&str; 3] = ["", "8 4", "2 3"];
const FRAME: [f64; 4] = [72.0, 48.0, 600.0, 400.0];
/// Mean width of a letter at the legend's size.
const LETTER: f64 = 7.0;
/// Room between the ends of an axis and the outermost points, in parts of their distance.
const MARGIN: f64 = 0.05;

/// Beyond it the arithmetic of the axes would overflow.
const LARGEST: f64 = 1e100;

/// Height of a plot.
const HEIGHT: f64 = 520.0;

/// Draws a plot as a complete SVG document.
///
/// Ticks stand at round numbers, the legend beside the frame.
pub fn line_plot(plot: &Plot) -> String {
    panels(std::slice::from_ref(plot))
}

/// Draws plots side by side in one SVG document, each as [`line_plot`] does.
///
/// A series without a name is not in the legend of its plot: that of another may serve it too.
pub fn panels(plots: &[Plot]) -> String {
    let (mut body, mut total) = (String::new(), 0.0);
    for plot in plots {
        let (panel, width) = panel(plot);
        match total > 0.0 {
            true => push(
                &mut body,
                format_args!("<g transform=\"translate({total:.0} 0)\">\n{panel}</g>"),
            ),
            false => body += &panel,
        }
        total += width;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{total:.0}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {total:.0} {HEIGHT}\" font-family=\"Helvetica, Arial, sans-serif\" \
         font-size=\"13\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         {body}</svg>\n"
    )
}

/// The elements of a plot, and its width.
fn panel(plot: &Plot) -> (String, f64) {
    let shown: Vec<Vec<&Point>> = plot.series.iter().map(|s| shown(plot, s)).collect();
    let all = || shown.iter().flatten();
    let x_axis = Axis::new(all().map(|p| p.x), plot.log_x);
    let y_axis = Axis::new(all().map(|p| p.y), false);
    let [left, top, width, height] = FRAME;
    let at = |p: &Point| (left + width * x_axis.part(p.x), top + height * (1.0 - y_axis.part(p.y)));

    let mut body = String::new();
    grid(&mut body, &x_axis, &y_axis);
    titles(&mut body, plot);
    for (i, points) in shown.iter().enumerate() {
        let faint = plot.series[i].faint;
        let colour = if faint { FAINT } else { COLOURS[i % COLOURS.len()] };
        let path: Vec<String> =
            points.iter().map(|p| at(p)).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (path, stroke) = (path.join(" "), stroke(i));
        if !faint {
            push(&mut body, format_args!("<polyline points=\"{path}\" {stroke}/>"));
        }
        for point in points {
            let (x, y) = at(point);
            push(
                &mut body,
                format_args!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"),
            );
        }
    }
    notes(&mut body, &shown, &at);
    let longest = legend(&mut body, plot);
    let legend = if longest > 0.0 { 64.0 + longest } else { 24.0 };
    (body, (left + width + legend).round())
}

fn shown<'a>(plot: &Plot, series: &'a Series) -> Vec<&'a Point> {
    let drawable =
        |p: &&Point| p.x.abs() < LARGEST && p.y.abs() < LARGEST && (!plot.log_x || p.x > 0.0);
    series.points.iter().filter(drawable).collect()
}

fn grid(body: &mut String, x_axis: &Axis, y_axis: &Axis) {
    let [left, top, width, height] = FRAME;
    let (right, bottom) = (left + width, top + height);
    for (value, name) in &x_axis.ticks {
        let x = left + width * x_axis.part(*value);
        push(
            body,
            format_args!(
                "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" \
                 stroke=\"#e4e4e4\"/>\n<text x=\"{x:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{name}</text>",
                bottom + 19.0
            ),
        );
    }
    for (value, name) in &y_axis.ticks {
        let y = top + height * (1.0 - y_axis.part(*value));
        push(
            body,
            format_args!(
                "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" \
                 stroke=\"#e4e4e4\"/>\n<text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{name}</text>",
                left - 8.0,
                y + 4.5
            ),
        );
    }
    push(
        body,
        format_args!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
             fill=\"none\" stroke=\"#777\"/>"
        ),
    );
}

fn titles(body: &mut String, plot: &Plot) {
    let [left, top, width, height] = FRAME;
    let (centre, middle) = (left + width / 2.0, top + height / 2.0);
    push(
        body,
        format_args!(
            "<text x=\"{centre}\" y=\"28\" text-anchor=\"middle\" font-size=\"17\" \
             font-weight=\"bold\">{}</text>\n\
             <text x=\"{centre}\" y=\"{}\" text-anchor=\"middle\" font-size=\"14\">{}</text>\n\
             <text transform=\"translate(22 {middle}) rotate(-90)\" text-anchor=\"middle\" \
             font-size=\"14\">{}</text>",
            escaped(&plot.title),
            top + height + 46.0,
            escaped(&plot.x_label),
            escaped(&plot.y_label)
        ),
    );
}

/// Words beside points: after all lines, and where they cover least of lines and other words.
fn notes(body: &mut String, shown: &[Vec<&Point>], at: &dyn Fn(&Point) -> (f64, f64)) {
    // Dots close enough along the lines that none slips through a word.
    let mut taken: Vec<(f64, f64)> = Vec::new();
    // A hidden point is worse than a hidden stretch of line.
    for point in shown.iter().flatten() {
        taken.extend([at(point); 12]);
    }
    for points in shown {
        for pair in points.windows(2) {
            let ((x0, y0), (x1, y1)) = (at(pair[0]), at(pair[1]));
            let count = ((x1 - x0).hypot(y1 - y0) / 4.0).ceil();
            taken.extend((1..count as usize).map(|k| {
                let part = k as f64 / count;
                (x0 + part * (x1 - x0), y0 + part * (y1 - y0))
            }));
        }
    }
    for (i, points) in shown.iter().enumerate() {
        for (point, label) in points.iter().filter_map(|p| Some((p, p.label.as_ref()?))) {
            let (x, y) = at(point);
            let width = 6.2 * label.chars().count() as f64;
            let cost = |&(left, base): &(f64, f64)| {
                let inside = |&&(x, y): &&(f64, f64)| {
                    (left - 3.0..left + width + 3.0).contains(&x)
                        && (base - 12.0..base + 4.0).contains(&y)
                };
                let out = left < FRAME[0] + 2.0 || left + width > FRAME[0] + FRAME[2] - 2.0;
                taken.iter().filter(inside).count() + if out { 1000 } else { 0 }
            };
            let (before, centred, behind) = (x - 8.0 - width, x - width / 2.0, x + 8.0);
            let places = [
                (behind, y + 15.0),
                (before, y - 7.0),
                (behind, y - 7.0),
                (before, y + 15.0),
                (centred, y - 12.0),
                (centred, y + 20.0),
            ];
            let Some(&(left, base)) = places.iter().min_by_key(|p| cost(p)) else { continue };
            taken.extend((0..=width as usize / 4).map(|k| (left + 4.0 * k as f64, base - 4.0)));
            push(
                body,
                format_args!(
                    "<text x=\"{left:.1}\" y=\"{base:.1}\" font-size=\"11.5\" fill=\"{}\" \
                     stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
                    COLOURS[i % COLOURS.len()],
                    escaped(label)
                ),
            );
        }
    }
}

/// Draws the legend and returns the width of its longest name.
fn legend(body: &mut String, plot: &Plot) -> f64 {
    let [left, top, width, _] = FRAME;
    let x = left + width + 14.0;
    for (i, series) in plot.series.iter().enumerate().filter(|s| !s.1.name.is_empty()) {
        let y = top + 12.0 + 21.0 * i as f64;
        let colour = if series.faint { FAINT } else { COLOURS[i % COLOURS.len()] };
        if !series.faint {
            let (end, stroke) = (x + 26.0, stroke(i));
            push(
                body,
                format_args!("<line x1=\"{x}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" {stroke}/>"),
            );
        }
        push(
            body,
            format_args!(
                "<circle cx=\"{}\" cy=\"{y}\" r=\"3.5\" fill=\"{colour}\"/>\n\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                x + 13.0,
                x + 33.0,
                y + 4.5,
                escaped(&series.name)
            ),
        );
    }
    let letters = plot.series.iter().map(|s| s.name.chars().count()).max().unwrap_or(0);
    LETTER * letters as f64
}

fn stroke(series: usize) -> String {
    let dash = DASHES[series / COLOURS.len() % DASHES.len()];
    let colour = COLOURS[series % COLOURS.len()];
    format!(
        "fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-linejoin=\"round\" \
         stroke-dasharray=\"{dash}\""
    )
}

/// One direction of the frame: its ends and its ticks.
struct Axis {
    low: f64,
    high: f64,
    log: bool,
    ticks: Vec<(f64, String)>,
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let scaled = |v: f64| if log { v.log10() } else { v };
        let (mut low, mut high) = values
            .map(scaled)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // One value alone still needs an axis around it, wide enough for floats to tell apart.
        let least = if log { 0.1 } else { (low.abs().max(high.abs()) * 1e-6).max(1e-300) };
        if high - low < least {
            let room = if log { 0.3 } else { low.abs().max(1e-3) * 0.1 };
            (low, high) = (low - room, high + room);
        }
        let room = (high - low) * MARGIN;
        (low, high) = (low - room, high + room);
        let ticks = if log && high - low > 0.7 { decades(low, high) } else { Vec::new() };
        let mut axis = Self { low, high, log, ticks };
        if axis.ticks.len() < 2 {
            let raw = |v: f64| if log { 10f64.powf(v) } else { v };
            axis.ticks = round_ticks(raw(low), raw(high));
        }
        axis
    }

    /// Place of a value along the axis: 0 at the low end, 1 at the high end.
    fn part(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }
}

/// Ticks at 1, 2 and 5 times powers of ten, fewer where they would crowd.
fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
    let span = high - low;
    let factors: &[f64] = if span < 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = (span / 10.0).ceil().max(1.0) as i32;
    let mut ticks = Vec::new();
    for power in (low.floor() as i32)..=(high.ceil() as i32) {
        if power.rem_euclid(every) != 0 {
            continue;
        }
        for factor in factors {
            let value = factor * 10f64.powi(power);
            if (low..=high).contains(&value.log10()) {
                ticks.push((value, number(value, (-power).max(0) as usize)));
            }
        }
    }
    ticks
}

/// Five to ten ticks at whole multiples of 1, 2 or 5 times a power of ten.
fn round_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let wish = (high - low) / 7.0;
    let power = wish.log10().floor();
    let unit = 10f64.powf(power);
    let (factor, next) = match wish / unit {
        f if f < 1.5 => (1.0, 0.0),
        f if f < 3.5 => (2.0, 0.0),
        f if f < 7.5 => (5.0, 0.0),
        _ => (1.0, 1.0),
    };
    let step = factor * 10f64.powf(power + next);
    let places = (-(power + next)).max(0.0) as usize;
    let first = (low / step).ceil();
    (0..=12)
        .map(|k| (first + f64::from(k)) * step)
        .take_while(|&v| v <= high)
        .map(|v| (v, number(v, places)))
        .collect()
}

/// A tick's name: plain where it is short, with an exponent where it would be long.
fn number(value: f64, places: usize) -> String {
    // A sum of steps that should be zero may miss it by a rounding, or come out as -0.
    let text = if value.abs() >= 1e6 || places > 5 && value != 0.0 {
        format!("{value:.1e}").replace(".0e", "e")
    } else {
        format!("{value:.places$}")
    };
    let zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
    if zero { "0".into() } else { text }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // XML has no place for control characters, not even escaped.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn push(body: &mut String, element: std::fmt::Arguments) {
    // Writing to a String cannot fail.
    let _ = writeln!(body, "{element}");
}
