use rand_distr::{Distribution, StandardNormal};
use standin_measure::Outcome;
use statrs::distribution::{ContinuousCDF, Normal};

use super::*;
use crate::summary::{AttackRow, MeasureRow, Utility};

pub(super) fn estimate(value: f64, below: f64, above: f64) -> Estimate {
    Estimate { value, low: value - below, high: value + above, n: 500, method: "made up".into() }
}

pub(super) fn release(name: &str, rows: Vec<MeasureRow>) -> Release {
    Release {
        name: name.into(),
        kind: ReleaseKind::Images,
        generator: None,
        source: None,
        guarantee: None,
        utility: vec![],
        measures: rows,
        attacks: vec![],
        gallery: None,
        scores: None,
        canaries: Vec::new(),
    }
}

pub(super) fn row(measure: &str, better: &str, synthetic: usize, estimate: Estimate) -> MeasureRow {
    MeasureRow {
        measure: measure.into(),
        aspect: "fidelity".into(),
        against: "holdout".into(),
        outcome: Outcome::Measured(estimate),
        reference: None,
        better: better.into(),
        stamp: format!("pixels (28×28); k=5; {synthetic} synthetic, 500 training, 500 holdout"),
    }
}

pub(super) fn accuracy(classifier: &str, value: f64) -> Utility {
    Utility {
        classifier: classifier.into(),
        accuracy: estimate(value, 0.02, 0.02),
        balanced_accuracy: estimate(value, 0.02, 0.02),
        replacement_ratio: None,
        per_class: vec![],
        per_seed: vec![value],
        real: None,
        real_on_synthetic: None,
        augmented: None,
        per_group: vec![],
    }
}

fn sets(better: &str, estimates: &[Estimate]) -> Vec<Release> {
    let set = |(at, found): (usize, &Estimate)| release(&at.to_string(), vec![row("m", better, 500, found.clone())]);
    estimates.iter().enumerate().map(set).collect()
}

fn only(releases: &[Release]) -> Ranking {
    let mut found = rankings(releases);
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn names(ranking: &Ranking) -> Vec<&str> {
    ranking.places.iter().map(|place| &*place.release).collect()
}

#[test]
fn the_best_comes_first_whichever_way_is_better() {
    let estimates = [0.2, 0.9, 0.55].map(|value| estimate(value, 0.01, 0.01));
    for (better, order) in [("higher", ["1", "2", "0"]), ("lower", ["0", "2", "1"]), ("0.5", ["2", "0", "1"])] {
        let ranking = only(&sets(better, &estimates));
        assert_eq!(names(&ranking), order, "{better}");
        let ranks: Vec<(f64, (usize, usize), f64)> =
            ranking.places.iter().map(|place| (place.rank, place.rank_interval, place.best)).collect();
        assert_eq!(ranks, [(1.0, (1, 1), 1.0), (2.0, (2, 2), 0.0), (3.0, (3, 3), 0.0)], "{better}");
    }
    assert!(rankings(&sets("sideways", &estimates)).is_empty());
}

#[test]
fn equal_values_share_the_mean_rank_and_the_chance() {
    let ranking = only(&sets("higher", &[0.5, 0.5, 0.1].map(|value| estimate(value, 0.0, 0.0))));
    let found: Vec<(f64, (usize, usize), f64)> =
        ranking.places.iter().map(|place| (place.rank, place.rank_interval, place.best)).collect();
    assert_eq!(found, [(1.5, (1, 2), 0.5), (1.5, (1, 2), 0.5), (3.0, (3, 3), 0.0)]);
}

#[test]
fn wide_intervals_leave_every_rank_possible() {
    let ranking = only(&sets("lower", &[1.0, 2.0, 3.0, 4.0].map(|value| estimate(value, 5.0, 5.0))));
    assert!(ranking.places.iter().all(|place| place.rank_interval == (1, 4) && place.best > 0.05));
    let chances: f64 = ranking.places.iter().map(|place| place.best).sum();
    assert!((chances - 1.0).abs() < 1e-9);
}

#[test]
fn an_open_interval_leaves_every_rank_possible() {
    let open = Estimate { low: f64::NEG_INFINITY, high: f64::INFINITY, ..estimate(3.0, 0.0, 0.0) };
    let ranking = only(&sets("higher", &[estimate(1.0, 0.1, 0.1), open, estimate(2.0, 0.1, 0.1)]));
    assert_eq!(names(&ranking), ["1", "2", "0"]);
    let intervals: Vec<_> = ranking.places.iter().map(|place| place.rank_interval).collect();
    assert_eq!(intervals, [(1, 3), (1, 2), (2, 3)]);
}

/// P(X₁ > X₂) = Φ((μ₁ − μ₂)/√(σ₁² + σ₂²)) for independent normal X.
#[test]
fn chance_of_being_best_is_the_normal_probability() {
    let z = Normal::standard().inverse_cdf(0.975);
    for (difference, widths) in [(0.0, (1.0, 1.0)), (0.5, (1.0, 0.4)), (1.5, (0.5, 1.0)), (-0.7, (0.3, 0.3))] {
        let (a, b): (f64, f64) = widths;
        let estimates = [estimate(difference, z * a, z * a), estimate(0.0, z * b, z * b)];
        let ranking = only(&sets("higher", &estimates));
        let found = ranking.places.iter().find(|place| place.release == "0").unwrap().best;
        let expected = Normal::standard().cdf(difference / a.hypot(b));
        // Four standard errors of a share of 2000 draws.
        assert!((found - expected).abs() < 4.0 * (0.25 / 2000.0_f64).sqrt(), "{found} for {expected}");
    }
}

#[test]
fn draws_are_as_skewed_as_the_interval() {
    let skewed = [estimate(0.0, 0.1, 10.0), estimate(0.5, 0.01, 0.01)];
    let ranking = only(&sets("higher", &skewed));
    let first = ranking.places.iter().find(|place| place.release == "0").unwrap();
    // Half of its mass lies above 0, of which Φ(−0.5·1.96/10) of a normal lies above 0.5.
    let expected = 1.0 - Normal::standard().cdf(0.5 * 1.96 / 10.0);
    assert!((first.best - expected).abs() < 0.05, "{} for {expected}", first.best);
    assert_eq!(ranking.places[0].rank_interval, (1, 2));
}

/// Repeats in which the intervals of `k` equally good sets all stay whole for the first of them.
fn whole(k: usize, repeats: usize) -> f64 {
    let z = Normal::standard().inverse_cdf(0.975);
    let mut rng = Seed::new(11).rng();
    let mut draw = || -> f64 { StandardNormal.sample(&mut rng) };
    let kept = (0..repeats).filter(|_| {
        let costs: Vec<(f64, f64, f64)> = (0..k)
            .map(|at| {
                let width = z * (1.0 + at as f64 / 3.0);
                let value = draw() * (1.0 + at as f64 / 3.0);
                (value - width, value, value + width)
            })
            .collect();
        possible_ranks(&costs, 0) == (1, k)
    });
    kept.count() as f64 / repeats as f64
}

/// Among equally good sets any rank is right, so an interval covers if it leaves all of them possible.
#[test]
fn rank_intervals_cover_equally_good_sets_at_their_level() {
    for k in [2, 3, 6] {
        let covered = whole(k, 2000);
        assert!((0.92..=0.98).contains(&covered), "{covered} of {k} sets");
    }
}

#[test]
fn rank_intervals_cover_the_true_ranks_of_unequal_sets() {
    let z = Normal::standard().inverse_cdf(0.975);
    let mut rng = Seed::new(12).rng();
    let truth = [0.0, 0.5, 1.0, 3.0, 3.2];
    let mut covered = 0;
    for _ in 0..1000 {
        let drawn = truth.map(|mean| {
            mean + {
                let z: f64 = StandardNormal.sample(&mut rng);
                z
            }
        });
        let costs = drawn.map(|value| (value - z, value, value + z));
        covered += (0..5)
            .filter(|&at| {
                let (best, worst) = possible_ranks(&costs, at);
                (best..=worst).contains(&(at + 1))
            })
            .count();
    }
    assert!(covered >= 4750, "{covered} of 5000");
}

#[test]
fn sets_of_different_size_are_not_ranked_together() {
    let set = |name: &str, synthetic: usize, value: f64| {
        release(name, vec![row("precision", "higher", synthetic, estimate(value, 0.1, 0.1))])
    };
    let releases = [set("a", 500, 0.5), set("b", 300, 0.6), set("c", 500, 0.7)];
    assert_eq!(names(&only(&releases)), ["c", "a"]);
    let said = unequal_sizes(&releases).unwrap();
    assert!(said.contains("b with 300; a, c with 500") && said.contains("thin all to 300"), "{said}");
    assert_eq!(unequal_sizes(&[set("a", 500, 0.5), set("c", 500, 0.7)]), None);
    assert!(rankings(&releases[..2]).is_empty());
}

#[test]
fn accuracy_and_attacks_are_ranked_beside_the_measures() {
    let set = |name: &str, value: f64| {
        let mut set = release(name, vec![row("precision", "higher", 500, estimate(value, 0.01, 0.01))]);
        set.utility = vec![accuracy("cnn", value)];
        set.attacks = vec![AttackRow {
            attack: "gan-leaks".into(),
            access: "images".into(),
            stamp: "pixels".into(),
            members: 100,
            non_members: 100,
            auc: estimate(value, 0.01, 0.01),
            per_seed: Vec::new(),
            p_value: 0.03,
            corrected_p_value: 0.06,
            balanced_accuracy: estimate(0.5, 0.01, 0.01),
            true_positive_rates: vec![],
            roc: vec![(0.0, 0.0), (1.0, 1.0)],
            epsilon_lower: None,
        }];
        set
    };
    let mut releases = vec![set("a", 0.9), set("b", 0.6)];
    let mut classifier = set("classifier", 0.99);
    classifier.kind = ReleaseKind::ClassifierOnReal;
    releases.push(classifier);
    let found = rankings(&releases);
    let order: Vec<(&str, &str, Vec<&str>)> =
        found.iter().map(|ranking| (&*ranking.measure, &*ranking.better, names(ranking))).collect();
    assert_eq!(
        order,
        [
            ("precision", "higher", vec!["a", "b"]),
            ("cnn", "higher", vec!["a", "b"]),
            ("gan-leaks", "lower", vec!["b", "a"])
        ]
    );
    releases[0].measures[0].outcome = Outcome::NotMeasurable("too few".into());
    assert_eq!(rankings(&releases).len(), 2, "one set alone is not ranked");
}

#[test]
fn another_set_changes_no_draw_of_the_others() {
    let three = sets("higher", &[0.5, 0.52, -9.0].map(|value| estimate(value, 0.1, 0.1)));
    let (all, two) = (only(&three), only(&three[..2]));
    for (a, b) in all.places.iter().zip(&two.places) {
        assert_eq!((a.best, &a.release), (b.best, &b.release));
    }
    assert_eq!(rankings(&three), rankings(&three));
}
