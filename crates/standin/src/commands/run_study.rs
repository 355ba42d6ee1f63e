//! Carries a study out: the part that `bench` and `audit` share.

mod slurm;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Duration;

use standin_bench::executor::{Execution, LocalExecutor};
use standin_bench::planned::{Planned, planned};
use standin_bench::store::Store;
use standin_bench::study::{Copy, Plan, Study, StudyImages, plan};
use standin_bench::summary::{Gate, Summary};
use standin_report::{Report, Timing};

use super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};
use crate::stages::StageReporter;
use crate::terminal::duration;
pub use slurm::{Carried, say_submitted};

/// Where stages and the report go.
#[derive(Debug, clap::Args)]
pub struct Folders {
    /// Where finished stages are kept
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,

    /// Where the report goes [default: reports/<study>-<digest>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Overwrite another report in the output folder
    #[arg(long)]
    pub force: bool,

    /// Begin nothing new after a stage has failed
    #[arg(long)]
    fail_fast: bool,
}

/// A study that was carried out, with its report written.
pub struct Finished {
    /// What was found.
    pub report: Report,
    /// The stages behind it.
    pub plan: Plan,
    /// Where they are kept.
    pub store: Store,
}

impl Folders {
    /// Runs the study and writes its report.
    pub fn run(&self, study: &Study, images: StudyImages, context: &Context<'_>) -> Result<Finished, Failure> {
        let plan = plan(study, images)?;
        let store = Store::open(&self.runs)?;
        let executor = LocalExecutor {
            threads: NonZero::new(context.threads).unwrap_or(NonZero::<usize>::MIN),
            keep_going: !self.fail_fast,
        };
        let expected = planned(&plan.graph, &store)?;
        if expected.iter().any(|kind| kind.left() > 0) {
            context.terminal.note(&to_do(&expected));
        }
        let reporter = StageReporter::new(context.terminal);
        let execution = executor.run(&plan.graph, &store, &reporter)?;
        self.conclude(study, plan, store, &reporter, &execution, context)
    }

    /// Writes the report of a study whose stages have ended.
    fn conclude(
        &self,
        study: &Study,
        plan: Plan,
        store: Store,
        reporter: &StageReporter<'_>,
        execution: &Execution,
        context: &Context<'_>,
    ) -> Result<Finished, Failure> {
        if !execution.is_complete() {
            return Err(explain_failures(execution));
        }
        reporter.finish(execution);

        let named = || Path::new("reports").join(format!("{}-{}", study.name, &plan.summary.to_string()[..8]));
        let out = self.out.clone().unwrap_or_else(named);
        let report = Report::load(&store.folder(plan.summary))?.with_timings(timings(execution));
        if is_written(&report, &out) {
            context.terminal.note(&format!("the report in {} is up to date", out.display()));
        } else {
            report.write(&out, self.force)?;
            copy_scores(report.summary(), &store.folder(plan.summary), &out)?;
            context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        }
        Ok(Finished { report, plan, store })
    }
}

/// What there is to do, in a line: the trainings and other stages, and what they may cost.
fn to_do(expected: &[Planned]) -> String {
    let kinds = expected.iter().filter(|kind| kind.left() > 0);
    let list: Vec<String> = kinds.map(|kind| format!("{} × {}", kind.left(), kind.kind)).collect();
    let mut text = format!("to do: {}", list.join(", "));
    let seconds: f64 = expected.iter().map(|kind| kind.seconds).sum();
    if seconds > 0.0 {
        text += &format!("; about {} of one core for those whose like was computed before", spoken(seconds));
    }
    text
}

/// The same as a table.
pub fn plan_table(expected: &[Planned]) -> String {
    let header = [
        ("what", Align::Left),
        ("stages", Align::Right),
        ("finished", Align::Right),
        ("to do", Align::Right),
        ("time of one core", Align::Right),
        ("of unknown time", Align::Right),
    ];
    let rows = expected.iter().map(|kind| {
        let numbers = [kind.stages, kind.finished, kind.left()].map(|number| number.to_string());
        let seconds = if kind.seconds > 0.0 { spoken(kind.seconds) } else { "–".to_owned() };
        [kind.kind.to_owned()].into_iter().chain(numbers).chain([seconds, kind.unknown.to_string()]).collect()
    });
    table(&header, rows)
}

fn spoken(seconds: f64) -> String {
    duration(Duration::from_secs_f64(seconds))
}

impl Folders {
    /// What the study would cost.
    pub fn plan(&self, study: &Study, images: StudyImages) -> Result<Vec<Planned>, Failure> {
        let plan = plan(study, images)?;
        Ok(planned(&plan.graph, &Store::open(&self.runs)?)?)
    }
}

impl Finished {
    /// What was found.
    pub fn summary(&self) -> &Summary {
        self.report.summary()
    }

    /// The images of a release that are nearer to a training image than chance allows.
    pub fn copies(&self, release: &str) -> Result<Vec<Copy>, Failure> {
        let Some((_, stage)) = self.plan.scores.iter().find(|(name, _)| name == release) else {
            return Ok(Vec::new());
        };
        let text = std::fs::read_to_string(self.store.folder(*stage).join("copies.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// Failed if a gate did, or if an attack contradicts a guarantee.
    pub fn status(&self, context: &Context<'_>) -> Status {
        let contradictions = self.report.contradictions();
        for contradiction in &contradictions {
            context.terminal.warn(contradiction);
        }
        let gates = self.summary().gates.iter().all(|gate| gate.passed);
        if contradictions.is_empty() && gates { Status::Done } else { Status::GateFailed }
    }
}

/// Copies the tables of single images from a finished study's folder to where its report is.
pub fn copy_scores(summary: &Summary, from: &Path, out: &Path) -> Result<(), Failure> {
    for scores in summary.releases.iter().filter_map(|release| release.scores.as_ref()) {
        for table in [PathBuf::from(&scores.table), Path::new(&scores.table).with_extension("parquet")] {
            std::fs::create_dir_all(out.join(&table).parent().unwrap_or(out))?;
            std::fs::copy(from.join(&table), out.join(&table))?;
        }
    }
    Ok(())
}

/// A gate with its outcome, and the figures where it failed.
pub fn gate_line(gate: &Gate) -> String {
    let mut text = format!("Gate {}: {}\n", if gate.passed { "passed" } else { "FAILED" }, gate.expression);
    if !gate.passed {
        for figure in &gate.figures {
            text.push_str(&format!("  {figure}\n"));
        }
    }
    text
}

/// Whether the folder holds this very report already.
fn is_written(report: &Report, out: &Path) -> bool {
    let whole = ["report.html", "report.md"].iter().all(|name| out.join(name).exists());
    whole && std::fs::read_to_string(out.join("report.json")).is_ok_and(|written| written == report.json())
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
