//! Flags that pages name exist.

use std::collections::HashMap;
use std::process::Command;

use super::pages::Page;

/// What is hashed into ids begins like a call: docs/format.md.
const HASHED: [&str; 2] = ["codec 1", "tables 2"];

/// Flags and verbs that pages name and that there are not.
pub fn faults(pages: &[Page]) -> Vec<String> {
    let mut helps = HashMap::new();
    let verbs = verbs();
    let mut faults = Vec::new();
    for page in pages {
        for (line, call) in calls(&page.text, &verbs) {
            let mut words = call.split_whitespace();
            let verb = words.next().unwrap_or_default();
            let at = format!("{}:{line}", page.path.display());
            if !verbs.iter().any(|v| v == verb) {
                // A verb to be filled in, as VERB, is none.
                let word = !verb.is_empty() && verb.chars().all(|c| c.is_ascii_lowercase());
                if word && !HASHED.contains(&call.as_str()) {
                    faults.push(format!("{at}: no verb `{verb}` in `tamis {call}`"));
                }
                continue;
            }
            let help: &String = helps.entry(verb.to_owned()).or_insert_with(|| help(&[verb]));
            for word in words.filter(|w| w.starts_with("--") && w.len() > 2) {
                let name = |c: char| c.is_ascii_alphanumeric() || c == '-';
                let flag: String = word.chars().take_while(|c| name(*c)).collect();
                let is_flag = |at: usize| !help[at + flag.len()..].starts_with(name);
                if !help.match_indices(&flag).any(|(at, _)| is_flag(at)) {
                    faults.push(format!("{at}: `tamis {verb}` has no {flag}"));
                }
            }
        }
    }
    faults
}

fn help(verb: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tamis")).args(verb).arg("--help").output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn verbs() -> Vec<String> {
    let text = help(&[]);
    let lines = text.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   "));
    let words = lines.filter_map(|l| l.split_whitespace().next());
    words.filter(|w| !w.starts_with('-')).map(str::to_owned).collect()
}

/// Every call of tamis, from its verb on, with its line. In blocks of code one a line; in prose those in backticks, where
/// the verb alone may stand for the command.
fn calls(text: &str, verbs: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fence = None;
    for (i, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        if let Some(info) = bare.strip_prefix("```") {
            fence = fence.is_none().then(|| info.to_owned());
            continue;
        }
        let spans: Vec<&str> = match &fence {
            None => line.split('`').skip(1).step_by(2).collect(),
            Some(info) if info.starts_with("sh") => vec![line],
            // What a program said, or another language.
            Some(_) => continue,
        };
        for span in spans {
            for part in span.split(['|', '#', ';', '&']).map(str::trim) {
                let first = part.split_whitespace().next().unwrap_or_default();
                let short = fence.is_none() && verbs.iter().any(|v| v == first);
                if let Some(call) = part.strip_prefix("tamis ") {
                    found.push((i + 1, call.to_owned()));
                } else if short && part.contains(" --") {
                    found.push((i + 1, part.to_owned()));
                }
            }
        }
    }
    found
}

#[test]
fn calls_are_found_where_they_stand() {
    let verbs = ["infer".to_string()];
    let text = "run `infer --keep` or `tamis go --x`\n```sh\ncat | tamis infer -   # no --flag\n```\n```text\ntamis no\n```\n";
    let calls = calls(text, &verbs);
    let words: Vec<(usize, &str)> = calls.iter().map(|(n, c)| (*n, c.as_str())).collect();
    assert_eq!(words, [(1, "infer --keep"), (1, "go --x"), (3, "infer -")]);
}
