use standin_encode::Embedding;

use crate::context::{Comparison, Context};
use crate::kernel::{CrossSums, Kernel, SelfSums, cross_sums, distance};
use crate::registry::Measure;
use crate::{Estimate, Result};

/// What the published code multiplies the discrepancy with, for readable numbers.
const SCALE: f64 = 1000.0;

/// The maximum mean discrepancy MMD² under the Gaussian kernel exp(−‖x̂−ŷ‖²/2σ²), σ = 10, of the features at length 1,
/// times 1000 (Jayasumana et al., "Rethinking FID", CVPR 2024, eq. 5 and §5).
///
/// It is called CMMD for the features of one certain CLIP network (ViT-L/14 at 336 pixels); for other encoders the kernel
/// is the same and the numbers do not compare. The paper writes the unbiased estimator, its published code averages over
/// all pairs, an image with itself included: the biased one. **Values here are those of the code**, with which all
/// published numbers were made: never negative, and too high by about 1000·(1 − E k)/n per set, so compare at equal n.
/// An image without direction (all features 0) stays where it is.
///
/// **Interval**: jackknife over both sets around the *unbiased* estimate, so it is for the population's discrepancy,
/// whatever n; it is widened to hold the value reported. Where the sets do not differ it errs to the wide side.
///
/// Time O((n₁ + n₂)²·d) in matrix products in double precision, about half of the pairs within a set; memory O(n), the
/// kernel itself is streamed in tiles.
///
/// # Errors
/// If the protocols differ, a set has fewer than 3 images, or its features are codes.
pub fn cmmd(first: &Embedding, second: &Embedding) -> Result<Estimate> {
    first.require_same_protocol(second)?;
    let own = |set| SelfSums::of(set, Kernel::UnitGaussian);
    discrepancy(&own(first)?, &own(second)?, &cross_sums(first, second, Kernel::UnitGaussian))
}

fn discrepancy(first: &SelfSums, second: &SelfSums, between: &CrossSums) -> Result<Estimate> {
    let unbiased = distance(first, second, between)?;
    let (n, m) = (first.0.len() as f64, second.0.len() as f64);
    // The kernel of an image with itself, less 1, is 0: the sums with and without it are the same.
    let within = |sums: &SelfSums| sums.0.iter().sum::<f64>() / (sums.0.len() as f64).powi(2);
    let value = within(first) + within(second) - 2.0 * between.0.iter().sum::<f64>() / (n * m);
    let value = SCALE * value.max(0.0);
    Ok(Estimate {
        value,
        low: (SCALE * unbiased.low).clamp(0.0, value),
        high: (SCALE * unbiased.high).max(value),
        n: unbiased.n,
        method: "jackknife over both sets around the unbiased estimate".into(),
    })
}

#[derive(Debug)]
pub(crate) struct GaussianDiscrepancy;

impl Measure for GaussianDiscrepancy {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        context.both_ways("exp(−‖x̂−ŷ‖²/200), all pairs, ×1000", |generated, real| {
            let own = |side| context.own_kernel(side, Kernel::UnitGaussian);
            let between = context.cross_kernel(generated, real, Kernel::UnitGaussian)?;
            discrepancy(&*own(generated)?, &*own(real)?, &between)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    /// Directions in the plane whose angles are normal with this mean and deviation.
    fn directions(rows: usize, mean: f32, deviation: f32, seed: u64) -> Embedding {
        let angles = gaussian(rows, 1, deviation, mean, seed);
        // Lengths differ and must not matter.
        let at = |(row, angle): (usize, &f32)| [angle.cos(), angle.sin()].map(|x| x * (1 + row % 3) as f32);
        embed(angles.values().iter().enumerate().flat_map(at).collect(), 2)
    }

    /// exp(cos φ/100) = I₀ + 2·ΣIₘ(1/100)·cos mφ (Jacobi and Anger), and E cos mφ = exp(−m²v/2)·cos mΔ for φ normal
    /// with mean Δ and variance v.
    fn truth(means: [f64; 2], deviations: [f64; 2]) -> f64 {
        let bessel = |m: i32| {
            let term = |j: i32| {
                let factorial = |n: i32| (1..=n).map(f64::from).product::<f64>();
                0.005_f64.powi(2 * j + m) / (factorial(j) * factorial(j + m))
            };
            (0..4).map(term).sum::<f64>()
        };
        let [v, w] = deviations.map(|s| s * s);
        let shift = means[0] - means[1];
        let term = |m: i32| {
            let (k, square) = (f64::from(m), f64::from(m * m));
            let cross = (-square * (v + w) / 2.0).exp() * (k * shift).cos();
            bessel(m) * ((-square * v).exp() + (-square * w).exp() - 2.0 * cross)
        };
        1000.0 * 2.0 * (-0.01_f64).exp() * (1..6).map(term).sum::<f64>()
    }

    #[test]
    fn values_by_hand() {
        // Orthogonal images are at squared distance 2, opposite ones at 4.
        let (a, b) = (embed(vec![3.0, 0.0, 1.0, 0.0, 2.0, 0.0], 2), embed(vec![0.0, 1.0, 0.0, 5.0, 0.0, 1.0], 2));
        let value = cmmd(&a, &b).unwrap().value;
        assert!((value - 2000.0 * (1.0 - (-0.01_f64).exp())).abs() < 1e-9, "{value}");
        let opposite = embed(a.values().iter().map(|x| -x).collect(), 2);
        let value = cmmd(&a, &opposite).unwrap().value;
        assert!((value - 2000.0 * (1.0 - (-0.02_f64).exp())).abs() < 1e-9, "{value}");
        let same = cmmd(&a, &a).unwrap();
        assert!((same.value, same.low) == (0.0, 0.0) && same.high < 1e-9, "{same}");
    }

    #[test]
    fn the_interval_covers_the_population_value() {
        let truth = truth([0.0, 0.5], [0.4, 0.7]);
        let runs = 400;
        let covered = (0..runs)
            .filter(|run| {
                let (a, b) = (directions(200, 0.0, 0.4, 2 * run), directions(200, 0.5, 0.7, 2 * run + 1));
                let estimate = cmmd(&a, &b).unwrap();
                assert!(estimate.low <= estimate.value && estimate.value <= estimate.high);
                estimate.low <= truth && truth <= estimate.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn equal_populations_are_rarely_told_apart() {
        let runs = 300;
        let rejected = (0..runs)
            .filter(|run| {
                cmmd(&gaussian(60, 4, 1.0, 0.0, 2 * run), &gaussian(60, 4, 1.0, 0.0, 2 * run + 1)).unwrap().low > 0.0
            })
            .count();
        assert!(rejected <= runs as usize * 5 / 100, "{rejected} of {runs}");
    }

    #[test]
    fn the_length_of_a_row_does_not_matter() {
        let (a, b) = (gaussian(50, 4, 1.0, 0.3, 1), gaussian(50, 4, 1.0, 0.0, 2));
        let longer = embed(a.values().iter().map(|x| 8.0 * x).collect(), 4);
        assert!((cmmd(&a, &b).unwrap().value - cmmd(&longer, &b).unwrap().value).abs() < 1e-12);
    }
}
