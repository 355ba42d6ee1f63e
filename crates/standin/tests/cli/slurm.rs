//! `standin bench --executor slurm` and `standin slurm` with a scheduler that stands in for Slurm's commands: it computes
//! the tasks of a job array on the spot, or leaves them in a queue. `tests/slurm/run.sh` does the same with Slurm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::program::{command, parsed, text};

/// A study of seconds.
const STUDY: &str = r#"
name = "small"
seeds = [1]

[data]
source = "digits"
train = 200
holdout = 200
test = 200

[privacy]
noise = "reproducible"

[[generator]]
name = "private"
family = "dp-merf"
epsilon = 2.0
settings = { steps = 100, frequencies = 100 }

[[classifier]]
name = "logistic"

[measures]
encoders = ["pixels"]
near_copies = 3

[slurm]
cpus = 2
array_limit = 1

[slurm.classify]
partition = "long"
"#;

/// Notes how it was called; then computes the tasks at once, but for those of the kind in `lost`, and those that it puts into the queue: of the
/// kind in `hold`, or all where that file is empty.
const SBATCH: &str = r#"#!/bin/bash
echo "sbatch $*" >>"$SCHEDULER/calls"
if [ -e "$SCHEDULER/refuse" ]; then
  echo 'sbatch: error: Batch job submission failed: Invalid qos specification' >&2
  exit 1
fi
script="${!#}"
for word; do case "$word" in --array=*) array=${word#--array=} ;; esac; done
held() {
  [ -e "$SCHEDULER/hold" ] || return 1
  case "$script" in *"$(cat "$SCHEDULER/hold")"*) ;; *) return 1 ;; esac
}
id=$(($(cat "$SCHEDULER/last" 2>/dev/null || echo 100) + 1))
echo "$id" >"$SCHEDULER/last"
option() { sed -n "s/^#SBATCH --$1=\"\(.*\)\"$/\1/p" "$script"; }
for range in ${array//,/ }; do
  for task in $(seq "${range%-*}" "${range#*-}"); do
    if held; then
      echo "$id|$task|PENDING|$(option job-name)|Resources" >>"$SCHEDULER/queue"
      continue
    fi
    case "$script" in *"$(cat "$SCHEDULER/lost" 2>/dev/null || echo nothing)"*) continue ;; esac
    log=$(option output)
    (cd "$(option chdir)" && SLURM_ARRAY_JOB_ID=$id SLURM_ARRAY_TASK_ID=$task \
      SLURM_CPUS_PER_TASK=$(option cpus-per-task) SLURMD_NODENAME=here bash "$script") >>"${log/\%a/$task}" 2>&1
  done
done
echo "$id;cluster"
"#;

const SQUEUE: &str = "#!/bin/bash\necho 'CLUSTER: cluster'\ncat \"$SCHEDULER/queue\" 2>/dev/null || true\n";

const SCANCEL: &str = r#"#!/bin/bash
echo "scancel $*" >>"$SCHEDULER/calls"
for job; do
  job=${job/_/|}
  sed -i "/^$job|/d" "$SCHEDULER/queue"
done
"#;

/// A folder with a study, and a scheduler beside it.
struct Cluster {
    folder: tempfile::TempDir,
}

impl Cluster {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let commands = folder.path().join("scheduler");
        fs::create_dir(&commands).unwrap();
        for (name, text) in [("sbatch", SBATCH), ("squeue", SQUEUE), ("scancel", SCANCEL)] {
            let path = commands.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(folder.path().join("study.toml"), STUDY).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn scheduler(&self, file: &str) -> PathBuf {
        self.path().join("scheduler").join(file)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        command(self.path(), arguments)
            .env("PATH", format!("{}:{path}", self.path().join("scheduler").display()))
            .env("SCHEDULER", self.path().join("scheduler"))
            .output()
            .unwrap()
    }

    /// Runs a command that must end well and returns the JSON it printed.
    fn json(&self, arguments: &[&str]) -> Value {
        parsed(&self.run(&[arguments, &["--json"]].concat()))
    }

    fn plan(&self, runs: &str) -> PathBuf {
        let submissions: Vec<_> = fs::read_dir(self.path().join(runs).join(".slurm")).unwrap().collect();
        assert_eq!(submissions.len(), 1);
        submissions[0].as_ref().unwrap().path().join("plan.json")
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.scheduler("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.scheduler("calls"));
        calls.lines().map(str::to_owned).collect()
    }
}

fn count(status: &Value, what: &str) -> u64 {
    status[0]["kinds"].as_array().unwrap().iter().map(|kind| kind[what].as_u64().unwrap()).sum()
}

const ON_SLURM: [&str; 4] = ["bench", "study.toml", "--executor", "slurm"];

#[test]
fn a_study_through_a_scheduler_is_the_study_of_this_machine() {
    let cluster = Cluster::new();
    let here = cluster.run(&["bench", "study.toml", "--runs", "here", "--out", "a", "--json"]);
    let there = cluster.run(&[ON_SLURM.as_slice(), &["--runs", "there", "--out", "b", "--json"]].concat());
    assert!(there.status.success(), "{}", text(&there.stderr));
    assert_eq!(text(&here.stdout), text(&there.stdout));

    let calls = cluster.calls();
    // The first array waits for nothing, later ones for those that hold what they read.
    assert!(
        !calls[0].contains("--dependency") && calls.last().unwrap().contains("--dependency=afterany:"),
        "{calls:?}"
    );
    let plan = cluster.plan("there");
    let script = |name: &str| fs::read_to_string(plan.with_file_name(name)).unwrap();
    assert!(script("02-classify.sh").contains("#SBATCH --partition=\"long\""));
    assert!(script("02-classify.sh").contains("#SBATCH --cpus-per-task=\"2\""));
    assert!(!script("01-split.sh").contains("partition"));
    // array_limit = 1 divides the embeddings of train and holdout.
    assert!(plan.with_file_name("02-embed-1.sh").exists() && plan.with_file_name("02-embed-2.sh").exists());

    let again = cluster.run(&[ON_SLURM.as_slice(), &["--runs", "there", "--out", "b"]].concat());
    assert!(text(&again.stderr).contains("nothing to do"), "{}", text(&again.stderr));
    assert_eq!(cluster.calls(), Vec::<String>::new());
    let status = cluster.json(&["slurm", "status", "--runs", "there"]);
    assert_eq!(count(&status, "finished"), count(&status, "stages"));
}

#[test]
fn a_lost_task_is_reported_with_its_log_and_submitted_again() {
    let cluster = Cluster::new();
    fs::write(cluster.scheduler("lost"), "attack-images").unwrap();
    let lost = cluster.run(&ON_SLURM);
    assert_eq!(lost.status.code(), Some(3));
    let said = text(&lost.stderr);
    assert!(said.contains("attacks on private through pixels, seed 1 failed: its job left no result"), "{said}");
    assert!(said.contains("05-attack-images-0.log is empty or missing"), "{said}");
    let status = cluster.json(&["slurm", "status", "study.toml"]);
    assert_eq!((count(&status, "failed"), status[0]["failed"][0]["kind"].as_str()), (1, Some("attack-images")));
    assert_eq!(count(&status, "blocked"), 1);
    let log = fs::read_to_string(cluster.plan("runs").with_file_name("logs").join("06-summarise-0.log")).unwrap();
    assert!(
        log.contains("was not begun: what it reads is not finished: attacks on private through pixels, seed 1"),
        "{log}"
    );

    fs::remove_file(cluster.scheduler("lost")).unwrap();
    cluster.calls();
    let resubmitted = cluster.json(&["slurm", "resubmit", "small"]);
    assert_eq!(resubmitted["tasks"].as_u64().unwrap(), 2);
    let calls = cluster.calls();
    assert!(calls[0].contains("05-attack-images.sh") && calls[1].contains("06-summarise.sh"), "{calls:?}");
    let finished = cluster.run(&ON_SLURM);
    assert!(finished.status.success(), "{}", text(&finished.stderr));
}

#[test]
fn a_part_of_a_study_is_a_submission_of_its_own() {
    let cluster = Cluster::new();
    let part = cluster.json(&[ON_SLURM.as_slice(), &["--only", "generate"]].concat());
    let kinds: Vec<&str> =
        part["stages"].as_array().unwrap().iter().map(|stage| stage["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["prepare", "split", "generate"]);
    let status = cluster.json(&["slurm", "status"]);
    assert_eq!((count(&status, "stages"), count(&status, "finished")), (2, 2));

    cluster.calls();
    let whole = cluster.run(&ON_SLURM);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    assert!(cluster.calls().iter().all(|call| !call.contains("-generate.sh") && !call.contains("-split.sh")));
    assert_eq!(cluster.json(&["slurm", "status"]).as_array().unwrap().len(), 2);
}

#[test]
fn the_first_failure_takes_what_waits_out_of_the_queue_where_that_is_wanted() {
    let cluster = Cluster::new();
    fs::write(cluster.scheduler("lost"), "-generate").unwrap();
    // On real images, which no generator is needed for.
    fs::write(cluster.scheduler("hold"), "-classify").unwrap();
    let failed = cluster.run(&[ON_SLURM.as_slice(), &["--fail-fast"]].concat());
    let said = text(&failed.stderr);
    assert!(failed.status.code() == Some(3) && said.contains("1 of"), "{said}");
    assert_eq!(fs::read_to_string(cluster.scheduler("queue")).unwrap(), "");
    assert!(cluster.calls().iter().any(|call| call.starts_with("scancel ")));
}

#[test]
fn what_is_in_the_queue_is_not_submitted_twice() {
    let cluster = Cluster::new();
    let detached = [ON_SLURM.as_slice(), &["--detach"]].concat();
    fs::write(cluster.scheduler("hold"), "").unwrap();
    let first = cluster.run(&detached);
    assert!(first.status.success(), "{}", text(&first.stderr));
    assert!(text(&first.stdout).contains("waiting for: Resources"), "{}", text(&first.stdout));
    cluster.calls();
    cluster.run(&detached);
    assert_eq!(cluster.calls(), Vec::<String>::new());

    // A task that ended without a result: what waits for it is taken out, or it would begin before it.
    let queue = fs::read_to_string(cluster.scheduler("queue")).unwrap();
    let (lost, kept): (Vec<&str>, Vec<&str>) = queue.lines().partition(|line| line.contains("generate"));
    assert_eq!(lost.len(), 1);
    fs::write(cluster.scheduler("queue"), kept.join("\n") + "\n").unwrap();
    cluster.run(&detached);
    let calls = cluster.calls();
    assert!(calls[0].starts_with("scancel ") && calls[1].contains("02-generate.sh"), "{calls:?}");
    assert!(calls.iter().all(|call| !call.contains("02-classify.sh")), "{calls:?}");
    let status = cluster.json(&["slurm", "status"]);
    assert_eq!(count(&status, "pending"), count(&status, "stages"));

    let canceled = cluster.json(&["slurm", "cancel"]);
    assert_eq!(canceled["tasks"].as_u64().unwrap(), count(&status, "stages"));
    assert_eq!(count(&cluster.json(&["slurm", "status"]), "pending"), 0);
}

#[test]
fn a_task_says_by_its_exit_status_what_became_of_it() {
    let cluster = Cluster::new();
    fs::write(cluster.scheduler("hold"), "").unwrap();
    cluster.run(&[ON_SLURM.as_slice(), &["--detach"]].concat());
    let path = cluster.plan("runs");
    let plan: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let tasks = plan["tasks"].as_array().unwrap();
    let position = |kind: &str| tasks.iter().position(|task| task["kind"] == kind).unwrap();
    let compute = |index: usize| {
        let output = cluster.run(&["compute", path.to_str().unwrap(), "--index", &index.to_string(), "--threads", "1"]);
        (output.status.code(), text(&output.stderr))
    };
    let (missing, said) = compute(position("generate"));
    assert!(missing == Some(4) && said.contains("split, seed 1 (split"), "{said}");
    assert_eq!(compute(position("split")).0, Some(0));
    let (again, said) = compute(position("split"));
    assert!(again == Some(0) && said.contains("finished already"), "{said}");
    assert_eq!(compute(position("generate")).0, Some(0));
    let (beyond, said) = compute(tasks.len());
    assert!(beyond == Some(2) && said.contains(&format!("there is no task {}", tasks.len())), "{said}");

    let mut changed = plan.clone();
    changed["tasks"][position("sample")]["stage"]["seed"] = 5.into();
    fs::write(&path, changed.to_string()).unwrap();
    let (other, said) = compute(position("sample"));
    assert!(other == Some(2) && said.contains("became"), "{said}");
}

#[test]
fn what_slurm_or_the_user_got_wrong_is_said_with_the_remedy() {
    let cluster = Cluster::new();
    let refused = |arguments: &[&str], words: &str| {
        let output = cluster.run(arguments);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    };
    refused(&["bench", "study.toml", "--detach"], "--executor slurm");
    refused(&[ON_SLURM.as_slice(), &["--fail-fast", "--detach"]].concat(), "--fail-fast");
    refused(&[ON_SLURM.as_slice(), &["--memory", "1G"]].concat(), "[slurm]");
    fs::write(cluster.scheduler("refuse"), "").unwrap();
    refused(&ON_SLURM, "correct slurm.qos");
    refused(&["slurm", "status", "other"], "begins with \"other\"");
    fs::remove_file(cluster.scheduler("sbatch")).unwrap();
    let output = command(cluster.path(), &ON_SLURM).env("PATH", cluster.path()).output().unwrap();
    assert!(text(&output.stderr).contains("sbatch cannot be run"), "{}", text(&output.stderr));
}
