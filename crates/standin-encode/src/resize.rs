use std::fmt;

use serde::{Deserialize, Serialize};
use standin_data::Size;

/// How an image is brought to the size a network takes. All work on floating-point values and round nothing.
///
/// The rule is part of the protocol: without antialiasing FID moves by 6 where its careful forms differ by less than 1
/// (Parmar, Zhang and Zhu, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Keys' cubic with a = −½, widened when shrinking, as Pillow's `BICUBIC` on mode "F"; values clamped to 0–255. What
    /// clean-fid does.
    Bicubic,
    /// The triangle, widened when shrinking, as Pillow's `BILINEAR` on mode "F".
    Bilinear,
    /// Bilinear between the four pixels around x·(in / out), corners aligned at the upper left and never widened: aliased
    /// and shifted, as TensorFlow 1 did. What the original FID network and torch-fidelity do.
    #[serde(rename = "tensorflow1-bilinear")]
    TensorFlow1Bilinear,
    /// The pixel under the centre, as Pillow's `NEAREST`.
    Nearest,
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bicubic => "antialiased bicubic clamped to 0–255",
            Self::Bilinear => "antialiased bilinear",
            Self::TensorFlow1Bilinear => "bilinear without antialiasing as in TensorFlow 1",
            Self::Nearest => "nearest",
        })
    }
}

/// A rule worked out for two sizes: the weights of the source rows and columns of each target row and column.
pub(crate) struct Resizer {
    rule: Resize,
    from: Size,
    to: Size,
    rows: Vec<Taps>,
    columns: Vec<Taps>,
}

/// The neighbouring source pixels that one target pixel is made of.
struct Taps {
    first: usize,
    weights: Vec<f64>,
}

impl Resizer {
    pub(crate) fn new(rule: Resize, from: Size, to: Size) -> Self {
        let taps = |from, to| (0..to).map(|at| rule.taps(at, from, to)).collect();
        Self { rule, from, to, rows: taps(from.height, to.height), columns: taps(from.width, to.width) }
    }

    /// One plane of `from.height × from.width` values from 0 to 255, resized; row-major. O(target columns × source rows +
    /// target pixels), times the width of the filter.
    pub(crate) fn apply(&self, plane: &[f32]) -> Vec<f32> {
        if self.from == self.to {
            return plane.to_vec();
        }
        let width = self.to.width;
        let narrow: Vec<f32> =
            plane.chunks_exact(self.from.width).flat_map(|row| self.columns.iter().map(|taps| taps.of(row))).collect();
        let mut target = Vec::with_capacity(self.to.height * width);
        let mut sums = vec![0.0; width];
        for taps in &self.rows {
            sums.fill(0.0);
            for (row, weight) in narrow.chunks_exact(width).skip(taps.first).zip(&taps.weights) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value) * weight);
            }
            target.extend(sums.iter().map(|&sum| sum as f32));
        }
        if self.rule == Resize::Bicubic {
            target.iter_mut().for_each(|value| *value = value.clamp(0.0, 255.0));
        }
        target
    }
}

impl Taps {
    fn of(&self, row: &[f32]) -> f32 {
        let pixels = &row[self.first..self.first + self.weights.len()];
        pixels.iter().zip(&self.weights).map(|(&pixel, weight)| f64::from(pixel) * weight).sum::<f64>() as f32
    }
}

impl Resize {
    /// The taps of target pixel `at` along one axis.
    fn taps(self, at: usize, from: usize, to: usize) -> Taps {
        let scale = from as f64 / to as f64;
        match self {
            Self::Bicubic => filtered(at, from, scale, 2.0, cubic),
            Self::Bilinear => filtered(at, from, scale, 1.0, |x| (1.0 - x.abs()).max(0.0)),
            Self::TensorFlow1Bilinear => {
                // In single precision, as the operation computed it.
                let place = at as f32 * scale as f32;
                let first = (place as usize).min(from - 1);
                let share = f64::from(place - first as f32);
                let weights = if first + 1 < from { vec![1.0 - share, share] } else { vec![1.0] };
                Taps { first, weights }
            }
            Self::Nearest => Taps { first: (((at as f64 + 0.5) * scale) as usize).min(from - 1), weights: vec![1.0] },
        }
    }
}

/// The normalised taps of a filter of half-width `support`, stretched by the scale when shrinking.
fn filtered(at: usize, from: usize, scale: f64, support: f64, filter: fn(f64) -> f64) -> Taps {
    let stretch = scale.max(1.0);
    let centre = (at as f64 + 0.5) * scale;
    let first = (centre - support * stretch + 0.5).max(0.0) as usize;
    let end = ((centre + support * stretch + 0.5) as usize).min(from);
    let weights: Vec<f64> = (first..end).map(|pixel| filter((pixel as f64 - centre + 0.5) / stretch)).collect();
    let sum: f64 = weights.iter().sum();
    Taps { first, weights: weights.into_iter().map(|weight| weight / sum).collect() }
}

/// Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, with a = −½.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match x {
        ..1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        ..2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [Resize; 4] = [Resize::Bicubic, Resize::Bilinear, Resize::TensorFlow1Bilinear, Resize::Nearest];

    fn resize(rule: Resize, plane: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
        let size = |(height, width)| Size { height, width };
        Resizer::new(rule, size(from), size(to)).apply(plane)
    }

    /// A little-endian f32 file of the fixtures: for each rule in the order above, a 9×11 plane made 20×7.
    #[test]
    fn every_rule_agrees_with_its_reference() {
        let bytes = include_bytes!("../tests/fixtures/resize_9x11_to_20x7.f32");
        let reference: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let plane: Vec<f32> = (0..99)
            .map(|at| (at / 11, at % 11))
            .map(|(row, column)| ((row * 37 + column * 91 + row * column * 5) % 256) as f32)
            .collect();
        for (rule, reference) in RULES.into_iter().zip(reference.chunks_exact(140)) {
            let resized = resize(rule, &plane, (9, 11), (20, 7));
            let worst = resized.iter().zip(reference).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst <= 4e-5, "{rule}: {worst}");
        }
    }

    #[test]
    fn a_constant_plane_stays_constant() {
        for rule in RULES {
            for to in [(3, 9), (31, 2), (5, 7)] {
                let resized = resize(rule, &[93.0; 35], (5, 7), to);
                assert!(resized.iter().all(|value| (value - 93.0).abs() < 1e-4), "{rule}");
            }
        }
    }

    #[test]
    fn antialiased_rules_average_stripes_and_legacy_rules_pick_them() {
        let stripes: Vec<f32> = (0..64).map(|at| if at % 2 == 0 { 0.0 } else { 255.0 }).collect();
        for rule in RULES {
            let small = resize(rule, &stripes, (8, 8), (2, 2));
            let averages = small.iter().all(|value| (80.0..=175.0).contains(value));
            assert_eq!(averages, matches!(rule, Resize::Bicubic | Resize::Bilinear), "{rule}: {small:?}");
        }
    }

    #[test]
    fn bicubic_never_leaves_the_range_of_pixels() {
        let edge: Vec<f32> = (0..64).map(|at| if at % 8 < 4 { 0.0 } else { 255.0 }).collect();
        let large = resize(Resize::Bicubic, &edge, (8, 8), (40, 40));
        assert!(large.iter().all(|value| (0.0..=255.0).contains(value)));
        assert!(large.contains(&0.0) && large.contains(&255.0));
    }
}
