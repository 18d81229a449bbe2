//! Every kernel of every instruction set of this machine, against plain sums in double precision.

use proptest::prelude::*;

use super::attention::{Attention, Scratch};
use super::dispatch::Isa;
use super::lanes::*;
use super::linear::{Linear, Rows, SmallRows, Then, worths};
use super::*;
use crate::runtime::schedule::{POLICIES, Policy, Schedule};

/// Calls a test for each instruction set that the machine has.
macro_rules! for_each_isa {
    ($test:ident $args:tt) => {{
        $test::<Portable> $args;
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                $test::<Avx2> $args;
            }
            if Simd::all().contains(&Simd::Avx512) && vnni() {
                $test::<Avx512> $args;
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            $test::<Neon> $args;
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                $test::<NeonDot> $args;
            }
        }
    }};
}

/// Reproducible numbers in -1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn matrix(inputs: usize, outputs: usize, seed: u64) -> Matrix {
    Matrix { weights: numbers(inputs * outputs, seed), bias: numbers(outputs, seed + 1) }
}

/// `rows * weights + bias`, in double precision.
fn product(rows: &[f32], m: &Matrix) -> Vec<f64> {
    let (inputs, outputs) = (m.inputs(), m.outputs());
    let sum = |row: &[f32], j: usize| -> f64 {
        let each = (0..inputs).map(|k| f64::from(row[k]) * f64::from(m.weights[k * outputs + j]));
        each.sum::<f64>() + f64::from(m.bias[j])
    };
    rows.chunks(inputs).flat_map(|row| (0..outputs).map(move |j| sum(row, j))).collect()
}

fn phi(x: f64) -> f64 {
    0.5 * (1.0 + libm::erf(x / 2f64.sqrt()))
}

#[track_caller]
fn close(found: &[f32], expected: &[f64], within: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (&a, &b)) in found.iter().zip(expected).enumerate() {
        assert!((f64::from(a) - b).abs() <= within * (1.0 + b.abs()), "{i}: {a} for {b}");
    }
}

fn floats<L: Isa>(n: usize, inputs: usize, outputs: usize, seed: u64) {
    let (m, x) = (matrix(inputs, outputs, seed), numbers(n * inputs, seed + 2));
    let layer = Linear::<L>::floats(&m);
    let mut truth = product(&x, &m);
    // What is beyond the end must stay as it is.
    let mut out = vec![7.0; n * outputs];
    layer.run(Rows::Floats(&x), inputs, &mut out, Then::Store);
    let within = 1e-6 * inputs as f64;
    close(&out, &truth, within);
    layer.run(Rows::Floats(&x), inputs, &mut out, Then::Add);
    let twice: Vec<f64> = truth.iter().map(|x| 2.0 * x).collect();
    close(&out, &twice, 2.0 * within);
    layer.run(Rows::Floats(&x), inputs, &mut out, Then::Activate(Activation::Gelu));
    truth.iter_mut().for_each(|x| *x *= phi(*x));
    close(&out, &truth, 2.0 * within + 1e-6);
}

/// A prefix of the inputs: the others are zero.
fn prefix<L: Isa>(n: usize, inputs: usize, outputs: usize, seed: u64) {
    let m = matrix(inputs, outputs, seed);
    let few = inputs / 2;
    let x = numbers(n * few, seed + 2);
    let layer = Linear::<L>::floats(&m);
    let mut out = vec![0.0; n * outputs];
    layer.run(Rows::Floats(&x), few, &mut out, Then::Store);
    let first = Matrix { weights: m.weights[..few * outputs].to_vec(), bias: m.bias };
    let truth = match few {
        0 => first.bias.repeat(n).iter().map(|&b| f64::from(b)).collect(),
        _ => product(&x, &first),
    };
    close(&out, &truth, 1e-6 * inputs as f64);
}

/// Whole numbers give exactly what the same sums of rounded numbers give.
fn smalls<L: Isa>(n: usize, inputs: usize, outputs: usize, seed: u64) {
    let mut m = matrix(inputs, outputs, seed);
    // A column of zeros, and one that is far larger than the others.
    m.weights.iter_mut().step_by(outputs).for_each(|w| *w = 0.0);
    m.weights.iter_mut().skip(outputs - 1).step_by(outputs).for_each(|w| *w *= 1000.0);
    let mut x = numbers(n * inputs, seed + 2);
    // A row of zeros, and one on one side of zero.
    x[..inputs].fill(0.0);
    x[(n - 1) * inputs..].iter_mut().for_each(|v| *v = v.abs());
    let layer = Linear::<L>::smalls(&m);
    let mut rows = SmallRows::<L::Small>::default();
    rows::quantise::<L>(&x, inputs, &mut rows);
    let mut out = vec![0.0; n * outputs];
    layer.run(Rows::Smalls(&rows), inputs, &mut out, Then::Store);

    let steps = L::STEPS as f32;
    let mut rounded = Vec::new();
    for row in x.chunks(inputs) {
        let low = row.iter().copied().fold(0.0, f32::min);
        let high = row.iter().copied().fold(0.0, f32::max);
        let scale = (high - low) / steps;
        for &v in row {
            let q = |zero: f32| {
                let level = (v / scale + zero).round_ties_even().clamp(0.0, steps);
                f64::from(scale) * f64::from(level - zero)
            };
            rounded.push(if scale > 0.0 { q((-low / scale).round_ties_even()) } else { 0.0 });
        }
    }
    let worths = worths::<L>(&m);
    let mut truth = Vec::new();
    let mut slack = Vec::new();
    for row in rounded.chunks(inputs) {
        for (j, &worth) in worths.iter().enumerate() {
            let column = || (0..inputs).map(|k| m.weights[k * outputs + j]);
            let most = column().fold(0f32, |a, w| a.max(w.abs()));
            // A step as fine as 8 bits allow, or four times as coarse if all weights are alike.
            assert!(worth * 127.01 >= most && worth * 31.7 <= most, "{worth} of {most}");
            let level = |w: f32| if worth > 0.0 { (w / worth).round() } else { 0.0 };
            let each = column().zip(row).map(|(w, x)| f64::from(worth * level(w)) * x);
            truth.push(each.sum::<f64>() + f64::from(m.bias[j]));
            // A number that lies between two levels may be rounded either way.
            slack.push(2e-2 * f64::from(most));
        }
    }
    for ((a, b), slack) in out.iter().zip(&truth).zip(&slack) {
        assert!((f64::from(*a) - b).abs() <= slack + 1e-5 * b.abs() + 1e-5, "{a} for {b}");
    }
}

fn attention<L: Isa>(n: usize, heads: usize, d: usize, seed: u64) {
    let width = heads * d;
    let qkv: Vec<f32> = numbers(n * 3 * width, seed).iter().map(|x| 2.0 * x).collect();
    let (mut out, mut map) = (vec![7.0; n * width], vec![7.0; heads * n * n]);
    let bias = numbers(n, seed + 1);
    L::call(Attention {
        qkv: &qkv,
        width,
        heads,
        out: &mut out,
        bias: Some(&bias),
        map: Some(&mut map),
        scratch: &mut Scratch::default(),
    });
    let at = |token: usize, part: usize, head: usize, k: usize| {
        f64::from(qkv[(token * 3 + part) * width + head * d + k])
    };
    let mut truth = vec![0.0; n * width];
    let mut given = Vec::new();
    for head in 0..heads {
        for i in 0..n {
            let product = |j: usize| (0..d).map(move |k| at(i, 0, head, k) * at(j, 1, head, k));
            let score = |j: usize| product(j).sum::<f64>() + f64::from(bias[j]);
            let scores: Vec<f64> = (0..n).map(score).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let sum: f64 = powers.iter().sum();
            for (j, p) in powers.iter().enumerate() {
                given.push(p / sum);
                for k in 0..d {
                    truth[i * width + head * d + k] += p / sum * at(j, 2, head, k);
                }
            }
        }
    }
    close(&out, &truth, 2e-5);
    close(&map, &given, 2e-5);
}

fn norm<L: Isa>(n: usize, width: usize, seed: u64) {
    let norm = Norm { gain: numbers(width, seed), bias: numbers(width, seed + 1), epsilon: 1e-6 };
    let mut x: Vec<f32> = numbers(n * width, seed + 2).iter().map(|x| 3.0 * x + 5.0).collect();
    let mut truth = Vec::new();
    for row in x.chunks(width) {
        let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
        let square = |&v: &f32| (f64::from(v) - mean).powi(2);
        let variance = row.iter().map(square).sum::<f64>() / width as f64;
        let scale = 1.0 / (variance + 1e-6).sqrt();
        let each = row.iter().zip(&norm.gain).zip(&norm.bias);
        truth.extend(
            each.map(|((&v, &g), &b)| (f64::from(v) - mean) * scale * f64::from(g) + f64::from(b)),
        );
    }
    norm.run_in_place::<L>(&mut x);
    close(&x, &truth, 2e-5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn layers_are_products(
        n in 1usize..20, inputs in 1usize..70, outputs in 1usize..150, seed in 0u64..1000,
    ) {
        for_each_isa!(floats(n, inputs, outputs, seed));
        for_each_isa!(prefix(n, inputs, outputs, seed));
    }

    #[test]
    fn whole_numbers_are_products_of_rounded_ones(
        n in 1usize..20, inputs in 1usize..70, outputs in 2usize..150, seed in 0u64..1000,
    ) {
        for_each_isa!(smalls(n, inputs, outputs, seed));
    }

    #[test]
    fn attention_is_a_mean_of_values(
        n in 1usize..40, heads in 1usize..4, d in 1usize..70, seed in 0u64..1000,
    ) {
        for_each_isa!(attention(n, heads, d, seed));
    }

    #[test]
    fn rows_are_normalised(n in 1usize..9, width in 2usize..70, seed in 0u64..1000) {
        for_each_isa!(norm(n, width, seed));
    }
}

/// The largest inputs, and weights that are all as large: nothing overflows on the way.
fn extremes<L: Isa>() {
    let (inputs, outputs) = (67, 5);
    let sign = |k: usize, j: usize| match j {
        0 => 1.0,
        1 => -1.0,
        2 => [1.0, -1.0][k % 2],
        3 => [1.0, -1.0][k / 2 % 2],
        _ => [1.0, -1.0][k / 16 % 2],
    };
    let each = (0..inputs).flat_map(|k| (0..outputs).map(move |j| sign(k, j)));
    let m = Matrix { weights: each.collect(), bias: vec![0.0; outputs] };
    let x = vec![1.0; inputs];
    let mut rows = SmallRows::<L::Small>::default();
    rows::quantise::<L>(&x, inputs, &mut rows);
    let mut out = vec![0.0; outputs];
    Linear::<L>::smalls(&m).run(Rows::Smalls(&rows), inputs, &mut out, Then::Store);
    close(&out, &product(&x, &m), 1e-2);
}

#[test]
fn sums_of_whole_numbers_hold_the_largest() {
    for_each_isa!(extremes());
}

#[test]
fn large_layers_are_products_too() {
    for_each_isa!(floats(13, 800, 65, 1));
    for_each_isa!(smalls(13, 800, 65, 1));
    for_each_isa!(attention(197, 2, 64, 1));
}

fn activations<L: Isa>() {
    let x: Vec<f32> = (-4000..4000).map(|i| i as f32 / 400.0).chain([-1e4, 1e4, 0.0]).collect();
    for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
        let truth = x.iter().map(|&x| f64::from(x)).map(|x| match activation {
            Activation::Gelu => x * phi(x),
            Activation::GeluTanh => {
                let y = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + y.tanh())
            }
            Activation::Relu => x.max(0.0),
        });
        let truth: Vec<f64> = truth.collect();
        let one = Matrix { weights: vec![1.0], bias: vec![0.0] };
        let mut out = vec![0.0; x.len()];
        let layer = Linear::<L>::floats(&one);
        layer.run(Rows::Floats(&x), 1, &mut out, Then::Activate(activation));
        for ((&a, &b), &x) in out.iter().zip(&truth).zip(&x) {
            // Far out a last place of the error function is worth much.
            let slack = 2e-6 + 1e-7 * f64::from(x.abs());
            assert!((f64::from(a) - b).abs() <= slack, "{activation:?} of {x}: {a} for {b}");
        }
    }
}

/// What is quantised next.
fn coarse<L: Isa>() {
    let x: Vec<f32> = (-4000..4000).map(|i| i as f32 / 400.0).collect();
    let one = Matrix { weights: vec![1.0], bias: vec![0.0] };
    let mut out = vec![0.0; x.len()];
    let layer = Linear::<L>::floats(&one);
    layer.run(Rows::Floats(&x), 1, &mut out, Then::Coarse(Activation::Gelu));
    let truth: Vec<f64> = x.iter().map(|&x| f64::from(x) * phi(f64::from(x))).collect();
    for ((a, b), x) in out.iter().zip(&truth).zip(&x) {
        assert!((f64::from(*a) - b).abs() <= 1e-4 + 1e-4 * f64::from(x.abs()), "{x}: {a} for {b}");
    }
}

#[test]
fn activations_are_what_they_are_called() {
    for_each_isa!(coarse());
    for_each_isa!(activations());
}

/// An encoder of odd sizes, made of noise.
fn encoder(order: Order) -> Transformer {
    let (width, hidden) = (21, 40);
    let norm =
        |seed| Norm { gain: numbers(width, seed), bias: numbers(width, seed), epsilon: 1e-5 };
    let block = |seed| Block {
        norm1: norm(seed),
        qkv: matrix(width, 3 * width, seed + 1),
        out: matrix(width, width, seed + 2),
        norm2: norm(seed + 3),
        up: matrix(width, hidden, seed + 4),
        down: matrix(hidden, width, seed + 5),
    };
    Transformer {
        width,
        heads: 3,
        order,
        activation: Activation::Gelu,
        blocks: vec![block(10), block(20)],
        last: (order == Order::Pre).then(|| norm(30)),
        embed: None,
    }
}

#[test]
fn every_instruction_set_runs_an_encoder_alike() {
    for order in [Order::Pre, Order::Post] {
        let encoder = encoder(order);
        for n in [1, 5, 6, 7, 31] {
            let tokens = numbers(n * encoder.width, 3);
            let run = |simd, small: bool| {
                let mut x = tokens.clone();
                let prepared = prepare(&encoder, simd, |_| small);
                // Again, over used memory.
                prepared.run(&mut vec![1.0; 40 * encoder.width], None);
                prepared.run(&mut x, None);
                x
            };
            let truth: Vec<f64> =
                run(Simd::Portable, false).iter().map(|&x| f64::from(x)).collect();
            for simd in Simd::all() {
                close(&run(simd, false), &truth, 1e-4);
                let small = run(simd, true);
                let error: f64 =
                    small.iter().zip(&truth).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
                let energy: f64 = truth.iter().map(|b| b * b).sum();
                assert!(error < 0.01 * energy, "{simd:?}: {error} of {energy}");
            }
        }
    }
}

#[test]
fn nothing_in_is_nothing_out() {
    prepare(&encoder(Order::Pre), Simd::best(), |_| true).run(&mut [], None);
}

/// Tokens of an encoder with two classes and patches of 4 by 5, some of them left out.
fn thinned(order: Order, policy: Policy, stages: &[(usize, f32)]) -> (Vec<f32>, Vec<usize>) {
    let encoder = encoder(order);
    let schedule = Schedule { policy, stages: stages.to_vec() };
    let bits: Vec<f32> = (0..20).map(|p| (p % 7) as f32).collect();
    let mut thinning = Thinning::new(&schedule, 2, 2, [4, 5], &bits);
    let mut x = numbers(22 * encoder.width, 3);
    if let Some(places) = thinning.begins_with() {
        let rows = [0, 1].into_iter().chain(places.iter().map(|p| p + 2));
        let kept: Vec<f32> =
            rows.flat_map(|t| &x[t * encoder.width..(t + 1) * encoder.width]).copied().collect();
        x[..kept.len()].copy_from_slice(&kept);
    }
    prepare(&encoder, Simd::best(), |_| false).run(&mut x, Some(&mut thinning));
    (x, thinning.places())
}

#[test]
fn what_is_left_out_before_the_first_block_is_as_if_it_never_was() {
    for order in [Order::Pre, Order::Post] {
        let encoder = encoder(order);
        let width = encoder.width;
        let (found, places) = thinned(order, Policy::Bits, &[(1, 0.3)]);
        assert_eq!(places, [4, 5, 6, 12, 13, 19]);
        let x = numbers(22 * width, 3);
        let kept = [0, 1].into_iter().chain(places.iter().map(|p| p + 2));
        let mut fewer: Vec<f32> =
            kept.clone().flat_map(|t| &x[t * width..(t + 1) * width]).copied().collect();
        prepare(&encoder, Simd::best(), |_| false).run(&mut fewer, None);
        let mut mean = vec![0.0; width];
        for (token, at) in fewer.chunks(width).zip(kept) {
            assert_eq!(token, &found[at * width..(at + 1) * width]);
            if at > 1 {
                mean.iter_mut().zip(token).for_each(|(m, x)| *m += f64::from(*x) / 6.0);
            }
        }
        close(&found[2 * width..3 * width], &mean, 1e-5);
    }
}

#[test]
fn every_policy_leaves_as_many_as_it_should() {
    for order in [Order::Pre, Order::Post] {
        let plain = thinned(order, Policy::Random(0), &[(0, 1.0)]).0;
        let stages = [(0, 0.8), (1, 0.55)];
        for policy in POLICIES.iter().flat_map(|p| p.parse::<Policy>()) {
            let (found, places) = thinned(order, policy, &stages);
            assert_eq!(found.len(), plain.len());
            assert!(found.iter().all(|x| x.is_finite()));
            assert_ne!(found, plain, "{policy}");
            let expected = if policy == Policy::Adaptive { 6..=19 } else { 11..=11 };
            assert!(expected.contains(&places.len()), "{policy}: {places:?}");
            assert!(places.windows(2).all(|w| w[0] < w[1]) && places.iter().all(|&p| p < 20));
            assert_eq!((found, places), thinned(order, policy, &stages), "again");
        }
        // Another seed, other tokens; every fourth patch stands on the floor.
        let random = |seed| thinned(order, Policy::Random(seed), &[(0, 0.5)]).1;
        assert_ne!(random(1), random(2));
        let floor = thinned(order, Policy::Adaptive, &[(0, 0.01)]).1;
        assert!([0, 2, 4, 10, 12, 14].iter().all(|p| floor.contains(p)), "{floor:?}");
    }
}

#[test]
fn merged_tokens_stand_for_all_their_patches() {
    let encoder = encoder(Order::Pre);
    // More than half must go in several rounds.
    assert_eq!(thinned(Order::Pre, Policy::Merge, &[(0, 0.1)]).1.len(), 2);
    let (found, places) = thinned(Order::Pre, Policy::Merge, &[(1, 0.6)]);
    assert_eq!(places.len(), 12);
    // Each place shows the token that it became part of.
    let rows: Vec<&[f32]> = found[2 * encoder.width..].chunks(encoder.width).collect();
    let mut different = rows.clone();
    different.sort_by(|a, b| a[0].total_cmp(&b[0]));
    different.dedup();
    assert_eq!(different.len(), 12);
}

#[test]
fn patches_that_are_kept_have_the_tokens_they_always_have() {
    let (patch, grid, channels, width) = ([2, 3], [8, 16], 3, 20);
    let steps = vec![Step::Of(Unary::Abs, 0), Step::Both(Binary::Add, 0, 1)];
    for features in [Features::default(), Features { steps, read: vec![0, 2] }] {
        let inputs = channels * features.read.len() * patch[0] * patch[1];
        let embed = Embed {
            features,
            patch,
            layer: matrix(inputs, width, 5),
            before: numbers(2 * width, 6),
            positions: numbers(20 * width, 7),
        };
        let encoder =
            Transformer { width, blocks: Vec::new(), embed: Some(embed), ..encoder(Order::Pre) };
        let cells = numbers(channels * grid[0] * grid[1], 8);
        for small in [false, true] {
            let prepared = prepare(&encoder, Simd::best(), |_| small);
            let run = |cells, kept| {
                prepared.embed(Cells::Floats(cells), grid, kept).expect("a grid of patches")
            };
            let (all, some) = (run(&cells, None), run(&cells, Some(&[0, 7, 8, 19])));
            assert_eq!(all.len(), some.len());
            for (at, token) in [0, 1, 2, 9, 10, 21].into_iter().enumerate() {
                assert_eq!(some[at * width..][..width], all[token * width..][..width]);
            }
            // Channels that are missing are as if they were zero.
            let short = &cells[..2 * grid[0] * grid[1]];
            let mut zeros = cells.clone();
            zeros[short.len()..].fill(0.0);
            let found = run(short, None);
            let truth = run(&zeros, None);
            close(&found, &truth.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1e-5);
        }
    }
}
