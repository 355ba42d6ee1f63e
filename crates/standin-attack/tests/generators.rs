//! Attacks on generators, on generators that were trained: those that know their training images by heart are found out, and
//! nothing is found where members and non-members are alike to the generator.

use std::sync::OnceLock;

use standin_attack::{ATTACKS, Access, Evaluation, GeneratorShadow, GeneratorTarget, Need, Target, attack, evaluate};
use standin_data::{ImageSet, Seed, Silent, digits};
use standin_generate::{Fit, Trained, family};

/// Images of either side.
const SIDE: usize = 60;

/// `SIDE` digits; neighbours among the rows have nothing in common.
fn images(part: usize) -> ImageSet {
    digits().select(&(part * SIDE..(part + 1) * SIDE).map(|at| at * 700 % 1797).collect::<Vec<_>>())
}

fn fit(name: &str, options: toml::Table, train: &ImageSet, seed: u64) -> Box<dyn Trained> {
    let generator = (family(name).unwrap().build)(&options).unwrap();
    generator.fit(train, Fit::new(Seed::new(seed), &Silent)).unwrap()
}

fn edm(train: &ImageSet, seed: u64) -> Box<dyn Trained> {
    let options = toml::toml! {
        network.width = 16
        network.attention = false
        training.least_steps = 1500
        training.batch_size = 32
    };
    fit("edm", options, train, seed)
}

/// What learns the images of part 0 by heart.
fn overfitted(name: &str) -> &'static dyn Trained {
    static EDM: OnceLock<Box<dyn Trained>> = OnceLock::new();
    static VAE: OnceLock<Box<dyn Trained>> = OnceLock::new();
    static GAN: OnceLock<Box<dyn Trained>> = OnceLock::new();
    let trained = match name {
        "edm" => EDM.get_or_init(|| edm(&images(0), 1)),
        "vae" => VAE
            .get_or_init(|| fit("vae", toml::toml! { least_steps = 3000 batch_size = 60 beta = 0.05 }, &images(0), 1)),
        _ => GAN.get_or_init(|| {
            let options = toml::toml! {
                least_steps = 3000
                batch_size = 30
                width = 16
                regularisation = "r1"
                penalty = 0.1
                keep_discriminator = true
            };
            fit("gan", options, &images(0), 1)
        }),
    };
    trained.as_ref()
}

/// The generator that each attack without shadows is tried on.
fn generator_for(needs: &[Need]) -> &'static str {
    match needs {
        needs if needs.contains(&Need::Denoiser) => "edm",
        needs if needs.contains(&Need::Discriminator) => "gan",
        _ => "vae",
    }
}

fn evaluated(name: &str, generator: &dyn Trained, shadows: &[GeneratorShadow<'_>], sides: [usize; 2]) -> Evaluation {
    let candidates = images(sides[0]).concat(&images(sides[1])).unwrap();
    let target = GeneratorTarget::new(generator, &candidates, shadows, Seed::new(5)).unwrap();
    let scores = attack(name).unwrap().build().score(&Target::Generator(target)).unwrap();
    assert_eq!(scores.len(), 2 * SIDE);
    evaluate(&scores[..SIDE], &scores[SIDE..], Seed::new(1)).unwrap()
}

#[test]
fn generators_that_know_their_images_by_heart_are_found_out() {
    for family in ATTACKS.iter().filter(|family| family.access == Access::Generator && !family.needs_shadows()) {
        let name = family.name;
        let found = evaluated(name, overfitted(generator_for(family.needs)), &[], [0, 1]);
        println!("{name}: {} p {}", found.auc, found.p_value);
        assert!(found.auc.low > 0.6 && found.p_value < 1e-3, "{name}: {}, p = {}", found.auc, found.p_value);
    }
}

/// Two hundred times, 60 images that the generator has never seen are held against 60 others.
#[test]
fn nothing_is_found_between_images_that_the_generator_has_never_seen() {
    const REPETITIONS: usize = 200;
    let unseen = (1..11).map(images).reduce(|all, next| all.concat(&next).unwrap()).unwrap();
    for family in ATTACKS.iter().filter(|family| family.access == Access::Generator && !family.needs_shadows()) {
        let name = family.name;
        let target = GeneratorTarget::new(overfitted(generator_for(family.needs)), &unseen, &[], Seed::new(5)).unwrap();
        let scores = family.build().score(&Target::Generator(target)).unwrap();
        let found: Vec<Evaluation> = (0..REPETITIONS as u64)
            .map(|repetition| {
                let chosen =
                    rand::seq::index::sample(&mut Seed::new(repetition).rng(), unseen.len(), 2 * SIDE).into_vec();
                let drawn: Vec<f64> = chosen.iter().map(|&image| scores[image]).collect();
                evaluate(&drawn[..SIDE], &drawn[SIDE..], Seed::new(repetition)).unwrap()
            })
            .collect();
        let covered = found.iter().filter(|found| found.auc.low <= 0.5 && 0.5 <= found.auc.high).count();
        // 95 % of 200 is 190, with a standard deviation of 3.1.
        assert!(covered >= 179, "{name}: the interval of the AUC holds 0.5 in {covered} of {REPETITIONS}");
        let mut p_values: Vec<f64> = found.iter().map(|found| found.p_value).collect();
        p_values.sort_by(f64::total_cmp);
        let of = |rank: usize| rank as f64 / REPETITIONS as f64;
        let excess = p_values.iter().enumerate().map(|(rank, p)| of(rank + 1) - p).fold(0.0, f64::max);
        let lack = p_values.iter().enumerate().map(|(rank, p)| p - of(rank)).fold(0.0, f64::max);
        // Kolmogorov–Smirnov at level 0.01. Ties make p-values larger than uniform, which errs on the safe side.
        let limit = 1.63 / (REPETITIONS as f64).sqrt();
        assert!(excess < limit, "{name}: p-values too small by {excess}");
        assert!(lack < limit || name == "drawn-extraction", "{name}: p-values too large by {lack}");
    }
}

/// Two pairs of diffusion models, each trained on one half of both sides and on the other.
#[test]
fn likelihood_ratios_with_shadows_find_members_and_nothing_else() {
    let candidates = images(0).concat(&images(1)).unwrap();
    let mut shadows = Vec::new();
    for pair in 0..2_u64 {
        let half: Vec<bool> = (0..2 * SIDE).map(|at| (at / (1 + pair as usize)).is_multiple_of(2)).collect();
        for member in [half.clone(), half.iter().map(|inside| !inside).collect()] {
            let rows: Vec<usize> = (0..2 * SIDE).filter(|&at| member[at]).collect();
            shadows.push((edm(&candidates.select(&rows), 10 + pair), member));
        }
    }
    let shadows: Vec<GeneratorShadow<'_>> =
        shadows.iter().map(|(generator, member)| GeneratorShadow { generator: generator.as_ref(), member }).collect();
    let unrelated = edm(&images(4), 20);
    for name in ["diffusion-lira-online", "diffusion-lira-offline"] {
        let found = evaluated(name, overfitted("edm"), &shadows, [0, 1]);
        assert!(found.auc.low > 0.9 && found.p_value < 1e-3, "{name}: {}, p = {}", found.auc, found.p_value);
        let found = evaluated(name, unrelated.as_ref(), &shadows, [0, 1]);
        let p = found.p_value;
        assert!((1e-3..0.999).contains(&p), "{name} without members: {}, p = {p}", found.auc);
    }
}

#[test]
fn what_a_generator_does_not_hold_is_named() {
    let candidates = images(0);
    let ask = |name: &str, trained: &dyn Trained| {
        let target = GeneratorTarget::new(trained, &candidates, &[], Seed::new(1)).unwrap();
        attack(name).unwrap().build().score(&Target::Generator(target)).unwrap_err().to_string()
    };
    let (edm, vae, gan) = (overfitted("edm"), overfitted("vae"), overfitted("gan"));
    for (name, trained, family, need) in [
        ("secmi", vae, "vae", "a diffusion model of images"),
        ("latent-search", edm, "edm", "draws from latent values"),
        ("elbo", gan, "gan", "pixels are probabilities"),
        ("discriminator", vae, "vae", "the discriminator"),
    ] {
        let message = ask(name, trained);
        assert!(message.contains(family) && message.contains(need), "{name}: {message}");
    }
    let message = ask("diffusion-lira-offline", edm);
    assert!(message.contains("0 of 0 shadows"), "{message}");
    for family in ATTACKS.iter().filter(|family| family.access == Access::Generator) {
        for need in family.needs {
            let held = [edm, vae, gan].into_iter().any(|trained| GeneratorTarget::holds(trained, *need));
            let of_the_release = !matches!(need, Need::Labels | Need::ShadowsOut | Need::ShadowsInAndOut);
            assert_eq!(held, of_the_release, "{}: {need}", family.name);
        }
    }

    let flags = [true; 3];
    let shadow = [GeneratorShadow { generator: edm, member: &flags }];
    let message = GeneratorTarget::new(edm, &candidates, &shadow, Seed::new(1)).unwrap_err().to_string();
    assert!(message.contains("3 membership flags of shadow 0 for 60 candidates"), "{message}");
    let unlabelled = candidates.clone().without_labels();
    assert!(GeneratorTarget::new(edm, &unlabelled, &[], Seed::new(1)).is_err());
    let wide = standin_data::Shape { channels: 1, height: 4, width: 16 };
    let reshaped = ImageSet::new(wide, candidates.pixels().to_vec()).unwrap();
    let reshaped = reshaped.with_labels(candidates.labels().unwrap().clone()).unwrap();
    let message = GeneratorTarget::new(edm, &reshaped, &[], Seed::new(1)).unwrap_err().to_string();
    assert!(message.contains(&wide.to_string()) && message.contains(&images(0).shape().to_string()), "{message}");
    for foreign in [
        edm.denoiser().unwrap().planes(&reshaped).err(),
        gan.discriminator().unwrap().scores(&reshaped, &[0; 60]).err(),
    ] {
        assert!(foreign.unwrap().to_string().contains(&wide.to_string()));
    }
}
