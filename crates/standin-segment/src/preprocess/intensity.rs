use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the intensities of a volume are normalised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Intensity {
    /// Mean 0 and deviation 1 over the volume: for magnetic resonance, whose unit is arbitrary.
    #[default]
    ZScore,
    /// The same after cutting to the 0.5th and 99.5th percentiles, for volumes with a few far too bright voxels.
    Percentiles,
    /// From a fixed window to [−1, 1], cut there: for computed tomography, whose unit means something.
    Window {
        /// What becomes −1.
        low: f32,
        /// What becomes 1.
        high: f32,
    },
}

impl Intensity {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Window { low, high } if !(low.is_finite() && high.is_finite() && low < high) => Err(Error::setting(
                "preprocessing.intensity",
                format!("a window from {low} to {high}"),
                "the second number must be the greater",
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn normalise(self, voxels: &mut [f32]) {
        match self {
            Self::ZScore => standardise(voxels),
            Self::Percentiles => {
                let mut sorted = voxels.to_vec();
                let mut percentile = |share: f64| {
                    let at = ((sorted.len() - 1) as f64 * share).round() as usize;
                    *sorted.select_nth_unstable_by(at, f32::total_cmp).1
                };
                let (low, high) = (percentile(0.005), percentile(0.995));
                voxels.iter_mut().for_each(|voxel| *voxel = voxel.clamp(low, high));
                standardise(voxels);
            }
            Self::Window { low, high } => {
                let scale = 2.0 / (high - low);
                voxels.iter_mut().for_each(|voxel| *voxel = ((*voxel - low) * scale - 1.0).clamp(-1.0, 1.0));
            }
        }
    }
}

fn standardise(voxels: &mut [f32]) {
    let n = voxels.len().max(1) as f64;
    let mean = voxels.iter().map(|&voxel| f64::from(voxel)).sum::<f64>() / n;
    let variance = voxels.iter().map(|&voxel| (f64::from(voxel) - mean).powi(2)).sum::<f64>() / n;
    let scale = 1.0 / variance.sqrt().max(1e-8);
    voxels.iter_mut().for_each(|voxel| *voxel = ((f64::from(*voxel) - mean) * scale) as f32);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intensities_are_normalised_as_they_say() {
        let mut voxels: Vec<f32> = (0..1000).map(|at| at as f32).collect();
        voxels[999] = 1e6;
        let mut standard = voxels.clone();
        Intensity::ZScore.normalise(&mut standard);
        assert!(standard[998] < 0.1, "one bright voxel makes all others alike");
        Intensity::Percentiles.normalise(&mut voxels);
        let mean = voxels.iter().sum::<f32>() / 1000.0;
        assert!(mean.abs() < 1e-3 && voxels[999] < 2.0);
        let mut window = [-2000.0, 0.0, 50.0, 300.0];
        Intensity::Window { low: -100.0, high: 200.0 }.normalise(&mut window);
        for (found, expected) in window.iter().zip([-1.0, -1.0 / 3.0, 0.0, 1.0]) {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
    }
}
