//! Private Evolution finds what the private images look like, keeps its budget, and talks with other programs.

use std::path::Path;

use rand::RngExt;
use standin_data::{ExportFormat, ImageSet, Labels, Parts, Seed, Shape, Silent, export};
use standin_generate::{Fit, Lineage, Protection, SampleRequest, Trained, family};
use standin_privacy::{Adjacency, Delta, Event, Ledger, NoiseOrigin, PrivacyTarget, Unit};

const SHAPE: Shape = Shape { channels: 1, height: 6, width: 6 };

/// Images of one grey each with noise: the greys are `levels`, in turn, and the label of an image is its place among them.
fn greys(count: usize, levels: &[u8], seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    let values: Vec<u32> = (0..count).map(|image| (image % levels.len()) as u32).collect();
    let pixels = values.iter().flat_map(|&label| [levels[label as usize]; 36]);
    let pixels = pixels.map(|level| level.saturating_add(rng.random_range(0..20))).collect();
    let classes = (0..levels.len()).map(|level| format!("grey {level}")).collect();
    ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values, classes }).unwrap()
}

fn protection(epsilon: f64) -> Protection {
    let target = PrivacyTarget { epsilon, delta: Delta::Value(1e-5), allow_large_delta: false };
    Protection { target, unit: Unit::Image, noise: NoiseOrigin::Reproducible }
}

fn evolve(options: &str, train: &ImageSet, epsilon: f64) -> Result<Box<dyn Trained>, standin_generate::Error> {
    let generator = (family("private-evolution")?.build)(&toml::from_str(options).unwrap())?;
    generator.fit(train, Fit::new(Seed::new(1), &Silent).protected(Some(protection(epsilon))))
}

/// A generator of greys of all kinds, trained on public images.
fn public_generator(folder: &Path) {
    let options = "hidden = [32, 32]\nleast_steps = 600\nepochs = 1.0\nlatent = 4";
    let vae = (family("vae").unwrap().build)(&toml::from_str(options).unwrap()).unwrap();
    let public = greys(600, &[0, 40, 80, 120, 160, 200], 2).labelled_by_nothing();
    vae.fit(&public, Fit::new(Seed::new(3), &Silent)).unwrap().save(folder).unwrap();
}

trait OneClass {
    /// All of one class.
    fn labelled_by_nothing(self) -> Self;
}

impl OneClass for ImageSet {
    fn labelled_by_nothing(self) -> Self {
        let labels = Labels { values: vec![0; self.len()], classes: vec!["any".into()] };
        self.without_labels().with_labels(labels).unwrap()
    }
}

fn class_greys(set: &ImageSet) -> Vec<f64> {
    let mean = |members: &Vec<usize>| {
        let total: f64 = members.iter().flat_map(|&image| set.image(image)).map(|&value| f64::from(value)).sum();
        total / (members.len() * 36) as f64
    };
    set.labels().unwrap().by_class().iter().map(mean).collect()
}

#[test]
fn a_population_from_anywhere_comes_to_look_like_the_private_images() {
    let folder = tempfile::tempdir().unwrap();
    public_generator(folder.path());
    let api = format!("api.generator = {:?}\npopulation = 120\nencoder = \"pixels\"\nlookahead = 2", folder.path());
    let private = greys(800, &[30, 180], 4);
    let expected = class_greys(&private);
    let found =
        |trained: &dyn Trained| class_greys(&trained.sample(&SampleRequest::new(100), Seed::new(5), &Silent).unwrap());
    let evolved = evolve(&api, &private, 10.0).unwrap();
    for (found, expected) in found(&*evolved).iter().zip(&expected) {
        assert!((found - expected).abs() < 30.0, "mean grey {found}, private {expected}");
    }
    // With hardly any budget the votes are noise, and the classes stay what the API draws: all greys.
    let blind = evolve(&format!("threshold = 0.0\n{api}"), &private, 0.001).unwrap();
    let blind = found(&*blind);
    assert!((blind[0] - blind[1]).abs() < 60.0, "{blind:?}");
}

#[test]
fn the_guarantee_is_that_of_the_histograms() {
    let folder = tempfile::tempdir().unwrap();
    public_generator(folder.path());
    let options = format!("api.generator = {:?}\npopulation = 20\nencoder = \"pixels\"\nlookahead = 0", folder.path());
    for epsilon in [1.0, 10.0] {
        let trained = evolve(&options, &greys(100, &[0, 200], 1), epsilon).unwrap();
        let guarantee = trained.guarantee().unwrap();
        assert!(guarantee.epsilon <= epsilon && guarantee.epsilon > 0.99 * epsilon, "{}", guarantee.epsilon);
        assert_eq!((guarantee.delta, &guarantee.unit), (1e-5, &Unit::Image));
        // Five rounds of noise σ are one Gaussian mechanism of noise σ/√5.
        let noise = guarantee.mechanism.split(|c: char| !(c.is_ascii_digit() || c == '.'));
        let sigma = noise.filter_map(|word| word.parse::<f64>().ok()).find(|&number| number.fract() != 0.0).unwrap();
        let mut once = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
        once.record(Event::Gaussian { noise_multiplier: sigma / 5_f64.sqrt() }, 1).unwrap();
        let bounds = once.epsilon(1e-5).unwrap();
        assert!((bounds.high / guarantee.epsilon - 1.0).abs() < 0.01, "{} at σ = {sigma}", bounds.high);
    }
}

#[test]
fn descendants_are_alike_as_far_as_little_is_mixed_in() {
    let folder = tempfile::tempdir().unwrap();
    public_generator(folder.path());
    let trained = standin_generate::load(folder.path()).unwrap();
    let parents: Vec<Lineage> = (0..300).map(|stream| Lineage::new(0, stream)).collect();
    let draw = |lineages: &[Lineage]| trained.descend(lineages, Seed::new(1), &Silent).unwrap();
    let images = draw(&parents);
    let difference = |share: f64| {
        let children: Vec<Lineage> = parents.iter().zip(300..).map(|(p, stream)| p.varied(stream, share)).collect();
        let squared = draw(&children)
            .pixels()
            .iter()
            .zip(images.pixels())
            .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2))
            .sum::<f64>();
        (squared / images.pixels().len() as f64).sqrt()
    };
    let found = [0.0, 0.2, 0.5, 1.0].map(difference);
    assert_eq!(found[0], 0.0);
    assert!(found[1] > 0.0 && found[1] < found[2] && found[2] < found[3], "{found:?}");
    // A whole fresh draw is as unlike as two parents are.
    let other = draw(&parents.iter().zip(600..).map(|(_, stream)| Lineage::new(0, stream)).collect::<Vec<_>>());
    let apart = other.pixels().iter().zip(images.pixels()).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    let apart = (apart.sum::<f64>() / images.pixels().len() as f64).sqrt();
    assert!((found[3] / apart - 1.0).abs() < 0.2, "{} and {apart}", found[3]);
}

/// A shell script that answers line by line.
#[cfg(unix)]
fn command(folder: &Path, body: &str) -> String {
    let script = folder.join("api.sh");
    std::fs::write(&script, format!("while read -r line; do\n{body}\ndone\n")).unwrap();
    format!(
        "api.command = [\"sh\", {script:?}]\npopulation = 60\nencoder = \"pixels\"\nlookahead = 1\ndegrees = [2.0, 1.0]"
    )
}

#[cfg(unix)]
#[test]
fn another_program_answers_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let anything = folder.path().join("anything.npz");
    let images = greys(60, &[0, 40, 80, 120, 160, 200], 2).without_labels();
    export(&Parts::undivided(images), &anything, ExportFormat::Npz, false).unwrap();
    // Asked for variations it gives the parents back, so only the votes change the population.
    let body = format!(
        "case \"$line\" in\n*random*) echo '{{\"images\": {anything:?}}}' ;;\n\
         *) echo \"{{\\\"images\\\": \\\"$(echo \"$line\" | sed 's/.*\"images\":\"\\([^\"]*\\)\".*/\\1/')\\\"}}\" ;;\nesac"
    );
    let options = command(folder.path(), &body);
    let trained = evolve(&options, &greys(800, &[80, 200], 4), 10.0).unwrap();
    let sampled = trained.sample(&SampleRequest::new(60), Seed::new(5), &Silent).unwrap();
    let found = class_greys(&sampled);
    assert!((found[0] - 90.0).abs() < 15.0 && (found[1] - 210.0).abs() < 15.0, "{found:?}");
}

#[cfg(unix)]
#[test]
fn a_program_that_does_not_answer_as_it_should_is_named_with_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let private = greys(40, &[0, 200], 1);
    for (body, found) in [
        ("exit 3", "ended without an answer"),
        ("echo hello", "\"hello\""),
        ("echo '{\"error\": \"no memory\"}'", "no memory"),
        ("echo '{}'", "without images"),
        ("echo '{\"images\": \"/nowhere.npz\"}'", "/nowhere.npz"),
    ] {
        let message = evolve(&command(folder.path(), body), &private, 1.0).unwrap_err().to_string();
        assert!(message.contains(found), "{message}");
    }
    let message = evolve("api.command = [\"/no/such/program\"]", &private, 1.0).unwrap_err().to_string();
    assert!(message.contains("/no/such/program") && message.contains("cannot be started"), "{message}");
    let message = evolve("", &private, 1.0).unwrap_err().to_string();
    assert!(message.contains("api.generator"), "{message}");
}

#[test]
fn a_generator_of_private_images_is_no_api() {
    let folder = tempfile::tempdir().unwrap();
    let train = greys(100, &[0, 200], 1);
    let options = toml::from_str("frequencies = 50\nsteps = 5\nhidden = [8]").unwrap();
    let private = (family("dp-merf").unwrap().build)(&options).unwrap();
    let fit = Fit::new(Seed::new(1), &Silent).protected(Some(protection(1.0)));
    private.fit(&train, fit).unwrap().save(folder.path()).unwrap();
    let message = evolve(&format!("api.generator = {:?}", folder.path()), &train, 1.0).unwrap_err().to_string();
    assert!(message.contains("it was made from private images") && message.contains("ε = "), "{message}");
}

#[test]
fn options_without_an_api_are_refused_before_anything_is_read() {
    let Err(refused) = (family("private-evolution").unwrap().build)(&toml::Table::new()) else {
        panic!("nobody draws")
    };
    let said = refused.to_string();
    assert!(said.contains("api.generator = FOLDER"), "{said}");
}
