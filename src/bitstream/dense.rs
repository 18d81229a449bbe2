//! The dense coder: each value by the table that its surroundings choose.
//!
//! Channels are coded in blocks of four, the four values of a cell in turn, each with a state of its
//! own: a decoder has four independent chains at once. So a value sees its own channel and the others
//! of its block to the left and above, and the channels of earlier blocks of its group all around;
//! never another group.

use std::ops::Range;

use super::bytes::Cursor;
use super::context::{
    Above, PAD, Padded, Prediction, Sizes, level, predict_above, size, size_of, sum_above,
    sum_left, taps_of_row,
};
#[cfg(target_arch = "x86_64")]
use super::rans::Avx512;
use super::rans::{Decoder, Encoder, Find, Plain, STATES, Slots, Table};
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
    /// As many as a choice can name.
    slots: Box<[Slots; 256]>,
    /// Choices of latents that stand alone, and of those that continue others.
    select: [Vec<[u8; 256]>; 2],
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
    /// Filled up to as many as a byte counts.
    select: &'a [u8; 256],
    taps: Option<&'a [i16]>,
    references: &'a [u16],
}

impl Dense {
    /// Whether it can continue earlier packets.
    pub fn continues(&self) -> bool {
        self.contexts.continued.is_some()
    }

    pub fn new(contexts: &Contexts) -> Self {
        let rows = contexts.frequencies.chunks_exact(ALPHABET);
        let mut slots = Box::new([Slots::new(&[]); 256]);
        slots.iter_mut().zip(rows.clone()).for_each(|(s, row)| *s = Slots::new(row));
        let channels = contexts.references.len() / REFERENCES;
        let select = [Some(&contexts.alone), contexts.continued.as_ref()].map(|choice| {
            let each = choice.map_or(1, |c| c.phases(channels) * LEVELS);
            let rows = choice.map_or(&[][..], |c| &c.select).chunks_exact(each);
            rows.map(|row| std::array::from_fn(|k| row.get(k).copied().unwrap_or(0))).collect()
        });
        let tables = rows.map(Table::new).collect();
        Self { tables, slots, select, contexts: contexts.clone() }
    }

    fn row(&self, group: &Group, channel: usize, continued: bool) -> Row<'_> {
        let c = &self.contexts;
        let choice = if continued { c.continued.as_ref() } else { None };
        let choice = choice.unwrap_or(&c.alone);
        let channels = c.references.len() / REFERENCES;
        let at = band(group.quality) * channels + channel;
        let taps = &c.taps[at * TAPS..][..TAPS];
        Row {
            weights: &choice.weights.as_chunks::<FEATURES>().0[at],
            select: &self.select[usize::from(continued && c.continued.is_some())][at],
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
                match (group.states() == STATES, before.is_some(), job.predicts()) {
                    (true, true, _) => job.line::<AFTER, STATES>(&self.slots, io, row),
                    (true, _, true) => job.line::<TAPPED, STATES>(&self.slots, io, row),
                    (true, ..) => job.line::<PLAIN, STATES>(&self.slots, io, row),
                    (_, true, _) => job.line::<AFTER, 1>(&self.slots, io, row),
                    _ => job.line::<TAPPED, 1>(&self.slots, io, row),
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

/// How the values of a block are predicted: not at all, from neighbours, from the packet before.
const PLAIN: u8 = 0;
const TAPPED: u8 = 1;
const AFTER: u8 = 2;

/// A block on its way: what is known of the row that is decoded.
///
/// The channels stand side by side in every cell; those that a short block lacks are never read.
struct Block<'a> {
    channels: Range<usize>,
    first: usize,
    columns: usize,
    cells: usize,
    numbers: Vec<Row<'a>>,
    /// Values of the rows above, of channels that are predicted from them.
    padded: Vec<Option<Padded>>,
    taps: [[i32; TAPS]; BLOCK],
    cell: Vec<Cell>,
    sums: Vec<i32>,
    others: Vec<u16>,
    before_sizes: Vec<u8>,
}

/// One cell of a row: what is known before, and what was decoded.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    sums: [i32; BLOCK],
    /// Sums of the prediction, or the values of the packet before.
    above: [i32; BLOCK],
    values: [i16; BLOCK],
    sizes: [u8; BLOCK],
}

/// The channels of a block in the row that is decoded, each number side by side.
struct Lanes<'a, const N: usize> {
    select: [&'a [u8; 256]; N],
    /// Of the size left, of that two left, and of all sizes left.
    weights: [[i32; N]; 3],
    /// Of the value left and of that two left.
    taps: [[i32; N]; 2],
    left: [i32; N],
    far: [i32; N],
    values: [[i32; N]; 2],
}

impl<const N: usize> Lanes<'_, N> {
    /// What a cell's values are predicted as, and where the tables stand that code what is left.
    ///
    /// Written for all channels at a time: registers hold four.
    #[inline(always)]
    fn expect<const HOW: u8>(&self, cell: &Cell) -> [(Prediction, usize); N] {
        let ([left, far, all], [one, two]) = (&self.weights, &self.taps);
        let beside: i32 = self.left.iter().sum();
        let sums: [i32; N] = std::array::from_fn(|k| {
            cell.sums[k] + left[k] * self.left[k] + far[k] * self.far[k] + all[k] * beside
        });
        let levels = sums.map(level);
        let values = &self.values;
        let sums: [i32; N] =
            std::array::from_fn(|k| cell.above[k] + one[k] * values[0][k] + two[k] * values[1][k]);
        std::array::from_fn(|k| {
            let p = match HOW {
                PLAIN => Prediction::default(),
                TAPPED => Prediction::of_sum(sums[k]),
                _ => Prediction::of_before(cell.above[k] as i16),
            };
            // Three times 48 is below 256.
            (p, (p.phase * LEVELS + levels[k]) % 256)
        })
    }
}

impl<'a> Block<'a> {
    fn new(dense: &'a Dense, group: &Group, channels: Range<usize>, continued: bool) -> Self {
        let [rows, columns] = group.grid;
        let numbers: Vec<Row<'a>> =
            channels.clone().map(|c| dense.row(group, c, continued)).collect();
        Self {
            first: group.channels.start,
            columns,
            cells: group.cells(),
            padded: numbers.iter().map(|n| n.taps.map(|_| Padded::new(rows, columns))).collect(),
            taps: [[0; TAPS]; BLOCK],
            cell: vec![Cell::default(); columns],
            sums: vec![0; columns],
            numbers,
            channels,
            others: vec![0; columns + 2 * PAD],
            before_sizes: vec![0; if continued { columns } else { 0 }],
        }
    }

    /// Whether any value is predicted from its neighbours.
    fn predicts(&self) -> bool {
        self.padded.iter().any(Option::is_some)
    }

    /// Computes what is known before a row.
    fn open(&mut self, sizes: &Sizes, before: Option<&[i16]>, row: usize) {
        for (k, channel) in self.channels.clone().enumerate() {
            let numbers = &self.numbers[k];
            if let Some(before) = before {
                let at = (channel - self.first) * self.cells + row * self.columns;
                let line = &before[at..at + self.columns];
                sizes_of(line, &mut self.before_sizes);
                self.cell.iter_mut().zip(line).for_each(|(c, &b)| c.above[k] = b.into());
            }
            let block = self.channels.clone();
            sum_others(sizes, block, channel, self.first, row, 1, &mut self.others);
            let (others, before) = (&self.others, &self.before_sizes);
            let above = above(sizes, numbers, self.first, channel, row, others, before);
            sum_above(&above, numbers.weights, &mut self.sums);
            self.cell.iter_mut().zip(&self.sums).for_each(|(c, &sum)| c.sums[k] = sum);
            if let (Some(taps), Some(padded)) = (numbers.taps, &self.padded[k]) {
                self.taps[k] = taps_of_row(taps, row);
                let rows = [1, 2].map(|up| padded.row(row, up));
                predict_above(rows, &self.taps[k], &mut self.sums);
                self.cell.iter_mut().zip(&self.sums).for_each(|(c, &sum)| c.above[k] = sum);
            }
        }
    }

    /// Decodes a row with so many states.
    fn line<const HOW: u8, const STATES: usize>(
        &mut self,
        slots: &[Slots; 256],
        io: (&mut Decoder<'_>, &mut BitReader<'_>),
        row: usize,
    ) {
        match self.channels.len() {
            1 => self.line_of::<HOW, STATES, 1>(slots, io, row),
            2 => self.line_of::<HOW, STATES, 2>(slots, io, row),
            3 => self.line_of::<HOW, STATES, 3>(slots, io, row),
            _ => self.line_of::<HOW, STATES, BLOCK>(slots, io, row),
        }
    }

    #[inline(never)]
    fn line_of<const HOW: u8, const STATES: usize, const N: usize>(
        &mut self,
        slots: &[Slots; 256],
        io: (&mut Decoder<'_>, &mut BitReader<'_>),
        row: usize,
    ) {
        #[cfg(target_arch = "x86_64")]
        if Avx512::is_here() {
            // SAFETY: the machine has what the code is compiled for.
            #[allow(unsafe_code)]
            return unsafe { self.line_avx512::<HOW, STATES, N>(slots, io, row) };
        }
        self.line_by::<Plain, HOW, STATES, N>(slots, io, row);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,lzcnt,popcnt")]
    fn line_avx512<const HOW: u8, const STATES: usize, const N: usize>(
        &mut self,
        slots: &[Slots; 256],
        io: (&mut Decoder<'_>, &mut BitReader<'_>),
        row: usize,
    ) {
        self.line_by::<Avx512, HOW, STATES, N>(slots, io, row);
    }

    #[inline(always)]
    fn line_by<F: Find, const HOW: u8, const STATES: usize, const N: usize>(
        &mut self,
        slots: &[Slots; 256],
        (rans, raw): (&mut Decoder<'_>, &mut BitReader<'_>),
        row: usize,
    ) {
        // Copies that no pointer reaches stay in registers.
        let (mut from, mut bits) = (rans.clone(), raw.clone());
        let mut lanes: Lanes<'_, N> = self.lanes(row);
        for cell in &mut self.cell {
            let expected = lanes.expect::<HOW>(cell);
            lanes.far = lanes.left;
            lanes.values[1] = lanes.values[0];
            // One after the other by hand: the compiler leaves the loop a loop, and all in memory.
            macro_rules! lane {
                ($($k:literal)*) => {$(
                    if $k < N {
                        let (p, at) = expected[$k % N];
                        let table = usize::from(lanes.select[$k % N][at]);
                        let token = from.get::<F>($k % STATES, &slots[table]);
                        let rest = value_of(token, |count| bits.get(count));
                        let (size, value) = (size_of(token, rest), p.value(rest));
                        (cell.sizes[$k], cell.values[$k]) = (size, value);
                        lanes.left[$k % N] = size.into();
                        lanes.values[0][$k % N] = value.into();
                    }
                )*};
            }
            lane!(0 1 2 3);
        }
        (*rans, *raw) = (from, bits);
    }

    /// The channels at the start of a row.
    fn lanes<const N: usize>(&self, row: usize) -> Lanes<'a, N> {
        let numbers: [&Row<'a>; N] = std::array::from_fn(|k| &self.numbers[k]);
        let weight = |f: usize| numbers.map(|n| i32::from(n.weights[f]));
        let (left, far, beside) = (weight(1), weight(2), weight(7));
        let tap = |t: usize| std::array::from_fn(|k| self.taps[k][t]);
        // The edge has copies of the first value of the row above.
        let first = std::array::from_fn(|k| match &self.padded[k] {
            Some(padded) => padded.row(row, 1)[PAD].into(),
            None => 0,
        });
        Lanes {
            select: numbers.map(|n| n.select),
            // What is beside counts the channel itself.
            weights: [std::array::from_fn(|k| left[k] - beside[k]), far, beside],
            taps: [tap(0), tap(4)],
            left: [0; N],
            far: [0; N],
            values: [first; 2],
        }
    }

    /// Puts a decoded row where those after it look for it.
    fn close(&mut self, sizes: &mut Sizes, row: usize, values: &mut [i16]) {
        for (k, channel) in self.channels.clone().enumerate() {
            let channel = channel - self.first;
            let out = sizes.row_mut(channel, row);
            out.iter_mut().zip(&self.cell).for_each(|(s, cell)| *s = cell.sizes[k]);
            let out = &mut values[channel * self.cells + row * self.columns..][..self.columns];
            out.iter_mut().zip(&self.cell).for_each(|(v, cell)| *v = cell.values[k]);
            if let Some(padded) = &mut self.padded[k] {
                padded.open(row)[PAD..PAD + self.columns].copy_from_slice(out);
                padded.close(row);
            }
        }
    }
}
