//! Pages, and what is to be run in them.

use std::path::{Path, PathBuf};

pub struct Page {
    /// From the root of the repository.
    pub path: PathBuf,
    pub text: String,
    pub blocks: Vec<Block>,
}

/// A block of commands.
#[derive(Debug)]
pub struct Block {
    pub line: usize,
    /// Why it cannot run.
    pub skip: Option<String>,
    pub steps: Vec<Step>,
}

/// A command, with what belongs to it of the lines below.
#[derive(Debug, Default)]
pub struct Step {
    pub line: usize,
    pub text: String,
    /// Its code, as the comment says.
    pub exit: i32,
    pub comment: String,
    /// It ends in `&`.
    pub background: bool,
    /// The message that stands as the heading over it.
    pub message: Option<String>,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// README, everything below docs/, and the pages of the bindings.
pub fn pages() -> Vec<Page> {
    let mut paths = vec![root().join("README.md")];
    collect(&root().join("docs"), &mut paths);
    if let Ok(bindings) = std::fs::read_dir(root().join("bindings")) {
        let readmes = bindings.map(|e| e.unwrap().path().join("README.md"));
        paths.extend(readmes.filter(|p| p.exists()));
    }
    paths.sort();
    let page = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_path_buf();
        Page { path, blocks: parse(&text), text }
    };
    paths.into_iter().map(page).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What mdbook makes.
        if path.is_dir() && path.file_name().unwrap() != "book" {
            collect(&path, paths);
        } else if path.extension().is_some_and(|e| e == "md") {
            paths.push(path);
        }
    }
}

/// The blocks of commands of a page.
pub fn parse(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut heading = None;
    let mut lines = text.lines().enumerate().map(|(i, l)| (i + 1, l));
    while let Some((number, line)) = lines.next() {
        let bare = line.trim_start();
        if line.starts_with('#') {
            heading = message(line);
        }
        let (info, end) = match (bare.strip_prefix("```"), bare.strip_prefix("<!-- sh")) {
            (Some(info), _) => (info, "```"),
            (_, Some(_)) => ("sh", "-->"),
            _ => continue,
        };
        let inside: Vec<(usize, &str)> =
            lines.by_ref().map(|(n, l)| (n, l.trim())).take_while(|(_, l)| *l != end).collect();
        let mut words = info.split_whitespace();
        if words.next() == Some("sh") {
            let skip = words.find_map(|w| w.strip_prefix("skip=")).map(str::to_owned);
            blocks.push(Block { line: number, skip, steps: steps(&inside, &heading) });
        }
    }
    blocks
}

/// A heading that is one span of code is a message.
fn message(heading: &str) -> Option<String> {
    let text = heading.trim_start_matches('#').trim();
    let inner = text.strip_prefix('`')?.strip_suffix('`')?;
    (!inner.contains('`')).then(|| inner.to_owned())
}

fn steps(lines: &[(usize, &str)], heading: &Option<String>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = lines.iter();
    while let Some(&(line, first)) = lines.next() {
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let (code, comment) = first.split_at(comment_at(first));
        let mut step = Step {
            line,
            text: code.trim().to_owned(),
            comment: comment.to_owned(),
            message: heading.clone(),
            ..Step::default()
        };
        if let Some(code) = comment.rsplit_once("exit ").and_then(|(_, n)| n.trim().parse().ok()) {
            step.exit = code;
        }
        while step.text.ends_with('\\') || step.text.ends_with('|') {
            let (_, next) = lines.next().expect("a line that goes on");
            step.text = step.text.trim_end_matches('\\').to_owned() + " " + next;
        }
        if let Some((_, end)) = first.split_once("<<'") {
            let end = end.split('\'').next().unwrap();
            for (_, next) in lines.by_ref() {
                step.text += &format!("\n{next}");
                if *next == end {
                    break;
                }
            }
        }
        if let Some(code) = step.text.strip_suffix(" &") {
            step.text = code.to_owned();
            step.background = true;
        }
        steps.push(step);
    }
    steps
}

/// Where the comment of a line begins: at its end if it has none.
fn comment_at(line: &str) -> usize {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match quote {
            Some(q) if q == c => quote = None,
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '#' && before.is_whitespace() => return at,
            _ => {}
        }
        before = c;
    }
    line.len()
}

#[test]
fn blocks_are_cut_into_commands() {
    let text = "## `bad ...`\n```sh\ntamis encode 'a # b' -o x \\\n  --json   # as it is; exit 3\n# words\ntamis run x &\n```\n\
                <!-- sh\ncat > a <<'END'\nb # c\nEND\n-->\n```text\ntamis\n```\n```sh skip=x\n```\n";
    let blocks = parse(text);
    assert_eq!(blocks.len(), 3);
    let first = &blocks[0].steps;
    // A comment behind a line that goes on is the shell's own affair.
    assert_eq!((first[0].line, first[0].exit, first.len()), (3, 0, 2));
    assert_eq!(first[1].text, "tamis run x");
    assert!(first[1].background && first[1].message.as_deref() == Some("bad ..."));
    assert_eq!(blocks[1].steps[0].text, "cat > a <<'END'\nb # c\nEND");
    assert_eq!(blocks[2].skip.as_deref(), Some("x"));
}
