//! PrivGAN as an option of `gan`: images come from all its generators, and what is not possible is refused.

use std::collections::BTreeMap;

use standin_data::{ImageSet, Seed, Silent, digits};
use standin_generate::{Balance, Fit, SampleRequest, Trained, family, load};

fn train() -> ImageSet {
    digits().select(&(0..200).collect::<Vec<_>>())
}

fn fit(options: &str, train: &ImageSet) -> Box<dyn Trained> {
    let sizes = "latent = 4\nwidth = 4\nbatch_size = 16\nepochs = 0.1\n";
    let options: toml::Table = toml::from_str(&format!("{sizes}{options}")).unwrap();
    let generator = (family("gan").unwrap().build)(&options).unwrap();
    generator.fit(train, Fit::new(Seed::new(1), &Silent)).unwrap()
}

fn sample(trained: &dyn Trained, request: &SampleRequest, seed: u64) -> ImageSet {
    trained.sample(request, Seed::new(seed), &Silent).unwrap()
}

/// The number of different images of each class, which at temperature 0 is that of the generators that drew it.
fn different(images: &ImageSet) -> Vec<usize> {
    let different = |members: &Vec<usize>| {
        let mut counts = BTreeMap::new();
        members.iter().for_each(|&image| *counts.entry(images.image(image)).or_insert(0) += 1);
        counts.len()
    };
    images.labels().unwrap().by_class().iter().map(different).collect()
}

#[test]
fn every_class_comes_from_every_generator() {
    let cold = SampleRequest::new(400).with_balance(Balance::Uniform).with_temperature(0.0);
    for generators in [2, 5] {
        let trained = fit(&format!("least_steps = 20\nprivacy_game.generators = {generators}"), &train());
        assert_eq!(different(&sample(&*trained, &cold, 3)), [generators; 10]);
    }
    assert_eq!(different(&sample(&*fit("least_steps = 20", &train()), &cold, 3)), [1; 10]);
}

#[test]
fn an_image_depends_on_the_seed_its_place_and_its_class_alone() {
    let trained = fit("least_steps = 20\nprivacy_game.generators = 3", &train());
    let of_class = |count: usize, shares: &[(&str, f64)]| {
        let shares = shares.iter().map(|&(name, share)| (name.to_owned(), share)).collect();
        SampleRequest::new(count).with_balance(Balance::Shares(shares))
    };
    let many = sample(&*trained, &of_class(200, &[("3", 1.0), ("7", 1.0)]), 3);
    let few = sample(&*trained, &of_class(70, &[("3", 1.0)]), 3);
    let labels = &many.labels().unwrap().values;
    let same: Vec<usize> = (0..70).filter(|&image| labels[image] == 3).collect();
    assert!(same.len() >= 34);
    assert!(same.iter().all(|&image| many.image(image) == few.image(image)));
    assert_ne!(
        sample(&*trained, &SampleRequest::new(20), 3).digest(),
        sample(&*trained, &SampleRequest::new(20), 4).digest()
    );
}

/// The number of pairs is part of what is saved, and of what is checked when it is read.
#[test]
fn a_mixture_survives_the_disk_and_a_damaged_one_is_refused() {
    let trained = fit("least_steps = 20\nprivacy_game.generators = 3\nkeep_discriminator = true", &train());
    let folder = tempfile::tempdir().unwrap();
    trained.save(folder.path()).unwrap();
    let loaded = load(folder.path()).unwrap();
    let request = SampleRequest::new(90);
    assert_eq!(sample(&*loaded, &request, 3).digest(), sample(&*trained, &request, 3).digest());
    assert_eq!(loaded.description().options, trained.description().options);
    assert!(loaded.guarantee().is_none());
    assert_eq!(loaded.decoder().unwrap().parts().len(), 3);

    for file in ["generator.toml", "discriminator.toml"] {
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let at = text.rfind("generators = 3").unwrap();
        let with = |count: &str| format!("{}generators = {count}{}", &text[..at], &text[at + 14..]);
        for count in ["2", "1", "1000000"] {
            // In the generator's description the options have the same line; the last one is the architecture's.
            std::fs::write(&path, with(count)).unwrap();
            assert!(load(folder.path()).is_err(), "{file} with {count}");
        }
        std::fs::write(&path, text).unwrap();
    }
    load(folder.path()).unwrap();
}

#[test]
fn pairs_without_weight_do_not_know_of_each_other() {
    let drawn = |options: &str| {
        let trained = fit(&format!("least_steps = 40\nprivacy_game.generators = 2\n{options}"), &train());
        sample(&*trained, &SampleRequest::new(40), 3).digest()
    };
    let apart = drawn("privacy_game.weight = 0.0");
    assert_eq!(drawn("privacy_game.weight = 0.0\nprivacy_game.warm_up = 0.9"), apart);
    assert_ne!(drawn("privacy_game.weight = 1.0"), apart);
    assert_eq!(drawn("privacy_game.weight = 1.0\nprivacy_game.warm_up = 0.99"), apart, "it acts from step 40 on");
}

#[test]
fn options_outside_their_range_are_refused_with_the_remedy() {
    for (options, value, remedy) in [
        ("generators = 1", "generators is 1", "leave privacy_game out"),
        ("generators = 9", "generators is 9", "2 to 8"),
        ("weight = -0.5", "weight is -0.5", "at least 0"),
        ("weight = inf", "weight is inf", "finite"),
        ("warm_up = 1.0", "warm_up is 1", "below 1"),
        ("warm_up = nan", "warm_up is NaN", "below 1"),
        ("pairs = 2", "`pairs`", "generators"),
    ] {
        let table = toml::from_str(&format!("[privacy_game]\n{options}")).unwrap();
        let message = (family("gan").unwrap().build)(&table).unwrap_err().to_string();
        assert!(message.contains(value) && message.contains(remedy), "{options}: {message}");
    }
    let few = train().select(&(0..15).collect::<Vec<_>>());
    let table = toml::from_str("privacy_game.generators = 8").unwrap();
    let generator = (family("gan").unwrap().build)(&table).unwrap();
    let message = generator.fit(&few, Fit::new(Seed::new(1), &Silent)).unwrap_err().to_string();
    assert!(message.contains("class \"0\" has 2 images") && message.contains("fewer generators"), "{message}");
}
