//! Codes that compare by the Hamming distance: neighbours are counted, means and products refused with the reason.

use standin_data::{Seed, Silent};
use standin_encode::{Embedding, Metric, Stamp};
use standin_measure::{Error, Moments, Outcome, Sets, cmmd, evaluate, frechet_distance, kernel_distance, vendi_score};

/// Codes 0, …, 7 at 16 places, each place with a usual code that one row in two has.
fn codes(rows: usize, seed: u64) -> Embedding {
    let mut state = Seed::new(seed).value();
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 60) as f32
    };
    let values = (0..rows * 16).map(|at| {
        let code = next();
        if code < 8.0 { code } else { (at % 16 % 8) as f32 }
    });
    Embedding::new(values.collect(), 16, Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") }).unwrap()
}

fn outcomes(names: &[&str]) -> Vec<(String, Outcome)> {
    let (train, holdout, synthetic) = (codes(150, 1), codes(150, 2), codes(150, 3));
    let sets = Sets { train: &train, holdout: Some(&holdout), synthetic: &synthetic };
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let found = evaluate(&names, sets, Seed::new(1), &Silent).unwrap();
    found.into_iter().map(|finding| (finding.measure, finding.outcome)).collect()
}

#[test]
fn what_computes_with_values_is_not_measurable_and_says_why() {
    let names = [
        "frechet-distance",
        "fd-infinity",
        "kernel-distance",
        "cmmd",
        "vendi-score",
        "sliced-wasserstein",
        "two-sample-classifier",
    ];
    for (name, outcome) in outcomes(&names) {
        let Outcome::NotMeasurable(reason) = outcome else { panic!("{name} of codes is {outcome}") };
        assert!(reason.contains("Hamming") && reason.contains("continuous"), "{reason}");
    }
    let set = codes(50, 4);
    let refused = |error: Option<Error>| assert!(matches!(error, Some(Error::NeedsEuclidean { .. })), "{error:?}");
    refused(frechet_distance(&set, &set).err());
    refused(kernel_distance(&set, &set).err());
    refused(cmmd(&set, &set).err());
    refused(vendi_score(&set).err());
    refused(Moments::of(&set).err());
}

#[test]
fn what_looks_at_neighbours_is_measured() {
    for (name, outcome) in outcomes(&["precision", "recall", "density", "coverage", "dcr-share", "authenticity"]) {
        assert!(outcome.estimate().is_some(), "{name}: {outcome}");
    }
}
