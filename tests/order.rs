//! Orders of channels: scores with known answers, bundles in another order, what orders keep.

#![cfg(feature = "pipeline")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Noise, identity, picture, sound};
use tamis::bitstream::{StreamHeader, pack, unpack};
use tamis::codec::{
    Bundle, Frame, Kind, Layout, Parts, Projection, Quality, Samples, Stamp, plain,
};
use tamis::lab::eval::measure;
use tamis::lab::order::{By, Order, Scores, Trial, counts, mean_gain_db, spearman};
use tamis::runtime::find_bundle;
use tamis::signal::Ends;

/// Four channels of a sound, told by their rows, columns, steps and deviations.
fn four(rows: [[f32; 4]; 4], columns: [f32; 4], steps: [f32; 4], deviation: [f32; 4]) -> Bundle {
    let mut back = vec![0.0; 16];
    (0..4).for_each(|c| back[c * 4 + c] = columns[c]);
    Bundle::new(Parts {
        analysis: Projection::dense(4, rows.concat()).unwrap(),
        synthesis: Projection::dense(4, back).unwrap(),
        steps: steps.to_vec(),
        deviation: deviation.to_vec(),
        ..identity(Kind::Audio, 1, 2, Ends::Mirror)
    })
    .unwrap()
}

const ROWS: [[f32; 4]; 4] =
    [[0.0, 0.0, 0.2, -0.2], [3.0, -3.0, 0.0, 0.0], [0.3, -0.2, 0.0, -0.1], [0.1, 0.1, 0.1, -0.1]];

#[test]
fn scores_have_known_answers() {
    let (columns, deviation) = ([1.0, 2.0, 1.0, 1.0], [1.0, 2.0, 4.0, 0.5]);
    let bundle = four(ROWS, columns, [0.5, 1.0, 1.0, 1.0], deviation);
    let scores = Scores::new(&bundle);
    let variance = scores.order(By::Variance);
    assert_eq!(variance.scores, [4.0, 4.0, 16.0, 0.25]);
    assert_eq!(
        (&variance.channels[..], &variance.places()[..]),
        (&[2, 0, 1, 3][..], &[1, 2, 0, 3][..])
    );
    // Twice the column adds four times the error; a band alone weighs what its atom does, about 1.
    let single = four(ROWS, [1.0; 4], [1.0; 4], deviation);
    let once = Scores::new(&single);
    assert!((scores.gains()[1] / once.gains()[1] - 4.0).abs() < 1e-9);
    assert!(once.gains().iter().all(|g| (0.5..2.0).contains(g)), "{:?}", once.gains());
    let relevance = scores.order(By::Relevance).scores;
    for c in 0..4 {
        let expected = f64::from(deviation[c]).powi(2) * scores.gains()[c];
        assert!((relevance[c] / expected - 1.0).abs() < 1e-12);
    }
    let strength = scores.order(By::Strength).scores;
    for (found, expected) in strength.iter().zip([1.4, 8.0, 1.6, 1.4]) {
        assert!((found - expected).abs() < 1e-6, "{strength:?}");
    }
    assert_eq!(scores.order(By::Natural).channels, [0, 1, 2, 3]);
    let random = scores.order(By::Random(1));
    assert_eq!(random, scores.order(By::Random(1)));
    let mut sorted = random.channels.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3]);
}

#[test]
fn salient_channels_lead_and_their_kin_follow() {
    let bundle = four(ROWS, [1.0; 4], [1.0; 4], [1.0; 4]);
    let order = Scores::new(&bundle).order(By::SaliencyUnfolded);
    // Channel 1 holds nearly all; 2 runs along with it, 3 and 0 do not.
    assert_eq!((order.core, &order.channels[..2]), (Some(1), &[1, 2][..]), "{order:?}");
    // All weights alike tell nothing apart, and nothing is divided by their spread of 0.
    let same = four([[0.5, -0.5, 0.0, 0.0]; 4], [1.0; 4], [1.0; 4], [1.0; 4]);
    let order = Scores::new(&same).order(By::Saliency);
    assert!(order.scores.iter().all(|s| s.is_finite()));
    // Silent rows have a score too.
    let silent = four([[0.0; 4]; 4], [0.0; 4], [1.0; 4], [1.0; 4]);
    for by in By::ALL {
        let order = Scores::new(&silent).order(by);
        assert!(order.scores.iter().all(|s| s.is_finite()) && order.channels.len() == 4, "{by:?}");
    }
}

#[test]
fn folding_takes_the_step_into_the_weights() {
    let steps = [0.5, 4.0, 0.25, 2.0];
    let bundle = four(ROWS, [1.0, 2.0, 0.5, 1.0], steps, [1.0; 4]);
    let mut rows = ROWS;
    for (row, step) in rows.iter_mut().zip(steps) {
        row.iter_mut().for_each(|w| *w /= step);
    }
    let folded = four(rows, [0.5, 8.0, 0.125, 2.0], [1.0; 4], [1.0; 4]);
    let (a, b) = (
        Scores::new(&bundle).order(By::Saliency),
        Scores::new(&folded).order(By::SaliencyUnfolded),
    );
    assert_eq!((&a.channels, a.core), (&b.channels, b.core));
    for (x, y) in a.scores.iter().zip(&b.scores) {
        assert!((x - y).abs() < 1e-4, "{x} {y}");
    }
}

#[test]
fn ranks_and_gains_have_known_answers() {
    assert_eq!(spearman(&[1.0, 2.0, 3.0, 4.0], &[10.0, 20.0, 30.0, 31.0]), Some(1.0));
    assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
    // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
    let tied = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    assert!((tied - 0.948_683_298).abs() < 1e-9, "{tied}");
    assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
    assert_eq!(spearman(&[1.0], &[1.0, 2.0]), None);
    let base = [(1.0, 20.0), (4.0, 24.0)];
    let above = [(1.0, 21.0), (2.0, 23.0), (4.0, 25.0)];
    assert!((mean_gain_db(&above, &base).unwrap() - 1.0).abs() < 1e-9);
    assert_eq!(mean_gain_db(&[(5.0, 1.0), (6.0, 2.0)], &base), None);
    assert_eq!(mean_gain_db(&[], &base), None);
    assert!(Order::of(vec![1.0, 3.0, 3.0]).channels == [1, 2, 0]);
}

/// Any order of `n` channels.
fn shuffled(n: usize, seed: u64) -> Vec<usize> {
    let mut noise = Noise(seed);
    let mut order: Vec<usize> = (0..n).collect();
    (1..n).for_each(|i| order.swap(i, noise.below(i + 1)));
    order
}

#[test]
fn another_order_loses_nothing() {
    let rgb = find_bundle("rgb").unwrap();
    let stereo = find_bundle("stereo").unwrap();
    let float = Bundle::new(identity(Kind::Image, 3, 2, Ends::Mirror)).unwrap();
    for (bundle, frame) in
        [(rgb, picture(61, 83, 1)), (stereo, sound(9000, 2, 44100, 1)), (float, picture(40, 33, 2))]
    {
        let n = bundle.channels();
        let quality = Quality::new(60).unwrap();
        let order = shuffled(n, 7);
        let other = bundle.reordered(&order).unwrap();
        assert_ne!(other.codec_id(), bundle.codec_id());
        let latent = plain::encode(&bundle, &frame, n, quality).unwrap();
        let moved = plain::encode(&other, &frame, n, quality).unwrap();
        for (k, &c) in order.iter().enumerate() {
            assert!(moved.channel(k) == latent.channel(c), "{k}");
        }
        let header = StreamHeader::new(&other, frame.layout, frame.channels, &Stamp::default());
        let packet = pack(&other, &moved, Stamp::default()).unwrap();
        assert!(unpack(&other, &header, &packet).unwrap().latent == moved);
        let (a, b) = (
            plain::decode(&bundle, &latent, n).unwrap(),
            plain::decode(&other, &moved, n).unwrap(),
        );
        assert!(a == b, "{}", bundle.card.name);
        // The way back, and the order that changes nothing.
        let mut back = vec![0; n];
        order.iter().enumerate().for_each(|(k, &c)| back[c] = k);
        assert_eq!(other.reordered(&back).unwrap().codec_id(), bundle.codec_id());
        let same = bundle.reordered(&(0..n).collect::<Vec<_>>()).unwrap();
        assert_eq!((same.codec_id(), same.tables_id()), (bundle.codec_id(), bundle.tables_id()));
    }
}

#[test]
fn dense_synthesis_is_reordered_within_rounding() {
    let n = 16;
    let mut noise = Noise(3);
    let mut random = |len: usize| (0..len).map(|_| noise.next() - 0.5).collect::<Vec<f32>>();
    let parts = Parts {
        analysis: Projection::dense(n, random(n * n)).unwrap(),
        synthesis: Projection::dense(n, random(n * n)).unwrap(),
        ..identity(Kind::Image, 1, 2, Ends::Mirror)
    };
    let bundle = Bundle::new(parts).unwrap();
    let other = bundle.reordered(&shuffled(n, 9)).unwrap();
    let samples = Samples::U8((0..576).map(|i| (i * 7 % 256) as u8).collect());
    let gray = Frame::new(Layout::Gray, 1, vec![24, 24], samples).unwrap();
    let through = |b: &Bundle| {
        plain::decode(b, &plain::encode(b, &gray, n, Quality::DEFAULT).unwrap(), n).unwrap()
    };
    let (a, b) = (through(&bundle), through(&other));
    assert!((0..576).all(|i| (a.value(i) - b.value(i)).abs() <= 1.01 / 255.0));
}

#[test]
fn an_order_names_every_channel_once() {
    let bundle = find_bundle("rgb").unwrap();
    let mut twice: Vec<usize> = (0..48).collect();
    twice[3] = 4;
    for bad in [vec![], vec![0], (0..47).collect(), (1..49).collect(), (0..49).collect(), twice] {
        assert!(bundle.reordered(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_trial_measures_what_eval_does() {
    for (name, frame, channels) in
        [("rgb", picture(61, 83, 1), 12), ("stereo", sound(40_000, 2, 44100, 1), 64)]
    {
        let bundle = Arc::new(find_bundle(name).unwrap());
        let trial = Trial::new(&bundle, &frame, Quality::DEFAULT).unwrap();
        for n in [channels, bundle.channels()] {
            let kept: Vec<usize> = (0..n).collect();
            let expected = measure(&bundle, &frame, n, Quality::DEFAULT, None).unwrap().psnr_db;
            let found = trial.psnr_db(&bundle, &kept).unwrap();
            assert!((found - expected).abs() < 1e-6, "{name} {n}: {found} {expected}");
        }
        let rises = trial.ablation(&bundle).unwrap();
        assert!(rises.len() == bundle.channels() && rises.iter().sum::<f64>() > 0.0);
        assert!(trial.bits().iter().all(|b| *b >= 0.0) && trial.bits()[0] > 0.0);
        let counts = counts(&bundle);
        assert!(bundle.groups.iter().all(|g| counts.contains(g)));
    }
}
