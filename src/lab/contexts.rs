//! The numbers of the dense coder, fitted to latents: predictions and expected sizes by least
//! squares, tables by counting what each context saw.

use std::ops::Range;

use rayon::prelude::*;

use super::cluster::cluster;
use super::fit::{AT_ONCE, dot};
use super::sparse::solve;
use crate::bitstream::context::{ONE, PAD, Padded, Prediction, Sizes, level, size, taps_of_row};
use crate::codec::contexts::{
    BANDS, FEATURES, FIRST_REFERENCE, LEVELS, PHASES, REFERENCES, TAP_UNIT, TAPS, block_start,
};
use crate::codec::{ALPHABET, Bundle, Choice, Contexts, Kind, Layout, Quality, bands, token};
use crate::error::Result;

/// Most tables that contexts choose from.
const TABLES: usize = 224;
/// Values that samples hold in all, or training would take minutes.
const VALUES: usize = 24 << 20;
/// Rows and columns of cells of a sample of a picture at most.
const PICTURE: [usize; 2] = [48, 64];
/// Cells of a sample of a sound at most: those of one packet.
const SOUND: usize = 128;
/// Samples of one sound.
const SOUNDS: usize = 4;
/// Values that what all channels saw in a context is worth beside what one saw, where samples are few.
const SHARED: f64 = 32.0;
/// One value in these is counted then.
const PARTS: u32 = 16;
/// Share of a channel's energy that a prediction must explain.
const WORTH: f64 = 0.05;
/// Qualities that stand for each band.
const QUALITIES: [[u8; 2]; BANDS] = [[26, 36], [46, 56], [66, 75], [86, 95]];
/// Deviation of the noise between two frames of a camera, in steps of quality 75; a sample has one.
const NOISE: [f32; 4] = [0.02, 0.05, 0.1, 0.2];

/// Latents before they are rounded: `[channels, rows, columns]`.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    grid: [usize; 2],
    reals: Vec<f32>,
}

/// Samples of some files, spread over all of them.
#[derive(Debug, Default)]
pub(super) struct Samples {
    kept: Vec<Sample>,
    /// One sample in so many is kept.
    stride: usize,
    seen: usize,
    values: usize,
}

impl Samples {
    /// Parts of the latents of one file.
    pub fn of(bundle: &Bundle, grid: &[usize], reals: &[f32]) -> Vec<Sample> {
        let &[rows, columns] = grid else { return Vec::new() };
        let part = |y: Range<usize>, x: Range<usize>| {
            let channels = reals.chunks_exact((rows * columns).max(1));
            let lines = channels
                .flat_map(|c| y.clone().map(move |y| &c[y * columns..]))
                .flat_map(|line| &line[x.clone()]);
            Sample { grid: [y.len(), x.len()], reals: lines.copied().collect() }
        };
        let middle = |all: usize, most: usize| {
            let start = all.saturating_sub(most) / 2;
            start..(start + most).min(all)
        };
        match bundle.kind {
            _ if rows * columns == 0 => Vec::new(),
            Kind::Image => vec![part(middle(rows, PICTURE[0]), middle(columns, PICTURE[1]))],
            Kind::Audio => {
                let packets = columns.div_ceil(SOUND);
                (0..SOUNDS.min(packets))
                    .map(|k| k * packets / SOUNDS.min(packets) * SOUND)
                    .map(|start| part(0..rows, start..(start + SOUND).min(columns)))
                    .collect()
            }
        }
    }

    /// Keeps some of what a file gave; the same whatever the threads, if files come in order.
    pub fn add(&mut self, samples: Vec<Sample>) {
        self.stride = self.stride.max(1);
        for sample in samples {
            if self.seen.is_multiple_of(self.stride) {
                self.values += sample.reals.len();
                self.kept.push(sample);
            }
            self.seen += 1;
            while self.values > VALUES {
                self.stride *= 2;
                let mut number = 0..;
                self.kept.retain(|_| number.next().is_some_and(|n: usize| n.is_multiple_of(2)));
                self.values = self.kept.iter().map(|s| s.reals.len()).sum();
            }
        }
    }

    /// Fits contexts to the samples.
    pub fn contexts(&self, bundle: &Bundle) -> Result<Contexts> {
        let channels = bundle.channels();
        let mut contexts = Contexts::generic(channels);
        if self.kept.is_empty() {
            return Ok(contexts);
        }
        let picture = bundle.kind == Kind::Image;
        // Cubes have few cells, and their channels are many.
        let few = picture && !bands::codes(bundle, Layout::Rgb, 3);
        if picture {
            let taps: Vec<Vec<i16>> =
                (0..BANDS).map(|band| self.taps(bundle, band)).collect::<Result<_>>()?;
            contexts.taps = taps.concat();
        }
        contexts.references = self.references(bundle, &contexts)?;
        let phases = if contexts.taps.iter().any(|&t| t != 0) { PHASES } else { 1 };
        let mut counts = Vec::new();
        let mut weights = [Vec::new(), Vec::new()];
        for continued in if picture { [false, true].iter() } else { [false].iter() } {
            for band in 0..BANDS {
                let of_band = self.weights(bundle, &contexts, band, *continued)?;
                let phases = if *continued { PHASES } else { phases };
                let mut seen =
                    self.counts(bundle, &contexts, band, *continued, phases, &of_band)?;
                if few {
                    share(&mut seen, phases);
                }
                counts.extend(seen);
                weights[usize::from(*continued)].extend(of_band);
            }
        }
        let (frequencies, mut select) = cluster(&counts, TABLES);
        for run in select.chunks_exact_mut(LEVELS).zip(counts.chunks_exact(LEVELS * ALPHABET)) {
            fill(run.0, run.1);
        }
        let [alone, after] = weights;
        let rest = select.split_off(BANDS * channels * phases * LEVELS);
        contexts.frequencies = frequencies;
        contexts.alone = Choice { weights: alone, select };
        contexts.continued = picture.then_some(Choice { weights: after, select: rest });
        Ok(contexts)
    }

    /// Runs over all samples at the qualities of a band, in parallel, and adds up in order.
    fn over<T: Send>(
        &self,
        bundle: &Bundle,
        (band, continued): (usize, bool),
        each: impl Fn(&Seen<'_>) -> T + Sync,
        mut add: impl FnMut(T),
    ) -> Result<()> {
        let qualities =
            QUALITIES[band].iter().map(|&q| Quality::new(q)).collect::<Result<Vec<_>>>()?;
        for (first, part) in self.kept.chunks(AT_ONCE).enumerate() {
            let parts: Vec<Vec<T>> = part
                .par_iter()
                .enumerate()
                .map(|(k, sample)| {
                    let camera = continued.then_some(first * AT_ONCE + k);
                    qualities
                        .iter()
                        .map(|&quality| each(&Seen::new(bundle, sample, quality, camera)))
                        .collect()
                })
                .collect();
            parts.into_iter().flatten().for_each(&mut add);
        }
        Ok(())
    }

    /// Predictions from neighbours, for the channels where they explain something.
    fn taps(&self, bundle: &Bundle, band: usize) -> Result<Vec<i16>> {
        let channels = bundle.channels();
        let mut all = vec![Squares::new(TAPS); channels];
        self.over(
            bundle,
            (band, false),
            |seen| {
                let mut squares = vec![Squares::new(TAPS); channels];
                for (c, squares) in squares.iter_mut().enumerate() {
                    let padded = seen.padded(c);
                    for row in 2..seen.grid[0] {
                        let lines = [0, 1, 2].map(|up| padded.row(row, up));
                        for x in 0..seen.grid[1] {
                            let at = |up: usize, left: usize| f32::from(lines[up][x + PAD - left]);
                            let east = f32::from(lines[1][x + PAD + 1]);
                            let near = [at(0, 1), at(1, 0), at(1, 1), east, at(0, 2), at(2, 0)];
                            squares.add(&near, at(0, 0));
                        }
                    }
                }
                squares
            },
            |part| all.iter_mut().zip(&part).for_each(|(a, b)| a.merge(b)),
        )?;
        Ok(all
            .iter()
            .flat_map(|s| {
                let taps = s.solve();
                match s.explained(&taps) > WORTH {
                    true => taps
                        .iter()
                        .map(|t| (t * f64::from(TAP_UNIT)).round().clamp(-2047.0, 2047.0) as i16)
                        .collect(),
                    false => vec![0; TAPS],
                }
            })
            .collect())
    }

    /// The earlier channels whose sizes go most with a channel's own.
    fn references(&self, bundle: &Bundle, contexts: &Contexts) -> Result<Vec<u16>> {
        let channels = bundle.channels();
        let mut sums = vec![0.0f64; channels];
        let mut products = vec![0.0f64; channels * channels];
        let mut count = 0.0;
        self.over(
            bundle,
            (1, false),
            |seen| {
                let sizes = seen.survey(contexts, false).0;
                let rows: Vec<Vec<f32>> =
                    (0..channels).map(|c| seen.line(&sizes, c).map(f32::from).collect()).collect();
                let mut products = vec![0.0f64; channels * channels];
                for (group, c) in in_groups(&bundle.groups) {
                    for k in (group.start..block_start(group.start, c)).chain([c]) {
                        products[c * channels + k] = dot(&rows[c], &rows[k]);
                    }
                }
                let sums: Vec<f64> =
                    rows.iter().map(|r| r.iter().map(|&x| f64::from(x)).sum()).collect();
                (rows[0].len() as f64, sums, products)
            },
            |(n, s, p)| {
                count += n;
                sums.iter_mut().zip(s).for_each(|(a, b)| *a += b);
                products.iter_mut().zip(p).for_each(|(a, b)| *a += b);
            },
        )?;
        let covariance =
            |a: usize, b: usize| products[a * channels + b] - sums[a] * sums[b] / count;
        let mut out = vec![0; channels * REFERENCES];
        for (group, c) in in_groups(&bundle.groups) {
            let variance = |k: usize| covariance(k, k).max(1e-9);
            let mut known: Vec<(usize, f64)> = (group.start..block_start(group.start, c))
                .map(|k| (k, covariance(c, k) / (variance(c) * variance(k)).sqrt()))
                .filter(|k| k.1 > 0.02)
                .collect();
            known.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            for (k, to) in out[c * REFERENCES..][..REFERENCES].iter_mut().enumerate() {
                *to = known.get(k).map_or(c, |k| k.0) as u16;
            }
        }
        Ok(out)
    }

    /// Weights of the features, by least squares of the sizes.
    fn weights(
        &self,
        bundle: &Bundle,
        contexts: &Contexts,
        band: usize,
        continued: bool,
    ) -> Result<Vec<i16>> {
        let channels = bundle.channels();
        let mut all = vec![Squares::new(FEATURES); channels];
        self.over(
            bundle,
            (band, continued),
            |seen| {
                let (sizes, _) = seen.survey(contexts, continued);
                let mut squares = vec![Squares::new(FEATURES); channels];
                for (group, c) in in_groups(&bundle.groups) {
                    seen.features(contexts, &sizes, group, c, continued, |_, features, size| {
                        squares[c].add(features, f32::from(size));
                    });
                }
                squares
            },
            |part| all.iter_mut().zip(&part).for_each(|(a, b)| a.merge(b)),
        )?;
        let mut out = Vec::with_capacity(channels * FEATURES);
        for (c, squares) in all.iter().enumerate() {
            let solved = squares.solve();
            let start = out.len();
            out.extend(solved.iter().map(|w| (256.0 * w).round().clamp(-32767.0, 32767.0) as i16));
            for k in 0..REFERENCES {
                if usize::from(contexts.references[c * REFERENCES + k]) == c {
                    out[start + FIRST_REFERENCE + 2 * k..][..2].fill(0);
                }
            }
        }
        Ok(out)
    }

    /// Tokens that each context of a band saw: `[channels, phases, LEVELS, ALPHABET]`.
    fn counts(
        &self,
        bundle: &Bundle,
        contexts: &Contexts,
        band: usize,
        continued: bool,
        phases: usize,
        weights: &[i16],
    ) -> Result<Vec<u32>> {
        let channels = bundle.channels();
        let mut all = vec![0u32; channels * phases * LEVELS * ALPHABET];
        let weights = weights.as_chunks::<FEATURES>().0;
        self.over(
            bundle,
            (band, continued),
            |seen| {
                let (sizes, rests) = seen.survey(contexts, continued);
                let mut found: Vec<(u32, u8)> = Vec::with_capacity(rests.len());
                for (group, c) in in_groups(&bundle.groups) {
                    let first = c * seen.cells();
                    seen.features(contexts, &sizes, group, c, continued, |at, features, _| {
                        let sum = features
                            .iter()
                            .zip(&weights[c])
                            .map(|(&f, &w)| f as i32 * i32::from(w))
                            .sum();
                        let (rest, phase) = rests[first + at];
                        let place = (c * phases + phase.min(phases - 1)) * LEVELS + level(sum);
                        found.push((place as u32, token(rest) as u8));
                    });
                }
                found
            },
            |found| {
                for (place, token) in found {
                    all[place as usize * ALPHABET + usize::from(token)] += 1;
                }
            },
        )?;
        Ok(all)
    }
}

/// Every channel with its group.
fn in_groups(ends: &[usize]) -> impl Iterator<Item = (Range<usize>, usize)> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).flat_map(|(start, &end)| (start..end).map(move |c| (start..end, c)))
}

/// Puts beside what a channel saw in each of its contexts what all channels saw in theirs of the same
/// kind, worth [`SHARED`] values.
fn share(counts: &mut [u32], phases: usize) {
    let channel = phases * LEVELS * ALPHABET;
    let mut sums = vec![0u64; channel];
    for own in counts.chunks_exact(channel) {
        sums.iter_mut().zip(own).for_each(|(s, &n)| *s += u64::from(n));
    }
    for own in counts.chunks_exact_mut(channel) {
        for (own, all) in own.chunks_exact_mut(ALPHABET).zip(sums.chunks_exact(ALPHABET)) {
            let total = all.iter().sum::<u64>().max(1) as f64;
            for (n, &sum) in own.iter_mut().zip(all) {
                let beside = (f64::from(PARTS) * SHARED * sum as f64 / total).round() as u32;
                *n = n.saturating_mul(PARTS).saturating_add(beside);
            }
        }
    }
}

/// Contexts that were never seen choose as the nearest level that was.
fn fill(select: &mut [u8], counts: &[u32]) {
    let seen: Vec<bool> = counts.chunks_exact(ALPHABET).map(|c| c.iter().any(|&n| n > 0)).collect();
    let known: Vec<(usize, u8)> =
        select.iter().enumerate().filter(|s| seen[s.0]).map(|(l, &s)| (l, s)).collect();
    for (l, s) in select.iter_mut().enumerate().filter(|s| !seen[s.0]) {
        if let Some(near) = known.iter().min_by_key(|k| k.0.abs_diff(l)) {
            *s = near.1;
        }
    }
}

/// A sample at a quality: its values, and those of a frame before it.
struct Seen<'a> {
    bundle: &'a Bundle,
    grid: [usize; 2],
    quality: Quality,
    values: Vec<i16>,
    before: Vec<i16>,
}

impl<'a> Seen<'a> {
    /// A frame as it is, or two frames of one scene as a camera gives them.
    fn new(bundle: &'a Bundle, sample: &Sample, quality: Quality, camera: Option<usize>) -> Self {
        let [rows, columns] = sample.grid;
        let cells = rows * columns;
        let coded = |mut frame: Box<dyn FnMut(usize, usize, f32) -> f32>| {
            let mut values = vec![0; sample.reals.len()];
            let mut line = vec![0.0; cells];
            for (c, reals) in sample.reals.chunks_exact(cells).enumerate() {
                for (k, y) in line.iter_mut().enumerate() {
                    *y = frame(c, k, reals[k]);
                }
                bundle.quantize(c, quality, 0.0, &line, &mut values[c * cells..][..cells]);
            }
            values
        };
        let Some(number) = camera else {
            let values = coded(Box::new(|_, _, y| y));
            return Self { bundle, grid: sample.grid, quality, values, before: Vec::new() };
        };
        let mut random = Random(number as u64 + 1);
        let noise = NOISE[number % NOISE.len()];
        let (steps, reals) = (bundle.steps.clone(), sample.reals.clone());
        // In every other sample something moves through a third of the frame.
        let moves = number % 8 >= 4;
        let mut after = random.fork();
        let before = coded(Box::new(move |c, k, y| {
            let moved = moves && k % columns * 3 < columns;
            let y = if moved { reals[c * cells + (k + columns + 2) % cells] } else { y };
            y + noise * steps[c] * random.normal()
        }));
        let steps = bundle.steps.clone();
        let values = coded(Box::new(move |c, _, y| y + noise * steps[c] * after.normal()));
        Self { bundle, grid: sample.grid, quality, values, before }
    }

    fn cells(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    fn padded(&self, channel: usize) -> Padded {
        let [rows, columns] = self.grid;
        let mut padded = Padded::new(rows, columns);
        for row in 0..rows {
            let at = channel * self.cells() + row * columns;
            padded.open(row)[PAD..PAD + columns].copy_from_slice(&self.values[at..at + columns]);
            padded.close(row);
        }
        padded
    }

    /// Sizes of all channels, and what predictions leave with their phases.
    fn survey(&self, contexts: &Contexts, continued: bool) -> (Sizes, Vec<(i16, usize)>) {
        let ([rows, columns], channels) = (self.grid, self.bundle.channels());
        let mut sizes = Sizes::new(channels, rows, columns);
        let mut rests = Vec::with_capacity(self.values.len());
        for c in 0..channels {
            let at = crate::codec::contexts::band(self.quality) * channels + c;
            let taps = &contexts.taps[at * TAPS..][..TAPS];
            let padded = (!continued && taps.iter().any(|&t| t != 0)).then(|| self.padded(c));
            for row in 0..rows {
                let start = c * self.cells() + row * columns;
                let taps = taps_of_row(taps, row);
                for x in 0..columns {
                    let p = match &padded {
                        _ if continued => Prediction::of_before(self.before[start + x]),
                        Some(padded) => {
                            let lines = [0, 1, 2].map(|up| padded.row(row, up));
                            let at = |up: usize, left: usize| i32::from(lines[up][x + PAD - left]);
                            let east = i32::from(lines[1][x + PAD + 1]);
                            let near = [at(0, 1), at(1, 0), at(1, 1), east, at(0, 2), at(2, 0)];
                            Prediction::of_sum(near.iter().zip(taps).map(|(n, t)| n * t).sum())
                        }
                        None => Prediction::default(),
                    };
                    let rest = p.rest(self.values[start + x]);
                    sizes.row_mut(c, row)[x] = size(rest);
                    rests.push((rest, p.phase));
                }
            }
        }
        (sizes, rests)
    }

    /// Sizes of a channel, cell by cell.
    fn line<'b>(&self, sizes: &'b Sizes, channel: usize) -> impl Iterator<Item = u8> + 'b {
        let columns = self.grid[1];
        (0..self.grid[0])
            .flat_map(move |row| sizes.row(channel, row, 0)[PAD..PAD + columns].iter().copied())
    }

    /// Calls `each` with the place, the features and the size of every value of a channel.
    fn features(
        &self,
        contexts: &Contexts,
        sizes: &Sizes,
        group: Range<usize>,
        channel: usize,
        continued: bool,
        mut each: impl FnMut(usize, &[f32; FEATURES], u8),
    ) {
        let [rows, columns] = self.grid;
        let first = block_start(group.start, channel);
        let block = first..(first + crate::codec::contexts::BLOCK).min(group.end);
        let others: Vec<usize> = block.filter(|&c| c != channel).collect();
        let references = &contexts.references[channel * REFERENCES..][..REFERENCES];
        for row in 0..rows {
            let own = [0, 1, 2].map(|up| sizes.row(channel, row, up));
            let beside = |up: isize, at: usize| -> f32 {
                others.iter().map(|&o| f32::from(sizes.row(o, row, up)[at])).sum()
            };
            for x in 0..columns {
                let at = x + PAD;
                let mut f = [0.0; FEATURES];
                f[0] = ONE as f32;
                f[1] = own[0][at - 1].into();
                f[2] = own[0][at - 2].into();
                f[3] = own[1][at].into();
                f[4] = own[2][at].into();
                f[5] = own[1][at - 1].into();
                f[6] = own[1][at + 1].into();
                f[7] = beside(0, at - 1);
                f[8] = beside(1, at);
                f[9] = beside(1, at + 1);
                for (k, &r) in references.iter().enumerate() {
                    let r = usize::from(r);
                    if r != channel {
                        let lines = [1, 0, -1].map(|up| sizes.row(r, row, up));
                        let four = [lines[0][at], lines[2][at], lines[1][at - 1], lines[1][at + 1]];
                        f[FIRST_REFERENCE + 2 * k] = lines[1][at].into();
                        f[FIRST_REFERENCE + 2 * k + 1] = four.map(f32::from).iter().sum();
                    }
                }
                let place = row * columns + x;
                if continued {
                    f[14] = size(self.before[channel * self.cells() + place]).into();
                }
                each(place, &f, own[0][at]);
            }
        }
    }
}

/// Sums of products, for least squares.
#[derive(Debug, Clone)]
struct Squares {
    n: usize,
    /// The lower half.
    products: Vec<f64>,
    cross: Vec<f64>,
    energy: f64,
}

impl Squares {
    fn new(n: usize) -> Self {
        Self { n, products: vec![0.0; n * n], cross: vec![0.0; n], energy: 0.0 }
    }

    fn add(&mut self, x: &[f32], y: f32) {
        for (i, &a) in x.iter().enumerate().filter(|x| *x.1 != 0.0) {
            let a = f64::from(a);
            self.cross[i] += a * f64::from(y);
            let row = &mut self.products[i * self.n..][..=i];
            row.iter_mut().zip(x).for_each(|(p, &b)| *p += a * f64::from(b));
        }
        self.energy += f64::from(y) * f64::from(y);
    }

    fn merge(&mut self, other: &Self) {
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += b);
        self.cross.iter_mut().zip(&other.cross).for_each(|(a, b)| *a += b);
        self.energy += other.energy;
    }

    fn solve(&self) -> Vec<f64> {
        let n = self.n;
        let mut system = self.products.clone();
        for i in 0..n {
            for j in 0..i {
                system[j * n + i] = system[i * n + j];
            }
            // Features that never moved have no weight.
            system[i * n + i] = system[i * n + i] * 1.0001 + 1e-3;
        }
        solve(system, self.cross.clone())
    }

    /// Share of the energy that a solution explains.
    fn explained(&self, x: &[f64]) -> f64 {
        let n = self.n;
        let mut left = self.energy;
        for i in 0..n {
            left -= 2.0 * x[i] * self.cross[i];
            for j in 0..n {
                let p = self.products[i.max(j) * n + i.min(j)];
                left += x[i] * x[j] * p;
            }
        }
        if self.energy > 0.0 { 1.0 - left / self.energy } else { 0.0 }
    }
}

/// Reproducible noise.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Other noise.
    fn fork(&mut self) -> Self {
        Self(self.0 ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    /// About normal, deviation 1.
    fn normal(&mut self) -> f32 {
        (0..4).map(|_| self.next() - 0.5).sum::<f32>() * 3.0f32.sqrt()
    }
}
