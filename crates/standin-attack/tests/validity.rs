//! Every attack finds a leak that is there, and none where members and non-members are exchangeable.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use standin_attack::{
    ATTACKS, Access, ClassifierTarget, Evaluation, Family, ImagesTarget, Logits, Need, Shadow, Target, attack,
    epsilon_lower, evaluate,
};
use standin_data::Seed;
use standin_encode::{Embedding, Metric, Stamp};
use statrs::distribution::{ContinuousCDF, Normal};

fn normal(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
}

fn embedding(rows: Vec<Vec<f32>>) -> Embedding {
    let dimension = rows[0].len();
    let stamp = Stamp::new("normal", format!("{dimension} features"));
    Embedding::new(rows.concat(), dimension, stamp).unwrap()
}

fn images(count: usize, dimension: usize, rng: &mut impl Rng) -> Vec<Vec<f32>> {
    (0..count).map(|_| (0..dimension).map(|_| normal(rng)).collect()).collect()
}

/// Answers of a classifier of 4 classes and of its shadows to candidates of unequal difficulty; training on a candidate
/// raises the logit of its label by `memory`.
struct World {
    labels: Vec<u32>,
    target: Vec<f32>,
    shadows: Vec<(Vec<f32>, Vec<bool>)>,
}

impl World {
    const CLASSES: usize = 4;

    /// The first half of the candidates are members of the target; each is a member of every other shadow.
    fn new(candidates: usize, shadows: usize, memory: f32, rng: &mut impl Rng) -> Self {
        let labels: Vec<u32> = (0..candidates).map(|_| rng.random_range(0..Self::CLASSES as u32)).collect();
        let easy: Vec<Vec<f32>> = images(candidates, Self::CLASSES, rng);
        let mut answer = |member: &[bool]| -> Vec<f32> {
            (0..candidates)
                .flat_map(|at| {
                    let mut logits: Vec<f32> = easy[at].iter().map(|easy| 2.0 * easy + 0.7 * normal(rng)).collect();
                    logits[labels[at] as usize] += 1.0 + if member[at] { memory } else { 0.0 };
                    logits
                })
                .collect()
        };
        let members: Vec<bool> = (0..candidates).map(|at| at < candidates / 2).collect();
        let target = answer(&members);
        let shadows = (0..shadows)
            .map(|shadow| {
                let members: Vec<bool> = (0..candidates).map(|at| (at + shadow).is_multiple_of(2)).collect();
                (answer(&members), members)
            })
            .collect();
        Self { labels, target, shadows }
    }

    fn score(&self, name: &str) -> (Vec<f64>, Vec<f64>) {
        let shadows: Vec<Shadow<'_>> = self
            .shadows
            .iter()
            .map(|(logits, member)| Shadow { logits: Logits::new(logits, Self::CLASSES).unwrap(), member })
            .collect();
        let logits = Logits::new(&self.target, Self::CLASSES).unwrap();
        let target = Target::Classifier(ClassifierTarget::new(logits, &self.labels, &shadows).unwrap());
        let mut scores = attack(name).unwrap().build().score(&target).unwrap();
        let non_members = scores.split_off(self.labels.len() / 2);
        (scores, non_members)
    }
}

/// The attacks on images that see features alone. Those that train networks are tried on images, and those on generators on
/// generators.
fn on_features() -> impl Iterator<Item = &'static Family> {
    ATTACKS.iter().filter(|family| family.access == Access::Images && !family.needs.contains(&Need::Pictures))
}

fn evaluated((members, non_members): (Vec<f64>, Vec<f64>)) -> Evaluation {
    evaluate(&members, &non_members, Seed::new(1)).unwrap()
}

#[test]
fn image_attacks_find_the_members_that_were_copied() {
    let mut rng = Seed::new(1).rng();
    let (train, holdout, reference) =
        (images(1000, 16, &mut rng), images(1000, 16, &mut rng), images(1000, 16, &mut rng));
    // One training image in twenty is released twelve times: once as it is and else with a trace of noise.
    let copied = 50;
    let mut synthetic = images(400, 16, &mut rng);
    for copy in 0..12 {
        for image in &train[..copied] {
            let strength = if copy == 0 { 0.0 } else { 0.02 };
            synthetic.push(image.iter().map(|value| value + strength * normal(&mut rng)).collect());
        }
    }
    let (synthetic, reference) = (embedding(synthetic), embedding(reference));
    let candidates = embedding(train.into_iter().chain(holdout).collect());
    let target = Target::Images(ImagesTarget::new(&synthetic, Some(&reference), &candidates).unwrap());
    for family in on_features() {
        let scores = family.build().score(&target).unwrap();
        let auc = evaluate(&scores[..copied], &scores[1000..], Seed::new(1)).unwrap().auc;
        assert!(auc.low > 0.9, "{}: {auc} on the copied members", family.name);
        let others = evaluate(&scores[copied..1000], &scores[1000..], Seed::new(1)).unwrap();
        let (auc, p_value) = (others.auc, others.p_value);
        assert!(p_value > 0.002 && p_value < 0.998, "{}: {auc}, p = {p_value} on the members not copied", family.name);
    }
    let scores = attack("gan-leaks").unwrap().build().score(&target).unwrap();
    let last_copy = scores[..copied].iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(last_copy, 0.0, "a copy is at distance exactly 0");
    assert!(scores[copied..].iter().all(|&score| score < last_copy), "copies rank first");
}

#[test]
fn classifier_attacks_find_the_members_of_an_overfitted_classifier() {
    let world = World::new(2000, 16, 5.0, &mut Seed::new(2).rng());
    for (name, least) in [
        ("loss", 0.88),
        ("confidence", 0.75),
        ("entropy", 0.75),
        ("modified-entropy", 0.88),
        ("gap", 0.65),
        ("lira-online", 0.97),
        ("lira-online-fixed", 0.99),
        ("lira-offline", 0.97),
        ("lira-offline-fixed", 0.99),
        ("rmia-online", 0.9),
        ("rmia-offline", 0.9),
    ] {
        let (members, non_members) = world.score(name);
        let evaluation = evaluated((members.clone(), non_members.clone()));
        assert!(evaluation.auc.low > least, "{name}: {}", evaluation.auc);
        assert!(evaluation.p_value < 1e-9, "{name}");
        let epsilon = epsilon_lower(&members, &non_members, 1e-5, Seed::new(1)).unwrap();
        assert!(epsilon.estimate().unwrap().value > 0.3, "{name}: {epsilon}");
    }
    let strongest = evaluated(world.score("lira-online-fixed"));
    let rate = strongest.true_positive_rates[1].outcome.estimate().unwrap();
    assert!(rate.low > 0.9, "true-positive rate at 1 %: {rate}");
}

/// With two classes the scaled confidence is a difference of logits. If it is N(μ, 1) without and N(μ + d, 1) with the
/// candidate, the best attack has AUC Φ(d/√2), whatever the μ of each candidate.
#[test]
fn lira_reaches_the_best_possible_area() {
    let (candidates, shift) = (6000, 1.5_f32);
    let mut rng = Seed::new(3).rng();
    let means: Vec<f32> = (0..candidates).map(|_| 4.0 * normal(&mut rng)).collect();
    let labels: Vec<u32> = (0..candidates).map(|_| rng.random_range(0..2)).collect();
    let mut answer = |members: &[bool]| -> Vec<f32> {
        (0..candidates)
            .flat_map(|at| {
                let confidence = means[at] + normal(&mut rng) + if members[at] { shift } else { 0.0 };
                if labels[at] == 0 { [confidence, 0.0] } else { [0.0, confidence] }
            })
            .collect()
    };
    let members: Vec<bool> = (0..candidates).map(|at| at < candidates / 2).collect();
    let target = answer(&members);
    let shadows: Vec<_> = (0..128)
        .map(|shadow| {
            let members: Vec<bool> = (0..candidates).map(|at| (at + shadow) % 2 == 0).collect();
            (answer(&members), members)
        })
        .collect();
    let shadows: Vec<Shadow<'_>> =
        shadows.iter().map(|(logits, member)| Shadow { logits: Logits::new(logits, 2).unwrap(), member }).collect();
    let target = ClassifierTarget::new(Logits::new(&target, 2).unwrap(), &labels, &shadows).unwrap();
    let best = Normal::standard().cdf(f64::from(shift) / 2_f64.sqrt());
    for family in ATTACKS.iter().filter(|family| family.name.starts_with("lira")) {
        let scores = family.build().score(&Target::Classifier(target)).unwrap();
        let auc = evaluate(&scores[..candidates / 2], &scores[candidates / 2..], Seed::new(1)).unwrap().auc;
        // Two thirds of a percent is lost on medians and deviations estimated from 64 shadows.
        assert!((auc.value - best).abs() < 0.007 + (auc.high - auc.value), "{}: {auc} for {best}", family.name);
        assert!(auc.value > best - 0.02, "{}: {auc} for {best}", family.name);
    }
    let loss = attack("loss").unwrap().build().score(&Target::Classifier(target)).unwrap();
    let loss = evaluate(&loss[..candidates / 2], &loss[candidates / 2..], Seed::new(1)).unwrap().auc;
    assert!(loss.high < 0.7, "a global threshold cannot know each candidate's difficulty: {loss}");
}

/// The evaluations of one attack over repetitions in which members and non-members are exchangeable.
fn null_evaluations(name: &str, access: Access) -> Vec<Evaluation> {
    (0..200)
        .map(|repetition| {
            let mut rng = Seed::new(repetition).derive(name).rng();
            let seed = Seed::new(repetition);
            if access == Access::Images {
                let mut draw = |count| embedding(images(count, 6, &mut rng));
                let (synthetic, reference, candidates) = (draw(120), draw(120), draw(300));
                let target = Target::Images(ImagesTarget::new(&synthetic, Some(&reference), &candidates).unwrap());
                let scores = attack(name).unwrap().build().score(&target).unwrap();
                evaluate(&scores[..150], &scores[150..], seed).unwrap()
            } else {
                let (members, non_members) = World::new(300, 8, 0.0, &mut rng).score(name);
                evaluate(&members, &non_members, seed).unwrap()
            }
        })
        .collect()
}

#[test]
fn no_attack_finds_anything_where_members_and_non_members_are_exchangeable() {
    let on_classifiers = ATTACKS.iter().filter(|family| family.access == Access::Classifier);
    for family in on_features().chain(on_classifiers) {
        let name = family.name;
        let found = null_evaluations(name, family.access);
        let repetitions = found.len() as f64;

        let covered = found.iter().filter(|found| found.auc.low <= 0.5 && 0.5 <= found.auc.high).count();
        // 95 % of 200 is 190, with a standard deviation of 3.1.
        assert!(covered >= 179, "{name}: the interval of the AUC holds 0.5 in {covered} of {repetitions}");

        let mut p_values: Vec<f64> = found.iter().map(|found| found.p_value).collect();
        p_values.sort_by(f64::total_cmp);
        let excess = |rank: usize, p: f64| (rank + 1) as f64 / repetitions - p;
        let lack = |rank: usize, p: f64| p - rank as f64 / repetitions;
        let largest = |distance: &dyn Fn(usize, f64) -> f64| {
            p_values.iter().enumerate().map(|(rank, &p)| distance(rank, p)).fold(0.0, f64::max)
        };
        // Kolmogorov–Smirnov at level 0.01.
        let limit = 1.63 / repetitions.sqrt();
        assert!(largest(&excess) < limit, "{name}: p-values too small by {}", largest(&excess));
        // Scores of few values make p-values larger than uniform, which errs on the safe side.
        if name != "gap" && name != "monte-carlo-quantile" {
            assert!(largest(&lack) < limit, "{name}: p-values too large by {}", largest(&lack));
        }

        for (index, claimed) in [(0, 0.1), (1, 0.01), (3, 1.0 / 151.0)] {
            let rates = found.iter().map(|found| found.true_positive_rates[index].outcome.estimate().unwrap().value);
            let rates: Vec<f64> = rates.collect();
            let mean = rates.iter().sum::<f64>() / repetitions;
            let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / (repetitions - 1.0);
            let error = (variance / repetitions).sqrt();
            assert!(mean < claimed + 3.0 * error, "{name}: {mean} false positives at a claimed {claimed}");
        }
        assert!(found[0].true_positive_rates[2].outcome.estimate().is_none());
    }
}

#[test]
fn missing_needs_are_named() {
    let mut rng = Seed::new(4).rng();
    let world = World::new(10, 1, 0.0, &mut rng);
    let logits = Logits::new(&world.target, World::CLASSES).unwrap();
    let shadow =
        Shadow { logits: Logits::new(&world.shadows[0].0, World::CLASSES).unwrap(), member: &world.shadows[0].1 };
    let message =
        |name: &str, target: &Target<'_>| attack(name).unwrap().build().score(target).unwrap_err().to_string();

    let alone = Target::Classifier(ClassifierTarget::new(logits, &world.labels, &[]).unwrap());
    let text = message("lira-offline", &alone);
    assert!(text.contains("candidate 0 is out of the training set of 0 of 0 shadows"), "{text}");
    let one = [shadow];
    let one = Target::Classifier(ClassifierTarget::new(logits, &world.labels, &one).unwrap());
    let text = message("lira-online-fixed", &one);
    assert!(text.contains("candidate 0 is out of the training set of 0 of 1 shadows"), "{text}");
    let everywhere = [true; 10];
    let nowhere = [false; 10];
    let pair = [Shadow { member: &nowhere, ..shadow }, Shadow { member: &nowhere, ..shadow }];
    let pair = Target::Classifier(ClassifierTarget::new(logits, &world.labels, &pair).unwrap());
    assert!(attack("lira-offline").unwrap().build().score(&pair).is_ok());
    let text = message("lira-online", &pair);
    assert!(text.contains("candidate 0 is in the training set of 0 of 2 shadows"), "{text}");
    let split = [Shadow { member: &nowhere, ..shadow }, Shadow { member: &everywhere, ..shadow }];
    let split = Target::Classifier(ClassifierTarget::new(logits, &world.labels, &split).unwrap());
    assert!(message("lira-offline-fixed", &split).contains("a common deviation cannot be estimated"));

    let codes = |rows: usize| {
        let stamp = Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") };
        Embedding::new((0..2 * rows).map(|at| (at % 5) as f32).collect(), 2, stamp).unwrap()
    };
    let (synthetic, reference, candidates) = (codes(4), codes(5), codes(6));
    let target = Target::Images(ImagesTarget::new(&synthetic, Some(&reference), &candidates).unwrap());
    for family in on_features() {
        let euclidean = family.needs.contains(&Need::EuclideanFeatures);
        assert_eq!(family.build().score(&target).is_err(), euclidean, "{}", family.name);
    }
    assert!(message("lira-offline", &split).contains("needs at least 2"));

    let set = embedding(images(3, 2, &mut rng));
    let released = Target::Images(ImagesTarget::new(&set, None, &set).unwrap());
    assert!(message("gan-leaks-calibrated", &released).contains("neither members nor candidates"));
    assert!(message("loss", &released).contains("needs access to classifier and was given images"));
    assert!(message("gan-leaks", &alone).contains("needs access to images and was given classifier"));
    let other = embedding(images(3, 5, &mut rng));
    assert!(ImagesTarget::new(&set, Some(&other), &set).unwrap_err().to_string().contains("different protocols"));
}
