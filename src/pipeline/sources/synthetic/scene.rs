//! A moving picture with everything that is hard on a codec: texture, edges, text, lines, noise.

use std::f32::consts::TAU;

use super::font;
use super::hash;
use super::shape::{Colour, Outline, Shape};
use crate::codec::{Frame, Layout, Samples};

/// A deterministic scene: a slowly panning textured ground, moving shapes, text, gratings, noise.
///
/// Units: motion is made for 30 frames a second; it repeats after about ten minutes.
#[derive(Debug, Clone)]
pub struct Scene {
    width: usize,
    height: usize,
    seed: u64,
    ground: Ground,
}

impl Scene {
    /// Prepares a scene; sides of 0 become 1.
    pub fn new(width: usize, height: usize, seed: u64) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, seed, ground: Ground::new(width, height, seed) }
    }

    /// The frame at a place in the stream, from nothing but size, seed and `index`.
    ///
    /// Shape: RGB `U8`, `[height, width]`.
    pub fn frame(&self, index: u64) -> Frame {
        // Whole periods of every motion below, so that large indices lose no precision.
        let time = (index % PERIOD) as f32 / 30.0;
        let mut canvas = self.ground.view(self.width, self.height, time);
        let unit = self.unit();
        self.gratings(&mut canvas, unit, index);
        for shape in self.shapes(time, unit) {
            canvas.shape(&shape);
        }
        self.words(&mut canvas, unit, index);
        let samples = canvas.exposed(hash(self.seed ^ hash(index)));
        Frame {
            layout: Layout::Rgb,
            channels: 3,
            extent: vec![self.height, self.width],
            samples: Samples::U8(samples),
        }
    }

    /// Pixels per unit: the scene is composed on 640x360.
    fn unit(&self) -> f32 {
        (self.width as f32 / 640.0).min(self.height as f32 / 360.0)
    }

    fn shapes(&self, time: f32, unit: f32) -> [Shape; 6] {
        let (w, h) = (self.width as f32, self.height as f32);
        let wave = |rounds: f32, shift: f32| libm::sinf(TAU * (time * rounds / SECONDS + shift));
        let turn = |rounds: f32| {
            let angle = TAU * (time * rounds / SECONDS);
            (libm::cosf(angle), libm::sinf(angle))
        };
        let soft = (1.5 * unit).max(1.0);
        let solid = |outline, centre, colour| Shape { outline, centre, colour, soft, opacity: 1.0 };
        let shadow = |of: &Shape| Shape {
            centre: (of.centre.0 + 9.0 * unit, of.centre.1 + 12.0 * unit),
            colour: [12.0, 14.0, 20.0],
            soft: 16.0 * unit.max(0.1),
            opacity: 0.45,
            ..*of
        };
        let (cos, sin) = turn(37.0);
        let board = solid(
            Outline::Rectangle(62.0 * unit, 36.0 * unit, cos, sin),
            (w * (0.74 + 0.05 * wave(41.0, 0.3)), h * (0.36 + 0.06 * wave(59.0, 0.0))),
            [206.0, 74.0, 52.0],
        );
        let (cos, sin) = turn(-23.0);
        let sail = solid(
            Outline::Triangle(58.0 * unit, cos, sin),
            (w * (0.23 + 0.06 * wave(47.0, 0.6)), h * (0.62 + 0.08 * wave(31.0, 0.1))),
            [238.0, 186.0, 62.0],
        );
        let ball = solid(
            Outline::Disc(52.0 * unit),
            (w * (0.5 + 0.3 * wave(67.0, 0.0)), h * (0.55 + 0.2 * wave(101.0, 0.2))),
            [58.0, 132.0, 214.0],
        );
        [shadow(&board), board, shadow(&sail), sail, shadow(&ball), ball]
    }

    /// Upright lines 8 to 2 pixels apart and a tilted, drifting field of them.
    fn gratings(&self, canvas: &mut Canvas, unit: f32, index: u64) {
        let side = (44.0 * unit) as usize;
        let margin = (16.0 * unit) as usize;
        let top = self.height.saturating_sub(side + margin);
        let drift = (index % 24) as usize;
        for (place, period) in [8, 6, 4, 3, 2, 12].into_iter().enumerate() {
            let left = self.width.saturating_sub(margin + (6 - place) * (side + margin / 4));
            for y in top..(top + side).min(self.height) {
                for x in left..(left + side).min(self.width) {
                    let phase = if period == 12 { 2 * x + y + drift } else { 2 * (x - left) };
                    let light = phase % (2 * period) < period;
                    canvas.put(x, y, if light { [214.0; 3] } else { [38.0; 3] });
                }
            }
        }
    }

    fn words(&self, canvas: &mut Canvas, unit: f32, index: u64) {
        let dot = |units: f32| (units * unit).round().max(1.0) as usize;
        let (left, top) = ((22.0 * unit) as usize, (20.0 * unit) as usize);
        let counter = format!("FRAME {:06}", index % 1_000_000);
        let seconds = index / 30 % 6000;
        let clock = format!("{:02}:{:02}.{:02}", seconds / 60, seconds % 60, index % 30);
        let (white, amber) = ([246.0, 246.0, 240.0], [250.0, 214.0, 120.0]);
        canvas.text("TAMIS", (left, top), dot(6.0), white);
        let under = top + dot(6.0) * (font::ROWS + 2);
        canvas.text(&counter, (left, under), dot(2.0), white);
        // In a small picture the letters cannot shrink further and would cover everything.
        if unit >= 0.6 {
            canvas.text(&clock, (left, under + dot(2.0) * 10), dot(2.0), amber);
            let low = self.height.saturating_sub(top + dot(1.0) * 18);
            canvas.text("WHAT MATTERS COMES FIRST", (left, low), dot(1.0), white);
            canvas.text("PIXELS 0123456789", (left, low + dot(1.0) * 11), dot(1.0), white);
        }
    }
}

/// Seconds after which the motion repeats; every motion makes whole rounds in it.
const SECONDS: f32 = 600.0;
const PERIOD: u64 = 600 * 30;

/// The texture, larger than the picture by the room to pan in.
#[derive(Debug, Clone)]
struct Ground {
    width: usize,
    texels: Vec<[i16; 3]>,
    room: f32,
}

impl Ground {
    fn new(width: usize, height: usize, seed: u64) -> Self {
        let room = (width.min(height) / 8).max(1);
        let (wide, high) = (width + room + 2, height + room + 2);
        let unit = (width as f32 / 640.0).min(height as f32 / 360.0).max(0.02);
        let mut hue = vec![0.0; wide * high];
        let mut light = vec![0.0; wide * high];
        add_octaves(&mut hue, wide, seed, 170.0 * unit, 5, 0.5);
        // Amplitudes that fall more slowly than the wavelength: leaves and gravel, not clouds.
        add_octaves(&mut light, wide, !seed, 110.0 * unit, 7, 0.7);
        let texels = hue
            .iter()
            .zip(&light)
            .enumerate()
            .map(|(i, (h, l))| {
                let down = (i / wide) as f32 / high as f32;
                let colour = palette(0.62 * h + 0.3 * down + 0.15 * l + 0.02);
                let gain = (0.05 + 1.8 * l) * (1.12 - 0.25 * down);
                // Scaled by 32 for the noise that is added later.
                colour.map(|c| ((c * gain).clamp(6.0, 250.0) * 32.0) as i16)
            })
            .collect();
        Self { width: wide, texels, room: room as f32 }
    }

    /// The part of the texture the camera sees, between texels by linear interpolation.
    fn view(&self, width: usize, height: usize, time: f32) -> Canvas {
        let sway = |rounds: f32| {
            let place = 0.5 + 0.5 * libm::sinf(TAU * (time * rounds / SECONDS));
            let fixed = (place * self.room * 16.0) as usize;
            (fixed / 16, (fixed % 16) as i32)
        };
        let ((left, fx), (top, fy)) = (sway(19.0), sway(13.0));
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let upper = &self.texels[(top + y) * self.width + left..][..=width];
            let lower = &self.texels[(top + y + 1) * self.width + left..][..=width];
            for (u, l) in upper.windows(2).zip(lower.windows(2)) {
                pixels.push(std::array::from_fn(|c| {
                    let u = i32::from(u[0][c]) * (16 - fx) + i32::from(u[1][c]) * fx;
                    let l = i32::from(l[0][c]) * (16 - fx) + i32::from(l[1][c]) * fx;
                    ((u * (16 - fy) + l * fy) >> 8) as i16
                }));
            }
        }
        Canvas { width, height, pixels }
    }
}

/// Adds value noise to a field, each octave half as long and `fall` times as strong.
///
/// Units: the sum stays in 0..1.
fn add_octaves(field: &mut [f32], width: usize, seed: u64, length: f32, octaves: usize, fall: f32) {
    // Products, not powers: these round alike on every machine.
    let mut strengths = vec![1.0; octaves];
    (1..octaves).for_each(|o| strengths[o] = strengths[o - 1] * fall);
    let total: f32 = strengths.iter().sum();
    for (octave, strength) in strengths.iter().map(|s| s / total).enumerate() {
        let cell = (length / (1u64 << octave) as f32).max(1.0);
        let salt = hash(seed.wrapping_add(octave as u64));
        let lattice = |x: usize, y: usize| {
            let number = hash(salt ^ ((y as u64) << 32 | x as u64)) >> 40;
            number as f32 / (1u64 << 24) as f32
        };
        for (y, row) in field.chunks_exact_mut(width).enumerate() {
            let (cy, v) = split(y as f32 / cell);
            let mut column = usize::MAX;
            let (mut left, mut right) = (0.0, 0.0);
            for (x, value) in row.iter_mut().enumerate() {
                let (cx, u) = split(x as f32 / cell);
                if cx != column {
                    column = cx;
                    let blend = |x| lattice(x, cy) * (1.0 - v) + lattice(x, cy + 1) * v;
                    (left, right) = (blend(cx), blend(cx + 1));
                }
                *value += strength * (left * (1.0 - u) + right * u);
            }
        }
    }
}

/// Whole part, and the rest eased so that cells meet without creases.
fn split(x: f32) -> (usize, f32) {
    let whole = x.floor();
    let t = x - whole;
    (whole as usize, t * t * (3.0 - 2.0 * t))
}

/// Colours from water over leaves and earth to sand.
fn palette(x: f32) -> Colour {
    const STOPS: [Colour; 5] = [
        [44.0, 92.0, 124.0],
        [74.0, 134.0, 132.0],
        [98.0, 142.0, 84.0],
        [160.0, 132.0, 88.0],
        [226.0, 204.0, 168.0],
    ];
    let place = x.clamp(0.0, 0.999) * (STOPS.len() - 1) as f32;
    let (i, t) = (place as usize, place.fract());
    std::array::from_fn(|c| STOPS[i][c] * (1.0 - t) + STOPS[i + 1][c] * t)
}

/// A picture being painted.
///
/// Units: 32 steps per grey level.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<[i16; 3]>,
}

impl Canvas {
    fn put(&mut self, x: usize, y: usize, colour: Colour) {
        if x < self.width && y < self.height {
            self.pixels[y * self.width + x] = colour.map(|c| (c * 32.0) as i16);
        }
    }

    fn shape(&mut self, shape: &Shape) {
        let (reach, (cx, cy)) = (shape.reach() + 1.0, shape.centre);
        let span = |centre: f32, side: usize| {
            let last = ((centre + reach) as usize).min(side);
            ((centre - reach) as usize).min(last)..last
        };
        for y in span(cy, self.height) {
            for x in span(cx, self.width) {
                let (coverage, colour) = shape.at(x as f32 - cx, y as f32 - cy);
                if coverage > 0.0 {
                    let pixel = &mut self.pixels[y * self.width + x];
                    for (value, c) in pixel.iter_mut().zip(colour) {
                        let below = f32::from(*value);
                        *value = (below + coverage * (c * 32.0 - below)) as i16;
                    }
                }
            }
        }
    }

    /// Text with a dark copy behind it, so that it reads on any ground.
    fn text(&mut self, text: &str, at: (usize, usize), dot: usize, colour: Colour) {
        let behind = dot.div_ceil(3);
        for (offset, colour) in [(behind, [16.0, 18.0, 24.0]), (0, colour)] {
            font::dots(text, |column, row| {
                for y in 0..dot {
                    for x in 0..dot {
                        let (x, y) = (at.0 + column * dot + x, at.1 + row * dot + y);
                        self.put(x + offset, y + offset, colour);
                    }
                }
            });
        }
    }

    /// What the sensor reports: the painting with noise of 2 grey levels rms, in 8 bits.
    fn exposed(&self, key: u64) -> Vec<u8> {
        let mut samples = vec![0; self.pixels.len() * 3];
        for (i, (pixel, out)) in self.pixels.iter().zip(samples.chunks_exact_mut(3)).enumerate() {
            let bits = hash(key.wrapping_add(i as u64));
            for (c, (value, sample)) in pixel.iter().zip(out).enumerate() {
                // Three numbers of 0..128 have a sum of mean 190.5 and deviation 64: two levels.
                let bits = bits >> (21 * c);
                let sum = (bits & 127) + (bits >> 7 & 127) + (bits >> 14 & 127);
                let level = (i32::from(*value) + sum as i32 - 190 + 16) >> 5;
                *sample = level.clamp(0, 255) as u8;
            }
        }
        samples
    }
}
