//! Bundles, and the fast paths against the plain one.

#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Noise, audio_bundle, identity, image_bundle, picture, sound};
use proptest::prelude::*;
use tamis::codec::{
    Bundle, Frame, FrameRef, Kind, Latent, Layout, Quality, Samples, SamplesRef, Span, plain,
};
use tamis::runtime::{Decoder, Encoder, find_bundle, find_codec, shipped_bundles};
use tamis::signal::Ends;

fn values(frame: &Frame) -> Vec<f32> {
    (0..frame.samples.len()).map(|i| frame.value(i)).collect()
}

#[test]
fn strips_equal_the_whole_picture() {
    let bundle = image_bundle();
    for (h, w) in [(1, 1), (7, 9), (128, 8), (129, 40), (300, 33), (513, 17)] {
        let frame = picture(h, w, 1);
        let whole = plain::encode(&bundle, &frame, 192, Quality::DEFAULT).unwrap();
        let mut encoder = Encoder::new(bundle.clone(), 192, Quality::DEFAULT).unwrap();
        let strips = encoder.push(&frame, false).unwrap();
        assert_eq!(strips, whole, "{h}x{w}");
        let mut decoder = Decoder::new(bundle.clone(), 192);
        let back = decoder.push(&strips, Layout::Rgb).unwrap();
        assert_eq!(back, plain::decode(&bundle, &whole, 192).unwrap(), "{h}x{w}");
        let error =
            values(&back).iter().zip(values(&frame)).fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(error < 0.1, "{h}x{w}: off by {error}");
    }
}

#[test]
fn borrowed_samples_give_the_latents_of_owned_ones() {
    for (bundle, frame) in [
        (Arc::new(find_bundle("rgb").unwrap()), picture(50, 70, 1)),
        (image_bundle(), picture(50, 70, 2)),
        (audio_bundle(1), sound(1000, 1, 8000, 3)),
    ] {
        let n = bundle.channels();
        let owned =
            Encoder::new(bundle.clone(), n, Quality::DEFAULT).unwrap().push(&frame, true).unwrap();
        let (layout, channels) = (frame.layout, frame.channels);
        let samples = SamplesRef::from(&frame.samples);
        let borrowed = FrameRef::new(layout, channels, &frame.extent, samples).unwrap();
        let mut encoder = Encoder::new(bundle, n, Quality::DEFAULT).unwrap();
        assert_eq!(encoder.push(borrowed, true).unwrap(), owned);
        let short = FrameRef { samples: SamplesRef::U8(&[0; 5]), ..borrowed };
        assert!(FrameRef::new(layout, channels, short.extent, short.samples).is_err());
    }
}

#[test]
fn scaled_reals_refuse_what_does_not_fit() {
    let bundle = image_bundle();
    let latent = plain::encode(&bundle, &picture(20, 20, 1), 96, Quality::DEFAULT).unwrap();
    let all = bundle.scaled(&latent, 192).unwrap();
    assert_eq!(all.len(), 192 * 9);
    assert_eq!(bundle.scaled(&latent, 10).unwrap(), all[..10 * 9]);
    assert!(all[96 * 9..].iter().all(|&x| x == 0.0));
    assert!(bundle.scaled(&latent, 193).is_err());
    assert!(find_bundle("rgb").unwrap().scaled(&latent, 3).is_err());
    let short = Latent { values: vec![0; 5], ..latent };
    assert!(bundle.scaled(&short, 3).is_err());
}

/// Encodes a sound in chunks, decodes the latents one by one, and returns all of both.
fn in_chunks(bundle: &Arc<Bundle>, frame: &Frame, chunks: &[usize]) -> (Vec<Latent>, Vec<f32>) {
    let Samples::I16(samples) = &frame.samples else { panic!("sound() makes I16") };
    let n = bundle.channels();
    let mut encoder = Encoder::new(bundle.clone(), n, Quality::DEFAULT).unwrap();
    let mut decoder = Decoder::new(bundle.clone(), n);
    let (mut at, mut latents, mut back) = (0, Vec::new(), Vec::new());
    for (i, &len) in chunks.iter().enumerate() {
        let part = samples[at * frame.channels..(at + len) * frame.channels].to_vec();
        at += len;
        let part = Frame::new(frame.layout, frame.channels, vec![len], Samples::I16(part)).unwrap();
        let latent = encoder.push(&part, i + 1 == chunks.len()).unwrap();
        let out = decoder.push(&latent, frame.layout).unwrap();
        let Samples::F32(v) = out.samples else { panic!("sound decodes to F32") };
        back.extend(v);
        latents.push(latent);
    }
    assert_eq!(at, frame.extent[0]);
    (latents, back)
}

/// Puts the latents of chunks together into one of the whole.
fn join(latents: &[Latent]) -> Latent {
    let rows = latents[0].grid[0];
    let channels = latents[0].channels;
    let mut values = Vec::new();
    for series in 0..channels * rows {
        for l in latents {
            let steps = l.grid[1];
            values.extend_from_slice(&l.values[series * steps..(series + 1) * steps]);
        }
    }
    let steps = latents.iter().map(|l| l.grid[1]).sum();
    let samples = latents.iter().map(|l| l.extent[1]).sum();
    Latent {
        grid: vec![rows, steps],
        extent: vec![latents[0].extent[0], samples],
        span: Span::WHOLE,
        values,
        ..latents[0].clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn chunks_equal_the_whole_sound(
        lengths in prop::collection::vec(0usize..400, 1..8),
        inputs in 1usize..=2,
        rows in 1usize..=2,
    ) {
        let bundle = audio_bundle(inputs);
        let frame = sound(lengths.iter().sum(), inputs * rows, 8000, 3);
        let whole = plain::encode(&bundle, &frame, bundle.channels(), Quality::DEFAULT).unwrap();
        let (latents, back) = in_chunks(&bundle, &frame, &lengths);
        prop_assert_eq!(join(&latents), whole.clone());
        let Samples::F32(plain) = plain::decode(&bundle, &whole, bundle.channels()).unwrap().samples
        else { panic!("sound decodes to F32") };
        prop_assert_eq!(back, plain);
    }
}

#[test]
fn a_lost_packet_of_sound_becomes_silence_of_its_length() {
    let bundle = audio_bundle(1);
    let frame = sound(32 * 40, 1, 8000, 5);
    let (latents, whole) = in_chunks(&bundle, &frame, &[320, 320, 320, 320]);
    let mut decoder = Decoder::new(bundle.clone(), bundle.channels());
    let mut back = Vec::new();
    for (i, latent) in latents.iter().enumerate() {
        if i != 1 {
            let out = decoder.push(latent, frame.layout).unwrap();
            let Samples::F32(v) = out.samples else { panic!("sound decodes to F32") };
            back.extend(v);
        }
    }
    assert_eq!(back.len(), whole.len());
    assert_eq!(decoder.filled(), 10 * 32);
    // Synthesis reaches four cells at most beyond the ten that are gone.
    let gone = latents[1].span.position as usize;
    let (before, after) = ((gone - 4) * 32, (gone + 14) * 32);
    assert!(back[..before] == whole[..before] && back[after..] == whole[after..]);
    assert!(back[(gone + 4) * 32..(gone + 6) * 32].iter().all(|x| x.abs() < 0.01));
    let again = decoder.push(&latents[0], frame.layout);
    assert!(again.is_ok(), "after an end the next sound may start");
    let backwards = decoder.push(&latents[0], frame.layout);
    assert!(backwards.is_err(), "a sound never goes back");
}

#[cfg(feature = "pipeline")]
#[test]
fn a_prefix_is_a_coarser_latent() {
    let bundle = find_bundle("rgb").unwrap();
    let frame = picture(120, 160, 9);
    let whole = plain::encode(&bundle, &frame, 48, Quality::DEFAULT).unwrap();
    let mut last = 0.0;
    for &channels in &bundle.groups {
        let part = plain::encode(&bundle, &frame, channels, Quality::DEFAULT).unwrap();
        let mut cut = whole.clone();
        cut.truncate(channels);
        assert_eq!(part, cut);
        let back = plain::decode(&bundle, &part, channels).unwrap();
        assert_eq!(back, plain::decode(&bundle, &whole, channels).unwrap());
        let db = tamis::lab::metrics::image::psnr_db(&frame, &back).unwrap();
        assert!(db > last, "{channels} channels give {db} dB, fewer gave {last}");
        last = db;
    }
    assert!(last > 30.0, "{last} dB");
}

#[test]
fn bundles_round_trip_and_shipped_ones_are_small() {
    for name in shipped_bundles() {
        let bundle = find_bundle(name).unwrap();
        let (manifest, weights) = bundle.to_files().unwrap();
        assert!(weights.len() + manifest.len() < 300_000, "{name}");
        let again = Bundle::from_files(name, &manifest, &weights).unwrap();
        assert_eq!(again.codec_id(), bundle.codec_id());
        assert_eq!(again.tables_id(), bundle.tables_id());
        assert_eq!(find_codec(bundle.codec_id(), "").unwrap().card.name, bundle.card.name);
    }
    assert!(find_bundle("no-such-bundle").is_err());
}

#[test]
fn only_what_changes_latents_changes_the_codec_id() {
    let parts = identity(Kind::Image, 1, 2, Ends::Mirror);
    let id = |f: &dyn Fn(&mut tamis::codec::Parts)| {
        let mut p = parts.clone();
        f(&mut p);
        let b = Bundle::new(p).unwrap();
        (b.codec_id(), b.tables_id())
    };
    let base = id(&|_| ());
    assert_eq!(base, id(&|p| p.card.name = "other".into()));
    assert_eq!(base, id(&|p| p.offset[0] = 0.5));
    assert_eq!(base, id(&|p| p.groups = vec![16]));
    assert_ne!(base.0, id(&|p| p.steps[3] = 0.02).0);
    assert_ne!(base.0, id(&|p| p.bias[3] = 0.02).0);
    assert_ne!(base.0, id(&|p| p.ends = Ends::Periodic).0);
}

#[test]
fn damaged_bundles_are_refused_without_a_panic() {
    let bundle = image_bundle();
    let (manifest, weights) = bundle.to_files().unwrap();
    let mut noise = Noise(7);
    for _ in 0..300 {
        let mut bytes = weights.clone();
        let at = noise.below(bytes.len());
        bytes[at] ^= 1 << noise.below(8);
        // A flipped bit of a weight that no id covers (the decoder's) may pass; nothing panics.
        let _ = Bundle::from_files("flipped", &manifest, &bytes);
        let _ = Bundle::from_files("cut", &manifest, &weights[..at]);
        let mut text = manifest.clone().into_bytes();
        let at = noise.below(text.len());
        text[at] = b' ' + noise.below(94) as u8;
        let _ = Bundle::from_files("text", &String::from_utf8_lossy(&text), &weights);
    }
    let huge = manifest.replace("levels = 3", "levels = 63");
    assert!(Bundle::from_files("huge", &huge, &weights).is_err());
    let other = manifest.replace("codec_id = \"", "codec_id = \"0");
    let error = Bundle::from_files("other", &other, &weights).unwrap_err().to_string();
    assert!(error.contains("codec_id"), "{error}");
}

#[test]
fn wrong_frames_are_refused() {
    let bundle = image_bundle();
    let mut encoder = Encoder::new(bundle, 192, Quality::DEFAULT).unwrap();
    assert!(encoder.push(&sound(10, 1, 8000, 1), true).is_err());
    let stereo = audio_bundle(2);
    let mut encoder = Encoder::new(stereo, 64, Quality::DEFAULT).unwrap();
    assert!(encoder.push(&sound(10, 3, 8000, 1), true).is_err());
    encoder.push(&sound(10, 2, 8000, 1), false).unwrap();
    assert!(encoder.push(&sound(10, 2, 9000, 1), true).is_err(), "the rate may not change");
    assert!(Encoder::new(audio_bundle(2), 17, Quality::DEFAULT).is_err());
}
