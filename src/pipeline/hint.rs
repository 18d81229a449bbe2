//! The nearest known key, for a key that is not known.

/// Adds "did you mean" to serde's "unknown field `x`, expected one of `a`, `b`".
pub(super) fn with_hint(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if !message.starts_with("unknown") || quoted.len() < 2 {
        return message.into();
    }
    let (typed, known) = (quoted[0], &quoted[1..]);
    match known.iter().min_by_key(|k| distance(typed, k)) {
        Some(near) if distance(typed, near) <= typed.len().div_ceil(2) => {
            format!("{message}; did you mean `{near}`?")
        }
        _ => message.into(),
    }
}

/// Letters to insert, remove or replace to get from one word to the other (Levenshtein).
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_hinted() {
        let message = "unknown field `qualty`, expected one of `bundle`, `quality`, `channels`";
        assert!(with_hint(message).ends_with("did you mean `quality`?"));
        let far = "unknown field `zzzzzz`, expected `bundle`";
        assert_eq!(with_hint(far), far);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
