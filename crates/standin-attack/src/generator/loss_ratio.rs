use super::denoising::all_losses;
use crate::classifier::lira::Lira;
use crate::{Attack, Result, Target};

/// LiRA with the losses of diffusion models in the place of a classifier's confidences (Carlini et al. 2023, "Extracting
/// training data from diffusion models"): what is compared is minus the logarithm of the loss at t = 100, with the same noises
/// for the target and all shadows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LossRatio {
    /// Which shadows take part, and how deviations are estimated.
    pub ratio: Lira,
}

impl Attack for LossRatio {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.generator()?;
        let signals = |network: &dyn standin_generate::Denoise| -> Result<Vec<f64>> {
            Ok(all_losses(network, target)?.into_iter().map(|loss| -loss.ln()).collect())
        };
        let of_target = signals(target.denoiser()?.as_ref())?;
        let mut of_shadows = Vec::new();
        for shadow in target.shadows() {
            let network = shadow.generator.denoiser().ok_or_else(|| target.lacks(crate::Need::Denoiser))?;
            of_shadows.push((signals(network.as_ref())?, shadow.member));
        }
        self.ratio.of(&of_target, &of_shadows)
    }
}
