//! Measures against figures of an independent program, and plots.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "pipeline")]

use tamis::codec::{Frame, Layout, Samples};
use tamis::lab::metrics::{audio, image};
use tamis::lab::plot::{Plot, Point, Series, line_plot};

/// A picture with curves, texture, a ramp and checks, and a noisy copy with one flattened patch.
fn pictures(h: usize, w: usize) -> (Frame, Frame) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for y in 0..h {
        for x in 0..w {
            let flat = (h / 4..h / 2).contains(&y) && (w / 4..w / 2).contains(&x);
            for c in 0..3 {
                let value = match c {
                    0 => (x * x + 3 * y + x * y / 7) % 256,
                    1 => (x * 5 + y * 11) % 97 + 80,
                    _ => (x * 255 / (w - 1) + y) / 2 + (x / 8 + y / 8) % 2 * 40,
                };
                let value = value.min(255);
                let noise = (x * 7919 + y * 104_729 + 31 * c) % 23;
                let noisy = (value + noise).saturating_sub(11).min(255);
                a.push(value as u8);
                b.push(if flat { noisy / 2 + 60 } else { noisy } as u8);
            }
        }
    }
    (Frame::rgb(h, w, a).unwrap(), Frame::rgb(h, w, b).unwrap())
}

fn sounds(steps: usize) -> (Frame, Frame) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for t in 0..steps as i64 {
        let left = ((t * t * 3 % 2003 - 1001) as f64 / 2002.0) as f32;
        let right = ((t * 37 % 401 - 200) as f64 / 400.0) as f32;
        a.extend([left, right]);
        b.push(left + ((t * 7919 % 61 - 30) as f64 / 3000.0) as f32);
        b.push(right + ((t * 104_729 % 53 - 26) as f64 / 1300.0) as f32);
    }
    (Frame::audio(44_100, 2, a).unwrap(), Frame::audio(44_100, 2, b).unwrap())
}

fn scaled(frame: &Frame, gain: f32) -> Frame {
    let values = (0..frame.samples.len()).map(|i| frame.value(i) * 2.0 * gain).collect();
    Frame::audio(44_100, frame.channels, values).unwrap()
}

fn close(actual: f64, expected: f64, tolerance: f64) {
    assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
}

#[test]
fn pictures_agree_with_independent_figures() {
    // Five scales, an odd side at several of them; four scales; two; less than one window.
    for (h, w, psnr, ms_ssim) in [
        (181, 203, 29.121358342300855, 0.9780751021273479),
        (96, 121, 28.932562085248588, 0.9693771471884451),
        (40, 30, 28.483324305418503, 0.9475082745585138),
        (7, 9, 26.83922642197801, 0.7437366827387025),
    ] {
        let (a, b) = pictures(h, w);
        close(image::psnr_db(&a, &b).unwrap(), psnr, 1e-5);
        close(image::ms_ssim(&a, &b).unwrap(), ms_ssim, 1e-6);
        close(image::ms_ssim(&b, &a).unwrap(), ms_ssim, 1e-6);
    }
}

#[test]
fn equal_and_empty_pictures() {
    let (a, b) = pictures(20, 200);
    assert_eq!(image::psnr_db(&a, &a).unwrap(), f64::INFINITY);
    close(image::ms_ssim(&a, &a).unwrap(), 1.0, 1e-12);
    let inverse = match &a.samples {
        Samples::U8(v) => Frame::rgb(20, 200, v.iter().map(|x| 255 - x).collect()).unwrap(),
        _ => unreachable!(),
    };
    assert_eq!(image::ms_ssim(&a, &inverse).unwrap(), 0.0);
    let empty = Frame::rgb(0, 7, vec![]).unwrap();
    assert_eq!(image::psnr_db(&empty, &empty).unwrap(), f64::INFINITY);
    assert_eq!(image::ms_ssim(&empty, &empty).unwrap(), 1.0);
    assert!(image::psnr_db(&a, &empty).is_err());
    assert!(image::ms_ssim(&a, &pictures(20, 199).0).is_err());
    assert!(image::ms_ssim(&sounds(4).0, &sounds(4).1).is_err());
    assert!(image::psnr_db(&b, &sounds(4).1).is_err());
}

#[test]
fn sample_types_share_one_scale() {
    let (a, b) = pictures(40, 30);
    let wide = (0..b.samples.len()).map(|i| ((b.value(i) + 0.5) * 65535.0).round() as u16);
    let wide = Frame::new(Layout::Rgb, 3, vec![40, 30], Samples::U16(wide.collect())).unwrap();
    close(image::psnr_db(&a, &wide).unwrap(), image::psnr_db(&a, &b).unwrap(), 1e-4);
}

#[test]
fn sounds_agree_with_independent_figures() {
    for (steps, psnr, snr, lsd) in [
        (5000, 46.64738827115716, 29.849659278015395, 1.830311544346419),
        (2048, 46.66371163028194, 29.87528639791869, 2.0252762315071466),
        (300, 46.739343551801475, 29.988802505643157, 0.5151220117279294),
        (1, 42.041208110073065, 30.000008283513814, 0.0),
    ] {
        let (a, b) = sounds(steps);
        close(audio::psnr_db(&a, &b).unwrap(), psnr, 1e-4);
        close(audio::snr_db(&a, &b).unwrap(), snr, 1e-4);
        close(audio::lsd_db(&a, &b).unwrap(), lsd, 1e-5);
    }
    // Nearly everything is below the floor here, and only what is above it counts.
    let quiet = scaled(&sounds(5000).0, 1e-3);
    let silent = scaled(&quiet, 0.0);
    close(audio::lsd_db(&quiet, &silent).unwrap(), 0.19199123771283927, 1e-5);
}

#[test]
fn a_full_scale_sine_is_eighty_db_above_the_floor() {
    let tau = std::f64::consts::TAU;
    let sine = |t| (tau * 64.0 * f64::from(t) / 2048.0).sin() as f32;
    let sine = Frame::audio(44_100, 1, (0..2048).map(sine).collect()).unwrap();
    let silent = scaled(&sine, 0.0);
    // A Hann window spreads a sine at the middle of a bin over that bin and, 6 dB lower, two more.
    let beside = 80.0 - 20.0 * 2f64.log10();
    let expected = ((80.0 * 80.0 + 2.0 * beside * beside) / 1025.0).sqrt();
    close(audio::lsd_db(&sine, &silent).unwrap(), expected, 1e-4);
}

#[test]
fn equal_empty_and_silent_sounds() {
    let (a, b) = sounds(100);
    let silent = scaled(&a, 0.0);
    let empty = Frame::audio(44_100, 2, vec![]).unwrap();
    for (x, y) in [(&a, &a), (&empty, &empty), (&silent, &silent)] {
        assert_eq!(audio::psnr_db(x, y).unwrap(), f64::INFINITY);
        assert_eq!(audio::snr_db(x, y).unwrap(), f64::INFINITY);
        close(audio::lsd_db(x, y).unwrap(), 0.0, 1e-9);
    }
    assert_eq!(audio::snr_db(&silent, &b).unwrap(), f64::NEG_INFINITY);
    assert_eq!(audio::snr_db(&a, &silent).unwrap(), 0.0);
    assert!(audio::lsd_db(&a, &sounds(99).0).is_err());
    let other_rate = Frame { layout: Layout::Audio { rate: 48_000 }, ..a.clone() };
    assert!(audio::snr_db(&a, &other_rate).is_err());
    assert!(audio::psnr_db(&pictures(2, 2).0, &pictures(2, 2).1).is_err());
}

fn point(x: f64, y: f64) -> Point {
    Point { x, y, label: None }
}

#[test]
fn a_plot_shows_all_that_was_given() {
    let mut labelled = point(2.0, 39.0);
    labelled.label = Some("q < 90".into());
    let plot = Plot {
        title: "Rate & distortion".into(),
        x_label: "bits per pixel".into(),
        y_label: "PSNR (dB)".into(),
        log_x: true,
        series: vec![
            Series { name: "tamis".into(), points: vec![point(0.1, 28.0), labelled], faint: false },
            Series {
                name: "jpeg".into(),
                points: vec![point(0.0, 30.0), point(1.0, f64::NAN), point(1.0, 35.0)],
                faint: false,
            },
        ],
    };
    let svg = line_plot(&plot);
    for text in ["Rate &amp; distortion", ">q &lt; 90<", ">bits per pixel<", ">jpeg<", ">0.2<"] {
        assert!(svg.contains(text), "{text} is missing");
    }
    // Three points that can be drawn, and one mark per series in the legend.
    assert_eq!(svg.matches("<circle").count(), 5);
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    // 0.1 to 2 with a margin of a twentieth each: the points stand 1/22 from the frame's sides.
    assert!(svg.contains("points=\"99.3,"), "{svg}");
    assert!(svg.contains("<text x=\"99.3\"") && svg.contains(">0.1<"));
}

#[test]
fn odd_plots_have_no_odd_numbers() {
    let one =
        |x: f64, y: f64| vec![Series { name: "s".into(), points: vec![point(x, y)], faint: false }];
    let wide = vec![Series {
        name: String::new(),
        points: vec![point(1e-99, 1e-300), point(9e99, -9e99), point(f64::MAX, f64::MIN)],
        faint: true,
    }];
    for series in [vec![], one(0.0, 0.0), one(7.0, -3e9), one(1e-12, 1e-12), wide] {
        for log_x in [false, true] {
            let svg = line_plot(&Plot { log_x, series: series.clone(), ..Plot::default() });
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(svg.ends_with("</svg>\n"));
        }
    }
}
