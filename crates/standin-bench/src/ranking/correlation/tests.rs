use rand_distr::{Distribution, StandardNormal};
use standin_data::Seed;

use super::*;
use crate::ranking::tests::{accuracy, estimate, release, row};
use crate::summary::ReleaseKind;

/// Sets whose accuracy rises with precision and falls with FD, beside a measure that is the same for all.
fn sweep(sets: usize) -> Vec<Release> {
    let set = |at: usize| {
        let quality = at as f64;
        let same = |value| estimate(value, 0.1, 0.1);
        let mut set = release(
            &format!("set {at}"),
            vec![
                row("precision", "higher", 500, same(0.3 + 0.05 * quality)),
                row("frechet-distance", "lower", 500, same(90.0 - quality * quality)),
                row("recall", "higher", 500, same(0.5)),
                row("odd-size", "higher", 500 + at % 2, same(quality)),
            ],
        );
        set.utility = vec![accuracy("cnn", 0.5 + 0.04 * quality), accuracy("logistic", 0.9 - 0.04 * quality)];
        set
    };
    (0..sets).map(set).collect()
}

#[test]
fn planted_relations_are_found() {
    let found = correlations(&sweep(7)).unwrap();
    let names =
        ["accuracy of cnn", "precision against holdout", "frechet-distance against holdout", "recall against holdout"];
    assert_eq!(found.names[..4], names);
    assert_eq!(found.names[4..], ["accuracy of logistic"], "what has too few sets of one size is left out");
    assert_eq!(found.matrix[0], [Some(1.0), Some(1.0), Some(-1.0), None, Some(-1.0)]);
    assert_eq!(found.matrix[2][1], Some(-1.0));
    assert_eq!((found.utility.as_str(), found.releases), ("accuracy of cnn", 7));
    let precision = found.with_utility[1].estimate().unwrap();
    assert!(precision.low > 0.0 && precision.method.contains("only strong relations"));
    assert!(found.with_utility[3].to_string().contains("the same value"));
    assert!(!correlations(&sweep(10)).unwrap().with_utility[1].estimate().unwrap().method.contains("only strong"));
}

#[test]
fn unrelated_figures_have_intervals_around_zero() {
    let mut rng = Seed::new(8).rng();
    let mut excluded = 0;
    for _ in 0..400 {
        let mut sets = sweep(9);
        for set in &mut sets {
            let z: f64 = StandardNormal.sample(&mut rng);
            set.utility[0].accuracy = estimate(z, 0.1, 0.1);
        }
        let found = correlations(&sets).unwrap();
        let precision = found.with_utility[1].estimate().unwrap();
        excluded += usize::from(precision.low > 0.0 || precision.high < 0.0);
    }
    assert!((8..=32).contains(&excluded), "{excluded} of 400");
}

#[test]
fn too_few_sets_with_a_utility_have_no_correlations() {
    assert_eq!(correlations(&sweep(4)), None);
    let mut sets = sweep(5);
    sets[0].kind = ReleaseKind::ClassifierOnReal;
    assert_eq!(correlations(&sets), None);
    let mut sets = sweep(6);
    sets[0].utility.clear();
    assert_eq!(correlations(&sets).unwrap().releases, 5);
    sets[1].measures[0].outcome = Outcome::NotMeasurable("too few images".into());
    let found = correlations(&sets).unwrap();
    assert!(!found.names.contains(&"precision against holdout".to_owned()));
}

#[test]
fn a_figure_that_some_sets_lack_has_no_correlation() {
    let mut sets = sweep(7);
    sets[3].measures[0].outcome = Outcome::NotMeasurable("too few images".into());
    let found = correlations(&sets).unwrap();
    assert_eq!(found.matrix[1], [None; 5]);
    assert!(found.with_utility[1].to_string().contains("measured for 6 of the 7 sets"));
}
