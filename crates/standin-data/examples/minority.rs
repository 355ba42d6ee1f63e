//! A set with a minority whose truth is known: half of the images of a set look otherwise, and show the same things.
//!
//! ```text
//! cargo build --release -p standin -p standin-data --example minority
//! target/release/examples/minority SOURCE inverted|coloured|rotated FOLDER
//! ```
//!
//! `SOURCE` is a labelled set of grey square images, such as `digits`, or a saved one. Every second image of each class becomes one of
//! the minority: dark on light (`inverted`), blue on orange (`coloured`), or turned by a right angle (`rotated`). The column `group` says
//! which.

use std::path::Path;
use std::process::ExitCode;

use standin_data::{Column, Error, ImageSet, ImportOptions, Result, Shape, Silent, Source};

/// Red, green and blue of what is black and of what is white in the source.
const GROUND: [f64; 3] = [235.0, 165.0, 60.0];
const INK: [f64; 3] = [15.0, 40.0, 130.0];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, kind, folder] = arguments.as_slice() else {
        eprintln!("give a set, one of inverted, coloured and rotated, and the folder to write into");
        return ExitCode::from(2);
    };
    match write(source, kind, Path::new(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn write(source: &str, kind: &str, folder: &Path) -> Result<()> {
    let set = Source::parse(source)?.images(&ImportOptions::default(), Path::new(".cache"), &Silent)?;
    let labels = set.require_labels("making a minority")?.clone();
    let Shape { channels, height, width } = set.shape();
    if channels != 1 || height != width {
        let found = format!("{} has images of {}", set.describe(), set.shape());
        return Err(Error::inconsistent(found, "give grey square images"));
    }
    let mut seen = vec![0; labels.classes.len()];
    let minority: Vec<bool> = labels
        .values
        .iter()
        .map(|&label| {
            seen[label as usize] += 1;
            seen[label as usize] % 2 == 0
        })
        .collect();
    let image = |at: usize| -> Vec<u8> {
        let grey = set.image(at);
        match (kind, minority[at]) {
            ("coloured", false) => grey.repeat(3),
            ("coloured", true) => GROUND.iter().zip(INK).flat_map(|(&ground, ink)| mixed(grey, ground, ink)).collect(),
            ("inverted", true) => grey.iter().map(|value| 255 - value).collect(),
            ("rotated", true) => {
                (0..grey.len()).map(|at| grey[(width - 1 - at % width) * width + at / width]).collect()
            }
            _ => grey.to_vec(),
        }
    };
    if !["inverted", "coloured", "rotated"].contains(&kind) {
        return Err(Error::unknown("kind of minority", kind, ["inverted", "coloured", "rotated"]));
    }
    let shape = Shape { channels: if kind == "coloured" { 3 } else { 1 }, height, width };
    let pixels = (0..set.len()).flat_map(image).collect();
    let name = |&minority: &bool| if minority { "minority" } else { "majority" }.to_owned();
    let column = Column { name: "group".into(), values: minority.iter().map(name).collect() };
    ImageSet::new(shape, pixels)?.with_labels(labels)?.with_column(column)?.save(folder)
}

/// Grey values as steps from one colour value to another.
fn mixed(grey: &[u8], ground: f64, ink: f64) -> impl Iterator<Item = u8> {
    grey.iter().map(move |&value| (ground + f64::from(value) / 255.0 * (ink - ground)).round() as u8)
}
