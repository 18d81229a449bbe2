//! Descriptions, read: what of `gst-launch-1.0`'s language a config may use.
//!
//! ```text
//! description = part { "!" part }                 the first part is a source, and no other
//! part        = element { property "=" value } | caps
//! value       = word | "text" | 'text'            in quotes, \ takes the next letter as it is
//! caps        = type/subtype [(features)] { "," field "=" value }, or the same in quotes
//! ```
//!
//! Bins in parentheses, references, presets, branches, pads and addresses in place of elements are refused. What is
//! ambiguous is refused too. No error shows a value: it may be a password.

use super::allowed::{Group, find, refusal};
use super::hide::Hidden;
use super::launch::Launch;
use super::rules::rule;
use crate::error::{Error, Result};

/// Longest description, in bytes.
const LONGEST: usize = 8192;
/// Most elements and caps in one.
const MOST: usize = 64;

/// What was read, or in words why it was not.
type Told<T> = std::result::Result<T, String>;

/// One chain of elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Its parts, from the source on.
    pub parts: Vec<Part>,
}

/// A part of a chain.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// An element.
    Element {
        /// Its name, one of the list.
        name: &'static str,
        /// Names and values of its properties.
        properties: Vec<(String, String)>,
    },
    /// What passes between two elements.
    Caps(String),
}

impl std::fmt::Debug for Part {
    // Without the values: they may be secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Element { name, properties } => {
                let names: Vec<&str> = properties.iter().map(|(name, _)| name.as_str()).collect();
                write!(f, "{name} {names:?}")
            }
            Self::Caps(caps) => f.write_str(caps),
        }
    }
}

impl Description {
    /// Reads a description and checks it by the list and the rules.
    ///
    /// # Errors
    /// `Config`, with what is wrong and what would be right.
    pub fn read(launch: &Launch) -> Result<Self> {
        let parts = Reader::new(&launch.0).and_then(Reader::parts).and_then(checked);
        let parts = parts.map_err(|reason| Error::config("source.pipeline", reason))?;
        Ok(Self { parts })
    }

    /// What of it no text may show.
    pub fn hidden(&self) -> Hidden {
        let mut hidden = Hidden::default();
        for part in &self.parts {
            let Part::Element { name, properties } = part else { continue };
            properties.iter().for_each(|(p, value)| hidden.add(rule(name, p), value));
        }
        hidden
    }
}

/// Looks at what stands where, and at what properties hold.
fn checked(parts: Vec<Part>) -> Told<Vec<Part>> {
    for (i, part) in parts.iter().enumerate() {
        let Part::Element { name, properties } = part else {
            if i == 0 {
                return Err("begins with caps; a source stands first".into());
            }
            continue;
        };
        let source = find(name).is_some_and(|(group, _)| group == Group::Source);
        if source != (i == 0) {
            let reason = match source {
                true => "is a source and does not stand first: a description is one chain",
                false => "stands first and is no source",
            };
            return Err(format!("element {name} {reason}"));
        }
        for (k, (property, value)) in properties.iter().enumerate() {
            if properties[..k].iter().any(|(p, _)| p == property) {
                return Err(format!("{name}: {property} is set twice"));
            }
            if let Some(why) = rule(name, property).fault(value) {
                return Err(format!("{name}: {property} may not hold that: {why}"));
            }
        }
        if *name == "udpsrc" && !properties.iter().any(|(p, _)| p == "address") {
            return Err(
                "udpsrc: address=127.0.0.1 is needed: else it is open to others than this machine"
                    .into(),
            );
        }
    }
    Ok(parts)
}

/// A text that is read from its front.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Told<Self> {
        if text.len() > LONGEST {
            return Err(format!("{} bytes long; {LONGEST} are allowed", text.len()));
        }
        if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
            return Err("holds a control character".into());
        }
        Ok(Self { text, at: 0 })
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// What comes while `good` holds.
    fn run(&mut self, good: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !good(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Where that is.
    fn here(&self) -> String {
        format!("at character {}", self.text[..self.at].chars().count() + 1)
    }

    fn parts(mut self) -> Told<Vec<Part>> {
        let mut parts = Vec::new();
        loop {
            self.space();
            parts.push(self.part()?);
            if parts.len() > MOST {
                return Err(format!("more than {MOST} elements and caps"));
            }
            self.space();
            match self.peek() {
                None => return Ok(parts),
                Some('!') => self.link()?,
                Some(_) => return Err(format!("a ! is needed {}", self.here())),
            }
        }
    }

    fn link(&mut self) -> Told<()> {
        self.at += 1;
        match self.peek() {
            Some(c) if c.is_whitespace() => Ok(()),
            Some(_) => Err(format!("a space is needed behind the ! {}", self.here())),
            None => Err("ends with a !; tamis puts its own end behind the last element".into()),
        }
    }

    fn part(&mut self) -> Told<Part> {
        match self.peek() {
            None => return Err("an element is needed at the end".into()),
            Some('!') => return Err(format!("an element is needed between two ! {}", self.here())),
            Some('"' | '\'') => {
                let caps = self.quoted()?;
                let mut inner = Reader::new(&caps)?;
                let part = inner.caps()?;
                return match inner.peek() {
                    None => Ok(part),
                    Some(_) => Err("caps in quotes end too early: a ! stands in them".into()),
                };
            }
            Some('(' | '{') => {
                return Err(format!("a bin in parentheses {}: {CHAIN}", self.here()));
            }
            Some('@') => return Err(format!("a preset {}: presets are not used", self.here())),
            Some('.' | ':' | ',' | ';') => {
                return Err(format!("a reference {}: {CHAIN}", self.here()));
            }
            Some(_) => {}
        }
        let head = self.rest().split(|c: char| c.is_whitespace()).next().unwrap_or_default();
        let named = head.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)));
        match named.map(|n| &head[n..]) {
            None => self.element(),
            Some(rest) if rest.starts_with("://") => Err(format!(
                "an address in place of an element {}: write rtspsrc location=\"...\"",
                self.here()
            )),
            Some(rest) if rest.starts_with('/') => self.caps(),
            Some(rest) if rest.starts_with('.') || rest.starts_with(':') => {
                Err(format!("a reference or a pad {}: {CHAIN}", self.here()))
            }
            Some(rest) if rest.starts_with('=') => {
                Err(format!("a property without an element {}", self.here()))
            }
            Some(rest) if rest.starts_with('!') => {
                Err(format!("a space is needed before the ! {}", self.here()))
            }
            Some(_) => Err(format!("no name of an element {}", self.here())),
        }
    }

    fn element(&mut self) -> Told<Part> {
        let name = self.run(|c| !c.is_whitespace());
        let (_, name) = find(name).ok_or_else(|| refusal(name))?;
        let mut properties = Vec::new();
        loop {
            self.space();
            match self.peek() {
                None | Some('!') => return Ok(Part::Element { name, properties }),
                Some('@') => {
                    return Err(format!("a preset {}: presets are not used", self.here()));
                }
                Some(c) if !c.is_ascii_alphabetic() => {
                    return Err(format!("{name}: no name of a property {}", self.here()));
                }
                Some(_) => {}
            }
            // Not shown until it is known to be the name of something.
            let here = self.here();
            let property = self.run(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            if self.peek() == Some(':') {
                return Err(format!("{name}: a property of something inside {here}: {CHAIN}"));
            }
            self.space();
            if self.peek() != Some('=') {
                return Err(format!(
                    "{name}: a property and = are needed {here}; is a ! missing before it, or are quotes?"
                ));
            }
            self.at += 1;
            self.space();
            properties.push((property.to_owned(), self.value(name, property)?));
        }
    }

    fn value(&mut self, name: &str, property: &str) -> Told<String> {
        let fault = |why: &str| Err(format!("{name}: {property} {why}"));
        let value = match self.peek() {
            None => return fault("has no value"),
            Some('"' | '\'') => self.quoted()?,
            Some(_) => {
                let word = self.run(|c| !c.is_whitespace());
                if word.contains(['"', '\'', '\\', '!', '`']) {
                    return fault("holds a quote, a \\ or a !; put the whole value into quotes");
                }
                word.to_owned()
            }
        };
        match self.peek() {
            Some(c) if !c.is_whitespace() => fault("goes on behind its quotes"),
            _ => Ok(value),
        }
    }

    /// What stands in quotes.
    fn quoted(&mut self) -> Told<String> {
        let here = self.here();
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map_or('"', |(_, c)| c);
        let mut value = String::new();
        while let Some((i, c)) = chars.next() {
            if c == quote {
                self.at += i + c.len_utf8();
                return Ok(value);
            }
            match c {
                '\\' => value.extend(chars.next().map(|(_, c)| c)),
                c => value.push(c),
            }
        }
        Err(format!("the quote {here} is not closed"))
    }

    /// Caps, up to the next ! outside of quotes.
    fn caps(&mut self) -> Told<Part> {
        let here = self.here();
        let (begin, mut quote) = (self.at, None);
        let mut chars = self.rest().char_indices();
        let mut end = self.rest().len();
        while let Some((i, c)) = chars.next() {
            match (quote, c) {
                (_, '\\') => drop(chars.next()),
                (None, '!') => {
                    end = i;
                    break;
                }
                (None, '"' | '\'') => quote = Some(c),
                (Some(q), c) if q == c => quote = None,
                _ => {}
            }
        }
        if quote.is_some() {
            return Err(format!("caps {here} have a quote that is not closed"));
        }
        self.at = begin + end;
        let text = &self.text[begin..self.at];
        if self.peek() == Some('!') && !text.ends_with(char::is_whitespace) {
            return Err(format!("a space is needed before the ! {}", self.here()));
        }
        let text = text.trim();
        let kind = text.split([',', ';', '(']).next().unwrap_or_default().trim();
        let part = |p: &str| {
            p.starts_with(|c: char| c.is_ascii_alphabetic())
                && p.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
        };
        if !kind.split_once('/').is_some_and(|(a, b)| part(a) && part(b)) {
            return Err(format!("caps are needed {here}, as video/x-raw,width=640"));
        }
        Ok(Part::Caps(text.into()))
    }
}

const CHAIN: &str = "a description is one chain, element ! element ! element";
