//! Carries a study out: the part that `bench` and `audit` share.

mod dry_run;
mod slurm;

use std::path::{Path, PathBuf};

use standin_bench::executor::slurm::Status as Progress;
use standin_bench::executor::{Execution, LocalExecutor, available_bytes};
use standin_bench::experience::Experience;
use standin_bench::graph::Graph;
use standin_bench::pattern::fits;
use standin_bench::planned::Planned;
use standin_bench::store::Store;
use standin_bench::study::{Copy, Plan, Study, StudyImages, plan};
use standin_bench::summary::{Gate, Summary};
use standin_report::{Document, Report, Timing};

use super::Context;
use crate::failure::{Failure, Status};
use crate::stages::StageReporter;
use dry_run::to_do;
pub use dry_run::{plan_table, stage_table};
pub use slurm::say_submitted;

/// Where stages and the report go.
#[derive(Clone, Debug, clap::Args)]
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

    /// Begin nothing new after a stage has failed [default: what does not depend on it goes on]
    #[arg(long)]
    fail_fast: bool,

    /// Memory that stages running side by side may hold, such as 8G [default: four fifths of what is free]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    memory: Option<u64>,
}

/// `8G`, `500M`, `1.5 GiB` or a number of bytes.
fn bytes(text: &str) -> Result<u64, String> {
    let letters = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(letters);
    let factor = match unit.to_ascii_uppercase().trim_end_matches('B').trim_end_matches('I') {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1_u64 << 40,
        _ => return Err(format!("\"{unit}\" is no unit of memory; give a size such as 8G or 500M")),
    };
    let number = number.trim().parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
    let number = number.ok_or_else(|| format!("\"{text}\" is no size; give one such as 8G or 500M"))?;
    Ok((number * factor as f64) as u64)
}

/// What computes.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// This machine.
    Here,
    /// A Slurm cluster, which is waited for or not.
    Slurm {
        /// Not.
        detach: bool,
    },
}

/// What became of something that may have been handed to a cluster.
pub enum Carried<T> {
    /// It was carried out.
    Out(Box<T>),
    /// It is in the queue.
    Queued(Box<Progress>),
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
    /// Runs the study on this machine and writes its report.
    pub fn run(&self, study: &Study, images: StudyImages, context: &Context<'_>) -> Result<Finished, Failure> {
        let (plan, store) = self.prepare(study, images, context)?;
        let expected = self.planned(&plan, &store, context);
        if expected.left().next().is_some() {
            context.terminal.note(&to_do(&expected));
        }
        let reporter = StageReporter::new(context.terminal);
        let execution = self.executor(context).run(&plan.graph, &store, &reporter)?;
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
            return Err(explain_failures(execution, &store));
        }
        reporter.finish(execution);

        let named = || Path::new("reports").join(format!("{}-{}", study.name, &plan.summary.to_string()[..8]));
        let out = self.out.clone().unwrap_or_else(named);
        let report = Report::load(&store.folder(plan.summary))?.with_timings(timings(execution));
        let written = written(&report, &out);
        if written == Written::Same {
            context.terminal.note(&format!("the report in {} is up to date", out.display()));
        } else {
            report.write(&out, self.force || written == Written::SameFigures)?;
            copy_scores(report.summary(), &store.folder(plan.summary), &out)?;
            context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        }
        Ok(Finished { report, plan, store })
    }
}

impl Folders {
    /// The study's graph and its store, and in the graph what each stage is expected to cost.
    fn prepare(&self, study: &Study, images: StudyImages, context: &Context<'_>) -> Result<(Plan, Store), Failure> {
        let mut plan = plan(study, images)?;
        let store = Store::open(&self.runs)?;
        let experience = Experience::of(&store)?;
        plan.graph.expect(&experience);
        let outdated = experience.outdated(&plan.graph);
        if outdated > 0 {
            context.terminal.note(&format!(
                "{outdated} stages in {} were computed by older code and are computed anew where they are needed; \
                 `standin runs prune` removes old ones",
                store.root().display()
            ));
        }
        Ok((plan, store))
    }

    fn planned(&self, plan: &Plan, store: &Store, context: &Context<'_>) -> Planned {
        Planned::of(&plan.graph, store, context.thread_count())
    }

    /// What a graph of another kind of study would cost.
    pub fn plan_graph(&self, graph: &mut Graph, context: &Context<'_>) -> Result<(Store, Planned), Failure> {
        let store = Store::open(&self.runs)?;
        graph.expect(&Experience::of(&store)?);
        let planned = Planned::of(graph, &store, context.thread_count());
        Ok((store, planned))
    }

    /// Carries out a graph of another kind of study on this machine.
    pub fn carry_out(&self, graph: &mut Graph, context: &Context<'_>) -> Result<Store, Failure> {
        let (store, expected) = self.plan_graph(graph, context)?;
        if expected.left().next().is_some() {
            context.terminal.note(&to_do(&expected));
        }
        let reporter = StageReporter::new(context.terminal);
        let execution = self.executor(context).run(graph, &store, &reporter)?;
        if !execution.is_complete() {
            return Err(explain_failures(&execution, &store));
        }
        reporter.finish(&execution);
        Ok(store)
    }

    /// Where the report is to go, if that was said.
    pub fn out(&self) -> Option<&Path> {
        self.out.as_deref()
    }

    /// The same with a folder of its own for the report, where several studies have one.
    pub fn of_one(&self, study: &Study) -> Self {
        Self { out: self.out.as_ref().map(|out| out.join(&study.name)), ..self.clone() }
    }

    fn executor(&self, context: &Context<'_>) -> LocalExecutor {
        LocalExecutor {
            threads: context.thread_count(),
            keep_going: !self.fail_fast,
            memory: self.memory.or_else(|| available_bytes().map(|bytes| bytes / 5 * 4)),
        }
    }

    /// What the study would cost.
    pub fn plan(&self, study: &Study, images: StudyImages, context: &Context<'_>) -> Result<Planned, Failure> {
        let (plan, store) = self.prepare(study, images, context)?;
        Ok(self.planned(&plan, &store, context))
    }

    /// Runs the stages whose kind or name fits one of the patterns, and what they need; writes no report.
    pub fn run_only(
        &self,
        study: &Study,
        images: StudyImages,
        patterns: &[String],
        place: Place,
        context: &Context<'_>,
    ) -> Result<Carried<Planned>, Failure> {
        let (mut plan, store) = self.prepare(study, images, context)?;
        let wanted = |kind: &str, name: &str| patterns.iter().any(|pattern| fits(pattern, kind) || fits(pattern, name));
        plan.graph = plan.graph.only(|node| wanted(node.stage().kind(), &node.stage().name()));
        if plan.graph.is_empty() {
            return Err(NothingFits { patterns: patterns.join("\", \"") }.into());
        }
        let reporter = StageReporter::new(context.terminal);
        let execution = match place {
            Place::Here => self.executor(context).run(&plan.graph, &store, &reporter)?,
            Place::Slurm { detach } => match self.slurm(study, &plan.graph, &store, detach, &reporter, context)? {
                Carried::Out(execution) => *execution,
                Carried::Queued(progress) => return Ok(Carried::Queued(progress)),
            },
        };
        if !execution.is_complete() {
            return Err(explain_failures(&execution, &store));
        }
        reporter.finish(&execution);
        Ok(Carried::Out(Box::new(self.planned(&plan, &store, context))))
    }
}

/// `--only` chose nothing.
#[derive(Debug, thiserror::Error)]
#[error(
    "--only \"{patterns}\": no stage has such a kind or name; `--dry-run=stages` lists all, and * stands for any letters"
)]
struct NothingFits {
    patterns: String,
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

/// What is in a report's folder already.
#[derive(PartialEq)]
enum Written {
    /// Nothing, or the report of another study.
    Other,
    /// The same figures, in another form: by another version of the program, or with other timings.
    SameFigures,
    /// This very report.
    Same,
}

fn written(report: &Report, out: &Path) -> Written {
    let holds = |name: &str, text: String| std::fs::read_to_string(out.join(name)).is_ok_and(|written| written == text);
    if !holds("report.json", report.json()) {
        Written::Other
    } else if holds("report.md", report.markdown()) && holds("report.html", report.html()) {
        Written::Same
    } else {
        Written::SameFigures
    }
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

fn explain_failures(execution: &Execution, store: &Store) -> Failure {
    let reasons: Vec<String> = execution
        .failures()
        .map(|(stage, failure)| {
            let log = store.log(stage.id);
            let log = if log.exists() { format!("\n    log: {}", log.display()) } else { String::new() };
            format!("  {} ({} {}): {failure}{log}", stage.name, stage.kind, stage.id.short())
        })
        .collect();
    Failure::Internal(Box::new(StagesFailed {
        failed: reasons.len(),
        total: execution.stages.len(),
        reasons: reasons.join("\n"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_memory_have_units() {
        assert_eq!(bytes("8G"), Ok(8 << 30));
        assert_eq!(bytes("1.5 GiB"), Ok(3 << 29));
        assert_eq!(bytes("500m"), Ok(500 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        for wrong in ["", "G", "-1G", "8X", "infG"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
