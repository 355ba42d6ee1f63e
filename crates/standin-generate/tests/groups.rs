//! Generators that are told class and group.

use standin_data::{Column, ImageSet, Labels, Seed, Shape, Silent};
use standin_generate::{
    Balance, Fit, Passage, Protection, SampleRequest, Trained, TranslationRequest, Work, family, load,
};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

const SIDE: usize = 8;

/// Images of two classes, a bar that lies or stands, in two groups: bright on dark, or dark on bright. The minority has `few` of each class.
fn bars(many: usize, few: usize) -> ImageSet {
    let shape = Shape { channels: 1, height: SIDE, width: SIDE };
    let (mut pixels, mut values, mut groups, mut patients) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (group, count) in [("light", many), ("dark", few)] {
        for image in 0..2 * count {
            let (standing, at) = (image % 2 == 1, 1 + image / 2 % 5);
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let across = if standing { column } else { row };
                    let on = across == at || across == at + 1;
                    pixels.push(if on == (group == "light") { 215 + image as u8 % 20 } else { 20 + image as u8 % 20 });
                }
            }
            values.push(u32::from(standing));
            groups.push(group.to_owned());
            patients.push(format!("{group}-{image}"));
        }
    }
    let labels = Labels { values, classes: vec!["lying".into(), "standing".into()] };
    let column = |name: &str, values| Column { name: name.into(), values };
    let images = ImageSet::new(shape, pixels).unwrap().with_labels(labels).unwrap();
    images.with_column(column("group", groups)).unwrap().with_column(column("patient", patients)).unwrap()
}

fn options(steps: usize, more: &str) -> toml::Table {
    let text = format!(
        "balance = 0.7\nnetwork = {{ patch = 1, width = 16, multipliers = [1, 2] }}\ntraining = {{ least_steps = {steps}, epochs = 0.1 }}\n{more}"
    );
    text.parse().unwrap()
}

fn trained(train: &ImageSet, steps: usize, more: &str) -> Box<dyn Trained> {
    let generator = (family("dual-edm").unwrap().build)(&options(steps, more)).unwrap();
    generator.fit(train, Fit::new(Seed::new(3), &Silent)).unwrap()
}

/// Share of images that are dark on bright, and of those whose bar is as their label says.
fn seen(images: &ImageSet) -> (f64, f64) {
    let labels = images.labels().unwrap();
    let (mut dark, mut right) = (0, 0);
    for image in 0..images.len() {
        let pixels = images.image(image);
        let mean = pixels.iter().map(|&value| f64::from(value)).sum::<f64>() / pixels.len() as f64;
        dark += usize::from(mean > 127.5);
        let spread = |across: &dyn Fn(usize) -> usize| {
            let mut sums = [0.0; SIDE];
            pixels.iter().enumerate().for_each(|(at, &value)| sums[across(at)] += f64::from(value));
            let mean = sums.iter().sum::<f64>() / SIDE as f64;
            sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>()
        };
        let standing = spread(&|at| at % SIDE) > spread(&|at| at / SIDE);
        right += usize::from(standing == (labels.values[image] == 1));
    }
    (dark as f64 / images.len() as f64, right as f64 / images.len() as f64)
}

fn drawn(trained: &dyn Trained, group: &str, guidance: f64) -> ImageSet {
    let request = SampleRequest {
        group: Some(group.into()),
        group_guidance: Some(guidance),
        ..SampleRequest::new(60).with_balance(Balance::Uniform)
    };
    trained.sample(&request, Seed::new(5), &Silent).unwrap()
}

fn translated(trained: &dyn Trained, sources: &ImageSet, request: TranslationRequest) -> ImageSet {
    trained.translate(sources, &request, Seed::new(7), &Silent).unwrap()
}

#[test]
fn class_and_group_are_told_apart_when_drawing_and_translating() {
    let train = bars(150, 20);
    let trained = trained(&train, 350, "");
    assert_eq!(trained.groups(), ["dark", "light"]);
    for (group, dark) in [("dark", true), ("light", false)] {
        let images = drawn(&*trained, group, 1.5);
        let (share, right) = seen(&images);
        assert!(
            (if dark { share } else { 1.0 - share }) > 0.85 && right > 0.85,
            "{group}: {share} dark, {right} right"
        );
        assert!(images.column("group").unwrap().values.iter().all(|value| value == group));
    }

    let light: Vec<usize> = (0..40).collect();
    let sources = train.select(&light);
    let request = |strength, passage| TranslationRequest { strength, passage, ..TranslationRequest::new("dark") };
    let (share, right) = seen(&translated(&*trained, &sources, request(1.0, Passage::Noise)));
    assert!(share > 0.85 && right > 0.85, "{share} dark, {right} right");
    // The lower the strength, the more of the source is left.
    let distance = |images: &ImageSet| {
        let pairs = images.pixels().iter().zip(sources.pixels());
        pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>()
    };
    let far =
        [0.1, 0.5, 1.0].map(|strength| distance(&translated(&*trained, &sources, request(strength, Passage::Noise))));
    assert!(far[0] < far[1] && far[1] < far[2], "{far:?}");
    let inverted =
        translated(&*trained, &sources, TranslationRequest { to: "light".into(), ..request(0.5, Passage::Inversion) });
    assert!(distance(&inverted) < far[1], "an image inverted and drawn as what it is stays what it is");
}

#[test]
fn translations_keep_attributes_and_depend_on_seed_and_row_alone() {
    let train = bars(40, 5);
    let trained = trained(&train, 20, "");
    let sources = train.select(&(0..70).collect::<Vec<_>>());
    let request = TranslationRequest { copies: 2, ..TranslationRequest::new("dark") };
    let made = translated(&*trained, &sources, request.clone());
    assert_eq!(made.len(), 140);
    let values = |name: &str| made.column(name).unwrap().values.clone();
    assert!(values("group").iter().all(|value| value == "dark"));
    assert_eq!(values("patient")[..4], ["light-0", "light-0", "light-1", "light-1"]);
    assert_eq!(made.labels().unwrap().values[..4], [0, 0, 1, 1]);
    assert_ne!(made.image(0), made.image(1), "copies of one source are alike");
    assert!(made.provenance().guarantee.as_deref().unwrap().contains("no privacy guarantee"));
    let fewer = translated(&*trained, &sources.select(&(0..5).collect::<Vec<_>>()), request);
    assert_eq!(fewer.pixels(), &made.pixels()[..fewer.pixels().len()]);
}

#[test]
fn a_generator_is_the_same_when_loaded_and_says_what_it_cannot_do() {
    let train = bars(30, 5);
    let trained = trained(&train, 10, "");
    let folder = tempfile::tempdir().unwrap();
    trained.save(folder.path()).unwrap();
    let loaded = load(folder.path()).unwrap();
    let request = SampleRequest { group: Some("dark".into()), ..SampleRequest::new(4) };
    let draw = |generator: &dyn Trained, request: &SampleRequest| generator.sample(request, Seed::new(1), &Silent);
    assert_eq!(draw(&*loaded, &request).unwrap().pixels(), draw(&*trained, &request).unwrap().pixels());
    let other = SampleRequest { group: Some("medium".into()), ..request };
    assert!(draw(&*loaded, &other).unwrap_err().to_string().contains("dark, light"));
    let sources = train.select(&[0]);
    let translate = |generator: &dyn Trained, sources: &ImageSet, to: &str| {
        generator.translate(sources, &TranslationRequest::new(to), Seed::new(1), &Silent).unwrap_err().to_string()
    };
    assert!(translate(&*loaded, &sources, "medium").contains("dark, light"));
    assert!(translate(&*loaded, &sources.clone().without_labels(), "dark").contains("needs labels"));
    let plain =
        (family("edm").unwrap().build)(&"training = { least_steps = 1, epochs = 0.1 }".parse().unwrap()).unwrap();
    let plain = plain.fit(&train, Fit::new(Seed::new(1), &Silent)).unwrap();
    assert!(translate(&*plain, &sources, "dark").contains("dual-edm"));
    let message = draw(&*plain, &SampleRequest { group: Some("dark".into()), ..SampleRequest::new(1) }).unwrap_err();
    assert!(message.to_string().contains("has no group"), "{message}");
}

/// Each way to learn the minority later draws it, and leaves the majority recognisable; tokens alone move it.
#[test]
fn a_minority_is_learnt_after_the_majority() {
    let train = bars(150, 20);
    let adapted = |method: &str| {
        let more = format!(
            "minority = [\"dark\"]\nadaptation = {{ method = \"{method}\", rank = 4, training = {{ least_steps = 250, epochs = 1.0 }} }}"
        );
        trained(&train, 350, &more)
    };
    for method in ["low-rank", "full"] {
        let generator = adapted(method);
        let (dark, right) = seen(&drawn(&*generator, "dark", 1.5));
        assert!(dark > 0.8 && right > 0.8, "{method}: {dark} dark, {right} right");
        let (dark, right) = seen(&drawn(&*generator, "light", 1.5));
        assert!(dark < 0.2 && right > 0.8, "{method}: {dark} dark, {right} right");
    }
    let tokens = adapted("tokens");
    assert_eq!(tokens.groups(), ["dark", "light"]);
    assert_ne!(drawn(&*tokens, "dark", 1.0).pixels(), drawn(&*tokens, "light", 1.0).pixels());
}

#[test]
fn public_images_teach_groups_of_which_there_is_none() {
    let (all, none) = (bars(30, 20), bars(30, 0));
    let generator = (family("dual-edm").unwrap().build)(&options(10, "")).unwrap();
    let fit = Fit { public: Some(&all), ..Fit::new(Seed::new(1), &Silent) };
    assert_eq!(generator.fit(&none, fit).unwrap().groups(), ["dark", "light"]);
    assert_eq!(generator.fit(&none, Fit::new(Seed::new(1), &Silent)).unwrap().groups(), ["light"]);
}

#[test]
fn an_interrupted_fit_ends_as_an_undisturbed_one() {
    let train = bars(20, 4);
    let more =
        "minority = [\"dark\"]\nadaptation = { method = \"low-rank\", training = { least_steps = 6, epochs = 0.1 } }";
    let generator = (family("dual-edm").unwrap().build)(&options(6, more)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let work = Work::new(folder.path(), std::time::Duration::ZERO, None, "a fit");
    let fit = || Fit { work: Some(&work), ..Fit::new(Seed::new(2), &Silent) };
    let first = drawn(&*generator.fit(&train, fit()).unwrap(), "dark", 1.0);
    // The checkpoints hold each training's end, so that nothing is trained again.
    let again = drawn(&*generator.fit(&train, fit()).unwrap(), "dark", 1.0);
    let undisturbed = drawn(&*generator.fit(&train, Fit::new(Seed::new(2), &Silent)).unwrap(), "dark", 1.0);
    assert_eq!(first.pixels(), again.pixels());
    assert_eq!(first.pixels(), undisturbed.pixels());
}

#[test]
fn private_adapters_know_named_groups_and_their_guarantee_covers_them() {
    let (train, public) = (bars(60, 20), bars(40, 10));
    let settings = |group: &str| -> toml::Table {
        format!(
            "network = {{ patch = 1, width = 8 }}\npretraining = {{ least_steps = 5, epochs = 0.1 }}\n\
             private = {{ steps = 3, batch_size = 32, multiplicity = 1 }}\ngroup = {{ column = \"group\"{group} }}"
        )
        .parse()
        .unwrap()
    };
    let build = family("dp-lora").unwrap().build;
    assert!(build(&settings("")).err().unwrap().to_string().contains("group.names"));
    let generator = build(&settings(", names = [\"light\", \"dark\", \"unseen\"]")).unwrap();
    let target = PrivacyTarget { epsilon: 5.0, delta: Delta::Auto, allow_large_delta: false };
    let protection = Protection { target, unit: Unit::Image, noise: NoiseOrigin::Reproducible };
    let fit = Fit { public: Some(&public), ..Fit::new(Seed::new(1), &Silent).protected(Some(protection)) };
    let trained = generator.fit(&train, fit).unwrap();
    // Whether a group has an image is nothing that is read off private images.
    assert_eq!(trained.groups(), ["light", "dark", "unseen"]);
    assert!(trained.guarantee().unwrap().epsilon <= 5.0);
    let images = drawn(&*trained, "dark", 1.0);
    assert!(images.provenance().guarantee.as_deref().unwrap().contains('ε'));
    let translated = translated(&*trained, &train.select(&[0, 1]), TranslationRequest::new("dark"));
    assert!(translated.provenance().guarantee.as_deref().unwrap().contains("no privacy guarantee"));
}
