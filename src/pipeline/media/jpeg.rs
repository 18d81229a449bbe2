//! Whether a JPEG is whole: its decoder fills what is missing with gray and says nothing.

/// Whether the picture's end marker follows its scans.
///
/// Walks the segments, so that a thumbnail's end marker inside one does not count.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[mark, code]) = bytes.get(at..at + 2) {
        match (mark, code) {
            (0xff, 0xd9) => return true,
            // Fill bytes, markers without a length, and stuffed or restart bytes of a scan.
            (0xff, 0xff) => at += 1,
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            (0xff, _) => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => {
                    at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
                }
                _ => return false,
            },
            // Entropy-coded data, or rubbish between segments: up to the next mark.
            _ => match bytes[at..].iter().position(|&b| b == 0xff) {
                Some(skip) => at += skip,
                None => return false,
            },
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_whole;

    #[test]
    fn end_marker_counts_only_after_the_segments() {
        let thumbnail = [0xff, 0xd8, 0xff, 0xe1, 0, 4, 0xff, 0xd9, 0xff, 0xda, 0, 2, 1, 0xff, 0];
        assert!(!is_whole(&thumbnail));
        let whole = [thumbnail.as_slice(), &[7, 0xff, 0xd9, 1, 2]].concat();
        assert!(is_whole(&whole));
        assert!(!is_whole(&[0xff, 0xd8]));
        assert!(!is_whole(&[]));
    }
}
