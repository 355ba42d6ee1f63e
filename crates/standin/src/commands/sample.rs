//! `standin sample`: images drawn from a generator that was kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use standin_data::{ExportFormat, Parts, Seed, export, first_of_each_class, write_grid};
use standin_generate::{Balance, SampleRequest, Solver, load, perturbed};
use standin_privacy::Guarantee;

use super::Context;
use super::replace::refuse_to_replace;
use crate::failure::{Failure, Status};

/// Columns and most rows of the grid.
const COLUMNS: usize = 12;
const ROWS: usize = 10;

/// Draw labelled images from a generator that `standin generate` kept
///
/// Every set of images comes with a card that says how it was made and what is promised about the training images. Drawing is
/// processing of what was released: a generator's guarantee holds for any number of its images.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin sample vae/ --count 1000 --out images/
  standin sample vae/ --count 60000 --balance uniform --format parquet --out images/
  standin sample vae/ --count 500 --balance cat=1,dog=3 --temperature 0.8 --out pets/ --grid pets.png

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Arguments {
    /// The folder of a generator
    generator: PathBuf,

    /// Number of images
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// Share of the classes: `as-trained` (as far as the generator may know), `uniform`, or weights such as cat=1,dog=3
    #[arg(long, default_value = "as-trained")]
    balance: Shares,

    /// Standard deviation of latent vectors: below 1 typical images, above 1 odd ones
    #[arg(long, value_name = "T", default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,

    /// Weight of the class in a diffusion model: above 1 more typical images
    #[arg(long, value_name = "W", allow_negative_numbers = true)]
    guidance: Option<f64>,

    /// The group to draw, for a diffusion model that is told groups (dual-edm, dp-lora with its option group)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// Weight of the group beside the class: above 1 more typical of the group
    #[arg(long, value_name = "W", allow_negative_numbers = true, requires = "group")]
    group_guidance: Option<f64>,

    /// Share of the way from the mean style, in [0, 1]: below 1 more typical images
    #[arg(long, value_name = "PSI", allow_negative_numbers = true)]
    truncation: Option<f64>,

    /// How a diffusion model's equation is solved
    #[arg(long, value_parser = ["heun", "stochastic", "ddim"])]
    solver: Option<String>,

    /// Noise levels of the solver
    #[arg(long, value_name = "N")]
    steps: Option<usize>,

    /// Standard deviation of Gaussian noise on each pixel value, which lie between 0 and 255; 0 for none
    #[arg(long, value_name = "SD", default_value = "0", allow_negative_numbers = true, value_parser = deviation)]
    perturbation: f64,

    /// Seed of the images; a smaller count gives the first images of a larger one
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Write the images to this file or folder
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// The form to write
    #[arg(long, default_value = "class-folders", value_parser = clap::builder::PossibleValuesParser::new(ExportFormat::names()))]
    format: String,

    /// Draw the first images of each class side by side into this picture
    #[arg(long, value_name = "FILE.png")]
    grid: Option<PathBuf>,

    /// Replace what an earlier run wrote
    #[arg(long)]
    force: bool,
}

fn deviation(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| (0.0..=255.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 255".to_owned())
}

/// The share of each class on the command line.
#[derive(Clone, Debug)]
struct Shares(Balance);

impl std::str::FromStr for Shares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "as-trained" => return Ok(Self(Balance::AsTrained)),
            "uniform" => return Ok(Self(Balance::Uniform)),
            _ => {}
        }
        let mut shares = BTreeMap::new();
        for part in text.split(',') {
            let pair = part.rsplit_once('=').and_then(|(name, share)| Some((name, share.trim().parse::<f64>().ok()?)));
            let Some((name, share)) = pair else {
                return Err(format!("\"{part}\" is no CLASS=WEIGHT; give as-trained, uniform, or such as cat=1,dog=3"));
            };
            if shares.insert(name.trim().to_owned(), share).is_some() {
                return Err(format!("the class \"{}\" has two weights", name.trim()));
            }
        }
        Ok(Self(Balance::Shares(shares)))
    }
}

/// What was drawn.
#[derive(Debug, Serialize)]
struct Sampled<'a> {
    generator: &'a str,
    trained_on: &'a str,
    guarantee: Option<&'a Guarantee>,
    request: &'a SampleRequest,
    perturbation: f64,
    seed: u64,
    /// Images of each class.
    classes: BTreeMap<&'a str, usize>,
    out: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    grid: Option<&'a Path>,
    /// What the form has no place for.
    omitted: Vec<String>,
}

impl Arguments {
    /// Draws, writes and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let request = SampleRequest {
            count: self.count as usize,
            balance: self.balance.0.clone(),
            temperature: self.temperature,
            guidance: self.guidance,
            group: self.group.clone(),
            group_guidance: self.group_guidance,
            truncation: self.truncation,
            solver: self.solver.as_deref().map(|solver| match solver {
                "stochastic" => Solver::Stochastic,
                "ddim" => Solver::Ddim,
                // The parser lets three names pass.
                _ => Solver::Heun,
            }),
            steps: self.steps,
        };
        refuse_to_replace([&self.out].into_iter().chain(&self.grid), self.force)?;
        let trained = load(&self.generator)?;
        let seed = Seed::new(self.seed);
        let mut images = trained.sample(&request, seed, &context.terminal.progress(""))?;
        if self.perturbation > 0.0 {
            images = perturbed(&images, self.perturbation, seed);
        }
        let labels = images.require_labels("sampling")?.clone();
        if let Some(path) = &self.grid {
            write_grid(&images, &first_of_each_class(&images, ROWS, COLUMNS), COLUMNS, path)?;
        }
        let exported = export(&Parts::undivided(images), &self.out, self.format.parse()?, self.force)?;

        let description = trained.description();
        let counts = labels.counts();
        let result = Sampled {
            generator: description.family,
            trained_on: description.trained_on,
            guarantee: trained.guarantee(),
            request: &request,
            perturbation: self.perturbation,
            seed: self.seed,
            classes: labels.classes.iter().map(String::as_str).zip(counts).collect(),
            out: &exported.path,
            grid: self.grid.as_deref(),
            omitted: exported.omitted.clone(),
        };
        context.output.print(&result, || result.text())?;
        Ok(Status::Done)
    }
}

impl Sampled<'_> {
    /// For people.
    fn text(&self) -> String {
        let Self { generator, trained_on, request, seed, .. } = self;
        let promise = match self.guarantee {
            Some(guarantee) => guarantee.statement(),
            None => "No guarantee: what the images tell about single training images is not bounded.".into(),
        };
        let classes: Vec<String> = self.classes.iter().map(|(class, count)| format!("{class} {count}")).collect();
        let mut text = format!(
            "{} images of {generator} (trained on {trained_on}), seed {seed}: {}\n{promise}\n\nWritten to {}.\n",
            request.count,
            classes.join(", "),
            self.out.display(),
        );
        if !self.omitted.is_empty() {
            text += &format!("This form has no place for {}.\n", self.omitted.join(", "));
        }
        if let Some(grid) = self.grid {
            text += &format!("The first of each class are in {}.\n", grid.display());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_words_or_weights() {
        let read = |text: &str| text.parse::<Shares>().map(|shares| shares.0);
        assert_eq!(read("uniform"), Ok(Balance::Uniform));
        assert_eq!(read("as-trained"), Ok(Balance::AsTrained));
        let expected = [("a=b".to_owned(), 0.5), ("c".to_owned(), 2.0)].into();
        assert_eq!(read("a=b=0.5, c=2"), Ok(Balance::Shares(expected)));
        assert!(read("cat").unwrap_err().contains("uniform"));
        assert!(read("cat=1,cat=2").unwrap_err().contains("two weights"));
    }
}
