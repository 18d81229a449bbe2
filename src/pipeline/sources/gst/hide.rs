//! What must not be seen of a description, in what GStreamer says.

use super::rules::Holds;

/// Stands where something is hidden.
const STARS: &str = "***";

/// What is no longer than this, in letters, is part of many words.
const SHORT: usize = 3;

/// Texts that are never shown.
#[derive(Clone, Default)]
pub struct Hidden {
    /// Longest first: one may hold another.
    texts: Vec<String>,
}

impl Hidden {
    /// Hides what of a value may be a secret.
    pub(super) fn add(&mut self, rule: Holds, value: &str) {
        match rule {
            Holds::Secret => self.text(value),
            Holds::Url(_) => {
                let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
                let place = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                // Up to the last @, wherever it is: there may be a slash in a password.
                let user = rest.rfind('@').map_or("", |at| &rest[..at]);
                self.text(user);
                self.text(&decoded(user));
                for part in user.splitn(2, ':') {
                    self.text(part);
                    self.text(&decoded(part));
                }
                // Cameras take names, passwords and tokens in paths too.
                self.text(rest[place..].trim_start_matches('/'));
                self.text(rest.split_once('?').map_or("", |(_, query)| query));
            }
            _ => {}
        }
        self.texts.sort_by_key(|t| std::cmp::Reverse(t.len()));
        self.texts.dedup();
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.texts.push(text.into());
        }
    }

    /// A text without what must not be seen.
    pub fn hide(&self, text: &str) -> String {
        let mut text: String = text.into();
        for hidden in &self.texts {
            text = starred(&text, hidden);
        }
        // What an address turned into on its way, if it still has a name and a password.
        let mut shown = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("://") {
            shown.push_str(before);
            shown.push_str("://");
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            let at = after[..end].rfind('@').unwrap_or(0);
            if at > 0 {
                shown.push_str(STARS);
            }
            rest = &after[at..];
        }
        shown.push_str(rest);
        shown
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Hidden({})", self.texts.len())
    }
}

/// A text with stars in place of another; of a short one only where it stands alone, not within words.
fn starred(text: &str, hidden: &str) -> String {
    if hidden.chars().count() > SHORT {
        return text.replace(hidden, STARS);
    }
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(hidden) {
        let end = at + hidden.len();
        let before = rest[..at].chars().next_back().or(out.chars().next_back());
        let within = [before, rest[end..].chars().next()];
        out.push_str(&rest[..at]);
        out.push_str(match within.iter().flatten().any(|c| c.is_alphanumeric()) {
            true => hidden,
            false => STARS,
        });
        rest = &rest[end..];
    }
    out + rest
}

/// A text whose `%40` are `@`.
fn decoded(text: &str) -> String {
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(i) {
        let code = text.get(i + 1..i + 3).filter(|_| byte == b'%');
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
