//! `standin bench [STUDY]`.

use std::path::{Path, PathBuf};

use standin_bench::study::{PRESETS, Study, StudyFile, strongest_attack};
use standin_bench::summary::Summary;
use standin_data::Source;

use super::Context;
use super::run_study::{Carried, Folders, Place, gate_line, plan_table, stage_table};
use super::setting::Setting;
use super::slurm::described;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Run a whole study: generate, sample, classify, measure, attack, report
///
/// A study is a file, or one that the program brings along (`standin list presets`); without one it is "quick", on built-in data: 1 797
/// handwritten digits, seven releases, three seeds. Every finished stage is kept, so a study that was interrupted goes on where it was, and
/// one that is finished does nothing. Progress goes to standard error, the results table to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin bench                                 the built-in study
  standin bench standard --dry-run              what a larger one would train, and what that costs
  standin bench medical --data scans/ --set data.group=patient
  standin bench examples/fashion-mnist.toml     a study of your own
  standin bench study.toml --only generate      the trainings first
  standin bench study.toml --executor slurm     the same on a Slurm cluster
  standin bench --json > summary.json           everything that was found, for scripts
  standin bench --show                          the study file, to start your own from")]
pub struct Arguments {
    /// The study: a file, or quick, standard, medical or full [default: quick]
    study: Option<PathBuf>,

    /// The real images, in the place of the study's: a data set's name, a file or a folder
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,

    /// Change a key of the study, such as data.train=4000 or seeds=[1]
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<Setting>,

    #[command(flatten)]
    folders: Folders,

    /// Print the study with all defaults, and run nothing
    #[arg(long)]
    show: bool,

    /// Print the graph of stages, how many are in the store, and the time and memory that the others are expected to take, and run
    /// nothing; as kinds of stages or every stage
    #[arg(long, visible_alias = "plan", value_name = "AS", num_args = 0..=1, require_equals = true, default_missing_value = "kinds", conflicts_with = "show")]
    dry_run: Option<DryRun>,

    /// Run only the stages of this kind or name and what they need, and write no report; * stands for any letters
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', conflicts_with_all = ["show", "dry_run"])]
    only: Vec<String>,

    /// What computes: this machine, or a Slurm cluster with which it shares the store's file system
    #[arg(long, value_enum, default_value_t = Executor::Local)]
    executor: Executor,

    /// Hand the study to the cluster and do not wait for it
    #[arg(long)]
    detach: bool,
}

/// How a graph is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum DryRun {
    Kinds,
    Stages,
}

/// What computes stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Executor {
    /// This machine.
    Local,
    /// A Slurm cluster.
    Slurm,
}

/// An option that has no meaning on this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "--detach without --executor slurm: what this machine computes ends with the program; add it, or leave --detach out"
)]
struct DetachedHere;

impl Arguments {
    /// Runs the study, writes the report, prints the table.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        if self.detach && self.executor == Executor::Local {
            return Err(DetachedHere.into());
        }
        let studies = self.studies()?;
        if self.show {
            let text = || studies.iter().map(Study::to_toml).collect::<Vec<_>>().join("\n");
            context.output.print(&OneOrAll::from(studies.as_slice()), text)?;
            return Ok(Status::Done);
        }
        let import = |study: &Study| study.import(context.cache, &context.terminal.progress(""));
        if let Some(shown) = self.dry_run {
            let expected = studies
                .iter()
                .map(|study| self.folders.plan(study, import(study)?, context))
                .collect::<Result<Vec<_>, Failure>>()?;
            let tables = expected.iter().map(if shown == DryRun::Kinds { plan_table } else { stage_table });
            let text = || tables.collect::<Vec<_>>().join("\n");
            context.output.print(&OneOrAll::from(expected.as_slice()), text)?;
            return Ok(Status::Done);
        }
        if !self.only.is_empty() {
            for study in &studies {
                match self.folders.run_only(study, import(study)?, &self.only, self.place(), context)? {
                    Carried::Out(done) => context.output.print(&*done, || stage_table(&done))?,
                    Carried::Queued(progress) => context.output.print(&progress, || described(&progress))?,
                }
            }
            return Ok(Status::Done);
        }
        let several = studies.len() > 1;
        let mut summaries = Vec::new();
        let mut status = Status::Done;
        for study in &studies {
            let folders = if several { self.folders.of_one(study) } else { self.folders.clone() };
            let images = import(study)?;
            let finished = match self.place() {
                Place::Here => folders.run(study, images, context)?,
                Place::Slurm { detach } => match folders.run_on_slurm(study, images, detach, context)? {
                    Carried::Out(finished) => *finished,
                    Carried::Queued(progress) => {
                        context.output.print(&progress, || described(&progress))?;
                        continue;
                    }
                },
            };
            summaries.push(finished.summary().clone());
            if finished.status(context) == Status::GateFailed {
                status = Status::GateFailed;
            }
        }
        let text = || {
            let headed = |summary: &Summary| {
                if several { format!("{}\n\n{}", summary.name, results(summary)) } else { results(summary) }
            };
            summaries.iter().map(headed).collect::<Vec<_>>().join("\n")
        };
        if !self.detach {
            context.output.print(&OneOrAll::from(summaries.as_slice()), text)?;
        }
        Ok(status)
    }

    fn place(&self) -> Place {
        match self.executor {
            Executor::Local => Place::Here,
            Executor::Slurm => Place::Slurm { detach: self.detach },
        }
    }

    /// The study or studies that are meant, changed by what else was said.
    fn studies(&self) -> Result<Vec<Study>, Failure> {
        let path = self.study.as_deref().unwrap_or(Path::new(PRESETS[0].name));
        let preset = if path.exists() { None } else { path.to_str().and_then(StudyFile::preset) };
        let mut file = match preset {
            Some(file) => file,
            None => StudyFile::open(path)?,
        };
        if self.data.is_some() || !self.settings.is_empty() {
            file = file.amend(|table| self.change(table))?;
        }
        Ok(file.studies()?)
    }

    fn change(&self, table: &mut toml::Table) -> Result<(), Failure> {
        if let Some(source) = &self.data {
            // A folder named here is looked up from here, and not beside the study.
            let source = Source::parse(source)?.beside(&std::env::current_dir()?).to_string();
            Setting::new(&["data", "source"], source).replace(table)?;
        }
        for setting in &self.settings {
            setting.replace(table)?;
        }
        Ok(())
    }
}

/// One document for one study, a list for several.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum OneOrAll<'a, T> {
    One(&'a T),
    All(&'a [T]),
}

impl<'a, T> From<&'a [T]> for OneOrAll<'a, T> {
    fn from(all: &'a [T]) -> Self {
        match all {
            [one] => Self::One(one),
            several => Self::All(several),
        }
    }
}

/// What audits with canaries found, if there were some.
fn canaries(summary: &Summary) -> String {
    let audits = summary.releases.iter().flat_map(|release| release.canaries.iter().map(move |audit| (release, audit)));
    let rows: Vec<Vec<String>> = audits
        .map(|(release, audit)| {
            vec![
                release.name.clone(),
                audit.kind.clone(),
                format!("{} × {}", audit.canaries, audit.runs),
                format!("{:.3}", audit.auc),
                format!("{:.2}", audit.epsilon_lower.epsilon),
                audit.epsilon_claimed.map_or_else(|| "–".to_owned(), |claimed| format!("{claimed:.2}")),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = [
        ("release", Align::Left),
        ("canaries", Align::Left),
        ("number × runs", Align::Right),
        ("AUC", Align::Left),
        ("ε at least", Align::Right),
        ("ε promised", Align::Right),
    ];
    format!("\n{}\n\n", table(&header, rows))
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
    text.push_str(&canaries(summary));
    for gate in &summary.gates {
        text.push_str(&gate_line(gate));
    }
    for warning in &summary.warnings {
        text.push_str(&format!("Note: {warning}\n"));
    }
    text
}
