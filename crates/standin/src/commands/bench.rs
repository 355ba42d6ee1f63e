//! `standin bench [STUDY.toml]`.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use standin_bench::executor::{Execution, LocalExecutor};
use standin_bench::store::Store;
use standin_bench::study::{Study, plan, strongest_attack};
use standin_bench::summary::Summary;
use standin_report::{Report, Timing};

use super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};
use crate::stages::StageReporter;

/// Run a whole study: generate, sample, classify, measure, attack, report
///
/// Without a study file the built-in study runs on built-in data: 1 797 handwritten digits, five releases, three seeds.
/// Every finished stage is kept, so a study that was interrupted goes on where it was, and one that is finished does
/// nothing. Progress goes to standard error, the results table to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin bench                                 the built-in study
  standin bench examples/fashion-mnist.toml     a study of your own
  standin bench --json > summary.json           everything that was found, for scripts
  standin bench --show                          the built-in study file, to start your own from")]
pub struct Arguments {
    /// The study [default: the built-in one]
    study: Option<PathBuf>,

    /// Where finished stages are kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,

    /// Where the report goes [default: reports/<study>-<digest>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Overwrite another report in the output folder
    #[arg(long)]
    force: bool,

    /// Begin nothing new after a stage has failed
    #[arg(long)]
    fail_fast: bool,

    /// Print the study with all defaults, and run nothing
    #[arg(long)]
    show: bool,
}

impl Arguments {
    /// Runs the study, writes the report, prints the table.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let study = match &self.study {
            Some(path) => Study::read(path)?,
            None => Study::built_in(),
        };
        if self.show {
            context.output.print(&study, || study.to_toml())?;
            return Ok(Status::Done);
        }
        let progress = context.terminal.progress("");
        let parts = study.import(context.cache, &progress)?;
        let plan = plan(&study, parts)?;
        let store = Store::open(&self.runs)?;
        let executor = LocalExecutor {
            threads: NonZero::new(context.threads).unwrap_or(NonZero::<usize>::MIN),
            keep_going: !self.fail_fast,
        };
        let reporter = StageReporter::new(context.terminal);
        let execution = executor.run(&plan.graph, &store, &reporter)?;
        if !execution.is_complete() {
            return Err(explain_failures(&execution));
        }
        reporter.finish(&execution);

        let folder = store.folder(plan.summary);
        let out = self
            .out
            .unwrap_or_else(|| Path::new("reports").join(format!("{}-{}", study.name, &plan.summary.to_string()[..8])));
        let report = Report::load(&folder)?.with_timings(timings(&execution));
        if is_written(&report, &out) {
            context.terminal.note(&format!("the report in {} is up to date", out.display()));
        } else {
            report.write(&out, self.force)?;
            context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        }
        let summary = report.summary();
        context.output.print(summary, || results(summary))?;
        let contradictions = report.contradictions();
        for contradiction in &contradictions {
            context.terminal.warn(contradiction);
        }
        Ok(if contradictions.is_empty() { Status::Done } else { Status::GateFailed })
    }
}

/// Whether the folder holds this very report already.
fn is_written(report: &Report, out: &Path) -> bool {
    let whole = ["report.html", "report.md"].iter().all(|name| out.join(name).exists());
    whole && std::fs::read_to_string(out.join("report.json")).is_ok_and(|written| written == report.json())
}

/// The results for people: one line a release, then the verdict.
fn results(summary: &Summary) -> String {
    let classifiers: Vec<&str> = summary
        .releases
        .iter()
        .max_by_key(|release| release.utility.len())
        .map(|release| release.utility.iter().map(|utility| utility.classifier.as_str()).collect())
        .unwrap_or_default();
    let mut header = vec![("release", Align::Left), ("guarantee", Align::Left)];
    header.extend(classifiers.iter().map(|name| (*name, Align::Left)));
    header.extend([
        ("of real", Align::Left),
        ("strongest attack", Align::Left),
        ("AUC", Align::Left),
        ("TPR at 1 % FPR", Align::Left),
        ("passes", Align::Left),
    ]);
    let rows = summary.releases.iter().zip(&summary.verdict.releases).map(|(release, verdict)| {
        let missing = || "–".to_owned();
        let mut row = vec![
            release.name.clone(),
            release.guarantee.as_ref().map_or_else(missing, |guarantee| format!("{guarantee:#}")),
        ];
        row.extend(classifiers.iter().map(|name| {
            let utility = release.utility.iter().find(|utility| utility.classifier == *name);
            utility.map_or_else(missing, |utility| format!("{:.3}", utility.accuracy))
        }));
        let ratio = release.utility.first().and_then(|utility| utility.replacement_ratio.as_ref());
        row.push(ratio.map_or_else(missing, |ratio| format!("{ratio:.3}")));
        let attack = strongest_attack(release);
        row.push(attack.map_or_else(missing, |attack| attack.attack.clone()));
        row.push(attack.map_or_else(missing, |attack| format!("{:.3}", attack.auc)));
        row.push(attack.map_or_else(missing, |attack| {
            let rate = attack.true_positive_rates.iter().find(|rate| rate.false_positive_rate == 0.01);
            rate.and_then(|rate| rate.outcome.estimate())
                .map_or_else(|| "not measurable".to_owned(), |estimate| format!("{estimate:.3}"))
        }));
        row.push(if verdict.useful && verdict.resists_attacks { "yes" } else { "no" }.to_owned());
        row
    });
    let mut text = table(&header, rows);
    text.push_str(&format!(
        "\n\nAccuracy on {} real test images, {} seed(s); 95 % intervals in brackets.\n{}\n",
        summary.data.test,
        summary.seeds.len(),
        summary.verdict.headline
    ));
    for warning in &summary.warnings {
        text.push_str(&format!("Note: {warning}\n"));
    }
    text
}

fn timings(execution: &Execution) -> Vec<Timing> {
    execution
        .stages
        .iter()
        .filter_map(|stage| {
            let record = stage.end.record()?;
            Some(Timing {
                stage: stage.kind.to_owned(),
                name: stage.name.clone(),
                seconds: record.wall_seconds,
                mebibytes: record.peak_memory_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)),
            })
        })
        .collect()
}

/// Stages that have no result, and why.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {total} stages failed; what they do not concern is finished and kept\n{reasons}")]
struct StagesFailed {
    failed: usize,
    total: usize,
    reasons: String,
}

fn explain_failures(execution: &Execution) -> Failure {
    let reasons: Vec<String> = execution
        .failures()
        .map(|(stage, failure)| format!("  {} ({} {}): {failure}", stage.name, stage.kind, stage.id.short()))
        .collect();
    Failure::Internal(Box::new(StagesFailed {
        failed: reasons.len(),
        total: execution.stages.len(),
        reasons: reasons.join("\n"),
    }))
}
