use std::io::Cursor;

use image::ImageFormat;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;

/// What a file holds besides its first picture, if it holds more than one: decoders return the first and say nothing.
///
/// Pages of a TIFF that are smaller versions of another (bit 0 of NewSubfileType, TIFF 6.0 section 8) do not count.
/// A damaged file counts as a single picture here; decoding it says what is wrong.
pub(super) fn more_than_one(bytes: &[u8], format: ImageFormat) -> Option<String> {
    match format {
        ImageFormat::Tiff => match pages(bytes)? {
            0 | 1 => None,
            pages => Some(format!("a TIFF of {pages} pages")),
        },
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(bytes))
            .is_ok_and(|decoder| decoder.has_animation())
            .then(|| "an animated WebP".to_owned()),
        ImageFormat::Png => PngDecoder::new(Cursor::new(bytes))
            .is_ok_and(|decoder| decoder.is_apng().unwrap_or(false))
            .then(|| "an animated PNG".to_owned()),
        _ => None,
    }
}

/// Full-size pages of a TIFF, by its chain of directories (TIFF 6.0 section 2; BigTIFF has wider offsets and counts).
fn pages(bytes: &[u8]) -> Option<usize> {
    const NEW_SUBFILE_TYPE: u64 = 254;
    const REDUCED: u64 = 1;
    /// More directories than this are a chain that leads in a circle.
    const MOST: usize = 1 << 16;

    let little_endian = match bytes.get(..2)? {
        b"II" => true,
        b"MM" => false,
        _ => return None,
    };
    let number = |at: usize, width: usize| -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(width)?)?;
        let shift = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Some(if little_endian { digits.iter().rev().fold(0, shift) } else { digits.iter().fold(0, shift) })
    };
    let big = number(2, 2)? == 43;
    let (offset, count, entry) = if big { (8, 8, 20) } else { (4, 2, 12) };
    let mut next = number(if big { 8 } else { 4 }, offset)?;
    let mut pages = 0;
    for _ in 0..MOST {
        if next == 0 {
            return Some(pages);
        }
        let directory = usize::try_from(next).ok()?;
        let entries = usize::try_from(number(directory, count)?).ok()?;
        let first = directory + count;
        let end = first.checked_add(entries.checked_mul(entry)?)?;
        // A tag's value follows its number (2 bytes), type (2) and count (as wide as offsets); subfile types fit in it.
        let reduced = (0..entries).map(|index| first + index * entry).any(|at| {
            number(at, 2) == Some(NEW_SUBFILE_TYPE)
                && number(at + 4 + offset, 4).is_some_and(|kind| kind & REDUCED != 0)
        });
        pages += usize::from(!reduced);
        next = number(end, offset)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directories with one tag each, NewSubfileType, one after the other.
    fn tiff(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = b"II\x2A\0\x08\0\0\0".to_vec();
        for (page, kind) in kinds.iter().enumerate() {
            bytes.extend([1, 0, 254, 0, 4, 0, 1, 0, 0, 0]);
            bytes.extend(kind.to_le_bytes());
            let next = if page + 1 < kinds.len() { 8 + 18 * (page as u32 + 1) } else { 0 };
            bytes.extend(next.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn pages_are_counted_and_thumbnails_are_not() {
        assert_eq!(pages(&tiff(&[0])), Some(1));
        assert_eq!(pages(&tiff(&[0, 1])), Some(1));
        assert_eq!(pages(&tiff(&[2, 2, 2])), Some(3));
        assert!(more_than_one(&tiff(&[2, 2]), ImageFormat::Tiff).unwrap().contains("2 pages"));
    }

    #[test]
    fn a_chain_in_a_circle_ends() {
        let mut circle = tiff(&[0]);
        let end = circle.len();
        circle[end - 4..].copy_from_slice(&8_u32.to_le_bytes());
        assert_eq!(pages(&circle), None);
        assert_eq!(pages(&circle[..20]), None);
    }
}
