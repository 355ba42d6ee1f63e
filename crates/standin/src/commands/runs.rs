//! `standin runs list|show|verify|prune`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;
use standin_bench::experience::{Known, known};
use standin_bench::store::{Prune, Record, Store};

use super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// List, show, verify and prune finished stages
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,

    /// Where finished stages are kept
    #[arg(long, value_name = "DIR", default_value = "runs", global = true)]
    runs: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// All finished stages, oldest first
    List {
        /// Only stages of this kind, such as "generate"
        #[arg(long)]
        kind: Option<String>,
    },
    /// Everything recorded about one stage
    Show {
        /// The first digits of its digest
        digest: String,
    },
    /// Read and hash every output again
    Verify,
    /// What stages of each kind and method cost, the mean: the experience behind what `bench --dry-run` expects
    Costs,
    /// Remove stages
    Prune {
        /// Remove those that finished more than so many days ago, except what a younger one was made from
        #[arg(long, value_name = "N", required_unless_present_any = ["only", "damaged"])]
        older_than_days: Option<u32>,
        /// Remove the stages with these digests (first digits)
        #[arg(long, value_name = "DIGEST", conflicts_with = "older_than_days")]
        only: Vec<String>,
        /// Remove those that `verify` finds damaged; what was made from them stays
        #[arg(long, conflicts_with_all = ["older_than_days", "only"])]
        damaged: bool,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Serialize)]
struct Listed {
    digest: String,
    #[serde(flatten)]
    record: Option<Record>,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

#[derive(Debug, Serialize)]
struct Verified {
    stages: usize,
    files: usize,
    bytes: u64,
    findings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Removed {
    dry_run: bool,
    bytes: u64,
    stages: Vec<String>,
}

/// What `verify` found is a failed gate, not a failure to verify.
fn verdict(sound: bool) -> Status {
    if sound { Status::Done } else { Status::GateFailed }
}

impl Arguments {
    /// Runs the action.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let store = Store::open_existing(&self.runs)?;
        match self.action {
            Action::List { kind } => list(&store, kind.as_deref(), context),
            Action::Show { digest } => {
                let (id, record) = store.show(&digest)?;
                let text = describe(&id.to_string(), &record);
                context
                    .output
                    .print(&Listed { digest: id.to_string(), record: Some(record), damage: None }, || text)?;
                Ok(Status::Done)
            }
            Action::Verify => {
                let found = store.verify(&context.terminal.progress(""))?;
                let findings: Vec<String> = found.findings.iter().map(ToString::to_string).collect();
                let text = match findings.as_slice() {
                    [] => format!("{} stages, {} files, {}: sound", found.stages, found.files, megabytes(found.bytes)),
                    _ => format!(
                        "{}\n\n`standin runs prune --damaged` removes these stages, and the study computes them anew",
                        findings.join("\n")
                    ),
                };
                let (stages, files, bytes) = (found.stages, found.files, found.bytes);
                context.output.print(&Verified { stages, files, bytes, findings }, || text)?;
                Ok(verdict(found.is_sound()))
            }
            Action::Costs => {
                let known = known(&store)?;
                context.output.print(&known, || costs(&known))?;
                Ok(Status::Done)
            }
            Action::Prune { damaged: true, dry_run, .. } => {
                let found = store.verify(&context.terminal.progress(""))?;
                let stages = found.findings.iter().map(|finding| finding.stage).collect();
                remove(&store, &Prune::Only(stages), dry_run, context)
            }
            Action::Prune { older_than_days, only, damaged: false, dry_run } => {
                let what = match older_than_days {
                    Some(days) => Prune::OlderThan(Duration::from_secs(u64::from(days) * 86_400)),
                    None => {
                        Prune::Only(only.iter().map(|digest| store.find(digest)).collect::<Result<BTreeSet<_>, _>>()?)
                    }
                };
                remove(&store, &what, dry_run, context)
            }
        }
    }
}

fn remove(store: &Store, what: &Prune, dry_run: bool, context: &Context<'_>) -> Result<Status, Failure> {
    let pruned = store.prune(what, dry_run)?;
    let stages: Vec<String> = pruned.stages.iter().map(|stage| stage.id.short()).collect();
    let said = if dry_run { "would be removed" } else { "removed" };
    let text = format!("{} stages, {}, {said}", stages.len(), megabytes(pruned.bytes()));
    context.output.print(&Removed { dry_run, bytes: pruned.bytes(), stages }, || text)?;
    Ok(Status::Done)
}

fn costs(known: &[Known]) -> String {
    let header = [
        ("kind", Align::Left),
        ("method", Align::Left),
        ("stages", Align::Right),
        ("seconds of one core", Align::Right),
        ("memory", Align::Right),
    ];
    let rows = known.iter().map(|cost| {
        vec![
            cost.kind.clone(),
            cost.workload.method.clone(),
            cost.stages.to_string(),
            format!("{:.2}", cost.core_seconds),
            cost.bytes.map_or_else(|| "–".to_owned(), megabytes),
        ]
    });
    table(&header, rows)
}

fn list(store: &Store, kind: Option<&str>, context: &Context<'_>) -> Result<Status, Failure> {
    let listed: Vec<Listed> = store
        .list()?
        .into_iter()
        .map(|entry| {
            let (record, damage) = match entry.record {
                Ok(record) => (Some(record), None),
                Err(error) => (None, Some(error.to_string())),
            };
            Listed { digest: entry.id.to_string(), record, damage }
        })
        .filter(|listed| kind.is_none_or(|kind| listed.record.as_ref().is_some_and(|record| record.kind == kind)))
        .collect();
    context.output.print(&listed, || {
        let rows = listed.iter().map(|listed| match &listed.record {
            Some(record) => vec![
                listed.digest[..12].to_owned(),
                record.kind.clone(),
                record.name.clone(),
                format!("{:.1}", record.wall_seconds),
                megabytes(record.bytes()),
            ],
            None => vec![
                listed.digest[..12].to_owned(),
                "damaged".into(),
                listed.damage.clone().unwrap_or_default(),
                String::new(),
                String::new(),
            ],
        });
        let header = [
            ("stage", Align::Left),
            ("kind", Align::Left),
            ("name", Align::Left),
            ("seconds", Align::Right),
            ("size", Align::Right),
        ];
        table(&header, rows)
    })?;
    Ok(Status::Done)
}

fn describe(digest: &str, record: &Record) -> String {
    let mut lines = vec![
        format!("stage          {digest}"),
        format!("kind           {}", record.kind),
        format!("name           {}", record.name),
        format!("code version   {} (program {})", record.code_version, record.program_version),
        format!("wall time      {:.1} s on {} thread(s)", record.wall_seconds, record.threads),
    ];
    if let Some(bytes) = record.peak_memory_bytes {
        lines.push(format!("peak memory    {}", megabytes(bytes)));
    }
    for input in &record.inputs {
        lines.push(format!("input          {}", input.short()));
    }
    for output in &record.outputs {
        lines.push(format!("output         {} ({})", output.path, megabytes(output.bytes)));
    }
    lines.push(format!("configuration  {:#}", record.configuration));
    lines.join("\n")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
