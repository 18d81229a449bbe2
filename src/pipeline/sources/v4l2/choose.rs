//! Which of a camera's modes is nearest to what is wished.

use super::super::pixels::Pixels;
use super::video::{Fourcc, Mode, Shape, Wish};
use crate::error::{Error, Result};

/// Rates that differ by less than this part are the same.
const SAME: f64 = 0.01;

/// The mode of the nearest size, of those the one of the nearest rate, of those the first that needs no decoding.
///
/// Brightness alone is never chosen unasked: colour would be lost without a word.
///
/// # Errors
/// `Device` if the format that is wished, or any that can be read, is not there.
pub(super) fn choose<'a>(name: &str, modes: &'a [Mode], wish: &Wish) -> Result<&'a Mode> {
    let fits = |mode: &&Mode| match (mode.fourcc.pixels(), wish.pixels) {
        (Some(pixels), Some(wished)) => pixels == wished,
        (Some(pixels), None) => pixels != Pixels::Grey,
        (None, _) => false,
    };
    let key = |mode: &Mode| (distance(mode.size, wish), off(&mode.rates, wish.fps));
    let nearest = modes.iter().filter(fits).min_by(|a, b| {
        let ((size, rate), (size_b, rate_b)) = (key(a), key(b));
        let order = size.cmp(&size_b).then(rate.total_cmp(&rate_b));
        order.then(a.fourcc.pixels().cmp(&b.fourcc.pixels()))
    });
    nearest.ok_or_else(|| {
        let mut offered: Vec<Fourcc> = modes.iter().map(|m| m.fourcc).collect();
        offered.dedup();
        let offered: Vec<&str> =
            offered.iter().filter_map(|f| f.pixels()).map(Pixels::name).collect();
        let reason = match (wish.pixels, &offered[..]) {
            (_, []) => {
                "offers no format that can be read (yuyv, nv12, rgb24, mjpeg, grey)".to_owned()
            }
            (Some(wished), all) => format!(
                "does not offer {}; set source.format to one of: {}",
                wished.name(),
                all.join(", ")
            ),
            (None, _) => "offers brightness alone; set source.format = \"grey\"".to_owned(),
        };
        Error::Device { device: name.into(), reason }
    })
}

/// What is not as it was wished, one sentence each.
pub(super) fn differences(shape: &Shape, wish: &Wish) -> Vec<String> {
    let mut all = Vec::new();
    let ([width, height], fps) = (shape.size, wish.fps);
    if [width, height] != [wish.width, wish.height] {
        all.push(format!(
            "the camera has no {}x{} at {fps} pictures a second: {width}x{height} is nearest",
            wish.width, wish.height
        ));
    }
    let rate = 1.0 / shape.interval.as_secs_f64();
    if rate.is_finite() && off(&[rate], fps) > 0.0 {
        let format = shape.pixels.name();
        all.push(format!(
            "the camera gives {rate:.3} pictures a second of {format} at {width}x{height}, not {fps}"
        ));
    }
    all
}

fn distance([width, height]: [u32; 2], wish: &Wish) -> u64 {
    u64::from(width.abs_diff(wish.width)) + u64::from(height.abs_diff(wish.height))
}

/// How far the nearest rate is from the one wished; rates that are not known are taken for right.
fn off(rates: &[f64], wished: f64) -> f64 {
    let off = rates.iter().map(|r| (r - wished).abs()).min_by(f64::total_cmp).unwrap_or(0.0);
    if off <= SAME * wished { 0.0 } else { off }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(letters: &[u8; 4], size: [u32; 2], rates: &[f64]) -> Mode {
        Mode { fourcc: Fourcc::new(*letters), size, rates: rates.to_vec() }
    }

    fn wish(width: u32, height: u32, fps: f64, pixels: Option<Pixels>) -> Wish {
        Wish { width, height, fps, pixels }
    }

    /// What a usual USB camera offers.
    fn webcam() -> Vec<Mode> {
        vec![
            mode(b"MJPG", [1280, 720], &[30.0, 15.0]),
            mode(b"MJPG", [640, 480], &[30.0, 15.0]),
            mode(b"YUYV", [1280, 720], &[10.0, 5.0]),
            mode(b"YUYV", [640, 480], &[30.0, 15.0]),
            mode(b"GREY", [640, 480], &[60.0]),
            mode(b"Z16 ", [640, 480], &[30.0]),
        ]
    }

    fn chosen(modes: &[Mode], wish: &Wish) -> (String, [u32; 2]) {
        let mode = choose("cam", modes, wish).expect("a mode");
        (mode.fourcc.to_string(), mode.size)
    }

    #[test]
    fn plain_pixels_where_they_come_as_often_else_jpeg() {
        let modes = webcam();
        let at = |w, h, fps| chosen(&modes, &wish(w, h, fps, None));
        assert_eq!(at(640, 480, 30.0), ("YUYV".into(), [640, 480]));
        assert_eq!(at(1280, 720, 30.0), ("MJPG".into(), [1280, 720]));
        assert_eq!(at(1280, 720, 10.0), ("YUYV".into(), [1280, 720]));
        // A hair beside the rate is the rate.
        assert_eq!(at(640, 480, 29.97), ("YUYV".into(), [640, 480]));
        assert_eq!(at(1920, 1080, 30.0), ("MJPG".into(), [1280, 720]));
        assert_eq!(at(320, 240, 30.0), ("YUYV".into(), [640, 480]));
        let silent = [mode(b"MJPG", [640, 480], &[]), mode(b"NV12", [640, 480], &[])];
        assert_eq!(chosen(&silent, &wish(640, 480, 30.0, None)), ("NV12".into(), [640, 480]));
    }

    #[test]
    fn a_format_that_is_named_is_taken_or_refused_with_the_fix() {
        let modes = webcam();
        let grey = wish(1280, 720, 30.0, Some(Pixels::Grey));
        assert_eq!(chosen(&modes, &grey), ("GREY".into(), [640, 480]));
        let refused = |modes: &[Mode], pixels| {
            choose("cam", modes, &wish(640, 480, 30.0, pixels)).expect_err("refused").to_string()
        };
        let why = refused(&modes, Some(Pixels::Nv12));
        assert!(why.contains("does not offer nv12") && why.contains("mjpeg, yuyv"), "{why}");
        let why = refused(&modes[4..], None);
        assert!(why.contains("source.format = \"grey\""), "{why}");
        assert!(refused(&modes[5..], None).contains("no format that can be read"));
        assert!(refused(&[], None).contains("no format that can be read"));
    }
}
