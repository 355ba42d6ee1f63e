use super::Maps;
use super::consistency::check;

/// Added to probabilities before the logarithm, as UA-MT does.
const LEAST: f32 = 1e-6;

/// −Σ_c p_c·ln(p_c + 10⁻⁶) of each voxel, in nats: how uncertain mean probabilities over noisy passes are (UA-MT).
///
/// # Panics
/// If there is not one probability for each place.
pub fn entropy(maps: Maps, probabilities: &[f32]) -> Vec<f32> {
    check(maps, [probabilities.len(); 2]);
    let mut entropy = vec![0.0; maps.samples * maps.voxels];
    let samples = entropy.chunks_mut(maps.voxels).zip(probabilities.chunks(maps.sample()));
    for (entropy, sample) in samples {
        for class in sample.chunks(maps.voxels) {
            for (entropy, &p) in entropy.iter_mut().zip(class) {
                *entropy -= p * (p + LEAST).ln();
            }
        }
    }
    entropy
}

/// The squared difference of a student from a teacher over the voxels whose uncertainty is below a threshold: Σ m·(p − t)² /
/// (2 Σ m + 10⁻¹⁶), the first sum over classes too (UA-MT).
///
/// Adds `weight` times its gradient with respect to p, and returns `weight` times the loss.
///
/// # Panics
/// If there is not one probability, target and gradient for each place and one uncertainty for each voxel.
pub fn certain_difference(
    maps: Maps,
    (p, targets): (&[f32], &[f32]),
    (uncertainty, threshold): (&[f32], f64),
    weight: f64,
    gradient: &mut [f32],
) -> f64 {
    check(maps, [p.len(), targets.len()]);
    check(maps, [gradient.len(); 2]);
    assert_eq!(uncertainty.len(), maps.samples * maps.voxels, "one uncertainty for each voxel");
    let threshold = threshold as f32;
    let certain = uncertainty.iter().filter(|&&uncertainty| uncertainty < threshold).count();
    let scale = weight / (2.0 * certain as f64 + 1e-16);
    let slope = 2.0 * scale as f32;
    let mut total = 0.0;
    if certain == 0 {
        return 0.0;
    }
    for sample in 0..maps.samples {
        let uncertainty = &uncertainty[sample * maps.voxels..(sample + 1) * maps.voxels];
        for class in 0..maps.classes {
            let start = (sample * maps.classes + class) * maps.voxels;
            for (voxel, _) in uncertainty.iter().enumerate().filter(|(_, uncertainty)| **uncertainty < threshold) {
                let difference = p[start + voxel] - targets[start + voxel];
                total += f64::from(difference * difference);
                gradient[start + voxel] += slope * difference;
            }
        }
    }
    total * scale
}
