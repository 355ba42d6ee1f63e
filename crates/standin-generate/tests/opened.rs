//! What whoever holds a generator's weights can compute agrees with what the generator draws, and with itself.

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{ImageSet, Seed, Silent, digits};
use standin_generate::{Balance, Fit, Misfit, Protection, SampleRequest, Trained, family, load};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

const LATENT: usize = 4;

fn train() -> ImageSet {
    digits().select(&(0..200).collect::<Vec<_>>())
}

fn fit(name: &str, options: toml::Table) -> Box<dyn Trained> {
    let protection = family(name).unwrap().private.then_some(Protection {
        target: PrivacyTarget { epsilon: 10.0, delta: Delta::Value(1e-4), allow_large_delta: false },
        unit: Unit::Image,
        noise: NoiseOrigin::Reproducible,
    });
    let generator = (family(name).unwrap().build)(&options).unwrap();
    generator.fit(&train(), Fit::new(Seed::new(1), &Silent).protected(protection)).unwrap()
}

/// One of each network that draws from latent values in one pass.
fn decoders() -> Vec<(&'static str, Box<dyn Trained>)> {
    let gs_wgan = toml::toml! {
        latent = 4
        width = 4
        steps = 5
        subsets = 4
        frequencies = 4
    };
    let mixture = toml::toml! {
        latent = 4
        width = 4
        least_steps = 20
        epochs = 0.1
        keep_discriminator = true
        privacy_game.generators = 3
    };
    [
        ("vae", toml::toml! { latent = 4 least_steps = 200 }),
        ("gan", toml::toml! { latent = 4 width = 4 least_steps = 20 epochs = 0.1 keep_discriminator = true }),
        ("stylegan", toml::toml! { latent = 4 width = 4 least_steps = 20 epochs = 0.1 keep_discriminator = true }),
        ("gs-wgan", gs_wgan),
        ("gan", mixture),
    ]
    .into_iter()
    .map(|(name, options)| (name, fit(name, options)))
    .collect()
}

fn unit_values(images: &ImageSet) -> Vec<f32> {
    images.pixels().iter().map(|&value| f32::from(value) / 255.0).collect()
}

#[test]
fn misfits_fall_along_their_slopes() {
    let images = train().select(&[3, 90, 141]);
    let (values, classes) = (unit_values(&images), images.labels().unwrap().values.clone());
    let mut rng = Seed::new(2).rng();
    let latents: Vec<f32> = (0..3 * LATENT).map(|_| rng.sample::<f32, _>(StandardNormal)).collect();
    for (name, trained) in decoders() {
        let decoder = trained.decoder().unwrap();
        assert_eq!(decoder.latent(), LATENT, "{name}");
        assert_eq!(decoder.has_likelihood(), name == "vae");
        let kinds = [Misfit::SquaredError, Misfit::CrossEntropy];
        for kind in kinds.into_iter().filter(|&kind| kind == Misfit::SquaredError || decoder.has_likelihood()) {
            let found = decoder.misfit(kind, &latents, &values, &classes);
            for at in 0..3 * LATENT {
                let moved = |by: f32| {
                    let mut latents = latents.clone();
                    latents[at] += by;
                    decoder.misfit(kind, &latents, &values, &classes).values[at / LATENT]
                };
                let slope = (moved(0.01) - moved(-0.01)) / 0.02;
                let (given, scale) = (f64::from(found.slopes[at]), found.values[at / LATENT]);
                // Central differences of f32 values: rounding leaves 1e-5 of the value over the step.
                let off = (given - slope).abs();
                assert!(off < 0.02 * slope.abs() + 1e-3 * scale, "{name} {kind:?} {at}: {given} for {slope}");
            }
        }
    }
}

/// At temperature 0 an image comes from latent values of 0.
#[test]
fn decoders_draw_what_is_sampled() {
    for (name, trained) in decoders().into_iter().filter(|(name, _)| *name != "stylegan") {
        let request = SampleRequest::new(10).with_balance(Balance::Uniform).with_temperature(0.0);
        let images = trained.sample(&request, Seed::new(7), &Silent).unwrap();
        let (values, classes) = (unit_values(&images), &images.labels().unwrap().values);
        let misfits = trained.decoder().unwrap().misfit(Misfit::SquaredError, &[0.0; 10 * LATENT], &values, classes);
        // What is left is the rounding of pixels to 8 bits.
        let rounding = images.shape().volume() as f64 * (0.501_f64 / 255.0).powi(2);
        assert!(misfits.values.iter().all(|&misfit| misfit <= rounding), "{name}: {misfits:?}");
    }
}

#[test]
fn the_misfit_of_a_mixture_is_that_of_the_generator_that_fits_best() {
    let images = train().select(&[3, 90, 141]);
    let (values, classes) = (unit_values(&images), images.labels().unwrap().values.clone());
    let latents = [0.3; 3 * LATENT];
    let (_, mixture) = decoders().pop().unwrap();
    let decoder = mixture.decoder().unwrap();
    let whole = decoder.misfit(Misfit::SquaredError, &latents, &values, &classes);
    let parts: Vec<_> =
        decoder.parts().iter().map(|part| part.misfit(Misfit::SquaredError, &latents, &values, &classes)).collect();
    assert_eq!(parts.len(), 3);
    for image in 0..3 {
        let best = parts.iter().min_by(|a, b| a.values[image].total_cmp(&b.values[image])).unwrap();
        assert_eq!(whole.values[image], best.values[image]);
        let row = image * LATENT..(image + 1) * LATENT;
        assert_eq!(whole.slopes[row.clone()], best.slopes[row]);
    }
}

#[test]
fn discriminators_are_kept_with_their_generators_where_that_is_asked_for() {
    let images = train().select(&[3, 90, 141]);
    let classes = images.labels().unwrap().values.clone();
    let options = toml::toml! { latent = 4 width = 4 discriminator_width = 4 steps = 5 keep_discriminator = true };
    let kept = decoders().into_iter().filter(|(name, _)| matches!(*name, "gan" | "stylegan"));
    for (name, trained) in kept.chain([("dp-gan", fit("dp-gan", options))]) {
        let folder = tempfile::tempdir().unwrap();
        trained.save(folder.path()).unwrap();
        let scores = trained.discriminator().unwrap().scores(&images, &classes).unwrap();
        assert!(scores.len() == 3 && scores[0] != scores[1], "{name}: {scores:?}");
        let loaded = load(folder.path()).unwrap();
        assert_eq!(loaded.discriminator().unwrap().scores(&images, &classes).unwrap(), scores, "{name}");

        let path = folder.path().join("discriminator.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("discriminator.safetensors"), "{name}: {message}");
    }
    let without = fit("gan", toml::toml! { latent = 4 width = 4 least_steps = 5 epochs = 0.1 });
    assert!(without.discriminator().is_none());
    let folder = tempfile::tempdir().unwrap();
    without.save(folder.path()).unwrap();
    assert!(!folder.path().join("discriminator.safetensors").exists());
}

#[test]
fn what_is_no_such_network_says_so() {
    let vqvae = fit(
        "vqvae",
        toml::toml! { autoencoder.least_steps = 5 autoencoder.epochs = 0.1 prior.training.least_steps = 5 prior.training.epochs = 0.1 },
    );
    assert!(vqvae.denoiser().is_none() && vqvae.decoder().is_none() && vqvae.discriminator().is_none());
}
