use standin_encode::{Embedding, nearest};

use crate::{Attack, Error, Result, Target};

/// GAN-Leaks in the full black-box setting (Chen, Yu, Zhang & Fritz 2020, arXiv 1909.03935): a member is nearer to the
/// generated images.
///
/// The score is −min_s ‖x − s‖² over the released images s, the reconstruction error by the nearest release. Calibrated,
/// it is min_r ‖x − r‖² − min_s ‖x − s‖² with real reference images r: images that are easy to come near are near to
/// everything, and that part is taken off (the paper calibrates by a reference generator in the part of the reference
/// images).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GanLeaks {
    /// Subtract the same distance to reference images.
    pub calibrated: bool,
}

impl Attack for GanLeaks {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.images()?;
        let squared = |base: &Embedding| -> Result<Vec<f64>> {
            let distances = nearest(target.candidates(), base, 1, false)?.at_rank(1);
            Ok(distances.into_iter().map(|distance| distance * distance).collect())
        };
        let reference = match (self.calibrated, target.reference()) {
            (false, _) => vec![0.0; target.candidates().rows()],
            (true, Some(reference)) => squared(reference)?,
            (true, None) => return Err(Error::NoReference { attack: "gan-leaks-calibrated" }),
        };
        let synthetic = squared(target.synthetic())?;
        Ok(reference.iter().zip(&synthetic).map(|(reference, synthetic)| reference - synthetic).collect())
    }
}
