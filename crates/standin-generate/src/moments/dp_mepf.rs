use serde::{Deserialize, Serialize};
use standin_data::ImageSet;

use crate::families::write_options;
use crate::moments::decoder_options::DecoderOptions;
use crate::moments::one_shot::OneShot;
use crate::moments::perceptual::{PerceptualFeatures, Weights};
use crate::options::above_zero;
use crate::{DpMerf, Error, Fit, Generator, Result, Trained};

/// The options of [`DpMepf`]. The defaults were chosen on images of Fashion-MNIST beside its test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpMepfOptions {
    /// Squared norms of the blocks of scattering coefficients of orders 0, 1 and 2 in an image's features, relative to each
    /// other and to `pixels`. Where the last is 0 the second order is not computed, which takes a third of the time.
    pub orders: [f64; 3],
    /// The same of the block of its pixels.
    pub pixels: f64,
    /// The part of second moments in each of these, from 0 to 1.
    pub second: f64,
    /// What tells weak contrast from strong: the constant that is normalised together with the values of a block, as a
    /// multiple of the block's norm for a chessboard. From 0.001 to 1000.
    pub constant: f64,
    /// The generator and its training.
    pub decoder: DecoderOptions,
}

impl Default for DpMepfOptions {
    fn default() -> Self {
        Self { orders: [1.0, 1.0, 0.0], pixels: 4.0, second: 0.2, constant: 0.5, decoder: DecoderOptions::default() }
    }
}

/// DP-MEPF (Harder, Jalali Asadabadi, Sutherland & Park 2023): as [`DpMerf`](crate::DpMerf), with first and second moments of
/// perceptual features. They are those of wavelet scattering, which no images were needed to train, in the place of a
/// pretrained network's.
#[derive(Clone, Debug)]
pub struct DpMepf {
    options: DpMepfOptions,
}

impl DpMepf {
    /// The registered name.
    pub const NAME: &'static str = "dp-mepf";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpMepfOptions) -> Result<Self> {
        let DpMepfOptions { orders, pixels, second, constant, decoder } = &options;
        let refused = |reason: String| Err(Error::Options { family: Self::NAME, reason });
        let parts = [orders[0], orders[1], orders[2], *pixels];
        if let Some(part) = parts.into_iter().find(|part| !(0.0..=1e6).contains(part)) {
            return refused(format!("a part in orders or pixels is {part}; each must be between 0 and 1000000"));
        }
        above_zero(Self::NAME, "the sum of orders and pixels", parts.iter().sum())?;
        if !(0.0..=1.0).contains(second) {
            return refused(format!("second is {second}; it must be between 0 and 1"));
        }
        if !(1e-3..=1e3).contains(constant) {
            return refused(format!("constant is {constant}; it must be between 0.001 and 1000"));
        }
        decoder.check(Self::NAME)?;
        Ok(Self { options })
    }
}

impl Generator for DpMepf {
    fn fit(&self, train: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let DpMepfOptions { orders, pixels, second, constant, decoder } = self.options.clone();
        let shape = train.shape();
        let features =
            PerceptualFeatures::new(shape, Weights { orders, pixels, second, constant }).ok_or_else(|| {
                let found = format!("its images are {shape}, too small for wavelets of these orders");
                let remedy = format!("choose {}, or resize them before", DpMerf::NAME);
                Error::Training { family: Self::NAME, set: train.describe(), found, remedy }
            })?;
        let options = self.options();
        OneShot { family: Self::NAME, features: &features, decoder: &decoder, options }.fit(train, &run)
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Labels, Seed, Shape, Silent};
    use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

    use super::*;
    use crate::Protection;

    #[test]
    fn options_outside_their_range_are_named() {
        let refused = |options: DpMepfOptions| DpMepf::new(options).unwrap_err().to_string();
        let default = DpMepfOptions::default;
        let message = refused(DpMepfOptions { orders: [1.0, -1.0, 0.0], ..default() });
        assert!(message.contains("a part in orders or pixels is -1"), "{message}");
        let message = refused(DpMepfOptions { orders: [0.0; 3], pixels: 0.0, ..default() });
        assert!(message.contains("the sum of orders and pixels is 0"), "{message}");
        let message = refused(DpMepfOptions { second: 1.5, ..default() });
        assert!(message.contains("second is 1.5"), "{message}");
        let message = refused(DpMepfOptions { constant: 0.0, ..default() });
        assert!(message.contains("constant is 0"), "{message}");
        assert!(DpMepf::new(DpMepfOptions { second: 1.0, orders: [0.0; 3], ..default() }).is_ok());
    }

    #[test]
    fn images_too_small_for_wavelets_are_refused_with_the_remedy() {
        let target = PrivacyTarget { epsilon: 1.0, delta: Delta::Auto, allow_large_delta: false };
        let protection = Protection { target, unit: Unit::Image, noise: NoiseOrigin::Reproducible };
        // At 8×8 there is one scale, and so no second order.
        let of_second = DpMepfOptions { orders: [0.0, 0.0, 1.0], pixels: 0.0, ..DpMepfOptions::default() };
        for (side, options) in [(3, DpMepfOptions::default()), (8, of_second)] {
            let labels = Labels { values: vec![0; 100], classes: vec!["grey".to_owned()] };
            let shape = Shape { channels: 1, height: side, width: side };
            let train = ImageSet::new(shape, vec![9; 100 * side * side]).unwrap().with_labels(labels).unwrap();
            let run = Fit::new(Seed::new(1), &Silent).protected(Some(protection.clone()));
            let message = DpMepf::new(options).unwrap().fit(&train, run).unwrap_err().to_string();
            assert!(message.contains("too small") && message.contains("dp-merf"), "{message}");
        }
    }
}
