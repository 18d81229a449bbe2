//! Imports go down only: each floor of the house may use the floors below it, never one above.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

/// Every floor with the floors it may use, besides itself. Low to high.
const FLOORS: [(&str, &[&str]); 10] = [
    ("error", &["tensor"]),
    ("tensor", &["error"]),
    ("wide", &[]),
    ("signal", &["error", "tensor", "wide"]),
    ("codec", &["error", "tensor", "wide", "signal"]),
    ("bitstream", &["error", "tensor", "wide", "codec"]),
    ("runtime", &["error", "tensor", "wide", "signal", "codec"]),
    ("pipeline", &["error", "tensor", "wide", "signal", "codec", "bitstream", "runtime"]),
    ("lab", &["error", "tensor", "wide", "signal", "codec", "bitstream", "runtime", "pipeline"]),
    (
        "app",
        &["error", "tensor", "wide", "signal", "codec", "bitstream", "runtime", "pipeline", "lab"],
    ),
];

/// What is wrong with the imports of one file.
///
/// `path` is relative to `src`. A path from the crate's root must name a floor: a re-export of the
/// root would hide which one it comes from. Macros live at the root and are free.
fn faults(path: &str, text: &str) -> Vec<String> {
    if path == "lib.rs" || path == "main.rs" {
        return Vec::new();
    }
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let floor = parts[0];
    let Some((_, below)) = FLOORS.iter().find(|(name, _)| *name == floor) else {
        return vec![format!("src/{path}: no floor is named `{floor}`; add it to tests/floors.rs")];
    };
    // `mod.rs` and `codec.rs` are the modules of their folder, other files one level deeper.
    let depth = parts.len() - usize::from(parts.last() == Some(&"mod"));
    let code = blanked(text);
    let mut faults = Vec::new();
    for (line, name) in root_names(&code, depth) {
        let rule = if name == floor || below.contains(&name.as_str()) || name.ends_with('!') {
            continue;
        } else if FLOORS.iter().any(|(other, _)| *other == name) {
            format!("`{floor}` may use only {}", below.join(", "))
        } else {
            "a path from the root must name a floor".to_string()
        };
        faults.push(format!("src/{path}:{line}: imports `{name}`, but {rule}"));
    }
    faults
}

/// Names that stand directly below the crate's root in paths of `code`, with their lines.
fn root_names(code: &str, depth: usize) -> Vec<(usize, String)> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let climb = "super::".repeat(depth);
    let mut found = Vec::new();
    for root in ["crate::", "tamis::", &climb] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back().unwrap_or(' ');
            // `::tamis::` is the crate too, `super::super::` a longer climb and `my_crate::` not.
            if word(before) || root == climb && code[..at].ends_with("super::") {
                continue;
            }
            let rest = at + root.len();
            for start in group(code, rest) {
                let name: String = code[start..].chars().take_while(|c| word(*c)).collect();
                let bang = code[start + name.len()..].starts_with('!');
                let line = code[..start].matches('\n').count() + 1;
                if !name.is_empty() {
                    found.push((line, if bang { name + "!" } else { name }));
                } else if code[start..].starts_with('*') {
                    found.push((line, "*".into()));
                }
            }
        }
    }
    found.sort();
    found
}

/// Where the names begin at `at`: one, or several in braces.
fn group(code: &str, at: usize) -> Vec<usize> {
    let skip = |from: usize| from + code[from..].len() - code[from..].trim_start().len();
    let at = skip(at);
    if !code[at..].starts_with('{') {
        return vec![at];
    }
    let (mut depth, mut starts) = (0, Vec::new());
    for (i, c) in code[at..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if depth == 1 && (c == '{' || c == ',') {
            starts.push(skip(at + i + 1));
        }
    }
    starts
}

/// The text without comments and string contents, line for line.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = token(rest);
        let opaque = length > c.len_utf8();
        let piece = &rest[..length];
        out.extend(piece.chars().map(|c| if opaque && c != '\n' { ' ' } else { c }));
        rest = &rest[length..];
    }
    out
}

/// Length of the comment, string or character `text` starts with, or of its first letter.
fn token(text: &str) -> usize {
    let to = |mark: &str, from: usize| {
        text[from..].find(mark).map_or(text.len(), |n| from + n + mark.len())
    };
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return to("*/", 2);
    }
    if let Some(raw) = text.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            return to(&format!("\"{}", "#".repeat(hashes)), hashes + 2);
        }
    }
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let mut escaped = false;
        for (i, c) in text.char_indices().skip(1) {
            // A lifetime has no closing quote: a character is one letter or an escape.
            if quote == '\'' && i > 1 && c != '\'' && !text[1..].starts_with('\\') {
                return 1;
            }
            if c == quote && !escaped {
                return i + 1;
            }
            escaped = c == '\\' && !escaped;
        }
    }
    text.chars().next().map_or(0, char::len_utf8)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn imports_go_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files(&src);
    assert!(files.iter().any(|f| f.ends_with("codec/frame.rs")), "no source found in {src:?}");
    let mut all = Vec::new();
    for file in files {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
        all.extend(faults(&path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert!(all.is_empty(), "\n{}", all.join("\n"));
}

#[test]
fn every_floor_uses_only_lower_ones() {
    for (i, (floor, below)) in FLOORS.iter().enumerate() {
        for name in below.iter() {
            let place = FLOORS.iter().position(|(other, _)| other == name).unwrap();
            assert!(place < i || (*floor, *name) == ("error", "tensor"), "{floor} uses {name}");
        }
    }
}

#[test]
fn a_bad_import_is_named_with_file_line_and_rule() {
    let text = "//! Doc.\n\nuse crate::error::Error;\nuse crate::lab::plot;\n";
    assert_eq!(
        faults("codec/frame.rs", text),
        [
            "src/codec/frame.rs:4: imports `lab`, but `codec` may use only error, tensor, wide, signal"
        ]
    );
}

#[test]
fn bad_imports_are_caught_in_every_form() {
    for (path, line) in [
        ("bitstream/packet.rs", "use crate::runtime::Device;"),
        ("bitstream/packet.rs", "use crate::signal::lifting;"),
        ("runtime/head.rs", "pub use crate::bitstream::Packet;"),
        ("signal/packet.rs", "use crate::{error::Error,\n    codec::{Frame, Latent}};"),
        ("codec/mod.rs", "fn f(x: &'static crate::pipeline::Item) { let c = '\"'; }"),
        ("error.rs", "impl From<crate::codec::Frame> for Error {}"),
        ("codec/frame.rs", "use super::super::runtime::Device;"),
        ("codec/mod.rs", "use super::runtime::Device;"),
        ("pipeline/media/mod.rs", "use tamis::app::page;"),
        ("codec/frame.rs", "use crate::Item;"),
        ("codec/frame.rs", "use crate::*;"),
        ("attic/old.rs", ""),
    ] {
        assert_eq!(faults(path, line).len(), 1, "{path}: {line}");
    }
}

#[test]
fn good_imports_pass() {
    for (path, line) in [
        ("lib.rs", "pub use crate::app::run;"),
        ("main.rs", "use crate::app::page;"),
        ("lab/eval.rs", "use crate::{codec::Frame, bitstream, runtime::{Device, Head}};"),
        ("codec/frame.rs", "use super::latent::Latent;"),
        ("codec/frame.rs", "/// See [`crate::lab::plot`].\n// use crate::lab;"),
        ("codec/frame.rs", "let s = \"use crate::lab\"; let r = r#\"crate::\"lab\"#;"),
        ("codec/frame.rs", "/* crate::lab */ my_crate::lab(); crate::shape!(1);"),
        ("pipeline/sources/synthetic/tone.rs", "use super::super::Source;"),
        ("codec/frame.rs", "pub(crate) fn f<'a>(x: &'a str) {} // crate::app"),
    ] {
        assert_eq!(faults(path, line), [""; 0], "{path}: {line}");
    }
}
