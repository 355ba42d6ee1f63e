//! Similarity of pairs of images against independent implementations: `fixtures/pairs.py` made the expected values.

mod sequence;

use serde_json::Value;
use standin_data::{ImageSet, Shape};
use standin_measure::pairs::{ms_ssim, psnr, ssim};

/// A pattern of 8-bit values and the same with noise.
fn pair([channels, height, width]: [usize; 3], noise: f32, seed: u64) -> (ImageSet, ImageSet) {
    let shape = Shape { channels, height, width };
    let value = |at: usize| {
        let (channel, row, column) = (at / (height * width), at / width % height, at % width);
        ((row * 3 + column * (2 + channel) + row * column / 16) % 200) as u8
    };
    let clean: Vec<u8> = (0..shape.volume()).map(value).collect();
    let noise = sequence::uniform(shape.volume(), seed).into_iter().map(|uniform| (uniform * noise).floor() as u8);
    let noisy = clean.iter().zip(noise).map(|(value, noise)| value + noise).collect();
    (ImageSet::new(shape, clean).unwrap(), ImageSet::new(shape, noisy).unwrap())
}

fn expected(name: &str) -> Vec<f64> {
    let all: Value = serde_json::from_str(include_str!("fixtures/pairs.json")).unwrap();
    all[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

/// Both sides compute in double precision; what differs is the order of sums.
#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-10 * expected.abs(), "{found} for {expected}");
    }
}

#[test]
fn psnr_and_ssim_equal_scikit_image() {
    let (first, second) = (pair([1, 24, 17], 8.0, 1), pair([1, 24, 17], 40.0, 2));
    let grey = (first.0.concat(&second.0).unwrap(), first.1.concat(&second.1).unwrap());
    let colour = pair([3, 13, 19], 20.0, 3);
    let psnr = |pair: &(ImageSet, ImageSet)| psnr(&pair.0, &pair.1).unwrap().per_image;
    assert_near(&[psnr(&grey), psnr(&colour)].concat(), &expected("psnr"));
    let ssim = |pair: &(ImageSet, ImageSet)| ssim(&pair.0, &pair.1).unwrap().per_image;
    assert_near(&[ssim(&grey), ssim(&colour)].concat(), &expected("ssim"));
}

#[test]
fn ms_ssim_equals_scipy() {
    let (clean, noisy) = pair([3, 170, 163], 30.0, 4);
    assert_near(&ms_ssim(&clean, &noisy).unwrap().per_image, &expected("ms_ssim"));
}

#[test]
fn more_noise_is_less_similar() {
    let at = |noise| pair([1, 170, 170], noise, 5);
    let ((clean, little), (_, much)) = (at(10.0), at(50.0));
    for measure in [psnr, ssim, ms_ssim] {
        let value = |noisy| measure(&clean, noisy).unwrap().per_image[0];
        assert!(value(&little) > value(&much));
    }
}
