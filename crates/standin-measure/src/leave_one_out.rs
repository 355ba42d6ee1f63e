//! Precision, recall, density and coverage with every image left out in turn, without searching again.
//!
//! Leaving out a centre removes its ball, and every ball that reached to it as one of the k nearest then reaches to the
//! (k+1)-th instead. So the counts for radii of rank k and k + 1 are all there is to know.

use standin_encode::{Embedding, Neighbours, count_around, holding, squared_distance};

use crate::share::wilson_with_variance;
use crate::{Convention, Estimate, Result, jackknife_variance, normal};

const METHOD: &str = "jackknife over both sets";

/// Share of `points` inside a ball around `centres`; `own` has at least k + 1 neighbours of each centre and `balls` the
/// number of balls that each point is in.
pub(crate) fn share_inside(
    points: &Embedding,
    centres: &Embedding,
    own: &Neighbours,
    balls: &[usize],
    convention: Convention,
) -> Result<Estimate> {
    let k = convention.k();
    // Only points in one ball can be lost, and only those in none can be won.
    let few: Vec<usize> = (0..points.rows()).filter(|&point| balls[point] <= 1).collect();
    let grown = own.at_rank(k + 1);
    let around = holding(&points.select(&few), centres, &grown, convention.boundary())?;
    let mut change = vec![0.0; centres.rows()];
    for (&point, around) in few.iter().zip(around) {
        if balls[point] == 0 {
            let mut winners: Vec<usize> =
                around.iter().flat_map(|&centre| &own.indices(centre)[..k]).copied().collect();
            winners.sort_unstable();
            winners.dedup();
            winners.into_iter().for_each(|centre| change[centre] += 1.0);
            continue;
        }
        let inside = |&&centre: &&usize| {
            let distance = squared_distance(points.row(point), centres.row(centre)).sqrt();
            convention.boundary().holds(distance, own.distances(centre)[k - 1])
        };
        let Some(&only) = around.iter().find(inside) else { continue };
        if !around.iter().any(|&centre| centre != only && own.indices(centre)[..k].contains(&only)) {
            change[only] -= 1.0;
        }
    }
    let inside: Vec<f64> = balls.iter().map(|&balls| f64::from(u8::from(balls > 0))).collect();
    let (total, n) = (inside.iter().sum::<f64>(), points.rows() as f64);
    let without_point: Vec<f64> = inside.iter().map(|inside| (total - inside) / (n - 1.0)).collect();
    let without_centre: Vec<f64> = change.iter().map(|change| (total + change) / n).collect();
    let variance = jackknife_variance(&without_point) + jackknife_variance(&without_centre);
    Ok(wilson_with_variance(total / n, variance, points.rows(), METHOD))
}

/// Mean number of real balls that a generated image is in, divided by k.
pub(crate) fn density(
    generated: &Embedding,
    real: &Embedding,
    own: &Neighbours,
    balls: &[usize],
    convention: Convention,
) -> Result<Estimate> {
    let k = convention.k();
    let held = |rank| count_around(real, generated, &own.at_rank(rank), convention.boundary());
    let (held, held_when_grown) = (held(k)?, held(k + 1)?);
    let mut change: Vec<f64> = held.iter().map(|&held| -(held as f64)).collect();
    for (centre, (&held, &grown)) in held.iter().zip(&held_when_grown).enumerate() {
        for &neighbour in &own.indices(centre)[..k] {
            change[neighbour] += (grown - held) as f64;
        }
    }
    let (total, n, k) = (balls.iter().sum::<usize>() as f64, balls.len() as f64, k as f64);
    let without_generated: Vec<f64> = balls.iter().map(|&balls| (total - balls as f64) / (k * (n - 1.0))).collect();
    let without_real: Vec<f64> = change.iter().map(|change| (total + change) / (k * n)).collect();
    let variance = jackknife_variance(&without_generated) + jackknife_variance(&without_real);
    let estimate = normal(total / (k * n), variance.sqrt(), balls.len(), METHOD);
    Ok(Estimate { low: estimate.low.max(0.0), ..estimate })
}

/// Share of real images whose ball holds one of `generated` images; `to_generated` has the two nearest of these.
pub(crate) fn coverage(
    to_generated: &Neighbours,
    own: &Neighbours,
    generated: usize,
    convention: Convention,
) -> Estimate {
    let (k, boundary) = (convention.k(), convention.boundary());
    let mut covered = vec![0.0; own.len()];
    let mut without_generated = vec![0.0; generated];
    let mut won = vec![0.0; own.len()];
    for (image, covered) in covered.iter_mut().enumerate() {
        let (radius, grown) = (own.distances(image)[k - 1], own.distances(image)[k]);
        let (first, second) = (to_generated.distances(image)[0], to_generated.distances(image)[1]);
        if boundary.holds(first, radius) {
            *covered = 1.0;
            if !boundary.holds(second, radius) {
                without_generated[to_generated.indices(image)[0]] -= 1.0;
            }
        } else if boundary.holds(first, grown) {
            own.indices(image)[..k].iter().for_each(|&neighbour| won[neighbour] += 1.0);
        }
    }
    let (total, n) = (covered.iter().sum::<f64>(), own.len() as f64);
    without_generated.iter_mut().for_each(|change| *change = (total + *change) / n);
    let without_real: Vec<f64> =
        covered.iter().zip(&won).map(|(covered, won)| (total - covered + won) / (n - 1.0)).collect();
    let variance = jackknife_variance(&without_generated) + jackknife_variance(&without_real);
    wilson_with_variance(total / n, variance, own.len(), METHOD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gaussian;
    use crate::{Manifold, manifold};

    /// Each of the four from scratch, for every image left out.
    #[test]
    fn counts_equal_those_of_searching_again() {
        let (generated, real) = (gaussian(45, 3, 0.8, 0.3, 1), gaussian(40, 3, 1.0, 0.0, 2));
        let without = |set: &Embedding| -> Vec<Embedding> {
            let rest = |out| (0..set.rows()).filter(|&at| at != out).collect::<Vec<_>>();
            (0..set.rows()).map(|out| set.select(&rest(out))).collect()
        };
        for convention in [Convention::Prdc, Convention::TorchFidelity] {
            let again = |g: &Embedding, r: &Embedding| manifold(g, r, convention).unwrap();
            let by_generated: Vec<Manifold> = without(&generated).iter().map(|rest| again(rest, &real)).collect();
            let by_real: Vec<Manifold> = without(&real).iter().map(|rest| again(&generated, rest)).collect();
            let variance = |of: fn(&Manifold) -> f64| {
                let values = |all: &[Manifold]| jackknife_variance(&all.iter().map(of).collect::<Vec<_>>());
                values(&by_generated) + values(&by_real)
            };
            let found = again(&generated, &real);
            let near = |found: &Estimate, expected: Estimate| {
                assert!((found.low - expected.low).abs() < 1e-9, "{found} for {expected}");
                assert!((found.high - expected.high).abs() < 1e-9, "{found} for {expected}");
            };
            let share =
                |found: &Estimate, of, n| near(found, wilson_with_variance(found.value, variance(of), n, METHOD));
            share(&found.precision, |all| all.precision.value, 45);
            share(&found.recall, |all| all.recall.value, 40);
            share(&found.coverage, |all| all.coverage.value, 40);
            let density = variance(|all| all.density.value).sqrt();
            near(&found.density, normal(found.density.value, density, 45, METHOD));
        }
    }

    /// The average is over both sets drawn anew: what the generator's next sample and other patients would give.
    #[test]
    fn intervals_cover_the_average_over_both_samples() {
        for (generated, real, deviation) in [(150, 150, 1.0), (60, 240, 1.0), (240, 60, 0.6)] {
            let runs = 200;
            let found: Vec<Manifold> = (0..runs)
                .map(|run| {
                    let (a, b) =
                        (gaussian(generated, 4, deviation, 0.0, 2 * run), gaussian(real, 4, 1.0, 0.0, 2 * run + 1));
                    manifold(&a, &b, Convention::Prdc).unwrap()
                })
                .collect();
            let of: [fn(&Manifold) -> &Estimate; 4] =
                [|all| &all.precision, |all| &all.recall, |all| &all.density, |all| &all.coverage];
            for (quantity, of) in of.into_iter().enumerate() {
                let average = found.iter().map(|all| of(all).value).sum::<f64>() / runs as f64;
                let covers = |all: &&Manifold| of(all).low <= average && average <= of(all).high;
                let share = found.iter().filter(covers).count() as f64 / runs as f64;
                assert!(share >= 0.9, "{share} of {generated} against {real}, quantity {quantity}");
            }
        }
    }
}
