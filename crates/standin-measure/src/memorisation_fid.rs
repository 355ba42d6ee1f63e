use standin_encode::{Embedding, nearest};

use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::frechet::{Compared, Gaussian};
use crate::registry::Measure;
use crate::uncertainty::{Z, average, influence_variance};
use crate::{Estimate, Result};

/// Mean cosine distances from here on are no sign of memorisation.
const THRESHOLD: f64 = 0.1;
/// Added to the distance, as published, lest copies divide by 0.
const LEAST: f64 = 1e-14;

/// MiFID, the memorisation-informed Fréchet distance (Bai, Lin, Raffel and Kan, "On Training Sample Memorization",
/// KDD 2021): FD/(m + 10⁻¹⁴) where m < 0.1, else FD itself.
///
/// m is the mean over the **generated** images of the least cosine distance min_t (1 − |cos(s, t)|) to a real one, with
/// the absolute cosine of the published code; images without direction (all features 0) take no part in m. The threshold
/// 0.1 was chosen for Inception features: with others the penalty may always apply, or never. It is called MiFID
/// for those features only.
///
/// **Interval**: infinitesimal jackknife of the quotient, with every image's influence on the Fréchet distance (see
/// [`crate::frechet_distance`]) and on m; a real image counts in m for what its neighbours lose without it. Where the
/// interval of m holds the threshold, the interval spans what follows on both sides of it. As for the Fréchet
/// distance, it is for the average at this n.
///
/// Time as of [`crate::frechet_distance`] and one neighbour search, two where features may be negative.
///
/// # Errors
/// If the protocols differ, a set has fewer than 2 images, no image has a direction, or a decomposition does not converge.
pub fn memorisation_fid(generated: &Embedding, real: &Embedding) -> Result<Estimate> {
    generated.require_same_protocol(real)?;
    penalised(&Gaussian::of(generated)?.compare(&Gaussian::of(real)?, usize::MAX)?, generated, real)
}

fn penalised(compared: &Compared, generated: &Embedding, real: &Embedding) -> Result<Estimate> {
    let distances = Distances::between(generated, real)?;
    let (mean, deviation) = (distances.mean(), distances.variance().sqrt());
    let end = |sign: f64| mean + sign * Z * deviation;
    let mut sides = Vec::with_capacity(2);
    if mean.min(end(-1.0)) < THRESHOLD {
        sides.push(quotient(compared, &distances));
    }
    if mean.max(end(1.0)) >= THRESHOLD {
        let variance = influence_variance(&compared.first) + influence_variance(&compared.second);
        sides.push((compared.value, Z * variance.sqrt()));
    }
    let value = if mean < THRESHOLD { compared.value / (mean + LEAST) } else { compared.value };
    let (mut low, mut high) = (value, value);
    for (value, half) in sides {
        (low, high) = (low.min(value - half), high.max(value + half));
    }
    Ok(Estimate {
        value,
        low: low.max(0.0),
        high,
        n: generated.rows().min(real.rows()),
        method: "infinitesimal jackknife of the quotient, at this n".into(),
    })
}

/// FD/(m + 10⁻¹⁴) and half its interval.
fn quotient(compared: &Compared, distances: &Distances) -> (f64, f64) {
    let by = distances.mean() + LEAST;
    let value = compared.value / by;
    let moved = |influences: &[f64], on_distance: &[f64]| {
        let both = influences.iter().zip(on_distance).map(|(fd, m)| (fd - value * m) / by);
        influence_variance(&both.collect::<Vec<_>>())
    };
    let variance = moved(&compared.first, &distances.of_generated) + moved(&compared.second, &distances.of_real);
    (value, Z * variance.sqrt())
}

/// The least cosine distance of every generated image, and how much every real image moves their mean.
struct Distances {
    of_generated: Vec<f64>,
    of_real: Vec<f64>,
}

impl Distances {
    fn between(generated: &Embedding, real: &Embedding) -> Result<Self> {
        let (queries, of_queries) = directions(generated)?;
        let (mut base, of_base) = directions(real)?;
        require_rows("the memorisation distance", queries.rows(), 1)?;
        require_rows("the memorisation distance", base.rows(), 2)?;
        if [&queries, &base].iter().any(|set| set.values().iter().any(|&x| x < 0.0)) {
            // The absolute cosine: an image and its negative are the same.
            let negative = base.values().iter().map(|x| -x).collect();
            base = base.concat(&Embedding::new(negative, base.dimension(), base.stamp().clone())?)?;
        }
        let found = nearest(&queries, &base, 2, false)?;
        // Of unit vectors, 1 − cos is half the squared distance.
        let half_square = |query: usize, rank: usize| found.distances(query)[rank].powi(2) / 2.0;
        let mean = (0..queries.rows()).map(|query| half_square(query, 0)).sum::<f64>() / queries.rows() as f64;
        let mut of_generated = vec![mean; generated.rows()];
        let mut of_real = vec![0.0; real.rows()];
        for (query, &image) in of_queries.iter().enumerate() {
            of_generated[image] = half_square(query, 0);
            let holder = of_base[found.indices(query)[0] % of_base.len()];
            of_real[holder] -= (half_square(query, 1) - half_square(query, 0)) / queries.rows() as f64;
        }
        let others = (of_base.len() - 1) as f64;
        of_real.iter_mut().for_each(|influence| *influence *= others);
        Ok(Self { of_generated, of_real })
    }

    fn mean(&self) -> f64 {
        average(&self.of_generated)
    }

    fn variance(&self) -> f64 {
        influence_variance(&self.of_generated) + influence_variance(&self.of_real)
    }
}

/// Rows of length 1 and where they were, without those that are all 0.
fn directions(set: &Embedding) -> Result<(Embedding, Vec<usize>)> {
    let mut values = Vec::with_capacity(set.values().len());
    let mut origin = Vec::with_capacity(set.rows());
    for row in 0..set.rows() {
        let norm = set.row(row).iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if norm > 0.0 {
            values.extend(set.row(row).iter().map(|&x| (f64::from(x) / norm) as f32));
            origin.push(row);
        }
    }
    Ok((Embedding::new(values, set.dimension(), set.stamp().clone())?, origin))
}

#[derive(Debug)]
pub(crate) struct MemorisationFid;

impl Measure for MemorisationFid {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        context.both_ways("mean least cosine distance, penalty below 0.1", |generated, real| {
            let compared = context.gaussian(generated)?.compare(&*context.gaussian(real)?, usize::MAX)?;
            penalised(&compared, context.rows(generated), context.rows(real))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frechet_distance;
    use crate::testing::{assert_near, case, covered_average, embed, expected, gaussian};

    /// SciPy's general matrix root loses about half the digits of a covariance's small eigenvalues.
    #[test]
    fn values_equal_numpy_and_scipy() {
        let (case, expected) = (case(), expected());
        let distance = |a: &Embedding, b: &Embedding| Distances::between(a, b).unwrap().mean();
        assert_near(distance(&case.synthetic, &case.train), &expected["memorisation_distance"], 1e-6);
        let signed = |set: &Embedding| embed(set.values().iter().map(|x| x - 0.5).collect(), 6);
        let found = distance(&signed(&case.synthetic), &signed(&case.train));
        assert_near(found, &expected["memorisation_distance_signed"], 1e-6);
        assert_near(memorisation_fid(&case.synthetic, &case.train).unwrap().value, &expected["memorisation_fid"], 1e-6);
    }

    #[test]
    fn images_far_from_all_real_ones_are_not_penalised() {
        let (a, b) = (gaussian(60, 12, 1.0, 0.2, 1), gaussian(60, 12, 1.0, 0.0, 2));
        assert!(Distances::between(&a, &b).unwrap().mean() > 0.15);
        let (plain, informed) = (frechet_distance(&a, &b).unwrap(), memorisation_fid(&a, &b).unwrap());
        assert_eq!(informed.value, plain.value);
        assert!((informed.high - plain.high).abs() < 1e-9);
    }

    #[test]
    fn copies_of_many_images_are_penalised_and_neither_brightness_nor_blank_images_hide_them() {
        let real = gaussian(80, 12, 1.0, 0.0, 1);
        let mut values: Vec<f32> = real.values().iter().map(|x| -2.5 * x).collect();
        values[..12].fill(0.0);
        let copies = embed(values, 12);
        let found = memorisation_fid(&copies, &real).unwrap();
        assert!(found.value > 1e6 * frechet_distance(&copies, &real).unwrap().value, "{found}");
        let half = gaussian(80, 12, 1.0, 0.0, 2);
        let mixed = embed([&real.values()[..480], &half.values()[..480]].concat(), 12);
        let threshold = Distances::between(&mixed, &real).unwrap();
        assert!(threshold.mean() < Distances::between(&half, &real).unwrap().mean() * 0.6);
    }

    #[test]
    fn near_the_threshold_the_interval_spans_both_sides() {
        // The farther from 0 both sets lie, the smaller the angles.
        let sets = |step: u8| {
            let mean = 0.1 * f32::from(step);
            (gaussian(40, 6, 1.0, mean + 0.3, 1), gaussian(40, 6, 1.0, mean, 2))
        };
        let near = (0..30).map(sets).find(|(a, b)| Distances::between(a, b).unwrap().mean() < THRESHOLD);
        let (a, b) = near.unwrap();
        let compared = Gaussian::of(&a).unwrap().compare(&Gaussian::of(&b).unwrap(), usize::MAX).unwrap();
        let distances = Distances::between(&a, &b).unwrap();
        assert!(distances.mean() + Z * distances.variance().sqrt() > THRESHOLD);
        let found = penalised(&compared, &a, &b).unwrap();
        assert!(found.low < compared.value && found.high > 5.0 * compared.value, "{found}");
    }

    #[test]
    fn the_interval_covers_the_average_with_and_without_penalty() {
        for (d, mean, deviation) in [(8, 2.0, 1.3), (16, 0.0, 2.0)] {
            let share = covered_average(300, |run| {
                let (a, b) = (gaussian(400, d, deviation, mean, 2 * run), gaussian(400, d, 1.0, mean, 2 * run + 1));
                memorisation_fid(&a, &b).unwrap()
            });
            assert!((0.92..=0.98).contains(&share), "{share} of {d} features around {mean}");
        }
    }
}
