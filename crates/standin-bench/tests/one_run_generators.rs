//! The accountant's bound from above beside an audit's from below, for every private family of generators on real digits.

use standin_attack::Canaries;
use standin_data::{ImageSet, Seed, Silent, digits};
use standin_generate::{Balance, Fit, GENERATORS, Protection, PublicImages, SampleRequest, family};
use standin_privacy::lower_bound::{guesses_at, one_run};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

const CONFIDENCE: f64 = 0.95;
const DELTA: f64 = 1e-4;
const EPSILON: f64 = 2.0;
/// Guesses, as a share of the canaries.
const SHARE: f64 = 0.3;
/// Images drawn from each generator.
const DRAWN: usize = 3000;

fn private_digits() -> ImageSet {
    digits().select(&(0..1000).collect::<Vec<_>>())
}

fn public_digits() -> ImageSet {
    digits().select(&(1000..1797).collect::<Vec<_>>())
}

/// Settings that train in seconds.
fn quick(family: &str, api: &std::path::Path) -> toml::Table {
    let small_diffusion =
        "private = { steps = 15, batch_size = 200, multiplicity = 1 }\nsteps = 6\nnetwork.width = 16\n";
    let text = match family {
        "dp-merf" => "steps = 200\nfrequencies = 400\nfrequencies_per_step = 400".to_owned(),
        "dp-ntk" => "units = 100\ndecoder.steps = 200".to_owned(),
        "dp-mepf" => "decoder.steps = 200".to_owned(),
        "dp-kernel" => "private_batch = 200\ndecoder = { steps = 200, batch_size = 60 }".to_owned(),
        "dp-gan" => "steps = 40\nbatch_size = 200\nwidth = 8\ndiscriminator_width = 8".to_owned(),
        "gs-wgan" => "steps = 40\nsubsets = 20\nwidth = 8\nwarm_up = 2".to_owned(),
        "dp-distillation" => "networks = 10\nimages_per_class = 20\nsteps = 40".to_owned(),
        "private-evolution" => {
            format!("api.generator = {api:?}\npopulation = 600\nlookahead = 1\nencoder = \"pixels\"")
        }
        "dpdm" => small_diffusion.to_owned(),
        "dp-feta" => format!("{small_diffusion}warm_up = {{ epochs = 1.0, least_steps = 10 }}"),
        "pdp-diffusion" | "privimage" | "dp-lora" => {
            format!("{small_diffusion}pretraining = {{ epochs = 1.0, least_steps = 20 }}")
        }
        "dp-ldm" => format!(
            "{small_diffusion}pretraining = {{ epochs = 1.0, least_steps = 20 }}\n\
             autoencoder.training = {{ epochs = 1.0, least_steps = 20 }}"
        ),
        _ => String::new(),
    };
    text.parse().unwrap()
}

/// How near the nearest image of its wrong class comes to each canary: minus the distance.
fn scores(questions: &ImageSet, synthetic: &ImageSet) -> Vec<f64> {
    let members = synthetic.labels().unwrap().by_class();
    let distance = |a: &[u8], b: &[u8]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
    };
    let labels = &questions.labels().unwrap().values;
    let nearest = |(canary, &label): (usize, &u32)| {
        let distances = members[label as usize].iter();
        let distances = distances.map(|&image| distance(questions.image(canary), synthetic.image(image)));
        -distances.fold(f64::INFINITY, f64::min)
    };
    labels.iter().enumerate().map(nearest).collect()
}

/// The lower bound on ε that images show of a training set with half of 600 mislabelled canaries.
fn shown(canaries: &Canaries, train: &ImageSet, synthetic: &ImageSet) -> f64 {
    let scores = scores(&canaries.questions(train).unwrap(), synthetic);
    let (members, others) = canaries.divide(&scores).unwrap();
    one_run(guesses_at(SHARE, &members, &others).unwrap(), DELTA, CONFIDENCE).unwrap().epsilon
}

/// Secret noise, as a user would have it: the claim holds for every outcome of the noise, so nothing here is seeded to
/// pass.
#[test]
fn no_audit_exceeds_what_the_accountant_allows() {
    let train = private_digits();
    let public = public_digits();
    let api = tempfile::tempdir().unwrap();
    let vae = (family("vae").unwrap().build)(&"epochs = 1.0\nleast_steps = 300".parse().unwrap()).unwrap();
    vae.fit(&public, Fit::new(Seed::new(1), &Silent)).unwrap().save(api.path()).unwrap();
    for (run, family) in (0..).zip(GENERATORS.iter().filter(|family| family.private)) {
        let canaries = Canaries::mislabelled(&train, 600, Seed::new(run)).unwrap();
        let planted = canaries.plant(&train).unwrap();
        let target = PrivacyTarget { epsilon: EPSILON, delta: Delta::Value(DELTA), allow_large_delta: false };
        let protection = Protection { target, unit: Unit::Image, noise: NoiseOrigin::Secret };
        let generator = (family.build)(&quick(family.name, api.path())).unwrap();
        let fit = Fit {
            public: (family.public == PublicImages::Needed).then_some(&public),
            ..Fit::new(Seed::new(run), &Silent)
        };
        let trained = generator.fit(&planted, fit.protected(Some(protection))).unwrap();
        let upper = trained.guarantee().expect("a private family carries a guarantee");
        assert!(upper.holds() && upper.epsilon <= EPSILON, "{}: {}", family.name, upper.epsilon);
        let request = SampleRequest::new(DRAWN).with_balance(Balance::Uniform);
        let lower = shown(&canaries, &train, &trained.sample(&request, Seed::new(9), &Silent).unwrap());
        println!("{}: {lower:.2} ≤ ε ≤ {:.2}", family.name, upper.epsilon);
        assert!(lower <= upper.epsilon, "{}: images show ε ≥ {lower}, the accountant {}", family.name, upper.epsilon);
    }
}

/// The planted positive of the test above: a generator that hands its training images out.
#[test]
fn an_audit_exposes_a_generator_that_copies() {
    let train = private_digits();
    let canaries = Canaries::mislabelled(&train, 600, Seed::new(1)).unwrap();
    let lower = shown(&canaries, &train, &canaries.plant(&train).unwrap());
    assert!(lower > 3.0, "{lower}");
}
