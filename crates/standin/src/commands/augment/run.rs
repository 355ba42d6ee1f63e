//! `standin augment run`.

use std::path::{Path, PathBuf};

use standin_bench::augmentation::{AugmentationStudy, AugmentationSummary, plan};
use standin_data::{ExportFormat, ImageSet, Parts, Source, export};
use standin_report::{Augmentation, Document};

use crate::commands::Context;
use crate::commands::run_study::{Folders, plan_table, stage_table};
use crate::commands::setting::Setting;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Run a study: does a minority gain by images made for it?
///
/// For every seed and degree of scarcity a generator that is told class and group is trained, the majority's images are brought into the minority,
/// and classifiers are trained with and without them. Every finished stage is kept, so a study that was interrupted goes on where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin augment run lesions.toml
  standin augment run lesions.toml --dry-run
  standin augment run lesions.toml --set seeds=[1,2] --set translation.strength=0.6 --images synthetic/

docs/augmentation.md explains every key.

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Arguments {
    /// The study file
    study: PathBuf,

    /// The real images, in the place of the study's: a data set's name, a file or a folder
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,

    /// Change a key of the study, such as seeds=[1] or translation.strength=0.6
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<Setting>,

    /// Write the accepted images of each scenario, with the first seed, into this folder
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,

    /// The form to write them in
    #[arg(long, default_value = "class-folders", value_parser = clap::builder::PossibleValuesParser::new(ExportFormat::names()))]
    format: String,

    #[command(flatten)]
    folders: Folders,

    /// Print the study with all defaults, and run nothing
    #[arg(long)]
    show: bool,

    /// Print the graph of stages, how many are in the store, and what the others are expected to take, and run nothing; as kinds of stages or
    /// every stage
    #[arg(long, value_name = "AS", num_args = 0..=1, require_equals = true, default_missing_value = "kinds", conflicts_with = "show", value_parser = ["kinds", "stages"])]
    dry_run: Option<String>,
}

impl Arguments {
    /// Runs the study, writes the report, prints the tables.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let study = self.study()?;
        if self.show {
            context.output.print(&study, || study.to_toml())?;
            return Ok(Status::Done);
        }
        let mut planned = plan(&study, study.import(context.cache, &context.terminal.progress(""))?)?;
        if let Some(shown) = &self.dry_run {
            let (_, expected) = self.folders.plan_graph(&mut planned.graph, context)?;
            let text = || if shown == "kinds" { plan_table(&expected) } else { stage_table(&expected) };
            context.output.print(&expected, text)?;
            return Ok(Status::Done);
        }
        let store = self.folders.carry_out(&mut planned.graph, context)?;
        let report = Augmentation::load(&store.folder(planned.summary))?;
        let named = || Path::new("reports").join(format!("{}-{}", study.name, &planned.summary.to_string()[..8]));
        let out = self.folders.out().map_or_else(named, Path::to_path_buf);
        if !report.is_written(&out) {
            report.write(&out, self.folders.force)?;
        }
        context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        if let Some(folder) = &self.images {
            std::fs::create_dir_all(folder)?;
            for (scenario, stage) in &planned.accepted {
                let images = ImageSet::open(&store.folder(*stage).join("images"))?;
                let path = folder.join(scenario);
                export(&Parts::undivided(images), &path, self.format.parse()?, self.folders.force)?;
                context.terminal.note(&format!("images: {}", path.display()));
            }
        }
        for warning in &report.summary().warnings {
            context.terminal.warn(warning);
        }
        context.output.print(report.summary(), || results(report.summary()))?;
        Ok(Status::Done)
    }

    fn study(&self) -> Result<AugmentationStudy, Failure> {
        let mut text = AugmentationStudy::text(&self.study)?;
        if self.data.is_some() || !self.settings.is_empty() {
            let mut table: toml::Table = match text.parse() {
                Ok(table) => table,
                // The study's own message names the line.
                Err(_) => return Ok(AugmentationStudy::parse(&text, &self.study)?),
            };
            if let Some(source) = &self.data {
                // A folder named here is looked up from here, and not beside the study.
                let source = Source::parse(source)?.beside(&std::env::current_dir()?).to_string();
                Setting::new(&["data", "source"], source).replace(&mut table)?;
            }
            self.settings.iter().try_for_each(|setting| setting.replace(&mut table))?;
            text = table.to_string();
        }
        Ok(AugmentationStudy::parse(&text, &self.study)?)
    }
}

/// The results for people: the arms of every scenario, then what they come to.
fn results(summary: &AugmentationSummary) -> String {
    let mut text = String::new();
    for scenario in &summary.scenarios {
        let header = [
            ("arm", Align::Left),
            ("backbone", Align::Left),
            ("minority, balanced", Align::Left),
            ("majority, balanced", Align::Left),
            ("gap", Align::Left),
            ("calibration error", Align::Left),
        ];
        let rows = scenario.arms.iter().map(|result| {
            vec![
                result.arm.to_string(),
                result.backbone.clone(),
                format!("{:.3}", result.minority_balanced),
                format!("{:.3}", result.majority_balanced),
                format!("{:.3}", result.gap),
                format!("{:.3}", result.minority_calibration),
            ]
        });
        text += &format!("scenario {}\n\n{}\n\n", scenario.name, table(&header, rows));
        for skipped in &scenario.skipped {
            let backbone = skipped.backbone.as_ref().map_or_else(String::new, |backbone| format!(" with {backbone}"));
            text += &format!("Not run: {}{backbone}: {}.\n", skipped.arm, skipped.reason);
        }
    }
    let seeds = summary.seeds.len();
    text += &format!("\nReal test images, {seeds} seed(s); 95 % intervals in brackets.\n");
    for scenario in &summary.scenarios {
        text += &format!("{}.\n", Augmentation::headline(scenario));
    }
    text
}
