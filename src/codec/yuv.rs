//! Brightness and colour differences, as cameras and video files give them.

/// One pixel from BT.601 brightness and colour differences, in 16-bit fixed point.
///
/// Source: ITU-R BT.601-7, 2.5; full range as in JFIF.
pub(crate) fn rgb(y: u8, blue: u8, red: u8, full_range: bool) -> [u8; 3] {
    let (b, r) = (i32::from(blue) - 128, i32::from(red) - 128);
    let (y, to_red, blue_to_green, red_to_green, to_blue) = if full_range {
        (65536 * i32::from(y), 91881, 22554, 46802, 116_130)
    } else {
        (76309 * (i32::from(y) - 16), 104_597, 25675, 53279, 132_201)
    };
    let round = |v: i32| ((v + 32768) >> 16).clamp(0, 255) as u8;
    [round(y + to_red * r), round(y - blue_to_green * b - red_to_green * r), round(y + to_blue * b)]
}

/// Bytes of an NV12 picture.
pub(crate) fn nv12_len([height, width]: [usize; 2]) -> Option<usize> {
    let chroma = height.div_ceil(2).checked_mul(width.div_ceil(2))?.checked_mul(2)?;
    height.checked_mul(width)?.checked_add(chroma)
}

/// Bytes of a YUYV picture.
pub(crate) fn yuyv_len([height, width]: [usize; 2]) -> Option<usize> {
    width.div_ceil(2).checked_mul(4)?.checked_mul(height)
}

/// Brightness and both colour differences, blue first, of a pixel of an NV12 picture.
pub(crate) fn nv12(bytes: &[u8], [height, width]: [usize; 2], y: usize, x: usize) -> [u8; 3] {
    let chroma = height * width + y / 2 * 2 * width.div_ceil(2) + x / 2 * 2;
    [bytes[y * width + x], bytes[chroma], bytes[chroma + 1]]
}

/// The same of a YUYV picture.
pub(crate) fn yuyv(bytes: &[u8], [_, width]: [usize; 2], y: usize, x: usize) -> [u8; 3] {
    let pair = y * 4 * width.div_ceil(2) + x / 2 * 4;
    [bytes[pair + 2 * (x % 2)], bytes[pair + 1], bytes[pair + 3]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primaries_of_bt601() {
        assert_eq!(rgb(16, 128, 128, false), [0, 0, 0]);
        assert_eq!(rgb(235, 128, 128, false), [255, 255, 255]);
        assert_eq!(rgb(82, 90, 240, false), [255, 1, 0]);
        assert_eq!(rgb(0, 128, 128, true), [0, 0, 0]);
        assert_eq!(rgb(255, 128, 128, true), [255, 255, 255]);
    }

    #[test]
    fn odd_sides_have_colour_to_their_edge() {
        assert_eq!(nv12_len([3, 5]), Some(15 + 12));
        assert_eq!(yuyv_len([3, 5]), Some(36));
        let bytes: Vec<u8> = (0..36).collect();
        assert_eq!(nv12(&bytes, [3, 5], 2, 4), [14, 25, 26]);
        assert_eq!(yuyv(&bytes, [3, 5], 1, 3), [18, 17, 19]);
    }
}
