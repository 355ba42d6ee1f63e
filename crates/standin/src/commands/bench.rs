//! `standin bench [STUDY.toml]`.

use std::path::PathBuf;

use standin_bench::study::{Study, strongest_attack};
use standin_bench::summary::Summary;

use super::Context;
use super::run_study::{Carried, Folders, gate_line, plan_table};
use super::slurm::described;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Run a whole study: generate, sample, classify, measure, attack, report
///
/// Without a study file the built-in study runs on built-in data: 1 797 handwritten digits, seven releases, three seeds.
/// Every finished stage is kept, so a study that was interrupted goes on where it was, and one that is finished does
/// nothing. Progress goes to standard error, the results table to standard output.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin bench                                 the built-in study
  standin bench examples/fashion-mnist.toml     a study of your own
  standin bench study.toml --plan               what it would train and cost
  standin bench study.toml --executor slurm     the same on a Slurm cluster
  standin bench --json > summary.json           everything that was found, for scripts
  standin bench --show                          the built-in study file, to start your own from")]
pub struct Arguments {
    /// The study [default: the built-in one]
    study: Option<PathBuf>,

    #[command(flatten)]
    folders: Folders,

    /// Print the study with all defaults, and run nothing
    #[arg(long)]
    show: bool,

    /// Print what there is to train and to compute and what it may cost, and run nothing
    #[arg(long, conflicts_with = "show")]
    plan: bool,

    /// What computes: this machine, or a Slurm cluster with which it shares the store's file system
    #[arg(long, value_enum, default_value_t = Executor::Local)]
    executor: Executor,

    /// Hand the study to the cluster and do not wait for it
    #[arg(long)]
    detach: bool,
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
        let study = match &self.study {
            Some(path) => Study::read(path)?,
            None => Study::built_in(),
        };
        if self.show {
            context.output.print(&study, || study.to_toml())?;
            return Ok(Status::Done);
        }
        let images = study.import(context.cache, &context.terminal.progress(""))?;
        if self.plan {
            let expected = self.folders.plan(&study, images)?;
            context.output.print(&expected, || plan_table(&expected))?;
            return Ok(Status::Done);
        }
        let finished = match self.executor {
            Executor::Local => self.folders.run(&study, images, context)?,
            Executor::Slurm => match self.folders.run_on_slurm(&study, images, self.detach, context)? {
                Carried::Out(finished) => *finished,
                Carried::Queued(status) => {
                    context.output.print(&status, || described(&status))?;
                    return Ok(Status::Done);
                }
            },
        };
        context.output.print(finished.summary(), || results(finished.summary()))?;
        Ok(finished.status(context))
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
