//! `standin generate`: one generator, trained and kept with its guarantee.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use standin_data::{ImageSet, Seed, Shape, first_of_each_class, write_grid};
use standin_generate::{Balance, Fit, SampleRequest, Trained, Work, family, write_card};
use standin_privacy::Guarantee;

use super::Context;
use super::data::ImportArguments;
use super::images::Reader;
use super::privacy_options::PrivacyOptions;
use super::replace::refuse_to_replace;
use super::setting::Setting;
use crate::failure::{Failure, Status};

/// Samples of each class in the grid, and most classes shown.
const COLUMNS: usize = 12;
const ROWS: usize = 10;

/// Train a generator on labelled images, with or without differential privacy, and keep it in a folder
///
/// The folder holds the weights, everything about the training, a card with the guarantee for whoever gets the generator,
/// and a grid of samples; `standin sample` draws from it. A run that was stopped continues where it was when the same command is
/// given again. With --privacy-epsilon the generator must be a private one (see `standin list generators`).
///
/// Settings are those of a study's [generator.settings]; docs/generators.md names them.
///
/// Images are named SET[@PART][@COLUMN=VALUE]…: a folder or file in any form `standin data import` reads, or a public
/// set's name; a part of it; and only the images with that value in a column.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin generate --train scans@train --out vae/
  standin generate --train scans@train --generator dp-merf --privacy-epsilon 1 --out private/
  standin generate --train digits --set epochs=20 --set latent=16 --samples-every 500 --out vae/
  standin generate --train faces/ --label sex --generator dp-merf --privacy-epsilon 3 --privacy-delta 1e-6 --out faces-dp/

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Arguments {
    /// Labelled images to train on
    #[arg(long, value_name = "IMAGES")]
    train: String,

    /// A name of `standin list generators`
    #[arg(long, value_name = "NAME", default_value = "vae")]
    generator: String,

    /// A setting that differs from its default, such as epochs=10 or hidden=[256,256]; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<Setting>,

    /// Images that need no protection, for generators that learn from public images first
    #[arg(long, value_name = "IMAGES")]
    public: Option<String>,

    #[command(flatten)]
    privacy: PrivacyOptions,

    /// Seed of initial weights and order
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Keep the generator in this folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Draw a grid of samples after every so many steps of training, into samples/ of the folder
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    samples_every: Option<u64>,

    /// Seconds between two checkpoints
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: u64,

    /// Replace the generator of an earlier run, or begin again instead of continuing
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    import: ImportArguments,
}

/// What was trained.
#[derive(Debug, Serialize)]
struct Generated<'a> {
    generator: &'a str,
    /// Every setting, defaults included.
    settings: toml::Table,
    seed: u64,
    /// The training images, in words.
    set: String,
    images: usize,
    shape: Shape,
    guarantee: Option<&'a Guarantee>,
    /// Wall time of this run's training; less than the whole if it continued an earlier one.
    seconds: f64,
    saved: &'a Path,
    samples: PathBuf,
}

impl Arguments {
    /// Trains, writes and prints.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let family = family(&self.generator)?;
        let mut table = toml::Table::new();
        self.settings.iter().try_for_each(|setting| setting.enter(&mut table))?;
        let generator = (family.build)(&table)?;
        let protection = self.privacy.protection()?;

        let images = Reader::new(self.import.options(), context);
        let train = images.read_with_test(&self.train)?.train;
        let public = self.public.as_deref().map(|public| images.read(public)).transpose()?;
        let configuration = serde_json::json!({
            "generator": self.generator,
            "settings": generator.options(),
            "seed": self.seed,
            "protection": format!("{protection:?}"),
            "train": train.digest().to_hex().as_str(),
            "public": public.as_ref().map(|set| set.digest().to_hex().to_string()),
        });
        self.prepare()?;
        let every = Duration::from_secs(self.checkpoint_every);
        let samples_every = self.samples_every.map(|steps| steps as usize);
        let work = Work::new(&self.out, every, samples_every, configuration.to_string());

        let progress = context.terminal.progress(&self.generator);
        let started = Instant::now();
        let run = Fit {
            protection,
            public: public.as_ref(),
            seed: Seed::new(self.seed),
            work: Some(&work),
            progress: &progress,
        };
        let trained = generator.fit(&train, run)?;
        let seconds = started.elapsed().as_secs_f64();
        trained.save(&self.out)?;
        write_card(&*trained, &self.out)?;
        let samples = self.out.join("samples.png");
        draw_samples(&*trained, &train, Seed::new(self.seed).derive("samples"), &samples)?;
        work.remove_checkpoints()?;

        let result = Generated {
            generator: &self.generator,
            settings: generator.options(),
            seed: self.seed,
            set: train.describe(),
            images: train.len(),
            shape: train.shape(),
            guarantee: trained.guarantee(),
            seconds,
            saved: &self.out,
            samples,
        };
        context.output.print(&result, || result.text())?;
        Ok(Status::Done)
    }

    /// Makes the folder ready: empty, or with the checkpoints to continue from.
    fn prepare(&self) -> Result<(), Failure> {
        let checkpoints = self.out.join("checkpoints");
        let finished = ["generator.toml", "images.toml"].iter().any(|name| self.out.join(name).exists());
        // A folder with anything else in it is somebody's, whatever --force says.
        let own = checkpoints.is_dir() || finished;
        let replaces = if self.force { own } else { checkpoints.is_dir() && !finished };
        if !replaces {
            refuse_to_replace([&self.out], false)?;
        }
        if self.force {
            for name in ["checkpoints", "samples", "images"] {
                let path = self.out.join(name);
                if path.is_dir() {
                    std::fs::remove_dir_all(path)?;
                }
            }
            for name in ["generator.toml", "generator.safetensors", "images.toml"] {
                let path = self.out.join(name);
                if path.exists() {
                    std::fs::remove_file(path)?;
                }
            }
        }
        std::fs::create_dir_all(&self.out)?;
        Ok(())
    }
}

/// A grid of samples, one class a row.
fn draw_samples(trained: &dyn Trained, train: &ImageSet, seed: Seed, path: &Path) -> Result<(), Failure> {
    let classes = train.labels().map_or(1, |labels| labels.classes.len());
    let request = SampleRequest::new(COLUMNS * classes).with_balance(Balance::Uniform);
    let drawn = trained.sample(&request, seed, &standin_data::Silent)?;
    Ok(write_grid(&drawn, &first_of_each_class(&drawn, ROWS, COLUMNS), COLUMNS, path)?)
}

impl Generated<'_> {
    /// For people.
    fn text(&self) -> String {
        let Self { generator, set, images, shape, seed, seconds, .. } = self;
        let promise = match self.guarantee {
            Some(guarantee) => guarantee.statement(),
            None => "No guarantee: what the generator tells about single training images is not bounded.".into(),
        };
        format!(
            "{generator}, trained on {images} images of {shape} ({set}) with seed {seed} in {seconds:.1} s\n{promise}\n\n\
             Generator kept in {}; a grid of its samples is {}.\n\
             Draw from it: standin sample {} --count 1000 --out images/\n",
            self.saved.display(),
            self.samples.display(),
            self.saved.display(),
        )
    }
}
