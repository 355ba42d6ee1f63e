use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;

use crate::{ImageSet, Labels, Provenance, Shape};

/// 1797 images of 8 × 8 values and the digit, gzipped; made by `data/digits.py`.
static PACKED: &[u8] = include_bytes!("../data/digits.bin.gz");

/// Values of the original run from 0 to 16.
const LARGEST: u16 = 16;

/// The built-in set: 1797 handwritten digits of 8 × 8 pixels from 13 writers, grey, labelled "0" to "9".
///
/// The original counts black pixels in 4 × 4 blocks, 0 to 16; here 0 to 255, `v · 255 / 16` rounded half up. White on
/// black. The writers are not recorded, so no split can keep them apart: two images of one hand may lie on both sides.
///
/// Source: Alpaydin & Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, 1998,
/// CC BY 4.0; the test part, as scikit-learn distributes it.
pub fn digits() -> ImageSet {
    static SET: OnceLock<ImageSet> = OnceLock::new();
    SET.get_or_init(unpack).clone()
}

fn unpack() -> ImageSet {
    let shape = Shape { channels: 1, height: 8, width: 8 };
    let mut records = Vec::new();
    GzDecoder::new(PACKED).read_to_end(&mut records).expect("the compiled-in archive is whole");
    let record = shape.volume() + 1;
    let mut pixels = Vec::with_capacity(records.len());
    let mut values = Vec::with_capacity(records.len() / record);
    for image in records.chunks_exact(record) {
        let (image, digit) = image.split_at(shape.volume());
        pixels.extend(image.iter().map(|&value| ((u16::from(value) * 255 + LARGEST / 2) / LARGEST) as u8));
        values.push(u32::from(digit[0]));
    }
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let provenance = Provenance {
        source: "built-in digits".to_owned(),
        format: "built-in".to_owned(),
        licence: Some(
            "CC BY 4.0: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning \
             Repository, 1998, https://doi.org/10.24432/C50P49"
                .to_owned(),
        ),
        ..Provenance::default()
    };
    ImageSet::new(shape, pixels)
        .and_then(|set| set.with_labels(Labels { values, classes }))
        .expect("the compiled-in archive holds whole records with labels 0 to 9")
        .with_provenance(provenance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_agree_with_scikit_learn() {
        let set = digits();
        assert_eq!(set.len(), 1797);
        let labels = set.labels().unwrap();
        assert_eq!(labels.values[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
        // numpy.bincount(load_digits().target)
        assert_eq!(labels.counts(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        // load_digits().data.sum(), recovered from the scaled values.
        let sum: u64 = set.pixels().iter().map(|&value| (u64::from(value) * 16 + 127) / 255).sum();
        assert_eq!(sum, 561_718);
        // load_digits().images[0][0] is 0, 0, 5, 13, 9, 1, 0, 0.
        assert_eq!(set.image(0)[..8], [0, 0, 80, 207, 143, 16, 0, 0]);
    }

    #[test]
    fn digits_use_the_full_range() {
        let set = digits();
        assert_eq!(set.pixels().iter().max(), Some(&255));
        assert_eq!(set.pixels().iter().min(), Some(&0));
    }
}
