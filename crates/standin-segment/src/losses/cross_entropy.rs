use super::Maps;

/// Probabilities below this have the logarithm of this: −ln of it is 16.
const LEAST: f32 = 1e-7;

/// The cross-entropy in nats, averaged over voxels: −mean ln p_y.
///
/// Adds `weight` times its gradient with respect to the probabilities, and returns `weight` times the loss.
///
/// # Panics
/// If there is not one class for each voxel, or not one probability and one gradient for each place.
pub fn cross_entropy(maps: Maps, probabilities: &[f32], classes: &[u8], weight: f64, gradient: &mut [f32]) -> f64 {
    assert_eq!(classes.len(), maps.samples * maps.voxels, "one class for each voxel");
    assert!(probabilities.len() == maps.len() && gradient.len() == maps.len(), "one number for each place");
    let scale = weight / classes.len().max(1) as f64;
    let mut total = 0.0;
    for (sample, labels) in classes.chunks(maps.voxels).enumerate() {
        for (voxel, &label) in labels.iter().enumerate() {
            let place = (sample * maps.classes + usize::from(label)) * maps.voxels + voxel;
            let p = probabilities[place].max(LEAST);
            total -= f64::from(p.ln());
            gradient[place] -= scale as f32 / p;
        }
    }
    total * scale
}
