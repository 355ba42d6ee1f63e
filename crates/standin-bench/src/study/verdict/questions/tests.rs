use standin_privacy::{Adjacency, Guarantee, NoiseOrigin, Unit};

use super::*;
use crate::study::verdict::judge;
use crate::summary::testing::{estimate, release};

fn set(name: &str, accuracy: f64, auc: f64, epsilon: Option<f64>) -> Release {
    let mut release = release(name, ReleaseKind::Images, accuracy, auc, 0.0);
    release.guarantee = epsilon.map(|epsilon| Guarantee {
        epsilon,
        delta: 1e-5,
        unit: Unit::Image,
        adjacency: Adjacency::AddRemove,
        sampler: String::new(),
        mechanism: String::new(),
        accountant: String::new(),
        noise: NoiseOrigin::Secret,
        not_covered: vec![],
    });
    release.utility[0].real = Some(Outcome::Measured(estimate(0.95, 0.01)));
    release
}

fn questions(releases: &[Release]) -> Vec<Answer> {
    let thresholds = Thresholds::default();
    answer(releases, &judge(releases, &thresholds, 0.0), &[], &thresholds)
}

#[test]
fn replacement_is_judged_for_each_classifier_by_its_interval() {
    let of = |accuracy: f64, ratio: Estimate| {
        let mut release = set("vae", accuracy, 0.55, None);
        release.utility[0].replacement_ratio = Some(ratio.clone());
        let mut second = release.utility[0].clone();
        second.classifier = "logistic".into();
        second.replacement_ratio = Some(estimate(0.5, 0.02));
        release.utility.push(second);
        questions(&[release])[0].clone()
    };
    let found = of(0.9, estimate(0.95, 0.02));
    assert!(found.answer.contains("with cnn, yes: the best, vae, keeps 95.0 % [93.0, 97.0]"), "{}", found.answer);
    assert!(found.answer.contains("with logistic, no"), "{}", found.answer);
    assert!(found.evidence[0].contains("difference −5.0 points [−6.4, −3.6]"), "{}", found.evidence[0]);
    assert!(of(0.9, estimate(0.91, 0.02)).answer.contains("with cnn, probably, though"));
    assert!(of(0.9, estimate(0.89, 0.02)).answer.contains("with cnn, probably not, though"));
}

#[test]
fn the_front_is_said_with_its_certainty() {
    let releases = [
        set("useful", 0.95, 0.62, None),
        set("safe", 0.70, 0.50, None),
        set("like-safe", 0.70, 0.505, None),
        set("worse", 0.5, 0.7, None),
    ];
    let found = questions(&releases)[1].answer.clone();
    assert!(found.starts_with("Certainly useful.") && found.contains("Possibly safe ("), "{found}");
    assert!(found.contains("like-safe") && !found.contains("worse"), "{found}");
    assert!(found.ends_with("Any other is surpassed by one that is better in one and at least as good in the other."));
    let found = questions(&releases[..2])[1].answer.clone();
    assert_eq!(found, "Certainly useful and safe: among these, more accuracy is paid for with more leakage.");
}

#[test]
fn mitigations_are_counted_by_what_they_do() {
    let mitigation = |release: &str, effect| Mitigation {
        release: release.into(),
        without: "vae".into(),
        differences: vec!["epochs 20 instead of 200".into()],
        accuracy: Some(estimate(-0.023, 0.019)),
        auc: Some(estimate(-0.05, 0.03)),
        effect,
    };
    let found = improvement(&[mitigation("early", Effect::Trades), mitigation("typical", Effect::NotToldApart)]);
    assert_eq!(
        found.answer,
        "Of 2 compared with the same run without them: 1 trades one for the other (early beside vae); 1 is not told \
         apart from it (typical beside vae)."
    );
    assert_eq!(
        found.evidence[0],
        "early beside vae (epochs 20 instead of 200): accuracy −2.3 points [−4.2, −0.4], strongest AUC −0.050 [−0.080, \
         −0.020]; trades one for the other"
    );
    assert!(improvement(&[]).answer.starts_with("Not measured"));
}

#[test]
fn the_best_generator_is_named_for_each_setting() {
    let releases = [
        set("vae", 0.95, 0.6, None),
        set("gan", 0.945, 0.6, None),
        set("merf-1", 0.8, 0.5, Some(1.0)),
        set("mfa-1", 0.7, 0.5, Some(0.998)),
        set("merf-10", 0.9, 0.55, Some(10.0)),
    ];
    let found = questions(&releases)[3].answer.clone();
    for part in [
        "Without a guarantee, vae is the most useful (cnn 95.0 % [94.0, 96.0], strongest AUC 0.600 [0.580, 0.620]; not \
         told apart from gan)",
        "At ε = 1, merf-1 is",
        "; the others are less accurate beyond chance)",
        "At ε = 10, merf-10 is the most useful (cnn 90.0 % [89.0, 91.0], strongest AUC 0.550 [0.530, 0.570]; it has no \
         rival here)",
        "On the Pareto front of the sets of images alone: Certainly ",
    ] {
        assert!(found.contains(part), "`{part}` is not in: {found}");
    }
}
