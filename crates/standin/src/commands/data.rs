//! `standin data`: bring images in, look at them, divide them, hand them on.

mod overview;
mod tone;

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde::Serialize;
use standin_data::{
    Alpha, Amount, Channels, DATASETS, ExportFormat, Format, ImportOptions, Parts, Seed, Sides, Size, SplitOptions,
    Window, duplicates_across, export, get, load, load_to,
};

use super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};
use overview::Overview;

/// Bring images in, look at them, divide them, hand them on
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Read images of any form and keep them in the form every stage reads
    Import(Import),
    /// Say what a set holds: classes, columns, moments, exact duplicates
    Info(Info),
    /// Divide a set into train, holdout and test
    Split(SplitArguments),
    /// Measure the skin tone of each image as an attribute
    Tone(tone::ToneArguments),
    /// Write a set for other tools
    Export(Export),
    /// Get a public data set by name
    Get(Get),
    /// List the public data sets known by name
    List,
}

impl Arguments {
    /// Runs the action.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        match self.action {
            Action::Import(arguments) => arguments.run(context),
            Action::Info(arguments) => arguments.run(context),
            Action::Split(arguments) => arguments.run(context),
            Action::Tone(arguments) => arguments.run(context),
            Action::Export(arguments) => arguments.run(context),
            Action::Get(arguments) => arguments.run(context),
            Action::List => list(context),
        }?;
        Ok(Status::Done)
    }
}

/// A set and how to read it.
#[derive(Debug, Args)]
struct Source {
    /// A folder, .parquet, .tar, .npz, IDX or CIFAR file, several shards ('train-*.tar', 'train-{000..015}.tar'), or the
    /// name of a built-in set (digits)
    #[arg(value_name = "SET")]
    set: String,

    #[command(flatten)]
    import: ImportArguments,
}

/// How images are read.
#[derive(Debug, Args)]
#[command(next_help_heading = "Reading images")]
pub struct ImportArguments {
    /// The form, if it is not to be recognised: saved, metadata, class-folders, flat, parquet, webdataset, npz, idx,
    /// cifar-10, cifar-100
    #[arg(long)]
    format: Option<Format>,

    /// The attribute column that holds the label [default: label, if it is there]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,

    /// The column of a Parquet table that holds the pictures, if there are several
    #[arg(long, value_name = "COLUMN")]
    image: Option<String>,

    /// Scale every image, antialiased
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    resize: Option<Size>,

    /// Convert every image to grey
    #[arg(long, conflicts_with = "colour")]
    grey: bool,

    /// Convert every image to colour, repeating grey
    #[arg(long)]
    colour: bool,

    /// Lay transparent pixels on white or black, or drop the alpha channel; refused otherwise
    #[arg(long, value_parser = alpha())]
    alpha: Option<Alpha>,

    /// Stored values that become black and white in images of more than 8 bits, such as 0,4095; refused otherwise
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    window: Option<Window>,

    /// Leave out files that cannot be read, and list them
    #[arg(long)]
    skip_unreadable: bool,
}

impl ImportArguments {
    /// The options of an import.
    pub fn options(&self) -> ImportOptions {
        ImportOptions {
            format: self.format,
            label: self.label.clone(),
            image: self.image.clone(),
            resize: self.resize,
            channels: match (self.grey, self.colour) {
                (true, _) => Channels::Grey,
                (_, true) => Channels::Colour,
                _ => Channels::Keep,
            },
            alpha: self.alpha.unwrap_or_default(),
            window: self.window,
            skip_unreadable: self.skip_unreadable,
        }
    }
}

fn alpha() -> impl TypedValueParser<Value = Alpha> {
    PossibleValuesParser::new(["white", "black", "drop"]).map(|name| match name.as_str() {
        "white" => Alpha::White,
        "black" => Alpha::Black,
        _ => Alpha::Drop,
    })
}

impl Source {
    fn load(self, context: &Context<'_>) -> Result<Parts, Failure> {
        Ok(load(&self.set, &self.import.options(), &context.terminal.progress(""))?)
    }
}

/// Where a result goes.
#[derive(Debug, Args)]
struct Target {
    /// The folder or file to write
    #[arg(long, value_name = "PATH")]
    out: PathBuf,

    /// Replace what an earlier run wrote there
    #[arg(long)]
    force: bool,
}

impl Target {
    /// Writes the sets and prints what they hold.
    fn write(&self, parts: &Parts, format: ExportFormat, context: &Context<'_>) -> Result<(), Failure> {
        let exported = export(parts, &self.out, format, self.force)?;
        if !exported.omitted.is_empty() {
            context.terminal.warn(&format!("this form has no place for: {}", exported.omitted.join(", ")));
        }
        self.report(parts, context)
    }

    /// Prints what was written.
    fn report(&self, parts: &Parts, context: &Context<'_>) -> Result<(), Failure> {
        let overview = Overview::of(parts);
        hint_at_labels(parts, context);
        let images: usize = parts.iter().map(|(_, set)| set.len()).sum();
        warn_of_overlap(parts, context);
        context.output.print(&Written { path: &self.out, content: &overview }, || {
            format!("{}\n\n{images} images written to {}", overview.text(), self.out.display())
        })
    }
}

/// The document of a command that writes a set.
#[derive(Serialize)]
struct Written<'a> {
    path: &'a Path,
    #[serde(flatten)]
    content: &'a Overview,
}

/// Names the columns that may be labels where none was taken as the label.
fn hint_at_labels(parts: &Parts, context: &Context<'_>) {
    /// Columns of more values than this are identifiers or measurements.
    const MOST: usize = 50;

    let Some((_, set)) = parts.iter().next().filter(|(_, set)| set.labels().is_none()) else { return };
    let candidates: Vec<String> = set
        .columns()
        .iter()
        .filter_map(|column| {
            let mut values: Vec<&str> = column.values.iter().map(String::as_str).collect();
            values.sort_unstable();
            values.dedup();
            let complete = values.first().is_some_and(|value| !value.is_empty());
            (complete && (2..=MOST).contains(&values.len()) && values.len() * 2 <= set.len())
                .then(|| format!("{} ({} values)", column.name, values.len()))
        })
        .collect();
    if !candidates.is_empty() {
        context
            .terminal
            .note(&format!("no labels; --label COLUMN takes them from a column: {}", candidates.join(", ")));
    }
}

fn warn_of_overlap(parts: &Parts, context: &Context<'_>) {
    let sets: Vec<_> = parts.iter().collect();
    let duplicates = duplicates_across(&sets);
    if let Some(first) = duplicates.first() {
        context.terminal.warn(&format!(
            "{} images lie in two parts; image {} of {} equals image {} of {}. Members among the non-members hide leaks",
            duplicates.len(),
            first.index,
            first.set,
            first.of_index,
            first.of_set
        ));
    }
}

#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    target: Target,
}

impl Import {
    fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let (source, target) = (&self.source, &self.target);
        let progress = context.terminal.progress("");
        let parts = load_to(&source.set, &source.import.options(), &target.out, target.force, &progress)?;
        target.report(&parts, context)
    }
}

#[derive(Debug, Args)]
struct Info {
    #[command(flatten)]
    source: Source,
}

impl Info {
    fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let parts = self.source.load(context)?;
        hint_at_labels(&parts, context);
        warn_of_overlap(&parts, context);
        let overview = Overview::of(&parts);
        context.output.print(&overview, || overview.text())
    }
}

#[derive(Debug, Args)]
struct SplitArguments {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    target: Target,

    /// Share (0.4) or number (400) of images to train on [default: 0.4, or 0.5 where the test part is given]
    #[arg(long, value_name = "AMOUNT")]
    train: Option<Amount>,

    /// Images of the same population that nothing is trained on [default: as --train's]
    #[arg(long, value_name = "AMOUNT")]
    holdout: Option<Amount>,

    /// Images on which utility is measured [default: the set's own test part, else 0.2]
    #[arg(long, value_name = "AMOUNT")]
    test: Option<Amount>,

    /// Attribute column whose values are never on two sides, such as patient
    #[arg(long, value_name = "COLUMN")]
    group: Option<String>,

    /// Do not divide each class in the same proportions
    #[arg(long)]
    no_stratify: bool,

    /// Decides the division
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl SplitArguments {
    fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let parts = self.source.load(context)?;
        let options = SplitOptions {
            train: self.train,
            holdout: self.holdout,
            test: self.test,
            group: self.group,
            stratify: !self.no_stratify,
        };
        let sides = Sides::of(&parts, &options, Seed::new(self.seed))?.into_parts()?;
        let images = |parts: &Parts| parts.iter().map(|(_, set)| set.len()).sum::<usize>();
        let unused = images(&parts) - images(&sides);
        if unused > 0 {
            context.terminal.note(&format!("{unused} images are on no side"));
        }
        self.target.write(&sides, ExportFormat::Saved, context)
    }
}

#[derive(Debug, Args)]
struct Export {
    #[command(flatten)]
    source: Source,

    #[command(flatten)]
    target: Target,

    /// The form to write: class-folders (PNG and metadata.csv), parquet (as on the Hugging Face hub), webdataset (tar
    /// shards), npz (as MedMNIST), saved
    #[arg(long = "as", value_name = "FORM")]
    form: ExportFormat,
}

impl Export {
    fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let parts = self.source.load(context)?;
        self.target.write(&parts, self.form, context)
    }
}

#[derive(Debug, Args)]
struct Get {
    /// The data set's name, as `standin data list` prints it
    name: String,

    #[command(flatten)]
    target: Target,

    /// Take the published files from this folder instead of downloading them
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
}

impl Get {
    fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let parts = get(&self.name, self.from.as_deref(), context.cache, &context.terminal.progress(""))?;
        self.target.write(&parts, ExportFormat::Saved, context)
    }
}

/// One data set of the list.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    summary: &'static str,
    images: usize,
    shape: standin_data::Shape,
    classes: usize,
    parts: Vec<(&'static str, usize)>,
    built_in: bool,
    licence: &'static str,
    source: &'static str,
}

fn list(context: &Context<'_>) -> Result<(), Failure> {
    let listed: Vec<Listed> = DATASETS
        .iter()
        .map(|dataset| Listed {
            name: dataset.name,
            summary: dataset.summary,
            images: dataset.images(),
            shape: dataset.shape,
            classes: dataset.classes,
            parts: dataset.parts.to_vec(),
            built_in: dataset.built_in(),
            licence: dataset.licence,
            source: dataset.source,
        })
        .collect();
    let header = [
        ("name", Align::Left),
        ("images", Align::Right),
        ("shape", Align::Right),
        ("classes", Align::Right),
        ("comes", Align::Left),
        ("shows", Align::Left),
        ("licence", Align::Left),
    ];
    let rows = listed.iter().map(|set| {
        vec![
            set.name.to_owned(),
            set.images.to_string(),
            set.shape.to_string(),
            set.classes.to_string(),
            if set.built_in { "built in" } else { "by download" }.to_owned(),
            set.summary.to_owned(),
            set.licence.split_once(": ").map_or(set.licence, |(licence, _)| licence).to_owned(),
        ]
    });
    context.output.print(&listed, || table(&header, rows))
}
