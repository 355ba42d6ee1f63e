//! How many different images there are, from how many different ones were drawn.

use std::ops::Range;

use statrs::distribution::{ContinuousCDF, Normal};

/// Beyond this variance the number of different images is taken as normal: its skewness is then below 0.1.
const NORMAL_BEYOND: f64 = 100.0;
/// Probabilities below this are dropped.
const NEGLIGIBLE: f64 = 1e-18;
const TAIL: f64 = 0.025;

/// The numbers s of images among which `draws` uniform draws with replacement give `distinct` different ones: the least
/// plausible, the likeliest and the greatest plausible, none above `most`.
///
/// The likelihood of s is s!/(s−k)!·s⁻ⁿ up to a constant. The plausible ones are those for which neither as many
/// different images, nor as few, have a probability below 2.5 %, by the exact distribution (or a normal one with its mean
/// and variance and a correction for continuity, where that variance is above 100). Where even `most` images make
/// so many different ones too unlikely, all three are `most`.
///
/// Time O(draws·log(most)).
///
/// # Panics
/// If `distinct` is 0 or above `draws` or `most`.
pub(crate) fn plausible(distinct: usize, draws: usize, most: usize) -> [usize; 3] {
    assert!((1..=draws.min(most)).contains(&distinct), "{distinct} of {draws} draws among {most}");
    let (k, n) = (distinct as f64, draws as f64);
    // Whether s + 1 images are no likelier than s.
    let past = |s: usize| {
        let s = s as f64;
        -(-k / (s + 1.0)).ln_1p() <= n * (1.0 / s).ln_1p()
    };
    let likeliest = first(distinct..most, past);
    let low = first(distinct..most, |s| 1.0 - at_most(distinct - 1, draws, s) >= TAIL);
    let too_many = first(distinct..most + 1, |s| at_most(distinct, draws, s) < TAIL);
    [low.min(likeliest), likeliest, (too_many - 1).max(likeliest)]
}

/// The first number of a range from which on `holds` is true, or the range's end.
fn first(range: Range<usize>, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// The probability that `draws` uniform draws among `images` give at most `distinct` different ones.
fn at_most(distinct: usize, draws: usize, images: usize) -> f64 {
    if distinct >= images.min(draws) {
        return 1.0;
    }
    let (s, n) = (images as f64, draws as f64);
    let missed = |images: f64| (1.0 - images / s).max(0.0).powf(n);
    let mean = s * (1.0 - missed(1.0));
    let variance = s * (s - 1.0) * missed(2.0) + s * missed(1.0) - (s * missed(1.0)).powi(2);
    if variance > NORMAL_BEYOND {
        return Normal::standard().cdf((distinct as f64 + 0.5 - mean) / variance.sqrt());
    }
    // Probabilities of `least`, `least` + 1, … different images so far.
    let (mut least, mut probabilities) = (0, vec![1.0]);
    for _ in 0..draws {
        probabilities.push(0.0);
        for at in (0..probabilities.len()).rev() {
            let known = (least + at) as f64 / s;
            let new = if at > 0 { probabilities[at - 1] * (1.0 - (least + at - 1) as f64 / s) } else { 0.0 };
            probabilities[at] = probabilities[at] * known + new;
        }
        while probabilities.last().is_some_and(|&last| last < NEGLIGIBLE) {
            probabilities.pop();
        }
        let gone = probabilities.iter().take_while(|&&first| first < NEGLIGIBLE).count();
        probabilities.drain(..gone);
        least += gone;
    }
    probabilities.iter().take((distinct + 1).saturating_sub(least)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::expected;
    use rand::RngExt;
    use rayon::prelude::*;
    use standin_data::Seed;
    use std::collections::HashSet;

    #[test]
    fn bounds_equal_those_of_whole_numbers() {
        let expected = expected();
        for (case, bounds) in expected["retrieval"].as_object().unwrap() {
            let numbers: Vec<usize> = case.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            let found = plausible(numbers[0], numbers[1], numbers[2]);
            assert_eq!(serde_json::json!(found), *bounds, "{case}");
        }
    }

    #[test]
    fn the_normal_distribution_takes_over_without_a_step() {
        // 1000 draws among 1000 images: a variance of 1000·(1/e − 2/e²) = 97, just below the limit.
        let (draws, images) = (1000, 1000);
        let (s, n) = (images as f64, draws as f64);
        let missed = |images: f64| (1.0 - images / s).powf(n);
        let mean = s * (1.0 - missed(1.0));
        let variance = s * (s - 1.0) * missed(2.0) + s * missed(1.0) - (s * missed(1.0)).powi(2);
        for z in [-2.0, -1.0, 0.0, 1.0, 2.0] {
            let distinct = (mean + z * variance.sqrt()) as usize;
            let normal = Normal::standard().cdf((distinct as f64 + 0.5 - mean) / variance.sqrt());
            assert!((at_most(distinct, draws, images) - normal).abs() < 2e-3, "{z}");
        }
    }

    #[test]
    fn bounds_cover_the_number_of_images() {
        for (images, draws) in [(50, 40), (200, 150), (1000, 300), (30, 200), (400, 1600)] {
            let runs = 400;
            let covers = |run: &u64| {
                let mut rng = Seed::new(*run).rng();
                let drawn: HashSet<usize> = (0..draws).map(|_| rng.random_range(0..images)).collect();
                let [low, _, high] = plausible(drawn.len(), draws, 20_000);
                low <= images && images <= high
            };
            let share = (0..runs).into_par_iter().filter(covers).count() as f64 / runs as f64;
            // Whole numbers: an exact interval may cover more.
            assert!(share >= 0.92, "{share} of {images} images in {draws} draws");
        }
    }
}
