//! The accountant's bound from above beside an audit's from below, for one network on real digits.

use standin_attack::Canaries;
use standin_classify::{Classifier, TrainedClassifier, family};
use standin_data::{ImageSet, Seed, Silent, digits};
use standin_privacy::lower_bound::{guesses_at, one_run};

const CONFIDENCE: f64 = 0.95;
const DELTA: f64 = 1e-4;
/// Guesses, as a share of the canaries.
const SHARE: f64 = 0.3;

fn cnn(settings: &str) -> Box<dyn Classifier> {
    (family("cnn").unwrap().build)(&settings.parse().unwrap()).unwrap()
}

/// Minus the loss of each canary at its wrong label.
fn scores(trained: &dyn TrainedClassifier, questions: &ImageSet) -> Vec<f64> {
    let logits = trained.logits(questions).unwrap();
    let probabilities = logits.probabilities();
    let labels = &questions.labels().unwrap().values;
    labels.iter().enumerate().map(|(row, &label)| probabilities[row * logits.classes() + label as usize].ln()).collect()
}

/// The lower bound on ε that one training with half of 600 mislabelled canaries gives away, and the claimed upper bound.
fn audit(classifier: &dyn Classifier, run: u64) -> (f64, Option<f64>) {
    let train = digits().select(&(0..1000).collect::<Vec<_>>());
    let canaries = Canaries::mislabelled(&train, 600, Seed::new(run)).unwrap();
    let planted = canaries.plant(&train).unwrap();
    let trained = classifier.fit(&planted, Seed::new(run).derive("training"), &Silent).unwrap();
    let (members, others) = canaries.divide(&scores(trained.as_ref(), &canaries.questions(&train).unwrap())).unwrap();
    let guesses = guesses_at(SHARE, &members, &others).unwrap();
    let bound = one_run(guesses, DELTA, CONFIDENCE).unwrap();
    (bound.epsilon, trained.guarantee().map(|guarantee| guarantee.epsilon))
}

/// Secret noise, as a user would have it: the claim holds for every outcome of the noise, so nothing here is seeded to pass. At
/// 95 % confidence one run in twenty may exceed a bound that is reached exactly; audits of this kind stay far below it.
#[test]
fn no_audit_exceeds_what_the_accountant_allows() {
    let private = cnn("epochs = 20.0\nbatch_size = 200\nprivacy = { epsilon = 2.0, delta = 1e-4 }");
    let bounds: Vec<f64> = (0..20)
        .map(|run| {
            let (lower, upper) = audit(private.as_ref(), run);
            let upper = upper.expect("private training carries a guarantee");
            assert!(upper > 1.9 && upper <= 2.0, "{upper}");
            assert!(lower <= upper, "run {run}: an attack shows ε ≥ {lower}, and the accountant says {upper}");
            lower
        })
        .collect();
    println!("lower bounds of 20 private runs: {bounds:.2?}");
}

/// The planted positive of the test above: the same network without noise remembers its wrong labels.
#[test]
fn an_audit_exposes_the_same_network_without_noise() {
    let (lower, upper) = audit(cnn("epochs = 120.0\nbatch_size = 50\nweight_decay = 0.0").as_ref(), 1);
    assert_eq!(upper, None);
    assert!(lower > 1.0, "{lower}");
    println!("lower bound without noise: {lower:.2}");
}
