//! The dense coder: each value by the table that its surroundings choose.
//!
//! Channels are coded in blocks of four, the four values of a cell in turn, each with a state of its
//! own: a decoder has four independent chains at once. So a value sees its own channel and the others
//! of its block to the left and above, and the channels of earlier blocks of its group all around;
//! never another group.

use std::ops::Range;

use super::bytes::Cursor;
use super::context::{
    Above, PAD, Padded, Prediction, Sizes, level, predict_above, size, sum_above, sum_left,
    taps_of_row,
};
use super::rans::{Decoder, Encoder, STATES, Table};
use super::raw::{BitReader, BitWriter};
use crate::codec::contexts::{BLOCK, FEATURES, LEVELS, REFERENCES, TAPS, band};
use crate::codec::tokens::{ALPHABET, raw_bits, raw_of, token, value_of};
use crate::codec::{Contexts, Quality};
use crate::error::Result;

/// Groups of fewer values are coded with one state.
pub(super) const FEW: usize = 4096;

/// Contexts and tables, ready to code with.
#[derive(Debug, Clone)]
pub(super) struct Dense {
    tables: Vec<Table>,
    contexts: Contexts,
}

/// A group of channels on a grid.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Its channels.
    pub channels: Range<usize>,
    /// Rows and columns of cells.
    pub grid: [usize; 2],
    pub quality: Quality,
}

impl Group {
    pub fn cells(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    pub fn len(&self) -> usize {
        self.channels.len() * self.cells()
    }

    fn blocks(&self) -> impl DoubleEndedIterator<Item = Range<usize>> {
        self.channels.clone().step_by(BLOCK).map(|b| b..(b + BLOCK).min(self.channels.end))
    }

    /// States that code it.
    pub fn states(&self) -> usize {
        if self.len() < FEW { 1 } else { STATES }
    }

    /// Where a channel's values stand among the group's.
    fn place(&self, channel: usize) -> Range<usize> {
        let first = (channel - self.channels.start) * self.cells();
        first..first + self.cells()
    }
}

/// The numbers of one channel.
struct Row<'a> {
    weights: &'a [i16; FEATURES],
    select: &'a [u8],
    taps: Option<&'a [i16]>,
    references: &'a [u16],
}

impl Dense {
    /// Whether it can continue earlier packets.
    pub fn continues(&self) -> bool {
        self.contexts.continued.is_some()
    }

    pub fn new(contexts: &Contexts) -> Self {
        let tables = contexts.frequencies.chunks_exact(ALPHABET).map(Table::new).collect();
        Self { tables, contexts: contexts.clone() }
    }

    fn row(&self, group: &Group, channel: usize, continued: bool) -> Row<'_> {
        let c = &self.contexts;
        let choice = if continued { c.continued.as_ref() } else { None };
        let choice = choice.unwrap_or(&c.alone);
        let channels = c.references.len() / REFERENCES;
        let at = band(group.quality) * channels + channel;
        let each = choice.phases(channels) * LEVELS;
        let taps = &c.taps[at * TAPS..][..TAPS];
        Row {
            weights: &choice.weights.as_chunks::<FEATURES>().0[at],
            select: &choice.select[at * each..][..each],
            taps: (!continued && taps.iter().any(|&t| t != 0)).then_some(taps),
            references: &c.references[channel * REFERENCES..][..REFERENCES],
        }
    }

    /// Codes the values of a group, `before` being those of the packet that it continues.
    pub fn encode(&self, group: &Group, values: &[i16], before: Option<&[i16]>, out: &mut Vec<u8>) {
        let surveyed = self.survey(group, values, before);
        let mut raw = BitWriter::default();
        let mut symbols: Vec<[u8; 2]> = Vec::with_capacity(values.len());
        for block in group.blocks() {
            let places: Vec<Range<usize>> = block.map(|c| group.place(c)).collect();
            for cell in 0..group.cells() {
                for place in &places {
                    let (rest, table) =
                        (surveyed.rests[place.start + cell], surveyed.tables[place.start + cell]);
                    let token = token(rest);
                    let (bits, _) = raw_bits(token);
                    if bits > 0 {
                        raw.put(raw_of(rest, token), bits);
                    }
                    symbols.push([table, token as u8]);
                }
            }
        }
        let mut rans = Encoder::new(symbols.len());
        let mask = group.states() - 1;
        let mut end = symbols.len();
        for block in group.blocks().rev() {
            let start = end - block.len() * group.cells();
            for cell in symbols[start..end].chunks_exact(block.len()).rev() {
                for (lane, &[table, token]) in cell.iter().enumerate().rev() {
                    rans.put(lane & mask, &self.tables[usize::from(table)], token.into());
                }
            }
            end = start;
        }
        rans.finish(group.states(), out);
        raw.finish(out);
    }

    /// What every prediction leaves, and the table that codes it.
    pub(crate) fn survey(&self, group: &Group, values: &[i16], before: Option<&[i16]>) -> Surveyed {
        let [rows, columns] = group.grid;
        let mut sizes = Sizes::new(group.channels.len(), rows, columns);
        let mut rests = vec![0i16; values.len()];
        let mut tables = vec![0u8; values.len()];
        let mut sums = vec![0i32; columns];
        let mut others = [vec![0u16; columns + 2 * PAD], vec![0u16; columns + 2 * PAD]];
        let mut before_sizes = vec![0u8; if before.is_some() { columns } else { 0 }];
        let mut predictions = vec![Prediction::default(); columns];
        for block in group.blocks() {
            let mut phases = vec![0u8; block.len() * group.cells()];
            for (channel, phases) in block.clone().zip(phases.chunks_exact_mut(group.cells())) {
                let numbers = self.row(group, channel, before.is_some());
                let place = group.place(channel);
                let mut padded = numbers.taps.map(|_| Padded::new(rows, columns));
                for row in 0..rows {
                    let at = place.start + row * columns;
                    let line = &values[at..at + columns];
                    if let Some(before) = before {
                        for (p, &b) in predictions.iter_mut().zip(&before[at..at + columns]) {
                            *p = Prediction::of_before(b);
                        }
                    } else if let (Some(taps), Some(padded)) = (numbers.taps, &mut padded) {
                        let taps = taps_of_row(taps, row);
                        predict_above([padded.row(row, 1), padded.row(row, 2)], &taps, &mut sums);
                        let open = padded.open(row);
                        open[PAD..PAD + columns].copy_from_slice(line);
                        for (x, p) in predictions.iter_mut().enumerate() {
                            let (left, far) = (i32::from(open[x + 1]), i32::from(open[x]));
                            *p = Prediction::of_sum(sums[x] + taps[0] * left + taps[4] * far);
                        }
                        padded.close(row);
                    }
                    let out = sizes.row_mut(channel - group.channels.start, row);
                    let rests = &mut rests[at..at + columns];
                    if before.is_some() || numbers.taps.is_some() {
                        let phases = &mut phases[row * columns..][..columns];
                        for (x, p) in predictions.iter().enumerate() {
                            rests[x] = p.rest(line[x]);
                            phases[x] = p.phase as u8;
                        }
                    } else {
                        rests.copy_from_slice(line);
                    }
                    out.iter_mut().zip(&*rests).for_each(|(s, &r)| *s = size(r));
                }
            }
            for (channel, phases) in block.clone().zip(phases.chunks_exact(group.cells())) {
                let numbers = self.row(group, channel, before.is_some());
                let place = group.place(channel);
                let (first, k) = (group.channels.start, channel - group.channels.start);
                for row in 0..rows {
                    let at = place.start + row * columns;
                    sum_others(&sizes, block.clone(), channel, first, row, 1, &mut others[0]);
                    sum_others(&sizes, block.clone(), channel, first, row, 0, &mut others[1]);
                    if let Some(before) = before {
                        sizes_of(&before[at..at + columns], &mut before_sizes);
                    }
                    let above =
                        above(&sizes, &numbers, first, channel, row, &others[0], &before_sizes);
                    sum_above(&above, numbers.weights, &mut sums);
                    sum_left(sizes.row(k, row, 0), &others[1], numbers.weights, &mut sums);
                    let phases = &phases[row * columns..][..columns];
                    for ((table, &sum), &phase) in
                        tables[at..at + columns].iter_mut().zip(&sums).zip(phases)
                    {
                        *table = numbers.select[usize::from(phase) * LEVELS + level(sum)];
                    }
                }
            }
        }
        Surveyed { rests, tables }
    }

    /// Decodes a group of `len` bytes into `values`, which holds zeros.
    pub fn decode(
        &self,
        group: &Group,
        bytes: Cursor<'_>,
        len: usize,
        before: Option<&[i16]>,
        values: &mut [i16],
    ) -> Result<()> {
        let mut rans = Decoder::new(bytes, group.states())?;
        let mut raw = BitReader::new(&bytes.rest()[..len.min(bytes.rest().len())]);
        let [rows, columns] = group.grid;
        let mut sizes = Sizes::new(group.channels.len(), rows, columns);
        for block in group.blocks() {
            let mut job = Block::new(self, group, block, before.is_some());
            for row in 0..rows {
                job.open(&sizes, before, row);
                let io = (&mut rans, &mut raw);
                match (job.channels.len(), job.predicts(), group.states()) {
                    (4, false, 4) => job.line::<4, false>(&self.tables, io, (row, 3)),
                    (4, _, 4) => job.line::<4, true>(&self.tables, io, (row, 3)),
                    (3, _, 4) => job.line::<3, true>(&self.tables, io, (row, 3)),
                    (2, _, 4) => job.line::<2, true>(&self.tables, io, (row, 3)),
                    (1, _, 4) => job.line::<1, true>(&self.tables, io, (row, 3)),
                    (4, ..) => job.line::<4, true>(&self.tables, io, (row, 0)),
                    (3, ..) => job.line::<3, true>(&self.tables, io, (row, 0)),
                    (2, ..) => job.line::<2, true>(&self.tables, io, (row, 0)),
                    _ => job.line::<1, true>(&self.tables, io, (row, 0)),
                }
                job.close(&mut sizes, row, values);
            }
        }
        let words = rans.finish(&bytes)?;
        raw.finish(4 * group.states() + words, len, &bytes)
    }
}

/// What the encoder knows of every value of a group, in their order.
pub(crate) struct Surveyed {
    pub rests: Vec<i16>,
    pub tables: Vec<u8>,
}

/// Sums the sizes of the other channels of a block in a row, `up` rows above, with its edges.
fn sum_others(
    sizes: &Sizes,
    block: Range<usize>,
    channel: usize,
    first: usize,
    row: usize,
    up: isize,
    out: &mut [u16],
) {
    out.fill(0);
    for other in block.filter(|&c| c != channel) {
        let from = sizes.row(other - first, row, up);
        out.iter_mut().zip(from).for_each(|(o, &s)| *o += u16::from(s));
    }
}

fn sizes_of(values: &[i16], out: &mut [u8]) {
    out.iter_mut().zip(values).for_each(|(s, &v)| *s = size(v));
}

fn above<'a>(
    sizes: &'a Sizes,
    numbers: &Row<'_>,
    first: usize,
    channel: usize,
    row: usize,
    others: &'a [u16],
    before: &'a [u8],
) -> Above<'a> {
    let own = channel - first;
    let references = [0, 1].map(|k| {
        let r = usize::from(numbers.references[k]);
        // None: a row that is empty in the encoder too, for its own cells are not known yet.
        let r = if r == channel { own } else { r - first };
        [1, 0, -1].map(|up| sizes.row(r, row, up))
    });
    Above { own: [sizes.row(own, row, 1), sizes.row(own, row, 2)], others, references, before }
}

/// A block on its way: what is known of the row that is decoded.
struct Block<'a> {
    channels: Range<usize>,
    first: usize,
    columns: usize,
    cells: usize,
    numbers: Vec<Row<'a>>,
    padded: Vec<Padded>,
    /// For each channel: sums of what is above, and of the prediction; the row; its sizes.
    lanes: Vec<Lane>,
    others: Vec<u16>,
    before_sizes: Vec<u8>,
}

/// One channel of a block in the row that is decoded.
struct Lane {
    sums: Vec<i32>,
    /// Sums of the prediction that are known before the row.
    above: Vec<i32>,
    before: Vec<i16>,
    row: Vec<i16>,
    sizes: Vec<u8>,
    taps: [i32; TAPS],
}

impl<'a> Block<'a> {
    fn new(dense: &'a Dense, group: &Group, channels: Range<usize>, continued: bool) -> Self {
        let [rows, columns] = group.grid;
        let numbers: Vec<Row<'a>> =
            channels.clone().map(|c| dense.row(group, c, continued)).collect();
        let lane = |row: &Row<'_>| Lane {
            sums: vec![0; columns],
            above: vec![0; if row.taps.is_some() { columns } else { 0 }],
            before: vec![0; if continued { columns } else { 0 }],
            row: vec![0; columns],
            sizes: vec![0; columns],
            taps: [0; TAPS],
        };
        Self {
            first: group.channels.start,
            columns,
            cells: group.cells(),
            padded: numbers
                .iter()
                .map(
                    |n| {
                        if n.taps.is_some() {
                            Padded::new(rows, columns)
                        } else {
                            Padded::new(0, 0)
                        }
                    },
                )
                .collect(),
            lanes: numbers.iter().map(lane).collect(),
            numbers,
            channels,
            others: vec![0; columns + 2 * PAD],
            before_sizes: vec![0; if continued { columns } else { 0 }],
        }
    }

    /// Whether any value is more than what it left.
    fn predicts(&self) -> bool {
        self.lanes.iter().any(|l| !l.above.is_empty() || !l.before.is_empty())
    }

    /// Computes what is known before a row.
    fn open(&mut self, sizes: &Sizes, before: Option<&[i16]>, row: usize) {
        for (k, channel) in self.channels.clone().enumerate() {
            let (numbers, lane) = (&self.numbers[k], &mut self.lanes[k]);
            if let Some(before) = before {
                let at = (channel - self.first) * self.cells + row * self.columns;
                lane.before.copy_from_slice(&before[at..at + self.columns]);
                sizes_of(&lane.before, &mut self.before_sizes);
            }
            let block = self.channels.clone();
            sum_others(sizes, block, channel, self.first, row, 1, &mut self.others);
            let (others, before) = (&self.others, &self.before_sizes);
            let above = above(sizes, numbers, self.first, channel, row, others, before);
            sum_above(&above, numbers.weights, &mut lane.sums);
            if let Some(taps) = numbers.taps {
                lane.taps = taps_of_row(taps, row);
                let rows = [1, 2].map(|up| self.padded[k].row(row, up));
                predict_above(rows, &lane.taps, &mut lane.above);
            }
        }
    }

    /// Decodes a row of `N` channels, whose states are their numbers masked.
    #[inline(never)]
    fn line<const N: usize, const PREDICTS: bool>(
        &mut self,
        tables: &[Table],
        (rans, raw): (&mut Decoder<'_>, &mut BitReader<'_>),
        (row, mask): (usize, usize),
    ) {
        let mut left = [0i32; N];
        let mut far = [0i32; N];
        // Values left and two left, of which the edge has copies of the one above.
        let mut values = [[0i32; 2]; N];
        let weights: [[i32; 3]; N] =
            std::array::from_fn(|k| [1, 2, 7].map(|f| i32::from(self.numbers[k].weights[f])));
        let select: [&[u8]; N] = std::array::from_fn(|k| self.numbers[k].select);
        if PREDICTS {
            for (k, values) in values.iter_mut().enumerate() {
                if self.numbers[k].taps.is_some() {
                    *values = [self.padded[k].row(row, 1)[PAD].into(); 2];
                }
            }
        }
        for x in 0..self.columns {
            let all: i32 = left.iter().sum();
            let was = left;
            for k in 0..N {
                let lane = &mut self.lanes[k];
                let [one, two, beside] = weights[k];
                let sum = lane.sums[x] + one * was[k] + two * far[k] + beside * (all - was[k]);
                let mut p = Prediction::default();
                if PREDICTS {
                    if let Some(&above) = lane.above.get(x) {
                        let [one, two] = values[k];
                        p = Prediction::of_sum(above + lane.taps[0] * one + lane.taps[4] * two);
                    } else if let Some(&before) = lane.before.get(x) {
                        p = Prediction::of_before(before);
                    }
                }
                let table = &tables[usize::from(select[k][p.phase * LEVELS + level(sum)])];
                let token = rans.get(k & mask, table);
                let (bits, _) = raw_bits(token);
                let rest = value_of(token, if bits > 0 { raw.get(bits) } else { 0 });
                let size = size(rest);
                lane.sizes[x] = size;
                far[k] = was[k];
                left[k] = i32::from(size);
                if PREDICTS {
                    let value = p.value(rest);
                    lane.row[x] = value;
                    values[k] = [value.into(), values[k][0]];
                } else {
                    lane.row[x] = rest;
                }
            }
        }
    }

    /// Puts a decoded row where those after it look for it.
    fn close(&mut self, sizes: &mut Sizes, row: usize, values: &mut [i16]) {
        for (k, channel) in self.channels.clone().enumerate() {
            let (lane, channel) = (&self.lanes[k], channel - self.first);
            sizes.row_mut(channel, row).copy_from_slice(&lane.sizes);
            values[channel * self.cells + row * self.columns..][..self.columns]
                .copy_from_slice(&lane.row);
            if self.numbers[k].taps.is_some() {
                self.padded[k].open(row)[PAD..PAD + self.columns].copy_from_slice(&lane.row);
                self.padded[k].close(row);
            }
        }
    }
}
