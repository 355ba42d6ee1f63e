//! The Pareto front of utility against the strongest attack, and how sure each release's place in it is.

use standin_data::Seed;

use super::headline_utility;
use crate::chance::{DRAWS, draws};
use crate::leakage::strongest_attack;
use crate::summary::{AttackRow, Release, Utility};

/// Whether no other release is both more accurate and less attackable, by the values alone.
pub(super) fn is_on_front(release: &Release, all: &[Release]) -> bool {
    let coordinates = |release: &Release| {
        let (utility, attack) = measured(release)?;
        Some((utility.accuracy.value, attack.auc.value))
    };
    let Some(own) = coordinates(release) else { return false };
    !all.iter().filter_map(coordinates).any(|other| beats(other, own))
}

/// The chance of each release to be on the front; none where its accuracy or its leakage was not measured.
///
/// It is the share of 2000 joint draws in which no other release is both more accurate and less attackable. In a draw every
/// accuracy and every strongest AUC is normal on either side of its value, as wide as its interval there (split normal), and
/// different figures are independent. One and the same measurement, such as the accuracy of images and of the generator they
/// were drawn from, is drawn once. The seed of a draw is the figure itself, so equal summaries give equal chances.
///
/// Releases share the test images and the members, which moves their figures together, so order is known better than this
/// says: too many are called possible rather than too few. The strongest attack is the one that was strongest by value.
///
/// Time O(n²) for n releases and each draw.
pub(super) fn probabilities(releases: &[Release]) -> Vec<Option<f64>> {
    let drawn: Vec<Option<(Vec<f64>, Vec<f64>)>> = releases
        .iter()
        .map(|release| {
            let (utility, attack) = measured(release)?;
            Some((draws(seed_of_utility(utility), &utility.accuracy), draws(seed_of_attack(attack), &attack.auc)))
        })
        .collect();
    let mut wins = vec![0_usize; releases.len()];
    for draw in 0..DRAWS {
        let at: Vec<(usize, (f64, f64))> = drawn
            .iter()
            .enumerate()
            .filter_map(|(index, drawn)| drawn.as_ref().map(|(utility, leak)| (index, (utility[draw], leak[draw]))))
            .collect();
        for &(index, own) in &at {
            wins[index] += usize::from(!at.iter().any(|&(_, other)| beats(other, own)));
        }
    }
    drawn.iter().zip(wins).map(|(drawn, won)| drawn.as_ref().map(|_| won as f64 / DRAWS as f64)).collect()
}

/// The two figures that place a release.
fn measured(release: &Release) -> Option<(&Utility, &AttackRow)> {
    Some((headline_utility(release)?, strongest_attack(release)?))
}

/// Whether the first (accuracy, AUC) is better in one and no worse in the other.
fn beats((utility, leak): (f64, f64), (own_utility, own_leak): (f64, f64)) -> bool {
    utility >= own_utility && leak <= own_leak && (utility > own_utility || leak < own_leak)
}

fn seed_of_utility(utility: &Utility) -> Seed {
    let Utility { classifier, accuracy, per_seed, per_class, .. } = utility;
    Seed::new(0).derive(&format!("front {classifier} {accuracy:?} {per_seed:?} {per_class:?}"))
}

fn seed_of_attack(attack: &AttackRow) -> Seed {
    let AttackRow { attack, stamp, auc, per_seed, .. } = attack;
    Seed::new(0).derive(&format!("front {attack} {stamp} {auc:?} {per_seed:?}"))
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ContinuousCDF, Normal};

    use super::*;
    use crate::summary::ReleaseKind;
    use crate::summary::testing::{estimate, release};

    fn at(name: &str, accuracy: f64, auc: f64) -> Release {
        release(name, ReleaseKind::Images, accuracy, auc, 0.0)
    }

    fn chances(releases: &[Release]) -> Vec<f64> {
        probabilities(releases).into_iter().flatten().collect()
    }

    #[test]
    fn the_front_drops_what_is_worse_on_both_counts() {
        let releases = [at("good", 0.9, 0.55), at("safer", 0.7, 0.51), at("worse", 0.8, 0.58)];
        let front: Vec<bool> = releases.iter().map(|release| is_on_front(release, &releases)).collect();
        assert_eq!(front, [true, true, false]);
    }

    #[test]
    fn what_is_far_apart_is_certain() {
        let found = chances(&[at("good", 0.9, 0.5), at("worse", 0.5, 0.7)]);
        assert_eq!(found, [1.0, 0.0]);
    }

    /// Two releases, each figure normal with standard error s (accuracy .01/1.96, AUC .02/1.96): the second is off the front
    /// where both differences go against it.
    #[test]
    fn the_chance_is_that_of_the_normal_distribution() {
        let found = chances(&[at("a", 0.900, 0.550), at("b", 0.895, 0.555)]);
        let normal = Normal::standard();
        let [accuracy, auc] = [(0.005, 0.01), (0.005, 0.02)]
            .map(|(difference, half): (f64, f64)| normal.cdf(difference / (half / 1.96 * 2.0_f64.sqrt())));
        assert!((found[1] - (1.0 - accuracy * auc)).abs() < 0.03, "{} for {}", found[1], 1.0 - accuracy * auc);
        assert!((found[0] - (1.0 - (1.0 - accuracy) * (1.0 - auc))).abs() < 0.03);
    }

    #[test]
    fn one_measurement_is_drawn_once() {
        // The same classifier and so the same accuracy, but surely more leakage.
        let releases = [at("images", 0.9, 0.55), at("weights", 0.9, 0.7)];
        assert_eq!(chances(&releases), [1.0, 0.0]);
        let mut other = releases.clone();
        other[1].utility[0].accuracy = estimate(0.9, 0.011);
        let by_chance = chances(&other)[1];
        assert!((0.4..0.6).contains(&by_chance), "another measurement may be the better one: {by_chance}");
    }

    #[test]
    fn what_was_not_measured_has_no_place() {
        let mut releases = [at("a", 0.9, 0.55), at("b", 0.8, 0.5)];
        releases[0].attacks.clear();
        assert_eq!(probabilities(&releases), [None, Some(1.0)]);
    }
}
