//! The diffusion families learn digits, resume to the bit, keep what they promise, and refuse what they cannot use.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use standin_data::{Column, ImageSet, Labels, Progress, Provenance, Seed, Shape, Silent, digits};
use standin_generate::diffusion::OF_IMAGES;
use standin_generate::{
    Balance, Fit, Generator, Protection, PublicImages, SampleRequest, Solver, Trained, Work, family, load,
};
use standin_privacy::{Adjacency, Delta, Event, Ledger, NoiseOrigin, PrivacyTarget, Unit, calibrate, gaussian};

const IMAGE_FAMILIES: [&str; 6] = ["edm", "dpdm", "pdp-diffusion", "privimage", "dp-feta", "dp-lora"];
const FAMILIES: [&str; 8] =
    ["edm", "dpdm", "pdp-diffusion", "privimage", "dp-feta", "dp-lora", "latent-diffusion", "dp-ldm"];

/// A network and trainings so small that a fit takes a moment, as TOML.
fn options(name: &str, steps: usize) -> toml::Table {
    let training = format!("{{ epochs = 0.01, least_steps = {steps}, batch_size = 16 }}");
    let private = format!("{{ steps = {steps}, batch_size = 60, multiplicity = 2 }}");
    let network = "network = { width = 8, multipliers = [1, 2] }\nsteps = 3\n";
    let rest = match name {
        "edm" => format!("training = {training}"),
        "dpdm" => format!("private = {private}"),
        "dp-feta" => format!("warm_up = {training}\nprivate = {private}"),
        "latent-diffusion" => format!("training = {training}\nautoencoder = {{ width = 4, training = {training} }}"),
        "dp-ldm" => format!(
            "pretraining = {training}\nprivate = {private}\nautoencoder = {{ width = 4, training = {training} }}"
        ),
        _ => format!("pretraining = {training}\nprivate = {private}"),
    };
    toml::from_str(&format!("{network}{rest}")).unwrap()
}

fn generator(name: &str, options: &toml::Table) -> Box<dyn Generator> {
    (family(name).unwrap().build)(options).unwrap()
}

fn protection(epsilon: f64) -> Protection {
    let target = PrivacyTarget { epsilon, delta: Delta::Auto, allow_large_delta: false };
    Protection { target, unit: Unit::Image, noise: NoiseOrigin::Reproducible }
}

fn part(images: std::ops::Range<usize>) -> ImageSet {
    digits().select(&images.collect::<Vec<_>>())
}

/// What the family needs, and no more.
fn run<'a>(name: &str, public: &'a ImageSet, epsilon: f64, seed: u64) -> Fit<'a> {
    let family = family(name).unwrap();
    let fit = Fit::new(Seed::new(seed), &Silent).protected(family.private.then(|| protection(epsilon)));
    Fit { public: (family.public == PublicImages::Needed).then_some(public), ..fit }
}

fn small(name: &str, seed: u64) -> Box<dyn Trained> {
    let public = part(900..1100);
    generator(name, &options(name, 3)).fit(&part(0..240), run(name, &public, 5.0, seed)).unwrap()
}

fn sample(trained: &dyn Trained, count: usize) -> ImageSet {
    trained.sample(&SampleRequest::new(count), Seed::new(5), &Silent).unwrap()
}

/// Share of test images whose nearest class mean of the synthetic images is that of their label.
fn nearest_mean_accuracy(synthetic: &ImageSet, test: &ImageSet) -> f64 {
    let volume = test.shape().volume();
    let mean = |members: &Vec<usize>| -> Vec<f64> {
        let total = |pixel: usize| members.iter().map(|&image| f64::from(synthetic.image(image)[pixel])).sum::<f64>();
        (0..volume).map(|pixel| total(pixel) / members.len().max(1) as f64).collect()
    };
    let means: Vec<Vec<f64>> = synthetic.labels().unwrap().by_class().iter().map(mean).collect();
    let right = (0..test.len()).filter(|&index| {
        let distance = |class: &usize| {
            let pairs = means[*class].iter().zip(test.image(index));
            pairs.map(|(mean, &value)| (mean - f64::from(value)).powi(2)).sum::<f64>()
        };
        (0..means.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
            == Some(test.labels().unwrap().values[index] as usize)
    });
    right.count() as f64 / test.len() as f64
}

/// Chance is 10 %; the means of the real images give 90 %.
#[test]
fn edm_learns_digits() {
    let options: toml::Table = toml::from_str(
        "network = { width = 24 }\ntraining = { least_steps = 500, batch_size = 64, learning_rate = 4e-3 }\nsteps = 12",
    )
    .unwrap();
    let (train, test) = (part(0..900), part(1200..1797));
    let trained = generator("edm", &options).fit(&train, Fit::new(Seed::new(1), &Silent)).unwrap();
    let with = |request: SampleRequest| {
        let sampled = trained.sample(&request.with_balance(Balance::Uniform), Seed::new(2), &Silent).unwrap();
        nearest_mean_accuracy(&sampled, &test)
    };
    for solver in [Solver::Heun, Solver::Ddim, Solver::Stochastic] {
        let accuracy = with(SampleRequest { solver: Some(solver), ..SampleRequest::new(300) });
        assert!(accuracy > 0.8, "{solver:?}: {accuracy}");
    }
    let unguided = with(SampleRequest { guidance: Some(0.0), ..SampleRequest::new(300) });
    assert!(unguided < 0.5, "without guidance by the class its images still teach it: {unguided}");
    let guided = with(SampleRequest { guidance: Some(2.0), ..SampleRequest::new(300) });
    assert!(guided > 0.8, "{guided}");
}

/// With as good as no noise, private training learns, from scratch and after the noised means. Chance is 10 %.
#[test]
fn private_training_learns_digits_when_the_budget_is_large() {
    let (train, test) = (part(0..1000), part(1200..1797));
    for name in ["dpdm", "dp-feta"] {
        let options: toml::Table = toml::from_str(
            "network = { width = 16 }\nprivate = { steps = 250, batch_size = 128, multiplicity = 1, learning_rate = 6e-3 }\nsteps = 12",
        )
        .unwrap();
        let fit = Fit::new(Seed::new(1), &Silent).protected(Some(protection(500.0)));
        let trained = generator(name, &options).fit(&train, fit).unwrap();
        let accuracy = nearest_mean_accuracy(&sample(&*trained, 300), &test);
        assert!(accuracy > 0.5, "{name}: {accuracy}");
    }
}

#[test]
fn every_family_survives_the_disk_and_answers_small_requests_as_large_ones() {
    for name in FAMILIES {
        let trained = small(name, 1);
        assert_eq!(trained.denoiser().is_some(), OF_IMAGES.contains(&name), "{name}");
        let folder = tempfile::tempdir().unwrap();
        trained.save(folder.path()).unwrap();
        let loaded = load(folder.path()).unwrap();
        let large = sample(&*trained, 70);
        assert_eq!(large.digest(), sample(&*loaded, 70).digest(), "{name}");
        assert_eq!(large.provenance(), sample(&*loaded, 70).provenance(), "{name}");
        assert_eq!(trained.guarantee(), loaded.guarantee(), "{name}");
        assert_eq!(sample(&*trained, 3).digest(), large.select(&[0, 1, 2]).digest(), "{name}");
        assert_eq!(large.shape(), digits().shape());
        let request = SampleRequest::new(3).with_temperature(0.5);
        let message = trained.sample(&request, Seed::new(1), &Silent).unwrap_err().to_string();
        assert!(message.contains("temperature") && message.contains("guidance"), "{message}");
    }
}

#[test]
fn equal_seeds_give_equal_images_whatever_the_number_of_threads() {
    for name in FAMILIES {
        let images = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sample(&*small(name, seed), 65).digest())
        };
        let one = images(1, 1);
        assert_eq!(one, images(1, 2), "{name} depends on threads");
        assert_ne!(one, images(2, 1), "{name} ignores the seed");
    }
}

/// A fit that finds the checkpoints of one that was interrupted gives what that would have given.
#[test]
fn an_interrupted_fit_resumes_to_the_same_images() {
    let train = part(0..240);
    let public = part(900..1100);
    for (name, after) in [("edm", 2), ("dpdm", 2), ("pdp-diffusion", 2), ("pdp-diffusion", 5)] {
        let folder = tempfile::tempdir().unwrap();
        // A checkpoint after every step, so that there is one wherever the training stops.
        let work = Work::new(folder.path(), Duration::ZERO, Some(2), name);
        let whole = sample(&*small(name, 1), 10).digest();
        let generator = generator(name, &options(name, 3));
        let stop = StopAfter(AtomicU64::new(after));
        let stopped = catch_unwind(AssertUnwindSafe(|| {
            let fit = Fit { work: Some(&work), progress: &stop, ..run(name, &public, 5.0, 1) };
            generator.fit(&train, fit).map(|_| ())
        }));
        assert!(stopped.is_err(), "{name} was not interrupted");
        let resumed = generator.fit(&train, Fit { work: Some(&work), ..run(name, &public, 5.0, 1) }).unwrap();
        assert_eq!(sample(&*resumed, 10).digest(), whole, "{name}");
        let grids = std::fs::read_dir(folder.path().join("samples")).unwrap().count();
        assert!(grids > 0, "{name} drew no samples on the way");
    }
}

/// Panics when so many steps are done.
struct StopAfter(AtomicU64);

impl Progress for StopAfter {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, steps: u64) {
        assert!(self.0.fetch_sub(steps, Ordering::Relaxed) > steps, "interrupted");
    }
    fn status(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
}

/// ε recomputed from the options alone: the release, then the smallest noise that the accountant admits for the steps.
#[test]
fn guarantees_equal_those_recomputed_from_what_runs() {
    let (steps, batch, units) = (3, 60, 240);
    for name in FAMILIES.into_iter().filter(|name| family(name).unwrap().private) {
        let trained = small(name, 1);
        let guarantee = trained.guarantee().unwrap();
        let names_public = guarantee.not_covered.iter().any(|part| part.starts_with("the public images"));
        assert_eq!(
            names_public,
            family(name).unwrap().public == PublicImages::Needed,
            "{name}: {:?}",
            guarantee.not_covered
        );
        let budget = protection(5.0).target.budget(units).unwrap();
        let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
        let release = |share: f64| gaussian::sigma(5.0, budget.delta, 1.0).unwrap() / share.sqrt();
        match name {
            "dp-feta" => ledger.record(Event::Gaussian { noise_multiplier: release(0.1) }, 1).unwrap(),
            "privimage" => ledger.record(Event::NoisedHistogram { noise_multiplier: release(0.05) }, 1).unwrap(),
            _ => {}
        }
        let sampling_rate = batch as f64 / units as f64;
        let noise_multiplier = calibrate::noise_multiplier(budget, sampling_rate, steps, &ledger).unwrap();
        let alone = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
        let least = calibrate::noise_multiplier(budget, sampling_rate, steps, &alone).unwrap();
        let charged = matches!(name, "dp-feta" | "privimage");
        assert_eq!(noise_multiplier > least * 1.001, charged, "{name}: {noise_multiplier} against {least}");
        ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, steps).unwrap();
        let expected = ledger.epsilon(budget.delta).unwrap().high;
        assert!((guarantee.epsilon - expected).abs() < 1e-9, "{name}: {} for {expected}", guarantee.epsilon);
        assert!(guarantee.epsilon <= 5.0 && guarantee.epsilon > 4.9, "{name}: {}", guarantee.epsilon);
        assert_eq!(guarantee.delta, budget.delta);
    }
}

#[test]
fn public_images_are_demanded_or_refused_and_groups_protected_where_they_can_be() {
    let train = part(0..60);
    for name in FAMILIES {
        let entry = family(name).unwrap();
        let generator = generator(name, &options(name, 2));
        let public = part(900..960);
        let mut fit = run(name, &public, 5.0, 1);
        let needed = entry.public == PublicImages::Needed;
        fit.public = (!needed).then_some(&public);
        let message = generator.fit(&train, fit).unwrap_err().to_string();
        assert!(message.contains(name) && message.contains("public"), "{message}");
        if needed {
            let (none, other) =
                (part(0..0), ImageSet::new(Shape { channels: 1, height: 2, width: 2 }, vec![0; 8]).unwrap());
            let fit = |public| Fit { public: Some(public), ..run(name, &train, 5.0, 1) };
            assert!(generator.fit(&train, fit(&none)).unwrap_err().to_string().contains("public"), "{name}");
            assert!(generator.fit(&train, fit(&other)).unwrap_err().to_string().contains("1×2×2"), "{name}");
            let guarantee = |words: &str| Provenance { guarantee: Some(words.to_owned()), ..Provenance::default() };
            let made = part(900..960).with_provenance(guarantee("ε = 1.00, δ = 1e-5"));
            let message = generator.fit(&train, fit(&made)).unwrap_err().to_string();
            assert!(message.contains("ε = 1.00") && message.contains("made from private images"), "{message}");
        }
        if entry.private {
            let mut fit = run(name, &public, 5.0, 1);
            fit.protection.as_mut().unwrap().unit = Unit::Group("writer".to_owned());
            let message = generator.fit(&train, fit).unwrap_err().to_string();
            assert!(message.contains("writer"), "{message}");
        }
    }
}

/// A writer of three digits each: 80 units, whose sampling rate and promise are theirs and not the images'.
#[test]
fn groups_of_images_are_protected_as_one_unit() {
    let train = part(0..240);
    let writers = (0..240).map(|image| format!("writer {}", image / 3)).collect();
    let train = train.with_column(Column { name: "writer".to_owned(), values: writers }).unwrap();
    let mut fit = run("dpdm", &train, 5.0, 1);
    fit.protection.as_mut().unwrap().unit = Unit::Group("writer".to_owned());
    let trained = generator("dpdm", &options("dpdm", 3)).fit(&train, fit).unwrap();
    let guarantee = trained.guarantee().unwrap();
    assert_eq!(guarantee.unit, Unit::Group("writer".to_owned()));
    assert_eq!(guarantee.delta, protection(5.0).target.budget(80).unwrap().delta);
    assert!(guarantee.sampler.contains("0.75"), "60 of 80 units are expected in a step: {}", guarantee.sampler);
}

#[test]
fn options_outside_their_range_are_named() {
    for (name, wrong, expected) in [
        ("edm", "network = { patch = 0 }", "network.patch is 0"),
        ("edm", "network = { multipliers = [] }", "network.multipliers is 0"),
        ("edm", "steps = 0", "steps is 0"),
        ("edm", "loss = { label_drop = 1.0 }", "loss.label_drop is 1"),
        ("dpdm", "private = { multiplicity = 0 }", "private.multiplicity is 0"),
        ("dp-feta", "central_share = 1.0", "central_share is 1"),
        ("privimage", "chosen = 0", "chosen is 0"),
        ("dp-lora", "rank = 0", "rank is 0"),
        ("dp-ldm", "autoencoder = { channels = 0 }", "autoencoder.channels is 0"),
        ("edm", "network = { depth = 3 }", "depth"),
    ] {
        let message = (family(name).unwrap().build)(&toml::from_str(wrong).unwrap()).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

/// Any image size: the plane is padded to one that the network can halve, in grey and in colour.
#[test]
fn images_of_every_size_are_learnt_and_drawn() {
    for (channels, height, width) in [(3, 5, 7), (1, 9, 3), (1, 1, 1)] {
        let shape = Shape { channels, height, width };
        let labels = Labels { values: (0..20).map(|image| image % 2).collect(), classes: vec!["a".into(), "b".into()] };
        let pixels = (0..20 * shape.volume()).map(|at| (at * 37 % 256) as u8).collect();
        let images = ImageSet::new(shape, pixels).unwrap().with_labels(labels).unwrap();
        for name in ["edm", "latent-diffusion"] {
            let trained = generator(name, &options(name, 2)).fit(&images, Fit::new(Seed::new(1), &Silent)).unwrap();
            assert_eq!(sample(&*trained, 3).shape(), shape, "{name}");
        }
    }
}

#[test]
fn a_damaged_description_is_an_error() {
    for name in [IMAGE_FAMILIES[0], "latent-diffusion"] {
        let folder = tempfile::tempdir().unwrap();
        small(name, 1).save(folder.path()).unwrap();
        let card = folder.path().join("generator.toml");
        let text = std::fs::read_to_string(&card).unwrap();
        for (from, to) in [("base_width = 8", "base_width = 0"), ("patch = 2\nheight", "patch = 3\nheight")] {
            let damaged = text.replace(from, to);
            assert_ne!(damaged, text, "the card has no `{from}`:\n{text}");
            std::fs::write(&card, damaged).unwrap();
            let message = load(folder.path()).unwrap_err().to_string();
            assert!(message.contains("generator.toml"), "{message}");
        }
    }
}
