use super::Maps;

/// Keeps the quotient defined where a class is neither predicted nor there.
const SMOOTH: f64 = 1e-5;

/// The Dice loss of each class but background, averaged: 1 − (2 Σ p·y + ε)/(Σ p² + Σ y² + ε), ε = 10⁻⁵, the sums over all
/// voxels of all samples (Milletari, Navab and Ahmadi 2016; sums over the batch as in UA-MT).
///
/// Adds `weight` times its gradient with respect to the probabilities, and returns `weight` times the loss.
///
/// # Panics
/// If there is not one class for each voxel, or not one probability and one gradient for each place.
pub fn dice(maps: Maps, probabilities: &[f32], classes: &[u8], weight: f64, gradient: &mut [f32]) -> f64 {
    assert_eq!(classes.len(), maps.samples * maps.voxels, "one class for each voxel");
    assert!(probabilities.len() == maps.len() && gradient.len() == maps.len(), "one number for each place");
    let foreground = maps.classes - 1;
    let weight = weight / foreground as f64;
    let plane = |sample: usize, class: usize| {
        let start = (sample * maps.classes + class) * maps.voxels;
        start..start + maps.voxels
    };
    let mut total = 0.0;
    for class in 1..maps.classes {
        let (mut both, mut squares, mut reference) = (0.0, 0.0, 0.0);
        for (sample, labels) in classes.chunks(maps.voxels).enumerate() {
            for (&p, &label) in probabilities[plane(sample, class)].iter().zip(labels) {
                let y = if usize::from(label) == class { 1.0 } else { 0.0 };
                both += f64::from(p) * y;
                squares += f64::from(p * p);
                reference += y;
            }
        }
        let (above, below) = (2.0 * both + SMOOTH, squares + reference + SMOOTH);
        total += weight * (1.0 - above / below);
        // ∂/∂p of −above/below = −2y/below + above·2p/below².
        let (of_label, of_value) = ((-2.0 * weight / below) as f32, (2.0 * weight * above / (below * below)) as f32);
        for (sample, labels) in classes.chunks(maps.voxels).enumerate() {
            let place = plane(sample, class);
            for ((into, &p), &label) in gradient[place.clone()].iter_mut().zip(&probabilities[place]).zip(labels) {
                let y = if usize::from(label) == class { of_label } else { 0.0 };
                *into += of_value.mul_add(p, y);
            }
        }
    }
    total
}
