use super::Maps;

/// Σ_{i≠j} MSE(p_i, s_j): every decoder's probabilities against the sharpened ones of every other (MC-Net+). The
/// sharpened ones are targets, through which no gradient flows; means are over samples, classes and voxels.
///
/// Adds `weight` times its gradient with respect to each p_i, and returns `weight` times the sum.
///
/// # Panics
/// If there are not as many of each, all of one length.
pub fn mutual_consistency(
    probabilities: &[&[f32]],
    sharpened: &[Vec<f32>],
    weight: f64,
    gradients: &mut [&mut [f32]],
) -> f64 {
    assert!(probabilities.len() == sharpened.len() && gradients.len() == sharpened.len(), "one of each per decoder");
    let mut total = 0.0;
    for (i, (p, gradient)) in probabilities.iter().zip(gradients).enumerate() {
        for (j, target) in sharpened.iter().enumerate() {
            if i != j {
                total += squared_difference(p, target, weight, gradient);
            }
        }
    }
    total
}

/// mean (p − t)²: the consistency of a student with targets (Tarvainen and Valpola 2017).
///
/// Adds `weight` times its gradient with respect to p, and returns `weight` times the mean.
///
/// # Panics
/// If the three differ in length.
pub fn squared_difference(p: &[f32], targets: &[f32], weight: f64, gradient: &mut [f32]) -> f64 {
    assert!(p.len() == targets.len() && p.len() == gradient.len(), "as many probabilities as targets");
    let scale = weight / p.len().max(1) as f64;
    let slope = 2.0 * scale as f32;
    let mut total = 0.0;
    // Short runs in f32 are summed in f64.
    for ((p, targets), gradient) in p.chunks(256).zip(targets.chunks(256)).zip(gradient.chunks_mut(256)) {
        let mut run = 0.0f32;
        for ((p, target), gradient) in p.iter().zip(targets).zip(gradient) {
            let difference = p - target;
            run = difference.mul_add(difference, run);
            *gradient = slope.mul_add(difference, *gradient);
        }
        total += f64::from(run);
    }
    total * scale
}

/// The layout of what a term compares, for terms that look at the classes of a voxel together.
pub(super) fn check(maps: Maps, lengths: [usize; 2]) {
    assert!(lengths.iter().all(|&length| length == maps.len()), "one number for each sample, class and voxel");
}
