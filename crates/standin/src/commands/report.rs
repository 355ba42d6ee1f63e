//! `standin report RUN`.

use std::path::{Path, PathBuf};

use standin_bench::store::Store;
use standin_report::Report;

use super::Context;
use super::run_study::copy_scores;
use crate::failure::{Failure, Status};

/// Write the report of a finished study: one HTML file that opens offline, JSON and Markdown
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// First digits of a `summarise` stage's digest (see `standin runs list --kind summarise`), or a folder that holds a
    /// summary.json
    run: String,

    /// Where finished stages are kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,

    /// Where the report goes [default: reports/<run>]
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
    /// Writes the report, and prints the Markdown.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let folder = if Path::new(&self.run).join("summary.json").exists() {
            PathBuf::from(&self.run)
        } else {
            let store = Store::open_existing(&self.runs)?;
            store.folder(store.find(&self.run)?)
        };
        let report = Report::load(&folder)?;
        let report = if self.without_training_pictures { report.without_training_pictures() } else { report };
        let out = self.out.unwrap_or_else(|| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            Path::new("reports").join(name.chars().take(12).collect::<String>())
        });
        report.write(&out, self.force)?;
        copy_scores(report.summary(), &folder, &out)?;
        context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        context.output.print(report.summary(), || report.markdown())?;
        Ok(Status::Done)
    }
}
