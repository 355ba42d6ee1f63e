use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::study::refusal::{Refusal, refusal, require};
use crate::study::stages::KINDS;

/// How the stages are carried out on a Slurm cluster. Changes no result, and is no part of any stage's identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Table")]
pub struct Slurm {
    /// The cluster, where several share their commands; the default one if absent. One only: jobs of different clusters
    /// cannot wait for each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<String>,
    /// Tasks of one job array at most: no more than the cluster's `MaxArraySize` − 1.
    pub array_limit: usize,
    /// What every stage asks for.
    #[serde(flatten)]
    pub resources: Resources,
    /// What stages of one kind ask for instead, by kind; `attack` stands for all three kinds of attack.
    #[serde(flatten)]
    pub kinds: BTreeMap<String, Resources>,
}

/// What a stage asks the cluster for; what is absent is left to the cluster's own defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// One or several partitions, such as `"short,long"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The account that is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Quality of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qos: Option<String>,
    /// Features that the node must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// Longest time of one stage, as Slurm writes it: `"30"` minutes, `"4:00:00"`, `"2-12"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Cores of one stage; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u16>,
    /// Memory of one stage, such as `"8G"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Graphics cards of one stage: a number, or such as `"a100:1"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Gpus>,
    /// More options of `sbatch`, such as `"--exclusive"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Vec<String>>,
    /// Lines of shell that run before the program, such as `"module load gcc"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setup: Option<Vec<String>>,
    /// Tasks of one job array that run at the same time at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
}

/// Graphics cards: how many, or which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Gpus {
    /// So many of any kind.
    Count(u32),
    /// As Slurm writes it, such as `"a100:1"`.
    Named(String),
}

impl std::fmt::Display for Gpus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Named(named) => named.fmt(f),
        }
    }
}

impl Default for Slurm {
    fn default() -> Self {
        Self { clusters: None, array_limit: 1_000, resources: Resources::default(), kinds: BTreeMap::new() }
    }
}

/// Stands for every kind of stage that attacks.
const ATTACK: &str = "attack";

/// What only the table itself has.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    clusters: Option<String>,
    array_limit: Option<usize>,
}

impl TryFrom<Table> for Slurm {
    type Error = String;

    fn try_from(table: Table) -> Result<Self, String> {
        let read = |error: toml::de::Error| error.message().to_owned();
        let is_own = |key: &str| ["clusters", "array_limit"].contains(&key);
        let (tables, values): (Table, Table) = table.into_iter().partition(|(_, value)| value.is_table());
        let (own, resources): (Table, Table) = values.into_iter().partition(|(key, _)| is_own(key));
        let Own { clusters, array_limit } = own.try_into().map_err(read)?;
        let mut kinds = BTreeMap::new();
        for (kind, value) in tables {
            if !KINDS.contains(&kind.as_str()) && kind != ATTACK {
                let known: Vec<String> = KINDS.iter().chain([&ATTACK]).map(|kind| format!("`{kind}`")).collect();
                return Err(format!("unknown field `{kind}`, expected one of {}", known.join(", ")));
            }
            let resources = Value::try_into(value).map_err(|error| format!("{}, in [slurm.{kind}]", read(error)))?;
            kinds.insert(kind, resources);
        }
        let array_limit = array_limit.unwrap_or(Self::default().array_limit);
        Ok(Self { clusters, array_limit, resources: resources.try_into().map_err(read)?, kinds })
    }
}

impl Resources {
    /// These, and what is absent as in `general`.
    fn or(self, general: &Self) -> Self {
        let general = general.clone();
        Self {
            partition: self.partition.or(general.partition),
            account: self.account.or(general.account),
            qos: self.qos.or(general.qos),
            constraint: self.constraint.or(general.constraint),
            time: self.time.or(general.time),
            cpus: self.cpus.or(general.cpus),
            memory: self.memory.or(general.memory),
            gpus: self.gpus.or(general.gpus),
            extra: self.extra.or(general.extra),
            setup: self.setup.or(general.setup),
            concurrent: self.concurrent.or(general.concurrent),
        }
    }

    fn check(&self, table: &str) -> Result<(), Refusal> {
        let Self { partition, account, qos, constraint, time, cpus, memory, gpus, extra, setup, concurrent } = self;
        let gpus = gpus.as_ref().map(ToString::to_string);
        let texts = [
            ("partition", partition),
            ("account", account),
            ("qos", qos),
            ("constraint", constraint),
            ("time", time),
            ("memory", memory),
            ("gpus", &gpus),
        ];
        for (key, value) in texts {
            let Some(value) = value else { continue };
            require(
                !value.is_empty() && !value.contains(['\n', '"', '\\']),
                || format!("{table}.{key} = {value:?}"),
                "give one line without quotes, or leave it out",
            )?;
        }
        require(
            time.as_deref().is_none_or(is_time),
            || format!("{table}.time = \"{}\"", time.as_deref().unwrap_or_default()),
            "give minutes \"30\", \"hours:minutes:seconds\", \"days-hours\" or \"days-hours:minutes\"",
        )?;
        require(
            memory.as_deref().is_none_or(is_memory),
            || format!("{table}.memory = \"{}\"", memory.as_deref().unwrap_or_default()),
            "give a number with K, M, G or T, such as \"8G\"; \"0\" for all of a node",
        )?;
        require(*cpus != Some(0), || format!("{table}.cpus = 0"), "give at least 1")?;
        require(*concurrent != Some(0), || format!("{table}.concurrent = 0"), "give at least 1, or leave it out")?;
        for option in extra.iter().flatten() {
            check_option(table, option)?;
        }
        require(
            setup.iter().flatten().all(|line| !line.contains('\n')),
            || format!("{table}.setup has an entry of several lines"),
            "give each line as an entry of its own",
        )
    }
}

impl Slurm {
    /// What stages of a kind ask for.
    pub fn resources(&self, kind: &str) -> Resources {
        let family = kind.split('-').next().filter(|family| *family == ATTACK);
        let own = |name: &str| self.kinds.get(name).cloned().unwrap_or_default();
        let general = family.map_or_else(|| self.resources.clone(), |family| own(family).or(&self.resources));
        own(kind).or(&general)
    }

    pub(in crate::study) fn check(&self) -> Result<(), Refusal> {
        let one = |name: &str| !name.is_empty() && name != "all" && !name.contains([',', ' ']);
        require(
            self.clusters.as_deref().is_none_or(one),
            || format!("slurm.clusters = \"{}\"", self.clusters.as_deref().unwrap_or_default()),
            "name one cluster: jobs of different clusters cannot wait for each other",
        )?;
        require(self.array_limit >= 1, || "slurm.array_limit = 0".into(), "give at least 1")?;
        self.resources.check("slurm")?;
        self.kinds.iter().try_for_each(|(kind, resources)| resources.check(&format!("slurm.{kind}")))
    }
}

/// Options of `sbatch` that are set otherwise, and how.
const SET: [(&str, &str); 19] = [
    ("--array", "slurm.concurrent and slurm.array_limit"),
    ("--dependency", "the study, whose stages wait for each other"),
    ("--job-name", "the program"),
    ("--output", "the program, which looks for the logs of failed stages"),
    ("--error", "the program, which looks for the logs of failed stages"),
    ("--open-mode", "the program"),
    ("--chdir", "the folder you are in"),
    ("--parsable", "the program"),
    ("--wrap", "slurm.setup"),
    ("--wait", "leaving --detach out"),
    ("--clusters", "slurm.clusters"),
    ("--partition", "slurm.partition"),
    ("--account", "slurm.account"),
    ("--qos", "slurm.qos"),
    ("--constraint", "slurm.constraint"),
    ("--time", "slurm.time"),
    ("--cpus-per-task", "slurm.cpus"),
    ("--mem", "slurm.memory"),
    ("--gpus", "slurm.gpus"),
];

fn check_option(table: &str, option: &str) -> Result<(), Refusal> {
    let found = || format!("{table}.extra has \"{option}\"");
    let name = option.split('=').next().unwrap_or(option);
    let long = name.len() > 2 && name.starts_with("--") && !option.contains(['\n', '\\']);
    require(
        long,
        found,
        "give long options of sbatch, each as one text, such as \"--exclusive\" or \"--mail-type=FAIL\"",
    )?;
    match SET.iter().find(|(set, _)| *set == name) {
        None => Ok(()),
        Some((_, by)) => Err(refusal(found(), format!("remove it: that is set by {by}"))),
    }
}

/// Whether Slurm reads this as a time: minutes, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`, ….
fn is_time(text: &str) -> bool {
    let (days, rest) = text.split_once('-').map_or((None, text), |(days, rest)| (Some(days), rest));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    days.is_none_or(number) && rest.split(':').count() <= 3 && rest.split(':').all(number)
}

fn is_memory(text: &str) -> bool {
    let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
    text.len() <= digits.len() + 1 && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use standin_data::Silent;

    use super::*;
    use crate::graph::Node;
    use crate::stage::StageId;
    use crate::study::{Study, plan};

    fn study(slurm: &str) -> Result<Study, String> {
        let text = format!(
            "name = \"s\"\n[data]\nsource = \"digits\"\ntrain = 100\nholdout = 100\n[[generator]]\nname = \"vae\"\n\
             family = \"vae\"\n{slurm}"
        );
        Study::parse(&text, Path::new("study.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_kind_overrides_key_by_key() {
        let slurm = study(
            "[slurm]\npartition = \"a,b\"\ncpus = 2\ngpus = 1\n[slurm.attack]\ncpus = 4\ngpus = \"a100:2\"\n\
             [slurm.attack-images]\nmemory = \"8G\"",
        )
        .unwrap()
        .slurm
        .unwrap();
        let images = slurm.resources("attack-images");
        assert_eq!(
            (images.cpus, images.memory.as_deref(), images.partition.as_deref()),
            (Some(4), Some("8G"), Some("a,b"))
        );
        assert_eq!(images.gpus, Some(Gpus::Named("a100:2".into())));
        assert_eq!(slurm.resources("generate").cpus, Some(2));
        assert_eq!(slurm.resources("generate").gpus, Some(Gpus::Count(1)));
        assert_eq!(slurm.array_limit, 1_000);
    }

    #[test]
    fn the_table_survives_its_own_printing() {
        let study = study(
            "[slurm]\nclusters = \"big\"\ntime = \"1-0\"\nsetup = [\"module load x\"]\n[slurm.generate]\ncpus = 8",
        )
        .unwrap();
        assert_eq!(Study::parse(&study.to_toml(), Path::new("printed")).unwrap(), study);
    }

    #[test]
    fn the_table_changes_no_stage() {
        let cache = tempfile::tempdir().unwrap();
        let stages = |study: &Study| -> Vec<StageId> {
            let images = study.import(cache.path(), &Silent).unwrap();
            plan(study, images).unwrap().graph.nodes().iter().map(Node::id).collect()
        };
        let with = study("[slurm]\npartition = \"a\"\ncpus = 8\n[slurm.generate]\ntime = \"5\"").unwrap();
        assert!(with.slurm.is_some());
        assert_eq!(stages(&with), stages(&study("").unwrap()));
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_remedy() {
        for (slurm, words) in [
            ("partiton = \"x\"", "did you mean \"partition\""),
            ("[slurm.genrate]\ncpus = 1", "did you mean \"generate\""),
            ("[slurm.generate]\ncpu = 1", "did you mean \"cpus\""),
            ("clusters = \"a,b\"", "one cluster"),
            ("time = \"2 hours\"", "slurm.time = \"2 hours\""),
            ("memory = \"8 GB\"", "\"8G\""),
            ("cpus = 0", "at least 1"),
            ("array_limit = 0", "at least 1"),
            ("extra = [\"-p\"]", "long options"),
            ("extra = [\"--partition=x\"]", "set by slurm.partition"),
            ("account = \"a\\nb\"", "one line"),
        ] {
            let error = study(&format!("[slurm]\n{slurm}")).unwrap_err();
            assert!(error.contains(words), "{slurm}: {error}");
        }
    }

    #[test]
    fn times_are_as_slurm_writes_them() {
        assert!(["30", "30:00", "4:00:00", "2-12", "2-12:30", "2-12:30:00"].into_iter().all(is_time));
        assert!(!["", "1h", "1-", "-1", "1:2:3:4", "1:"].into_iter().any(is_time));
        assert!(["8G", "0", "4000", "4000M"].into_iter().all(is_memory));
        assert!(!["", "G", "8GB", "8 G", "8GG"].into_iter().any(is_memory));
    }
}
