use standin_encode::{Embedding, Neighbours, nearest};

use crate::context::{Comparison, Context};
use crate::error::require_rows;
use crate::median::{FEWEST, median};
use crate::registry::Measure;
use crate::{Estimate, Outcome, Result};

/// A ball reaches to this neighbour of its centre.
pub(crate) const K: usize = 3;
/// Parts of the real images, by radius, that are searched one after the other.
const BANDS: usize = 16;
/// Nearest images of a band that are looked at before bounds decide.
const LISTED: usize = 4;
/// Images that are compared with a whole band at one time.
const OPEN: usize = 256;

/// The realism of every image (Kynkäänniemi et al., NeurIPS 2019, eq. 3): max over real images r of ρ(r)/d(x, r), where
/// ρ(r) is the distance of r to its third nearest other real image. At least 1 inside a ball, and infinite for an image
/// that equals a real one whose ball counts. As in the paper, balls with more than the median radius are dropped,
/// because a few real images far from all others would otherwise vouch for anything.
///
/// Exact: real images are searched in 16 bands of similar radius; within a band near images have the largest ratios,
/// and what the bounds leave open is compared with all of it. O((s + r)·r·d) time, O(s + r) memory.
///
/// # Errors
/// If the protocols differ or there are fewer than 4 real images.
pub fn realism(images: &Embedding, real: &Embedding) -> Result<Vec<f64>> {
    require_rows("realism against a real set", real.rows(), K + 1)?;
    of_neighbours(images, real, &nearest(real, real, K, true)?)
}

/// Realism given at least three neighbours within the real images.
pub(crate) fn of_neighbours(images: &Embedding, real: &Embedding, own: &Neighbours) -> Result<Vec<f64>> {
    let radii = own.at_rank(K);
    let mut kept: Vec<usize> = (0..radii.len()).collect();
    kept.sort_unstable_by(|&a, &b| radii[a].total_cmp(&radii[b]).then(a.cmp(&b)));
    let median = radii[kept[(kept.len() - 1) / 2]];
    kept.truncate(kept.partition_point(|&centre| radii[centre] <= median));

    let bands: Vec<&[usize]> = kept.chunks(kept.len().div_ceil(BANDS)).collect();
    let mut realism = vec![0.0; images.rows()];
    // What the images of a band that are not listed may reach at most.
    let mut bounds = vec![Vec::new(); bands.len()];
    for (band, bounds) in bands.iter().zip(&mut bounds) {
        let listed = LISTED.min(band.len());
        let found = nearest(images, &real.select(band), listed, false)?;
        take_largest(&mut realism, band, &radii, &found, |query| query);
        let largest = radii[band[band.len() - 1]];
        if listed < band.len() {
            *bounds = found.at_rank(listed).into_iter().map(|distance| ratio(largest, distance)).collect();
        }
    }
    for (band, bounds) in bands.iter().zip(bounds) {
        let open: Vec<usize> = (0..bounds.len()).filter(|&image| bounds[image] > realism[image]).collect();
        for part in open.chunks(OPEN) {
            let found = nearest(&images.select(part), &real.select(band), band.len(), false)?;
            take_largest(&mut realism, band, &radii, &found, |query| part[query]);
        }
    }
    Ok(realism)
}

fn take_largest(
    realism: &mut [f64],
    band: &[usize],
    radii: &[f64],
    found: &Neighbours,
    image: impl Fn(usize) -> usize,
) {
    for query in 0..found.len() {
        let best = &mut realism[image(query)];
        for (&row, &distance) in found.indices(query).iter().zip(found.distances(query)) {
            *best = best.max(ratio(radii[band[row]], distance));
        }
    }
}

fn ratio(radius: f64, distance: f64) -> f64 {
    if distance == 0.0 { f64::INFINITY } else { radius / distance }
}

/// The median realism of a set.
#[derive(Debug)]
pub(crate) struct Realism;

impl Measure for Realism {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let parameters = "median, k=3, balls of at most the median radius";
        let mut comparisons = context.both_ways(parameters, |images, real| {
            require_rows("the median realism", context.size(images), FEWEST)?;
            let own = context.neighbours(real, real)?;
            Ok(median(&of_neighbours(context.rows(images), context.rows(real), &own)?))
        })?;
        for comparison in &mut comparisons {
            finite(&mut comparison.outcome);
            comparison.reference.iter_mut().for_each(finite);
        }
        Ok(comparisons)
    }
}

fn finite(outcome: &mut Outcome) {
    if let Outcome::Measured(Estimate { high, .. }) = outcome
        && high.is_infinite()
    {
        *outcome = Outcome::NotMeasurable(
            "about half of the images or more equal a real image exactly, which has infinite realism".into(),
        );
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;
    use standin_encode::squared_distance;

    use super::*;
    use crate::testing::{embed, gaussian};

    fn by_definition(images: &Embedding, real: &Embedding) -> Vec<f64> {
        let distance = |a: &[f32], b: &[f32]| squared_distance(a, b).sqrt();
        let radius = |centre: usize| {
            let mut all: Vec<f64> = (0..real.rows())
                .filter(|&other| other != centre)
                .map(|other| distance(real.row(centre), real.row(other)))
                .collect();
            all.sort_unstable_by(f64::total_cmp);
            all[2]
        };
        let radii: Vec<f64> = (0..real.rows()).map(radius).collect();
        let mut sorted = radii.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let n = sorted.len();
        let median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0;
        let of = |image: usize| {
            let kept = (0..n).filter(|&centre| radii[centre] <= median);
            kept.map(|centre| radii[centre] / distance(images.row(image), real.row(centre))).fold(0.0, f64::max)
        };
        (0..images.rows()).map(of).collect()
    }

    #[test]
    fn bands_and_bounds_change_nothing() {
        for (rows, d, deviation) in [(500, 2, 1.0), (333, 40, 1.0), (400, 3, 30.0), (9, 1, 1.0)] {
            let (images, real) = (gaussian(200, d, deviation, 0.5, 1), gaussian(rows, d, 1.0, 0.0, 2));
            assert_eq!(realism(&images, &real).unwrap(), by_definition(&images, &real));
        }
    }

    #[test]
    fn copies_are_infinitely_real_and_noise_is_not_real() {
        let real = gaussian(100, 4, 1.0, 0.0, 1);
        let copies = realism(&real, &real).unwrap();
        assert!(copies.iter().filter(|value| value.is_infinite()).count() >= 50);
        assert!(
            realism(&gaussian(100, 4, 30.0, 0.0, 2), &real).unwrap().iter().filter(|&&value| value < 1.0).count() > 95
        );
    }

    /// Real images at every whole number have radius 2; at u from the nearest, u uniform on [0, ½], realism is 2/u,
    /// whose median is 8.
    #[test]
    fn the_median_covers_the_truth_of_a_grid() {
        let real = embed((0..=100).map(|x| x as f32).collect(), 1);
        let runs = 300;
        let covered = (0..runs)
            .filter(|&run| {
                let mut rng = Seed::new(run).rng();
                let images = embed((0..120).map(|_| rng.random_range(5.0..95.0)).collect(), 1);
                let found = median(&realism(&images, &real).unwrap());
                found.low <= 8.0 && 8.0 <= found.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }
}
