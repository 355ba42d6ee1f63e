/// Pairs of steps and gradient changes that stand for the curvature.
const MEMORY: usize = 10;

/// Share of the expected decrease that a step must reach (Armijo).
const SUFFICIENT: f64 = 1e-4;

/// Where a minimisation ended.
pub(crate) struct Minimum {
    pub(crate) point: Vec<f64>,
    pub(crate) iterations: usize,
    pub(crate) converged: bool,
}

/// Minimises a convex function by L-BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5) with backtracking, from `point`
/// until the largest entry of the gradient is at most `tolerance`.
///
/// `function` returns value and gradient. On a convex function the curvature condition holds along every step that
/// decreases enough, so no Wolfe search is needed; a pair that rounding has spoilt is left out.
pub(crate) fn minimise(
    mut function: impl FnMut(&[f64]) -> (f64, Vec<f64>),
    mut point: Vec<f64>,
    tolerance: f64,
    iterations: usize,
    mut each: impl FnMut(f64),
) -> Minimum {
    let (mut value, mut gradient) = function(&point);
    let mut pairs: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for iteration in 0..iterations {
        if gradient.iter().all(|entry| entry.abs() <= tolerance) {
            return Minimum { point, iterations: iteration, converged: true };
        }
        let direction = two_loop(&pairs, &gradient);
        let slope = dot(&direction, &gradient);
        // The first direction has no scale of its own.
        let mut length = if pairs.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let (new, new_value, new_gradient) = loop {
            let new: Vec<f64> = point.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let (new_value, new_gradient) = function(&new);
            if new_value <= value + SUFFICIENT * length * slope {
                break (new, new_value, new_gradient);
            }
            length /= 2.0;
            if length < 1e-12 {
                // The function is flat to rounding along a descent direction: this is the minimum there is.
                return Minimum { point, iterations: iteration, converged: true };
            }
        };
        let difference = |new: &[f64], old: &[f64]| new.iter().zip(old).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (step, change) = (difference(&new, &point), difference(&new_gradient, &gradient));
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.remove(0);
            }
            pairs.push((step, change, curvature));
        }
        (point, value, gradient) = (new, new_value, new_gradient);
        each(value);
    }
    let converged = gradient.iter().all(|entry| entry.abs() <= tolerance);
    Minimum { point, iterations, converged }
}

/// Minus the inverse curvature times the gradient.
fn two_loop(pairs: &[(Vec<f64>, Vec<f64>, f64)], gradient: &[f64]) -> Vec<f64> {
    let add = |to: &mut [f64], scale: f64, from: &[f64]| to.iter_mut().zip(from).for_each(|(a, b)| *a += scale * b);
    let mut direction: Vec<f64> = gradient.iter().map(|entry| -entry).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for (step, change, curvature) in pairs.iter().rev() {
        let weight = dot(step, &direction) / curvature;
        add(&mut direction, -weight, change);
        weights.push(weight);
    }
    if let Some((_, change, curvature)) = pairs.last() {
        let scale = curvature / dot(change, change);
        direction.iter_mut().for_each(|entry| *entry *= scale);
    }
    for ((step, change, curvature), weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let correction = weight - dot(change, &direction) / curvature;
        add(&mut direction, correction, step);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quadratic_of_condition_one_million_is_solved() {
        let scale = |index: usize| 10f64.powi(index as i32 * 2);
        let function = |x: &[f64]| {
            let value = x.iter().enumerate().map(|(i, x)| 0.5 * scale(i) * (x - 1.0).powi(2)).sum();
            (value, x.iter().enumerate().map(|(i, x)| scale(i) * (x - 1.0)).collect())
        };
        let minimum = minimise(function, vec![0.0; 4], 1e-9, 200, |_| ());
        assert!(minimum.converged);
        assert!(minimum.point.iter().all(|x| (x - 1.0).abs() < 1e-8), "{:?}", minimum.point);
    }

    #[test]
    fn running_out_of_iterations_is_told() {
        let function = |x: &[f64]| ((x[0] - 3.0).powi(2).powi(2), vec![4.0 * (x[0] - 3.0).powi(3)]);
        assert!(!minimise(function, vec![0.0], 1e-12, 2, |_| ()).converged);
    }
}
