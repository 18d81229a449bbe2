//! Measures between two pictures of bands.

use super::{ratio_db, same_shape};
use crate::codec::Frame;
use crate::error::{Error, Result};

/// Peak signal-to-noise ratio over all samples of all bands.
///
/// Units: dB of the range of the reference's samples, from the least to the greatest: sensors seldom
/// fill their words. `f64::INFINITY` for equal pictures.
///
/// # Errors
/// `Shape` if the frames are not of bands or differ in size.
pub fn psnr_db(reference: &Frame, other: &Frame) -> Result<f64> {
    check(reference, other)?;
    let (mut sum, mut least, mut greatest) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
    let count = reference.samples.len();
    for i in 0..count {
        let x = f64::from(reference.value(i));
        (least, greatest) = (x.min(least), x.max(greatest));
        sum += (x - f64::from(other.value(i))).powi(2);
    }
    let range: f64 = if count > 0 { greatest - least } else { 0.0 };
    Ok(ratio_db(range * range * count as f64, sum))
}

/// Mean angle between the spectra of a pixel in both pictures; pixels that are zero count as equal.
///
/// Units: degrees.
/// Source: Kruse et al. 1993, the spectral angle mapper.
///
/// # Errors
/// `Shape` if the frames are not of bands or differ in size.
pub fn angle_degrees(reference: &Frame, other: &Frame) -> Result<f64> {
    check(reference, other)?;
    let (bands, pixels) = (reference.channels, reference.positions());
    let mut sum = 0.0;
    for pixel in 0..pixels {
        let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
        for i in pixel * bands..(pixel + 1) * bands {
            // From zero, as the sensor counts.
            let [a, b] = [reference, other].map(|f| f64::from(f.value(i)) + 0.5);
            (aa, bb, ab) = (aa + a * a, bb + b * b, ab + a * b);
        }
        let length = (aa * bb).sqrt();
        if length > 0.0 {
            sum += (ab / length).clamp(-1.0, 1.0).acos();
        }
    }
    Ok((sum / pixels.max(1) as f64).to_degrees())
}

fn check(reference: &Frame, other: &Frame) -> Result<()> {
    if !reference.layout.is_bands() {
        return Err(Error::shape("measure of bands", "a picture of bands", "another"));
    }
    same_shape("measure of bands", reference, other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Samples;

    #[test]
    fn ratios_and_angles_of_two_pixels() -> Result<()> {
        let frame = |v: [u16; 4]| Frame::bands(1, 2, 2, Samples::U16(v.to_vec()));
        let (a, b) = (frame([100, 0, 300, 300])?, frame([100, 100, 300, 300])?);
        // One of four samples is a third of the range off.
        let expected = 10.0 * (4.0f64 * 9.0).log10();
        assert!((psnr_db(&a, &b)? - expected).abs() < 1e-3);
        assert!((angle_degrees(&a, &b)? - 22.5).abs() < 1e-2);
        assert_eq!(psnr_db(&a, &a)?, f64::INFINITY);
        Ok(())
    }
}
