//! `standin report RUN`, `standin report --compare A B`.

use std::path::{Path, PathBuf};

use standin_bench::store::Store;
use standin_bench::summary::json_schema;
use standin_report::{Comparison, Document, Report};

use super::Context;
use super::run_study::copy_scores;
use crate::failure::{Failure, Status};

/// Write the report of a finished study, or compare two: HTML that opens offline, JSON and Markdown
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin report 3f2a91                            a study of the store, by the first digits of its digest
  standin report --compare 3f2a91 8b07c4           two of them, release by release
  standin report --compare reports/old reports/new two reports
  standin report --schema > summary.schema.json    what report.json and --json follow")]
pub struct Arguments {
    /// First digits of a `summarise` stage's digest (see `standin runs list --kind summarise`), or a folder that holds a
    /// summary.json
    #[arg(required_unless_present_any = ["compare", "schema"])]
    run: Option<String>,

    /// Compare two studies: digits as above, folders with a summary.json or a report.json, or such files
    #[arg(long, num_args = 2, value_names = ["A", "B"], conflicts_with_all = ["run", "schema", "without_training_pictures"])]
    compare: Option<Vec<String>>,

    /// Print the JSON schema of report.json and of what --json prints
    #[arg(long, conflicts_with = "run")]
    schema: bool,

    /// Where finished stages are kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,

    /// Where the report goes [default: reports/<run>, or reports/<A>-<B>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Leave the private training images out of the near-copy gallery, for a report that is to be passed on
    #[arg(long)]
    without_training_pictures: bool,

    /// Overwrite another report in the output folder
    #[arg(long)]
    force: bool,
}

impl Arguments {
    /// Writes the report or the comparison, and prints the Markdown.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        if self.schema {
            let schema = json_schema();
            context.output.print(&schema, || format!("{schema:#}\n"))?;
            return Ok(Status::Done);
        }
        match (&self.compare, &self.run) {
            (Some(sides), _) => self.compare(&sides[0], &sides[1], context),
            (None, Some(run)) => self.report(run, context),
            // Without either the arguments are refused.
            (None, None) => Ok(Status::Done),
        }
    }

    fn report(&self, run: &str, context: &Context<'_>) -> Result<Status, Failure> {
        let folder = if Path::new(run).join("summary.json").exists() { PathBuf::from(run) } else { self.stage(run)? };
        let report = Report::load(&folder)?;
        let report = if self.without_training_pictures { report.without_training_pictures() } else { report };
        let out = self.out.clone().unwrap_or_else(|| Path::new("reports").join(short(&folder)));
        report.write(&out, self.force)?;
        copy_scores(report.summary(), &folder, &out)?;
        context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        context.output.print(report.summary(), || report.markdown())?;
        Ok(Status::Done)
    }

    fn compare(&self, a: &str, b: &str, context: &Context<'_>) -> Result<Status, Failure> {
        let side = |name: &str| if Path::new(name).exists() { Ok(PathBuf::from(name)) } else { self.stage(name) };
        let (a, b) = (side(a)?, side(b)?);
        let comparison = Comparison::load(&a, &b)?;
        let named = || Path::new("reports").join(format!("{}-{}", short(&a), short(&b)));
        let out = self.out.clone().unwrap_or_else(named);
        comparison.write(&out, self.force)?;
        for warning in &comparison.warnings {
            context.terminal.warn(warning);
        }
        context.terminal.note(&format!("comparison: {}", out.join("comparison.html").display()));
        context.output.print(&comparison, || comparison.markdown())?;
        Ok(Status::Done)
    }

    /// The folder of a stage of the store.
    fn stage(&self, digits: &str) -> Result<PathBuf, Failure> {
        let store = Store::open_existing(&self.runs)?;
        Ok(store.folder(store.find(digits)?))
    }
}

/// The name of a folder, or of that around a file; of a digest the first digits.
fn short(path: &Path) -> String {
    let folder = if path.is_file() { path.parent().unwrap_or(path) } else { path };
    folder.file_name().unwrap_or_default().to_string_lossy().chars().take(12).collect()
}
