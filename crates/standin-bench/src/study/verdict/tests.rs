use standin_measure::{Estimate, Outcome};
use standin_privacy::lower_bound::LowerBound;
use standin_privacy::{Guarantee, NoiseOrigin, Unit};

use super::*;
use crate::summary::RateAt;

fn estimate(value: f64, half: f64) -> Estimate {
    Estimate { value, low: value - half, high: value + half, n: 100, method: "made up".into() }
}

/// A release whose only attack has this AUC, give or take 0.02, and demonstrates this ε.
fn release(name: &str, kind: ReleaseKind, accuracy: f64, auc: f64, demonstrated: f64) -> Release {
    Release {
        name: name.into(),
        kind,
        generator: (kind != ReleaseKind::ClassifierOnReal).then(|| ("vae".into(), "vae".into())),
        source: None,
        guarantee: None,
        utility: vec![Utility {
            classifier: "cnn".into(),
            accuracy: estimate(accuracy, 0.01),
            balanced_accuracy: estimate(accuracy, 0.01),
            replacement_ratio: (kind != ReleaseKind::ClassifierOnReal).then(|| estimate(accuracy / 0.95, 0.01)),
            per_class: vec![],
            per_seed: vec![accuracy],
            real: None,
            real_on_synthetic: None,
            augmented: None,
            per_group: Vec::new(),
        }],
        measures: vec![],
        attacks: vec![AttackRow {
            attack: "gan-leaks".into(),
            access: "images".into(),
            stamp: String::new(),
            members: 100,
            non_members: 100,
            auc: estimate(auc, 0.02),
            p_value: 0.03,
            corrected_p_value: 0.06,
            balanced_accuracy: estimate(0.5, 0.1),
            true_positive_rates: vec![RateAt {
                false_positive_rate: 0.01,
                outcome: Outcome::Measured(estimate(0.02, 0.01)),
            }],
            roc: vec![(0.0, 0.0), (1.0, 1.0)],
            epsilon_lower: Some(Outcome::Measured(estimate(demonstrated, 0.0))),
        }],
        gallery: None,
        scores: None,
        canaries: Vec::new(),
    }
}

fn guarantee(epsilon: f64, adjacency: Adjacency) -> Guarantee {
    Guarantee {
        epsilon,
        delta: 1e-6,
        unit: Unit::Image,
        adjacency,
        sampler: String::new(),
        mechanism: String::new(),
        accountant: String::new(),
        noise: NoiseOrigin::Secret,
        not_covered: vec![],
    }
}

fn judged(release: &Release) -> ReleaseVerdict {
    judge(std::slice::from_ref(release), &Thresholds::default(), 0.0).releases.remove(0)
}

#[test]
fn a_classifier_that_may_be_guessing_is_not_useful() {
    let mut release = release("images", ReleaseKind::Images, 0.684, 0.5, 0.0);
    release.utility[0].replacement_ratio = Some(estimate(0.95, 0.02));
    let useful = |most_common| {
        judge(std::slice::from_ref(&release), &Thresholds::default(), most_common).releases.remove(0).useful
    };
    assert!(useful(0.1));
    assert!(!useful(0.69));
}

#[test]
fn a_useful_release_that_resists_passes_and_each_threshold_can_fail_it() {
    let passes = |release: &Release| {
        let verdict = judged(release);
        (verdict.useful, verdict.resists_attacks)
    };
    assert_eq!(passes(&release("a", ReleaseKind::Images, 0.9, 0.55, 0.0)), (true, true));
    assert_eq!(passes(&release("a", ReleaseKind::Images, 0.8, 0.55, 0.0)), (false, true));
    // 0.59 itself is allowed; the upper end of its interval is not.
    assert_eq!(passes(&release("a", ReleaseKind::Images, 0.9, 0.59, 0.0)), (true, false));
    let mut exposed = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
    exposed.attacks[0].true_positive_rates[0].outcome = Outcome::Measured(estimate(0.045, 0.01));
    assert_eq!(passes(&exposed), (true, false));
    exposed.attacks[0].true_positive_rates[0].outcome = Outcome::NotMeasurable("too few".into());
    assert_eq!(passes(&exposed), (true, true));
    exposed.attacks.clear();
    assert_eq!(passes(&exposed), (true, false), "nothing is known without an attack");
}

#[test]
fn a_second_attack_with_a_wider_interval_counts_too() {
    let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
    let mut second = release.attacks[0].clone();
    second.auc = estimate(0.54, 0.1);
    release.attacks.push(second);
    assert!(!judged(&release).resists_attacks);
}

#[test]
fn more_leakage_than_promised_is_a_violation_counted_by_adjacency() {
    let with = |demonstrated, adjacency| {
        let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, demonstrated);
        release.guarantee = Some(guarantee(1.0, adjacency));
        violations(&release).len()
    };
    assert_eq!((with(1.9, Adjacency::AddRemove), with(2.1, Adjacency::AddRemove)), (0, 1));
    assert_eq!((with(0.9, Adjacency::ReplaceOne), with(1.1, Adjacency::ReplaceOne)), (0, 1));
    assert!(violations(&release("a", ReleaseKind::Images, 0.9, 0.55, 9.0)).is_empty(), "nothing was promised");
}

#[test]
fn a_classifier_that_leaks_more_than_its_images_shows_a_weak_attack() {
    let images = release("vae", ReleaseKind::Images, 0.9, 0.52, 0.0);
    let classifier = |auc| release("cnn-on-vae", ReleaseKind::ClassifierOnSynthetic, 0.9, auc, 0.0);
    assert!(reversals(&[images.clone(), classifier(0.55)]).is_empty(), "the intervals overlap");
    assert_eq!(reversals(&[images, classifier(0.6)]).len(), 1);
}

#[test]
fn a_release_that_remembers_canaries_does_not_resist() {
    let mut release = release("a", ReleaseKind::Images, 0.9, 0.55, 0.0);
    let resists = |release: &Release| judged(release).resists_attacks;
    assert!(resists(&release));
    let audit = |auc: f64, shown: f64| CanaryRow {
        kind: "noise".into(),
        canaries: 100,
        runs: 1,
        guessed_runs: 1,
        score: String::new(),
        members: 50,
        non_members: 50,
        auc: estimate(auc, 0.05),
        p_value: 0.1,
        true_positive_rates: vec![],
        guesses: 10,
        right_guesses: 9,
        epsilon_lower: LowerBound { epsilon: shown, delta: 1e-5, confidence: 0.95, method: String::new() },
        epsilon_claimed: Some(1.0),
    };
    release.canaries = vec![audit(0.69, 0.4)];
    assert!(resists(&release));
    let words = judged(&release).reasons.join(" ");
    assert!(words.contains("Noise canaries") && words.contains("ε ≥ 0.40"), "{words}");
    release.canaries.push(audit(0.72, 0.4));
    assert!(!resists(&release), "0.77 is above 0.75");
    release.canaries = vec![audit(0.6, 1.1)];
    assert!(!resists(&release), "more was shown than is promised");
}

#[test]
fn the_pareto_front_drops_what_is_worse_on_both_counts() {
    let releases = [
        release("good", ReleaseKind::Images, 0.9, 0.55, 0.0),
        release("safer", ReleaseKind::Images, 0.7, 0.51, 0.0),
        release("worse", ReleaseKind::Images, 0.8, 0.58, 0.0),
    ];
    let front: Vec<bool> =
        judge(&releases, &Thresholds::default(), 0.0).releases.iter().map(|verdict| verdict.pareto).collect();
    assert_eq!(front, [true, true, false]);
}
