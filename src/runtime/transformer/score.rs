//! How important tokens are: scores of a block's attention map, keys, and of what its layers did.
//!
//! A map has the shape `[heads, n, n]`: rows are queries and sum to 1, columns are keys. Scores have a
//! mean of about 1 and no unit.

/// Attention of all tokens to all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Map<'a> {
    pub heads: usize,
    /// Tokens.
    pub n: usize,
    /// Shape: `[heads, n, n]`.
    pub values: &'a [f32],
}

impl Map<'_> {
    fn head(&self, head: usize) -> &[f32] {
        &self.values[head * self.n * self.n..][..self.n * self.n]
    }

    /// Attention among some of the tokens, their rows brought to a sum of 1 again.
    pub fn part(&self, tokens: &[usize]) -> Vec<f32> {
        let mut part = Vec::with_capacity(self.heads * tokens.len() * tokens.len());
        for head in 0..self.heads {
            for &i in tokens {
                let row = &self.head(head)[i * self.n..][..self.n];
                let sum: f32 = tokens.iter().map(|&j| row[j]).sum();
                part.extend(tokens.iter().map(|&j| row[j] / sum.max(f32::MIN_POSITIVE)));
            }
        }
        part
    }

    /// The mean over the heads of some rows, summed.
    fn sum_of_rows(&self, rows: impl Fn(usize) -> bool) -> Vec<f32> {
        let mut sum = vec![0.0; self.n];
        for head in 0..self.heads {
            for (i, row) in self.head(head).chunks_exact(self.n).enumerate() {
                if rows(i) {
                    add_scaled(&mut sum, row, 1.0 / self.heads as f32);
                }
            }
        }
        sum
    }
}

fn add_scaled(to: &mut [f32], from: &[f32], factor: f32) {
    to.iter_mut().zip(from).for_each(|(to, x)| *to += factor * x);
}

/// Heads whose scores vary less tell nothing, those whose scores vary more look at a few tokens only.
///
/// Source: Wang et al. 2024 (arXiv 2305.17328), the variance-based head filter; of scores with mean 1.
const VARIANCE: std::ops::RangeInclusive<f32> = 0.01..=0.7;

/// Weighted page rank: every token votes for others by its attention, with its own importance as weight;
/// `rounds` times, or until nothing changes. Classes, the first `classes` tokens, begin with more.
///
/// Source: Wang et al. 2024 (arXiv 2305.17328), algorithm 1 and equations 3 to 5 (Zero-TPrune).
pub(crate) fn page_rank(map: Map<'_>, classes: usize, rounds: usize) -> Vec<f32> {
    let n = map.n;
    let mut squares = vec![0.0; n];
    let mut counted = 0;
    let ranks: Vec<Vec<f32>> =
        (0..map.heads).map(|head| rank_of_head(map.head(head), n, classes, rounds)).collect();
    let keeps = |rank: &[f32]| {
        let variance = rank.iter().map(|s| (s - 1.0) * (s - 1.0)).sum::<f32>() / n as f32;
        VARIANCE.contains(&variance)
    };
    // If no head passes, all count.
    let any = ranks.iter().any(|rank| keeps(rank));
    for rank in ranks.iter().filter(|rank| !any || keeps(rank)) {
        squares.iter_mut().zip(rank).for_each(|(sum, s)| *sum += s * s);
        counted += 1;
    }
    squares.iter_mut().for_each(|s| *s = (*s / counted as f32).sqrt());
    squares
}

/// The same for one head; the mean is 1.
fn rank_of_head(map: &[f32], n: usize, classes: usize, rounds: usize) -> Vec<f32> {
    let mut s: Vec<f32> =
        (0..n).map(|i| if i < classes { (n as f32).sqrt() } else { 1.0 }).collect();
    let mean = s.iter().sum::<f32>() / n as f32;
    s.iter_mut().for_each(|s| *s /= mean);
    for _ in 0..rounds {
        let mut next = vec![0.0; n];
        for (row, weight) in map.chunks_exact(n).zip(&s) {
            add_scaled(&mut next, row, *weight);
        }
        let moved = next.iter().zip(&s).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        s = next;
        if moved < 1e-4 {
            break;
        }
    }
    s
}

/// What tokens receive from those that receive more than `threshold` times the mean; from all, if none does.
///
/// Source: VFlowOpt (arXiv 2508.05211), equations 1, 2 and 4 without the entropy term, the mean over the
/// voters as its authors' code has it.
pub(crate) fn received(map: Map<'_>, threshold: f32) -> Vec<f32> {
    let columns = map.sum_of_rows(|_| true);
    let mut voters: Vec<usize> = (0..map.n).filter(|&j| columns[j] > threshold).collect();
    if voters.is_empty() {
        voters = (0..map.n).collect();
    }
    let mut score = map.sum_of_rows(|i| voters.binary_search(&i).is_ok());
    score.iter_mut().for_each(|s| *s /= voters.len() as f32);
    score
}

/// How far a layer turns and stretches each token: `softmax(1 - cos) * |out| / |in|`.
///
/// Shape: `[n, width]` twice -> `[n]`.
///
/// Source: TransPrune (arXiv 2507.20630), equations 1 and 2, with `1 - cos` and the softmax over all tokens as its
/// authors' code has them.
pub(crate) fn transition(input: &[f32], output: &[f32], width: usize) -> Vec<f32> {
    let (mut turned, mut stretched) = (Vec::new(), Vec::new());
    for (x, y) in input.chunks_exact(width).zip(output.chunks_exact(width)) {
        let [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)];
        turned.push((1.0 - xy / (xx * yy).sqrt().max(f32::MIN_POSITIVE)).exp());
        stretched.push((yy / xx.max(f32::MIN_POSITIVE)).sqrt());
    }
    let sum: f32 = turned.iter().sum();
    turned.iter().zip(&stretched).map(|(t, m)| t / sum * m).collect()
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Rows scaled to length 1.
fn directions(rows: &[f32], width: usize) -> Vec<f32> {
    let mut out = rows.to_vec();
    for row in out.chunks_exact_mut(width) {
        let length = dot(row, row).sqrt().max(f32::MIN_POSITIVE);
        row.iter_mut().for_each(|x| *x /= length);
    }
    out
}

/// Tokens that look like one that is more important: of the less important half those `count` whose keys
/// come nearest to one of the other half.
///
/// Shape: keys `[n, width]`; scores `[n]`; the first `classes` tokens are no candidates.
///
/// Source: Wang et al. 2024 (arXiv 2305.17328), the similarity stage with sequential partition by importance.
pub(crate) fn duplicates(
    keys: &[f32],
    width: usize,
    scores: &[f32],
    classes: usize,
    count: usize,
) -> Vec<usize> {
    let mut order: Vec<usize> = (classes..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let (important, rest) = order.split_at(order.len() / 2);
    let keys = directions(keys, width);
    let key = |i: usize| &keys[i * width..][..width];
    let nearest = |&a: &usize| {
        let most = important.iter().map(|&b| dot(key(a), key(b))).fold(f32::NEG_INFINITY, f32::max);
        (most, a)
    };
    let mut near: Vec<(f32, usize)> = rest.iter().map(nearest).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    near.iter().take(count).map(|&(_, a)| a).collect()
}

/// Which tokens are averaged into which: of those at even places the `count` whose keys are nearest to one at an
/// odd place. Pairs of (from, into).
///
/// Shape: keys `[n, width]`, the mean over the heads; the first `classes` tokens stay.
///
/// Source: Bolya et al. 2023 (arXiv 2210.09461), bipartite soft matching (ToMe).
pub(crate) fn pairs(
    keys: &[f32],
    width: usize,
    classes: usize,
    count: usize,
) -> Vec<(usize, usize)> {
    let n = keys.len() / width;
    let keys = directions(keys, width);
    let key = |i: usize| &keys[i * width..][..width];
    let mut edges: Vec<(f32, usize, usize)> = Vec::new();
    for a in (0..n).step_by(2).filter(|&a| a >= classes) {
        let others = (1..n).step_by(2).filter(|&b| b >= classes);
        let alike = others.map(|b| (dot(key(a), key(b)), b));
        if let Some((alike, b)) = alike.reduce(|best, x| if x.0 > best.0 { x } else { best }) {
            edges.push((alike, a, b));
        }
    }
    edges.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
    edges.iter().take(count).map(|&(_, a, b)| (a, b)).collect()
}

/// The places of the `count` highest scores among `candidates`, ascending; of equal ones the first.
pub(crate) fn highest(
    scores: &[f32],
    candidates: std::ops::Range<usize>,
    count: usize,
) -> Vec<usize> {
    let mut order: Vec<usize> = candidates.collect();
    let count = count.min(order.len());
    if count < order.len() {
        let before = |a: &usize, b: &usize| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b));
        order.select_nth_unstable_by(count, before);
        order.truncate(count);
    }
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    //! Golden values: `reference/algorithms.md`, 0.5, computed in double precision apart from this code.
    use super::*;

    const N: usize = 5;

    fn map() -> Vec<f32> {
        let mut all = Vec::new();
        for h in 0..2 {
            for i in 0..N {
                let logit =
                    |j: usize| 2.0 * (1.3 * (i * j) as f64 + 0.7 * h as f64 + 0.2 * j as f64).sin();
                let e: Vec<f64> = (0..N).map(|j| logit(j).exp()).collect();
                let sum: f64 = e.iter().sum();
                all.extend(e.iter().map(|e| (e / sum) as f32));
            }
        }
        all
    }

    fn keys() -> Vec<f32> {
        (0..N * 4).map(|i| (0.9 * (i / 4) as f64 + 0.5 * (i % 4) as f64).cos() as f32).collect()
    }

    fn near(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        let off = |(a, b): (&f32, &f32)| (a - b).abs() > 2e-6;
        assert!(!found.iter().zip(expected).any(off), "{found:?}, expected {expected:?}");
    }

    #[test]
    fn page_rank_is_that_of_the_reference() {
        let values = map();
        let map = Map { heads: 2, n: N, values: &values };
        near(&map.values[N..2 * N], &[0.096_231, 0.707_503, 0.127_612, 0.013_622, 0.055_032]);
        near(
            &rank_of_head(map.head(0), N, 0, 3),
            &[0.657_551, 1.265_285, 1.158_239, 1.064_915, 0.854_011],
        );
        near(
            &rank_of_head(map.head(1), N, 0, 3),
            &[1.803_033, 0.822_035, 0.784_313, 0.875_160, 0.715_458],
        );
        near(&page_rank(map, 0, 3), &[1.357_075, 1.066_932, 0.989_107, 0.974_666, 0.787_787]);
        near(&page_rank(map, 1, 3), &[1.326_511, 1.040_785, 0.981_758, 0.992_713, 0.817_033]);
        near(&page_rank(map, 0, 1), &[1.518_611, 0.988_608, 0.951_426, 0.940_758, 0.833_254]);
    }

    #[test]
    fn duplicates_are_those_of_the_reference() {
        let values = map();
        let votes = page_rank(Map { heads: 2, n: N, values: &values }, 0, 1);
        assert_eq!(duplicates(&keys(), 4, &votes, 1, 1), [3]);
        assert_eq!(duplicates(&keys(), 4, &votes, 1, 2), [3, 4]);
        assert_eq!(pairs(&keys(), 4, 1, 1), [(2, 3)]);
    }

    #[test]
    fn transitions_and_what_is_received_are_those_of_the_reference() {
        let x: Vec<f32> = (0..N * 4)
            .map(|i| (0.4 * (i / 4) as f64 + 0.8 * (i % 4) as f64 + 0.1).sin() as f32)
            .collect();
        let out: Vec<f32> = (0..N * 4)
            .map(|i| 0.5 * x[i / 4 * 4 + (i % 4 + 1) % 4] + 0.1 * (i / 4) as f32)
            .collect();
        near(&transition(&x, &out, 4), &[0.078_161, 0.090_500, 0.125_640, 0.182_163, 0.254_384]);
        let values = map();
        let map = Map { heads: 2, n: N, values: &values };
        near(&received(map, 1.0), &[0.105_258, 0.146_008, 0.195_081, 0.249_507, 0.304_146]);
        let all = received(map, 100.0);
        assert!((all.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn the_highest_are_the_first_of_equals_in_order() {
        assert_eq!(highest(&[9.0, 1.0, 3.0, 3.0, 3.0, 0.0], 1..6, 2), [2, 3]);
        assert_eq!(highest(&[9.0, 1.0, 3.0, 3.0, 3.0, 0.0], 1..6, 9), [1, 2, 3, 4, 5]);
        assert_eq!(highest(&[9.0, 1.0], 1..2, 0), [0usize; 0]);
    }
}
