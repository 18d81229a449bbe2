//! Whole cells: how many there are, and what stands beyond the edge.

/// Number of cells of `cell` samples that hold `len` samples.
pub fn cells(len: usize, cell: usize) -> usize {
    len.div_ceil(cell)
}

/// Index of the sample that stands at `i` in the whole-sample mirrored extension of `len` samples.
///
/// # Panics
/// If `len` is 0.
pub fn mirror(i: usize, len: usize) -> usize {
    assert!(len > 0, "an empty signal has no mirror image");
    if i < len {
        return i;
    }
    if len == 1 {
        return 0;
    }
    let period = 2 * (len - 1);
    let k = i % period;
    if k < len { k } else { period - k }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_turns_back_at_both_ends() {
        let walked: Vec<usize> = (0..9).map(|i| mirror(i, 3)).collect();
        assert_eq!(walked, [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(mirror(100, 1), 0);
    }
}
