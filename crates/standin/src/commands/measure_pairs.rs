//! Measures of pairs of images, for `standin measure --pairs`.

use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use standin_data::{ImageSet, Progress};
use standin_encode::Lpips;
use standin_measure::Outcome;
use standin_measure::pairs::{ms_ssim, psnr, ssim};

use crate::failure::Failure;
use crate::output::{Align, table};

/// A measure of pairs of images.
#[derive(Clone, Debug)]
pub enum PairMeasure {
    Psnr,
    Ssim,
    MsSsim,
    /// With the file of the network.
    Lpips(PathBuf),
}

impl FromStr for PairMeasure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.strip_prefix("lpips:")) {
            ("psnr", _) => Ok(Self::Psnr),
            ("ssim", _) => Ok(Self::Ssim),
            ("ms-ssim", _) => Ok(Self::MsSsim),
            (_, Some(file)) if !file.is_empty() => Ok(Self::Lpips(file.into())),
            _ => Err("known are psnr, ssim, ms-ssim and lpips:FILE.onnx, with the path of the network".to_owned()),
        }
    }
}

/// What a measure of pairs found.
#[derive(Debug, Serialize)]
pub struct Paired {
    measure: String,
    better: &'static str,
    mean: Outcome,
    per_image: Vec<f64>,
}

impl PairMeasure {
    /// Measures synthetic image i against real image i.
    pub fn of(&self, real: &ImageSet, synthetic: &ImageSet, progress: &dyn Progress) -> Result<Paired, Failure> {
        let paired = |name: &str, pairs: standin_measure::pairs::Pairs| Paired {
            measure: name.to_owned(),
            better: "higher",
            mean: pairs.mean,
            per_image: pairs.per_image,
        };
        Ok(match self {
            Self::Psnr => paired("psnr", psnr(real, synthetic)?),
            Self::Ssim => paired("ssim", ssim(real, synthetic)?),
            Self::MsSsim => paired("ms-ssim", ms_ssim(real, synthetic)?),
            Self::Lpips(file) => {
                let network = Lpips::open(file)?;
                let distances = network.distances(real, synthetic, progress)?;
                let per_image: Vec<f64> = distances.into_iter().map(f64::from).collect();
                let mean = match per_image.len() {
                    0 | 1 => Outcome::NotMeasurable(format!("{} pairs of images have no interval", per_image.len())),
                    _ => Outcome::Measured(standin_measure::mean(&per_image)),
                };
                Paired { measure: network.stamp().to_string(), better: "lower", mean, per_image }
            }
        })
    }
}

/// One line per measure.
pub fn pairs_table(pairs: &[Paired]) -> String {
    let header = [
        ("mean over pairs", Align::Left),
        ("value", Align::Right),
        ("95 % interval", Align::Left),
        ("better", Align::Left),
    ];
    let rows = pairs.iter().map(|pair| {
        let (value, interval) = match &pair.mean {
            Outcome::Measured(e) => (format!("{:.6}", e.value), format!("[{:.6}, {:.6}]", e.low, e.high)),
            Outcome::NotMeasurable(reason) => ("–".to_owned(), format!("not measurable: {reason}")),
        };
        vec![pair.measure.clone(), value, interval, pair.better.to_owned()]
    });
    table(&header, rows)
}
