//! Links and anchors, by the rules of GitHub.

use std::collections::HashMap;
use std::path::Path;

use super::pages::{Page, root};

/// Links of a page that lead nowhere.
pub fn faults(page: &Page) -> Vec<String> {
    let folder = root().join(page.path.parent().unwrap());
    let mut faults = Vec::new();
    for (line, text) in prose(&page.text) {
        for target in targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if path.is_empty() { root().join(&page.path) } else { folder.join(path) };
            if !file.exists() {
                faults.push(format!("{}:{line}: no such file: {target}", page.path.display()));
            } else if !anchor.is_empty() && !anchors(&file).iter().any(|a| a == anchor) {
                faults.push(format!("{}:{line}: no such heading: {target}", page.path.display()));
            }
        }
    }
    faults
}

/// Pages below docs/ that SUMMARY.md does not name.
pub fn not_in_summary(pages: &[Page]) -> Vec<String> {
    let summary = pages.iter().find(|p| p.path == Path::new("docs/SUMMARY.md")).unwrap();
    let lines = prose(&summary.text);
    let named: Vec<&str> = lines.iter().flat_map(|(_, text)| targets(text)).collect();
    let here = pages.iter().filter_map(|p| p.path.strip_prefix("docs").ok()?.to_str());
    here.filter(|p| *p != "SUMMARY.md" && !named.contains(p))
        .map(|p| format!("docs/SUMMARY.md does not name {p}"))
        .collect()
}

/// Lines outside blocks of code, with their numbers.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut inside = false;
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            lines.push((i + 1, line.to_owned()));
        }
    }
    lines
}

/// What the links of a line name. Code is no link, but may stand in the text of one.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("](") {
        if line[..at].matches('`').count().is_multiple_of(2)
            && let Some(end) = line[at..].find(')')
        {
            found.extend(line[at + 2..at + end].split_whitespace().next());
        }
    }
    found
}

fn anchors(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(&text).into_iter().map(|(_, l)| l).filter(|l| l.starts_with('#'));
    headings
        .map(|heading| {
            let slug = slug(heading.trim_start_matches('#').trim());
            let count = seen.entry(slug.clone()).and_modify(|n| *n += 1).or_insert(0);
            if *count == 0 { slug } else { format!("{slug}-{count}") }
        })
        .collect()
}

/// The anchor of a heading: lower case, without punctuation, `-` for spaces.
fn slug(heading: &str) -> String {
    let mut text = String::new();
    let mut rest = heading;
    // Of a link its text counts.
    while let Some((before, behind)) = rest.split_once("](") {
        text += before;
        rest = behind.split_once(')').map_or("", |(_, r)| r);
    }
    text += rest;
    let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn headings_have_the_anchors_of_github() {
    assert_eq!(slug("Fewer tokens (2026-11-28)"), "fewer-tokens-2026-11-28");
    assert_eq!(slug("`rgb`, 12 photographs & [a link](x.md)"), "rgb-12-photographs--a-link");
    assert_eq!(targets("see [`a`](b.md#c) and `[x](y)`, ![d](e.svg)"), ["b.md#c", "e.svg"]);
}
