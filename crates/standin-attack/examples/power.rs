//! How large a leak must be for each attack to find it, on digits:
//!
//! ```text
//! cargo run --release -p standin-attack --example power -- [--repetitions N] [--attacks NAME,NAME…]
//! ```
//!
//! Each figure is the mean AUC of 300 members against 300 non-members over the repetitions, and the share of these in which the
//! p-value is at most 0.05. Images: a share of the members is released, once or four times each, among 600 other images, with wrong
//! labels, so that what a label tells can be known by heart alone. Generators and classifiers: the same 60 (300 for classifiers) members, seen more and more often.

use standin_attack::ATTACKS;
use standin_attack::{
    Access, ClassifierTarget, Family, GeneratorTarget, ImagesTarget, Logits, Need, Pictures, Target, attack, evaluate,
};
use standin_data::{ImageSet, Labels, Seed, Silent, digits};
use standin_encode::encoder;
use standin_generate::{Fit, Trained, family};

type Failure = Box<dyn std::error::Error>;

/// What one attack found at one size of the leak.
#[derive(Clone, Default)]
struct Found {
    areas: Vec<f64>,
    p_values: Vec<f64>,
}

impl Found {
    fn add(&mut self, scores: &[f64], seed: u64) -> Result<(), Failure> {
        let (members, non_members) = scores.split_at(scores.len() / 2);
        let found = evaluate(members, non_members, Seed::new(seed))?;
        self.areas.push(found.auc.value);
        self.p_values.push(found.p_value);
        Ok(())
    }

    fn cell(&self) -> String {
        let count = self.areas.len() as f64;
        let mean = self.areas.iter().sum::<f64>() / count;
        let found = self.p_values.iter().filter(|&&p| p <= 0.05).count() as f64 / count;
        format!("{mean:.3} {:>4.0} %", 100.0 * found)
    }
}

fn main() -> Result<(), Failure> {
    let mut asked = Asked { repetitions: 10, attacks: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        match (option.as_str(), arguments.next()) {
            ("--repetitions", Some(number)) => asked.repetitions = number.parse()?,
            ("--attacks", Some(names)) => asked.attacks = Some(names.split(',').map(str::to_owned).collect()),
            _ => return Err("the options are --repetitions N and --attacks NAME,NAME…".into()),
        }
    }
    images(&asked, 1)?;
    images(&asked, 4)?;
    generators(&asked)?;
    classifiers(&asked)
}

/// What is measured, and how often.
struct Asked {
    repetitions: u64,
    /// All if none are named.
    attacks: Option<Vec<String>>,
}

impl Asked {
    fn wants(&self, attack: &str) -> bool {
        self.attacks.as_ref().is_none_or(|names| names.iter().any(|name| name == attack))
    }
}

/// Prints a table with a row for each attack.
fn table(title: &str, sizes: &[String], rows: &[(&str, Vec<Found>)]) {
    let header: Vec<String> = sizes.iter().map(|size| format!("{size:>12}")).collect();
    println!("\n{title:<24} {}", header.join(" "));
    for (name, found) in rows {
        let cells: Vec<String> = found.iter().map(|found| format!("{:>12}", found.cell())).collect();
        println!("{name:<24} {}", cells.join(" "));
    }
}

/// Digits in an order that a repetition decides, each with another label than its own if `wrong`.
fn drawn(repetition: u64, wrong: bool) -> Result<ImageSet, Failure> {
    let mut order: Vec<usize> = (0..digits().len()).collect();
    rand::seq::SliceRandom::shuffle(order.as_mut_slice(), &mut Seed::new(repetition).rng());
    let images = digits().select(&order);
    if !wrong {
        return Ok(images);
    }
    let Labels { values, classes } = images.require_labels("this example")?.clone();
    let values = values.iter().enumerate().map(|(at, label)| (label + 1 + at as u32 % 9) % 10).collect();
    Ok(images.without_labels().with_labels(Labels { values, classes })?)
}

fn part(images: &ImageSet, from: usize, to: usize) -> ImageSet {
    images.select(&(from..to).collect::<Vec<_>>())
}

fn images(asked: &Asked, times: usize) -> Result<(), Failure> {
    const SHARES: [f64; 5] = [0.0, 0.02, 0.05, 0.1, 0.3];
    let all = ATTACKS.iter().filter(|family| family.access == Access::Images);
    let families: Vec<&Family> = all.filter(|family| asked.wants(family.name)).collect();
    if families.is_empty() {
        return Ok(());
    }
    let mut found = vec![vec![Found::default(); SHARES.len()]; families.len()];
    let pixels = encoder("pixels")?;
    for repetition in 0..asked.repetitions {
        let all = drawn(repetition, true)?;
        let (candidates, reference) = (part(&all, 0, 600), part(&all, 600, 1100));
        let [of_candidates, of_reference] = [&candidates, &reference].map(|set| pixels.encode(set, &Silent));
        let (of_candidates, of_reference) = (of_candidates?, of_reference?);
        for (size, share) in SHARES.iter().enumerate() {
            let copied = (300.0 * share).round() as usize;
            let copies: Vec<usize> = (0..times * copied).map(|copy| copy % copied).collect();
            let released = part(&all, 1100, 1700).concat(&all.select(&copies))?;
            let of_released = pixels.encode(&released, &Silent)?;
            let pictures = Pictures { released: &released, reference: Some(&reference), candidates: &candidates };
            let target = ImagesTarget::new(&of_released, Some(&of_reference), &of_candidates)?;
            let target = Target::Images(target.with_pictures(pictures)?);
            for (family, found) in families.iter().zip(&mut found) {
                // Trainings take longer.
                if !family.needs.contains(&Need::Pictures) || repetition < asked.repetitions.div_ceil(5) {
                    found[size].add(&family.build().score(&target)?, repetition)?;
                }
            }
        }
    }
    let rows: Vec<_> = families.iter().map(|family| family.name).zip(found).collect();
    table(&format!("members released {times} ×"), &SHARES.map(|share| format!("{:.0} %", 100.0 * share)), &rows);
    Ok(())
}

fn generators(asked: &Asked) -> Result<(), Failure> {
    const STEPS: [usize; 4] = [30, 100, 300, 1000];
    let fit = |name: &str, options: &str, train: &ImageSet, seed: u64| -> Result<Box<dyn Trained>, Failure> {
        let generator = (family(name)?.build)(&toml::from_str(options)?)?;
        Ok(generator.fit(train, Fit::new(Seed::new(seed), &Silent))?)
    };
    let all = ATTACKS.iter().filter(|family| family.access == Access::Generator && !family.needs_shadows());
    let families: Vec<&Family> = all.filter(|family| asked.wants(family.name)).collect();
    if families.is_empty() {
        return Ok(());
    }
    let mut found = vec![vec![Found::default(); STEPS.len()]; families.len()];
    for repetition in 0..asked.repetitions {
        let all = drawn(repetition, false)?;
        let (train, candidates) = (part(&all, 0, 60), part(&all, 0, 120));
        for (size, steps) in STEPS.into_iter().enumerate() {
            let edm = format!(
                "network = {{ width = 16, attention = false }}\n\
                 training = {{ epochs = 1.0, least_steps = {steps}, batch_size = 32 }}"
            );
            let vae = format!("epochs = 1.0\nleast_steps = {steps}\nbatch_size = 60\nbeta = 0.05");
            let gan = format!(
                "epochs = 1.0\nleast_steps = {steps}\nbatch_size = 30\nwidth = 16\nregularisation = \"r1\"\npenalty = 0.1\n\
                 keep_discriminator = true"
            );
            let trained = [
                fit("edm", &edm, &train, repetition)?,
                fit("vae", &vae, &train, repetition)?,
                fit("gan", &gan, &train, repetition)?,
            ];
            for (family, found) in families.iter().zip(&mut found) {
                let holds = |trained: &&dyn Trained| {
                    let of_release = |need: &&Need| !matches!(need, Need::Labels);
                    family.needs.iter().filter(of_release).all(|need| GeneratorTarget::holds(*trained, *need))
                };
                let trained =
                    trained.iter().map(AsRef::as_ref).find(holds).ok_or("no generator has what the attack needs")?;
                let target = GeneratorTarget::new(trained, &candidates, &[], Seed::new(repetition))?;
                found[size].add(&family.build().score(&Target::Generator(target))?, repetition)?;
            }
        }
    }
    let rows: Vec<_> = families.iter().map(|family| family.name).zip(found).collect();
    table("steps of 30 to 60 images", &STEPS.map(|steps| steps.to_string()), &rows);
    Ok(())
}

fn classifiers(asked: &Asked) -> Result<(), Failure> {
    const EPOCHS: [f64; 4] = [5.0, 20.0, 60.0, 200.0];
    let names = ["loss", "confidence", "entropy", "modified-entropy", "gap", "rmia-offline", "lira-offline-fixed"];
    let names: Vec<&str> = names.into_iter().filter(|name| asked.wants(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let mut found = vec![vec![Found::default(); EPOCHS.len()]; names.len()];
    for repetition in 0..asked.repetitions {
        let all = drawn(repetition, true)?;
        let (train, candidates) = (part(&all, 0, 300), part(&all, 0, 600));
        let labels = &candidates.require_labels("this example")?.values;
        for (size, epochs) in EPOCHS.into_iter().enumerate() {
            let options = format!("epochs = {epochs:?}\nfewest_steps = 1\nweight_decay = 0.0");
            let classifier = (standin_classify::family("cnn")?.build)(&toml::from_str(&options)?)?;
            let answers = |train: &ImageSet| classifier.fit(train, Seed::new(repetition), &Silent)?.logits(&candidates);
            let target = answers(&train)?;
            let others = [answers(&part(&all, 600, 900))?, answers(&part(&all, 900, 1200))?];
            let outside = vec![false; candidates.len()];
            let shadows = others
                .iter()
                .map(|answers| {
                    let logits = Logits::new(answers.values(), answers.classes())?;
                    Ok(standin_attack::Shadow { logits, member: &outside })
                })
                .collect::<standin_attack::Result<Vec<_>>>()?;
            let logits = Logits::new(target.values(), target.classes())?;
            let target = Target::Classifier(ClassifierTarget::new(logits, labels, &shadows)?);
            for (name, found) in names.iter().zip(&mut found) {
                found[size].add(&attack(name)?.build().score(&target)?, repetition)?;
            }
        }
    }
    let rows: Vec<_> = names.into_iter().zip(found).collect();
    table("epochs of 300 images", &EPOCHS.map(|epochs| format!("{epochs:.0}")), &rows);
    Ok(())
}
