//! `standin measure`: a few numbers about synthetic against real images, or about embeddings of them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_data::Seed;
use standin_encode::{Embedding, Stamp};
use standin_measure::{
    ALIASES, Against, Alias, Aspect, Convention, Finding, Moments, Outcome, Sets, evaluate, frechet_distance_to,
    full_name,
};

use super::Context;
use super::data::ImportArguments;
use super::images::Reader;
use super::measure_pairs::{PairMeasure, Paired, pairs_table};
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

  standin measure --real originals/ --synthetic reconstructions/ --pairs psnr,ssim,lpips:alex.onnx
  standin measure --real scans/ --synthetic fakes/ --measures fd --save-statistics scans.npz
  standin measure --real scans.npz --synthetic other-fakes/ --measures fd   the real images are needed once")]
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
    /// [default: fd,kid,precision,recall,density,coverage, or with --pairs nothing else]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    measures: Vec<String>,

    /// Measures of pairs, synthetic image i against real image i: psnr, ssim, ms-ssim, lpips:FILE.onnx
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pairs: Vec<PairMeasure>,

    /// The tool whose precision, recall, density and coverage are wanted: prdc, torch-fidelity, dpimagebench
    #[arg(long, value_name = "TOOL")]
    convention: Option<Convention>,

    /// The encoder of images
    #[arg(long, value_name = "NAME", default_value = "scattering")]
    encoder: String,

    /// Seed of everything drawn at random
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Keep the real features' mean and covariance, with which later Fréchet distances need no real images
    #[arg(long, value_name = "FILE.npz")]
    save_statistics: Option<PathBuf>,

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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<Paired>,
}

/// What is measured where nothing is named.
const DEFAULT: [&str; 6] = ["fd", "kid", "precision", "recall", "density", "coverage"];

impl Arguments {
    /// Measures and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let asked = match (self.measures.is_empty(), self.pairs.is_empty()) {
            (true, true) => defaults(DEFAULT, self.convention),
            _ => self.measures.clone(),
        };
        let names = measure_names(&asked, self.convention)?;
        self.refuse_what_has_no_use(&names)?;
        let reader = Reader::new(self.import.options(), context);
        let embed = |text: &str| reader.embed(text, &self.encoder);
        let pairs = self.measure_pairs(&reader, context)?;
        if names.is_empty() {
            context.output.print(&pairs, || pairs_table(&pairs))?;
            return Ok(Status::Done);
        }
        let synthetic = embed(&self.synthetic)?;
        require_encoder(&asked, &synthetic.stamp().encoder)?;
        if is_statistics(Path::new(&self.real)) {
            return self.against_statistics(&synthetic, &names, context);
        }
        let real = embed(&self.real)?;
        let holdout = self.holdout.as_deref().map(embed).transpose()?;
        if let Some(path) = &self.save_statistics {
            let moments = Moments::of(&real)?;
            if self.force && path.exists() {
                std::fs::remove_file(path)?;
            }
            moments.save(path)?;
        }
        if let Some(folder) = &self.save_features {
            std::fs::create_dir_all(folder)?;
            for (name, features) in
                [("real", Some(&real)), ("synthetic", Some(&synthetic)), ("holdout", holdout.as_ref())]
            {
                let Some(features) = features else { continue };
                features.save(&folder.join(format!("{name}.npy")))?;
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
            pairs,
        };
        context.output.print(&measured, || measured.table())?;
        Ok(Status::Done)
    }
}

impl Arguments {
    /// The Fréchet distance from statistics that were saved instead of the real images.
    fn against_statistics(
        &self,
        synthetic: &Embedding,
        names: &[String],
        context: &Context<'_>,
    ) -> Result<Status, Failure> {
        if names != ["frechet-distance"] {
            return Err(OnlyMoments { path: self.real.clone(), asked: names.join(", ") }.into());
        }
        let path = Path::new(&self.real);
        let moments = Moments::load(path, Some(synthetic.stamp()))?;
        let measured = Measured {
            stamp: moments.stamp().clone(),
            real: moments.images().unwrap_or(0),
            synthetic: synthetic.rows(),
            holdout: None,
            findings: vec![Finding {
                measure: names[0].clone(),
                aspect: Aspect::Fidelity,
                against: Against::Train,
                outcome: Outcome::Measured(frechet_distance_to(&moments, synthetic)?),
                reference: None,
                better: "lower".into(),
                parameters: format!("against the statistics in {}", self.real),
            }],
            pairs: Vec::new(),
        };
        context.output.print(&measured, || measured.table())?;
        Ok(Status::Done)
    }
}

/// Saved statistics know no single image.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path}: holds a mean and a covariance, which give the Fréchet distance only, not {asked}; ask for --measures fd, or give the images or their features"
)]
struct OnlyMoments {
    path: String,
    asked: String,
}

/// Whether a file holds the mean and covariance of features in the arrays that the field uses.
fn is_statistics(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "npz") && Moments::recognises(path)
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
                    (None, Against::Train) => "real".to_owned(),
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
        if !self.pairs.is_empty() {
            text.push_str(&format!("\n\n{}", pairs_table(&self.pairs)));
        }
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

/// Options that would change nothing.
#[derive(Debug, thiserror::Error)]
#[error("{options} with {cause}: there is nothing to do for it; leave it out")]
struct NoUse {
    options: String,
    cause: String,
}

impl Arguments {
    /// Refuses options that would be ignored and files that are in the way, before any image is encoded.
    fn refuse_what_has_no_use(&self, names: &[String]) -> Result<(), Failure> {
        let cause = if names.is_empty() {
            "--pairs alone".to_owned()
        } else if is_statistics(Path::new(&self.real)) {
            format!("the statistics in {}", self.real)
        } else {
            String::new()
        };
        let given = [
            ("--holdout", self.holdout.is_some()),
            ("--save-statistics", self.save_statistics.is_some()),
            ("--save-features", self.save_features.is_some()),
        ];
        let given: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect();
        if !cause.is_empty() && !given.is_empty() {
            return Err(NoUse { options: given.join(", "), cause }.into());
        }
        if let Some(path) = &self.save_statistics {
            refuse_to_replace(path, self.force)?;
        }
        if let Some(folder) = &self.save_features {
            for name in ["real", "synthetic", "holdout"] {
                refuse_to_replace(&folder.join(format!("{name}.npy")), self.force)?;
            }
        }
        Ok(())
    }

    fn measure_pairs(&self, reader: &Reader<'_>, context: &Context<'_>) -> Result<Vec<Paired>, Failure> {
        if self.pairs.is_empty() {
            return Ok(Vec::new());
        }
        let (real, synthetic) = (reader.read(&self.real)?, reader.read(&self.synthetic)?);
        let progress = context.terminal.progress("");
        self.pairs.iter().map(|pair| pair.of(&real, &synthetic, &progress)).collect()
    }
}

/// Those of a list of defaults that a tool has.
pub fn defaults<'a>(names: impl IntoIterator<Item = &'a str>, convention: Option<Convention>) -> Vec<String> {
    let has = |name: &&str| convention.is_none_or(|convention| convention.measure(&full_name(name)).is_ok());
    names.into_iter().filter(has).map(str::to_owned).collect()
}

/// The registered measures that names stand for.
///
/// # Errors
/// If one is unknown or not of that tool.
pub fn measure_names(names: &[String], convention: Option<Convention>) -> Result<Vec<String>, Failure> {
    names
        .iter()
        .map(|name| {
            let name = full_name(name);
            let name = match convention {
                Some(convention) => convention.measure(&name)?.to_owned(),
                None => name,
            };
            Ok(standin_measure::measure(&name)?.name.to_owned())
        })
        .collect()
}

/// Refuses a short name that stands for a measure of certain features only.
pub fn require_encoder(names: &[String], encoder: &str) -> Result<(), Failure> {
    for name in names {
        let alias = ALIASES.iter().find(|alias| alias.short == name.to_lowercase().replace('_', "-"));
        if let Some(Alias { short, measure, encoder: Some(needed) }) = alias
            && !encoder.to_lowercase().contains(needed)
        {
            return Err(NotThatEncoder { short, measure, needed, encoder: encoder.to_owned() }.into());
        }
    }
    Ok(())
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
