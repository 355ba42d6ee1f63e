//! `standin augment translate`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_data::{ExportFormat, ImageSet, Parts, Seed, Shape, export, write_grid};
use standin_generate::{Passage, TranslationRequest, load};

use crate::commands::Context;
use crate::commands::data::ImportArguments;
use crate::commands::images::Reader;
use crate::commands::replace::refuse_to_replace;
use crate::failure::{Failure, Status};

/// Sources in the grid.
const SHOWN: usize = 16;

/// Bring images into another group with a diffusion model that is told groups
///
/// Each image is taken towards noise and drawn again under its own class and the group that is asked for: the lower the strength, the more of
/// the image is kept. Attributes such as the patient's are kept too. Nothing is promised about the images it is made from: each result shows one
/// of them, whatever the generator's guarantee.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin generate --train lesions --generator dual-edm --set group.column=tone --out model/
  standin augment translate model/ --sources lesions@tone=1 --to 6 --strength 0.6 --out dark/
  standin augment translate model/ --sources lesions@tone=1 --to 6 --sweep 0.3,0.5,0.7,0.9 --grid strengths.png

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Arguments {
    /// The folder of a generator that is told groups (dual-edm, dp-lora with its option group)
    generator: PathBuf,

    /// The labelled images to bring into the group
    #[arg(long, value_name = "IMAGES")]
    sources: String,

    /// The group
    #[arg(long, value_name = "NAME")]
    to: String,

    /// How far back towards noise an image is taken, above 0 and at most 1
    #[arg(long, value_name = "S", default_value_t = 0.5, allow_negative_numbers = true)]
    strength: f64,

    /// How it is taken there: noise is added, or the equation is solved backwards
    #[arg(long, default_value = "noise", value_parser = ["noise", "inversion"])]
    passage: String,

    /// Weight of the class
    #[arg(long, value_name = "W", default_value_t = 1.0, allow_negative_numbers = true)]
    guidance: f64,

    /// Weight of the group beside the class
    #[arg(long, value_name = "W", default_value_t = 1.0, allow_negative_numbers = true)]
    group_guidance: f64,

    /// Noise levels of the whole way from noise to image, of which the strength's share is passed
    #[arg(long, value_name = "N")]
    steps: Option<usize>,

    /// Images made of each source
    #[arg(long, value_name = "N", default_value_t = 1)]
    copies: usize,

    /// Seed of the noise
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write the images to this file or folder
    #[arg(long, value_name = "PATH", required_unless_present = "grid")]
    out: Option<PathBuf>,

    /// The form to write
    #[arg(long, default_value = "class-folders", value_parser = clap::builder::PossibleValuesParser::new(ExportFormat::names()))]
    format: String,

    /// Draw the first sources, and below each what it becomes, into this picture
    #[arg(long, value_name = "FILE.png")]
    grid: Option<PathBuf>,

    /// Strengths that the picture compares, a row each
    #[arg(long, value_name = "S,S,…", value_delimiter = ',', requires = "grid")]
    sweep: Vec<f64>,

    /// Replace what an earlier run wrote
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    import: ImportArguments,
}

/// What was made.
#[derive(Debug, Serialize)]
struct Translated<'a> {
    generator: &'a str,
    sources: String,
    request: &'a TranslationRequest,
    seed: u64,
    /// Images written; none where only a picture was asked for.
    images: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grid: Option<&'a Path>,
    /// What the form has no place for.
    omitted: Vec<String>,
}

impl Arguments {
    /// Translates, writes and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let request = TranslationRequest {
            to: self.to.clone(),
            strength: self.strength,
            passage: if self.passage == "inversion" { Passage::Inversion } else { Passage::Noise },
            guidance: self.guidance,
            group_guidance: self.group_guidance,
            steps: self.steps,
            copies: self.copies,
        };
        refuse_to_replace(self.out.iter().chain(&self.grid), self.force)?;
        let trained = load(&self.generator)?;
        let sources = Reader::new(self.import.options(), context).read(&self.sources)?;
        let (seed, progress) = (Seed::new(self.seed), context.terminal.progress(""));
        let mut done = None;
        if let Some(out) = &self.out {
            let images = trained.translate(&sources, &request, seed, &progress)?;
            let count = images.len();
            done = Some((count, export(&Parts::undivided(images), out, self.format.parse()?, self.force)?));
        }
        if let Some(path) = &self.grid {
            let first = sources.select(&(0..sources.len().min(SHOWN)).collect::<Vec<_>>());
            let strengths = if self.sweep.is_empty() { vec![self.strength] } else { self.sweep.clone() };
            let mut rows = vec![first.clone()];
            for strength in strengths {
                let request = TranslationRequest { strength, copies: 1, ..request.clone() };
                rows.push(trained.translate(&first, &request, seed, &progress)?);
            }
            draw(&rows, path)?;
        }
        let result = Translated {
            generator: trained.description().family,
            sources: sources.describe(),
            request: &request,
            seed: self.seed,
            images: done.as_ref().map(|(count, _)| *count),
            out: done.as_ref().map(|(_, exported)| exported.path.clone()),
            grid: self.grid.as_deref(),
            omitted: done.map_or_else(Vec::new, |(_, exported)| exported.omitted),
        };
        context.output.print(&result, || result.text())?;
        Ok(Status::Done)
    }
}

/// Sets of equally many images, one below the other.
fn draw(rows: &[ImageSet], path: &Path) -> Result<(), Failure> {
    let columns = rows.first().map_or(0, ImageSet::len);
    let shape: Shape = rows[0].shape();
    let pixels = rows.iter().flat_map(|row| row.pixels()).copied().collect();
    let all = ImageSet::new(shape, pixels)?;
    let cells: Vec<usize> = (0..all.len()).collect();
    Ok(write_grid(&all, &cells, columns, path)?)
}

impl Translated<'_> {
    /// For people.
    fn text(&self) -> String {
        let Self { generator, sources, request, seed, .. } = self;
        let mut text = String::new();
        if let (Some(images), Some(out)) = (self.images, &self.out) {
            text += &format!(
                "{images} images of the group {} made by {generator} from {sources}, at strength {}, seed {seed}.\n\
                 No guarantee: each of them shows an image it was made from.\n\nWritten to {}.\n",
                request.to,
                request.strength,
                out.display()
            );
        }
        if !self.omitted.is_empty() {
            text += &format!("This form has no place for {}.\n", self.omitted.join(", "));
        }
        if let Some(grid) = self.grid {
            text += &format!("The first sources and what they become are in {}.\n", grid.display());
        }
        text
    }
}
