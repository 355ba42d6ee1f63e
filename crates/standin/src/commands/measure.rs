//! `standin measure`: a few numbers about synthetic against real images, or about embeddings of them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_data::{ImportOptions, Seed, Source};
use standin_encode::{Embedding, Stamp, encoder, holds_features};
use standin_measure::{ALIASES, Alias, Finding, Outcome, Sets, evaluate, full_name};

use super::Context;
use super::data::ImportArguments;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Measure synthetic images against real ones: a few numbers, quickly
///
/// Each side is a folder or file of images, encoded here, or a file of features (.npy; .npz and .parquet that hold
/// features). Numbers come with 95 % intervals and the protocol they were computed by. For everything at once, with
/// attacks, utility and a report, use `standin audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin measure --real scans/ --synthetic fakes/ --measures fd,kid,precision,recall,density,coverage
  standin measure --real real.npy --synthetic fake.npy --measures fd --json
  standin measure --real scans/ --synthetic fakes/ --encoder onnx:inception.onnx#fid-inception --measures fd
")]
pub struct Arguments {
    /// Real images or their features
    #[arg(long, value_name = "IMAGES|FEATURES")]
    real: String,

    /// Synthetic images or their features
    #[arg(long, value_name = "IMAGES|FEATURES")]
    synthetic: String,

    /// Real images, or their features, that the generator did not see
    #[arg(long, value_name = "IMAGES|FEATURES")]
    holdout: Option<String>,

    /// What to measure; fd, kid and other short names are understood
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "fd,kid,precision,recall,density,coverage"
    )]
    measures: Vec<String>,

    /// The tool whose precision, recall, density and coverage are wanted: prdc, torch-fidelity, dpimagebench
    #[arg(long, value_name = "TOOL")]
    convention: Option<String>,

    /// The encoder of images
    #[arg(long, value_name = "NAME", default_value = "scattering")]
    encoder: String,

    /// Seed of everything drawn at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Keep the features as real.npy, synthetic.npy and holdout.npy in this folder
    #[arg(long, value_name = "DIR")]
    save_features: Option<PathBuf>,

    /// Replace files of these names
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    import: ImportArguments,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Measured {
    /// How the features were made.
    stamp: Stamp,
    /// Rows of features on each side.
    real: usize,
    synthetic: usize,
    holdout: Option<usize>,
    findings: Vec<Finding>,
}

impl Arguments {
    /// Measures and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let names = measure_names(&self.measures, self.convention.as_deref(), Some(&self.encoder))?;
        let reader = Reader { encoder: &self.encoder, options: self.import.options(), context };
        let synthetic = reader.read(&self.synthetic)?;
        let real = reader.read(&self.real)?;
        let holdout = self.holdout.as_deref().map(|text| reader.read(text)).transpose()?;
        if let Some(folder) = &self.save_features {
            std::fs::create_dir_all(folder)?;
            for (name, features) in
                [("real", Some(&real)), ("synthetic", Some(&synthetic)), ("holdout", holdout.as_ref())]
            {
                let Some(features) = features else { continue };
                let path = folder.join(format!("{name}.npy"));
                refuse_to_replace(&path, self.force)?;
                features.save(&path)?;
            }
        }
        let sets = Sets { train: &real, holdout: holdout.as_ref(), synthetic: &synthetic };
        let findings = evaluate(&names, sets, Seed::new(self.seed), &context.terminal.progress(""))?;
        let measured = Measured {
            stamp: real.stamp().clone(),
            real: real.rows(),
            synthetic: synthetic.rows(),
            holdout: holdout.map(|holdout| holdout.rows()),
            findings,
        };
        context.output.print(&measured, || measured.table())?;
        Ok(Status::Done)
    }
}

impl Measured {
    fn table(&self) -> String {
        let header = [
            ("measure", Align::Left),
            ("against", Align::Left),
            ("value", Align::Right),
            ("95 % interval", Align::Left),
            ("real images get", Align::Right),
            ("better", Align::Left),
        ];
        let mut reasons = Vec::new();
        let rows: Vec<Vec<String>> = self
            .findings
            .iter()
            .map(|finding| {
                let against = match (self.holdout, finding.against) {
                    (None, standin_measure::Against::Train) => "real".to_owned(),
                    (_, against) => against.to_string(),
                };
                let (value, interval) = match &finding.outcome {
                    Outcome::Measured(e) => (format!("{:.6}", e.value), format!("[{:.6}, {:.6}]", e.low, e.high)),
                    Outcome::NotMeasurable(reason) => {
                        reasons.push(format!("{}: {reason}", finding.measure));
                        ("–".to_owned(), "not measurable".to_owned())
                    }
                };
                let reference = finding.reference.as_ref().and_then(Outcome::estimate);
                vec![
                    finding.measure.clone(),
                    against,
                    value,
                    interval,
                    reference.map_or_else(String::new, |estimate| format!("{:.6}", estimate.value)),
                    finding.better.clone(),
                ]
            })
            .collect();
        let mut text = table(&header, rows);
        let holdout = self.holdout.map_or_else(String::new, |holdout| format!(", {holdout} holdout"));
        text.push_str(&format!("\n\n{}; {} real, {} synthetic{holdout}\n", self.stamp, self.real, self.synthetic));
        for reason in reasons {
            text.push_str(&format!("Note: {reason}\n"));
        }
        text
    }
}

/// A file is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{}: already exists; choose another name, or --force to replace it", path.display())]
struct Exists {
    path: PathBuf,
}

fn refuse_to_replace(path: &Path, force: bool) -> Result<(), Exists> {
    if path.exists() && !force { Err(Exists { path: path.to_path_buf() }) } else { Ok(()) }
}

/// Reads a side, encoding it if it is images.
struct Reader<'a> {
    encoder: &'a str,
    options: ImportOptions,
    context: &'a Context<'a>,
}

impl Reader<'_> {
    fn read(&self, text: &str) -> Result<Embedding, Failure> {
        let path = Path::new(text);
        if holds_features(path)? {
            return Ok(Embedding::load(path)?);
        }
        let progress = self.context.terminal.progress("");
        let images = Source::parse(text)?.images(&self.options, self.context.cache, &progress)?;
        Ok(encoder(self.encoder)?.encode(&images, &progress)?)
    }
}

/// The registered measures that names stand for.
///
/// # Errors
/// If one is unknown, is not what the encoder's features give, or is not of that tool.
pub fn measure_names(names: &[String], _: Option<&str>, encoder: Option<&str>) -> Result<Vec<String>, Failure> {
    names
        .iter()
        .map(|name| {
            let alias = ALIASES.iter().find(|alias| alias.short == name.to_lowercase().replace('_', "-"));
            if let (Some(Alias { short, measure, encoder: Some(needed) }), Some(encoder)) = (alias, encoder)
                && !encoder.to_lowercase().contains(needed)
            {
                return Err(NotThatEncoder { short, measure, needed, encoder: encoder.to_owned() }.into());
            }
            let name = full_name(name);
            Ok(standin_measure::measure(&name)?.name.to_owned())
        })
        .collect()
}

/// A name that belongs to the features of one certain encoder.
#[derive(Debug, thiserror::Error)]
#[error(
    "{short} is {measure} on the features of {needed} only, and the encoder is {encoder}; ask for {measure}, or give --encoder onnx:FILE#fid-{needed}"
)]
struct NotThatEncoder {
    short: &'static str,
    measure: &'static str,
    needed: &'static str,
    encoder: String,
}
