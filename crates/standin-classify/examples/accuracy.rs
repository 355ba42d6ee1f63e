//! Accuracy and training time of every classifier.
//!
//! `cargo run --release -p standin-classify --example accuracy [FOLDER [CLASSIFIER [SETTINGS]]]` takes a folder with a train and a
//! test part (such as the four files of Fashion-MNIST), or else the built-in digits: 700 for training, 449 for the test.

use std::path::Path;
use std::time::Instant;

use rand::seq::SliceRandom;
use standin_classify::{Answers, CLASSIFIERS};
use standin_data::{ImageSet, ImportOptions, Seed, Silent, digits, import};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (train, test) = sets(arguments.first())?;
    let settings: toml::Table = toml::from_str(arguments.get(2).map_or("", String::as_str))?;
    for family in CLASSIFIERS.iter().filter(|family| arguments.get(1).is_none_or(|name| name == family.name)) {
        let start = Instant::now();
        let trained = (family.build)(&settings)?.fit(&train, Seed::new(1), &Silent)?;
        let time = start.elapsed();
        let answers = Answers::of(&*trained, &test)?;
        println!("{:10} trained in {time:.2?}, accuracy {}", family.name, answers.accuracy());
    }
    Ok(())
}

fn sets(folder: Option<&String>) -> Result<(ImageSet, ImageSet), Box<dyn std::error::Error>> {
    if let Some(folder) = folder {
        let parts = import(Path::new(folder), &ImportOptions::default(), &Silent)?;
        return Ok((parts.get("train")?.clone(), parts.get("test")?.clone()));
    }
    let images = digits();
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.shuffle(&mut Seed::new(1).rng());
    Ok((images.select(&order[..700]), images.select(&order[images.len() - 449..])))
}
