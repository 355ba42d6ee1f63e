//! Measures of whole distributions on sets whose fault, or faultlessness, is known.

use rand_distr::{Distribution, StandardNormal};
use standin_data::{Seed, Silent};
use standin_encode::{Embedding, Stamp};
use standin_measure::{Against, Estimate, Finding, Sets, evaluate};

const DIMENSION: usize = 10;
const DISTANCES: [&str; 4] = ["fd-infinity", "sliced-wasserstein", "two-sample-classifier", "two-sample-neighbours"];

/// Two groups far from the origin, so that directions say something too.
fn population(rows: usize, seed: u64) -> Embedding {
    let mut rng = Seed::new(seed).derive("population").rng();
    let values = (0..rows * DIMENSION).map(|at| {
        let normal: f32 = StandardNormal.sample(&mut rng);
        let group = if (at / DIMENSION) % 2 == at % 2 { 3.0 } else { 6.0 };
        group + normal
    });
    embed(values.collect())
}

fn embed(values: Vec<f32>) -> Embedding {
    let stamp = Stamp::new("test", "");
    Embedding::new(values, DIMENSION, stamp).unwrap()
}

fn changed(set: &Embedding, change: impl Fn(f32) -> f32) -> Embedding {
    embed(set.values().iter().map(|&x| change(x)).collect())
}

fn measured(names: &[&str], train: &Embedding, holdout: Option<&Embedding>, synthetic: &Embedding) -> Vec<Finding> {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    evaluate(&names, Sets { train, holdout, synthetic }, Seed::new(1), &Silent).unwrap()
}

fn find<'a>(findings: &'a [Finding], measure: &str, against: Against) -> &'a Estimate {
    let found = findings.iter().find(|finding| finding.measure == measure && finding.against == against);
    found.unwrap().outcome.estimate().unwrap()
}

#[test]
fn a_shifted_and_a_noisy_generator_are_farther_from_the_population_than_an_honest_one() {
    let (train, holdout, honest) = (population(400, 1), population(400, 2), population(400, 3));
    let found = |synthetic: &Embedding| {
        let names = [&DISTANCES[..], &["feature-likelihood"]].concat();
        measured(&names, &train, Some(&holdout), synthetic)
    };
    let honest = found(&honest);
    let shifted = found(&changed(&population(400, 4), |x| x + 0.5));
    let noisy = found(&changed(&population(400, 5), |x| 1.6 * x - 2.7));
    for (fault, faulty) in [("shifted", shifted), ("noisy", noisy)] {
        for measure in DISTANCES.into_iter().chain(["feature-likelihood"]) {
            let (good, bad) = (find(&honest, measure, Against::Holdout), find(&faulty, measure, Against::Holdout));
            if (fault, measure) == ("noisy", "two-sample-classifier") {
                // No plane separates populations with one centre.
                assert!(bad.low < 0.5 && 0.5 < bad.high, "{bad}");
                continue;
            }
            assert!(bad.low > good.high, "{measure}, {fault}: {bad} against {good} of an honest one");
        }
    }
}

#[test]
fn what_does_not_differ_is_not_told_apart() {
    let (train, holdout) = (population(400, 11), population(400, 12));
    let names = ["fd-infinity", "two-sample-classifier", "two-sample-neighbours", "retrieval-adjusted"];
    let found = measured(&names, &train, Some(&holdout), &population(400, 13));
    for (measure, best) in names.into_iter().zip([0.0, 0.5, 0.5, 1.0]) {
        let estimate = find(&found, measure, Against::Train);
        assert!(estimate.low <= best && best <= estimate.high, "{measure}: {estimate}");
    }
}

#[test]
fn a_generator_that_copies_gains_against_train_only_and_is_found_out() {
    let (train, holdout, honest) = (population(300, 21), population(300, 22), population(300, 23));
    let noise = population(300, 24);
    let copies = train.values().iter().zip(noise.values()).map(|(x, noise)| x + 0.005 * (noise - 4.5));
    let copies = embed(copies.collect());
    let names =
        ["fd-infinity", "sliced-wasserstein", "two-sample-neighbours", "memorisation-fid", "feature-likelihood"];
    let found = measured(&names, &train, Some(&holdout), &copies);
    for measure in ["fd-infinity", "sliced-wasserstein", "two-sample-neighbours"] {
        let (train, holdout) = (find(&found, measure, Against::Train), find(&found, measure, Against::Holdout));
        assert!(train.value < holdout.value, "{measure}: {train} and {holdout}");
    }
    assert!(find(&found, "two-sample-neighbours", Against::Train).high < 0.1);

    let of = |synthetic: &Embedding, measure, against| {
        find(&measured(&[measure], &train, Some(&holdout), synthetic), measure, against).clone()
    };
    for measure in ["feature-likelihood", "feature-likelihood-gap"] {
        let (copying, honest) = (of(&copies, measure, Against::Holdout), of(&honest, measure, Against::Holdout));
        assert!(copying.low > 2.0 * honest.high.max(1.0), "{measure}: {copying} and {honest}");
    }
    // What the penalty multiplies the Fréchet distance by.
    let penalty = |synthetic: &Embedding| {
        of(synthetic, "memorisation-fid", Against::Train).value
            / of(synthetic, "frechet-distance", Against::Train).value
    };
    assert!(penalty(&copies) > 100.0 * penalty(&honest));
}

#[test]
fn a_collapsed_generator_has_learnt_few_images() {
    let (train, holdout) = (population(300, 31), population(300, 32));
    let collapsed = embed(
        population(300, 33)
            .values()
            .chunks(DIMENSION)
            .flat_map(|row| {
                let first = population(1, 34);
                row.iter().zip(first.values()).map(|(x, centre)| centre + 0.05 * x).collect::<Vec<_>>()
            })
            .collect(),
    );
    let found = measured(&["retrieval", "retrieval-adjusted"], &train, Some(&holdout), &collapsed);
    let reference = found[0].reference.as_ref().unwrap().estimate().unwrap();
    assert!(find(&found, "retrieval", Against::Train).high < 0.2 * reference.low, "{found:?}");
    assert!(find(&found, "retrieval-adjusted", Against::Train).high < 0.2, "{found:?}");
}

#[test]
fn without_a_holdout_what_needs_one_says_so() {
    let (train, synthetic) = (population(60, 41), population(60, 42));
    let needing = ["feature-likelihood", "feature-likelihood-gap", "retrieval-adjusted"];
    for finding in measured(&needing, &train, None, &synthetic) {
        assert!(finding.outcome.to_string().contains("no holdout images"), "{}: {}", finding.measure, finding.outcome);
    }
    let others = [&DISTANCES[..], &["memorisation-fid", "retrieval"]].concat();
    for finding in measured(&others, &train, None, &synthetic) {
        assert!(finding.outcome.estimate().is_some() && finding.reference.is_none(), "{}", finding.measure);
    }
}
