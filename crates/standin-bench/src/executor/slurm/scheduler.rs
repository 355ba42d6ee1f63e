//! Slurm's commands: `sbatch`, `squeue` and `scancel`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use super::{Error, Result};

/// The commands of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Scheduler {
    /// The cluster, where several share their commands.
    pub cluster: Option<String>,
}

/// A task in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queued {
    pub job: u64,
    /// Its index in the job array.
    pub task: usize,
    pub running: bool,
    /// Name of the job.
    pub name: String,
    /// Why it waits, in Slurm's word.
    pub reason: String,
}

/// What begins every line of [`Scheduler::queue`]: job array, index, state, name, reason.
const FORMAT: &str = "--format=%F|%K|%T|%j|%r";

impl Scheduler {
    /// Submits an array of a script's tasks, to begin when others have ended, and returns its number.
    pub fn submit(&self, script: &Path, tasks: &str, after: &BTreeSet<u64>) -> Result<u64> {
        let mut command = self.command("sbatch");
        command.arg("--parsable").arg(format!("--array={tasks}"));
        if !after.is_empty() {
            let after: Vec<String> = after.iter().map(u64::to_string).collect();
            command.arg(format!("--dependency=afterany:{}", after.join(":")));
        }
        command.arg(script);
        let output = run("sbatch", &mut command)?;
        let printed = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !output.status.success() {
            return Err(refused(&command, &output));
        }
        // "123" or "123;cluster"; a site's own remarks may stand before it.
        let number = printed.lines().last().and_then(|line| line.split(';').next()?.trim().parse().ok());
        number.ok_or(Error::Unexpected { command: "sbatch", printed, expected: "the number of a job" })
    }

    /// The tasks of these job arrays that are waiting or at work.
    pub fn queue(&self, jobs: &BTreeSet<u64>) -> Result<Vec<Queued>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<String> = jobs.iter().map(u64::to_string).collect();
        let mut command = self.command("squeue");
        command.args(["--noheader", "--array", FORMAT]).arg(format!("--jobs={}", list.join(",")));
        let output = run("squeue", &mut command)?;
        if !output.status.success() {
            // Of a single job that ended long ago it says that there is no such job; of several, nothing.
            if String::from_utf8_lossy(&output.stderr).contains("Invalid job id") {
                return Ok(Vec::new());
            }
            return Err(refused(&command, &output));
        }
        Ok(String::from_utf8_lossy(&output.stdout).lines().filter_map(queued).collect())
    }

    /// Takes job arrays, or single tasks such as `12_3`, out of the queue.
    pub fn cancel(&self, jobs: &[String]) -> Result<()> {
        if jobs.is_empty() {
            return Ok(());
        }
        let mut command = self.command("scancel");
        command.args(jobs);
        let output = run("scancel", &mut command)?;
        if output.status.success() { Ok(()) } else { Err(refused(&command, &output)) }
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        if let Some(cluster) = &self.cluster {
            command.arg(format!("--clusters={cluster}"));
        }
        command
    }
}

fn run(name: &'static str, command: &mut Command) -> Result<Output> {
    command.output().map_err(|source| Error::Command { command: name, source })
}

/// One line of the queue; none for a line that is about something else, such as the name of the cluster.
fn queued(line: &str) -> Option<Queued> {
    let mut parts = line.trim().splitn(5, '|');
    let (job, task) = (parts.next()?.trim().parse().ok()?, parts.next()?.trim().parse().ok()?);
    let running = parts.next()? != "PENDING";
    Some(Queued { job, task, running, name: parts.next()?.to_owned(), reason: parts.next()?.to_owned() })
}

/// What to do about what Slurm says, by a part of its message.
const REMEDIES: [(&str, &str); 8] = [
    (
        "Invalid job array",
        "lower slurm.array_limit: `scontrol show config | grep MaxArraySize` says one more than what is allowed",
    ),
    ("partition", "correct slurm.partition: `sinfo --summarize` lists the partitions"),
    ("account", "correct slurm.account and slurm.partition, which must allow each other"),
    ("qos", "correct slurm.qos"),
    ("gres", "correct slurm.gpus: `sinfo --format='%P %G'` lists what there is"),
    ("node configuration", "ask for less: slurm.cpus, slurm.memory, slurm.gpus, slurm.constraint"),
    (
        "job submit limit",
        "wait until some jobs have ended, and give the command again: it submits what is not in the queue",
    ),
    ("contact slurm controller", "the cluster's controller does not answer; try again later"),
];

fn refused(command: &Command, output: &Output) -> Error {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let lower = stderr.to_lowercase();
    let remedy = REMEDIES.iter().find(|(part, _)| lower.contains(&part.to_lowercase())).map_or(
        "correct [slurm] in the study and give the command again: what is in the queue is not submitted twice",
        |(_, remedy)| *remedy,
    );
    let words = [command.get_program()].into_iter().chain(command.get_args());
    Error::Refused { command: words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "), stderr, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_queue_are_read_and_others_passed_over() {
        let waiting = queued("12|3|PENDING|digits-0a.2-generate|Resources").unwrap();
        assert_eq!((waiting.job, waiting.task, waiting.running), (12, 3, false));
        assert_eq!((waiting.name.as_str(), waiting.reason.as_str()), ("digits-0a.2-generate", "Resources"));
        assert!(queued("12|0|RUNNING|x|None").unwrap().running);
        assert_eq!(queued("CLUSTER: big"), None);
        assert_eq!(queued("13|N/A|RUNNING|other|None"), None);
    }

    #[test]
    fn a_refusal_names_command_words_and_remedy() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'sbatch: error: invalid partition specified: nope' >&2; exit 1"]);
        let output = run("sbatch", &mut command).unwrap();
        let message = refused(&command, &output).to_string();
        assert!(message.contains("nope") && message.contains("sinfo") && message.starts_with("sh -c"), "{message}");
    }

    #[test]
    fn a_missing_command_is_named_with_where_to_find_it() {
        let error = run("squeue", &mut Command::new("no-such-command-of-slurm")).unwrap_err().to_string();
        assert!(error.contains("squeue cannot be run") && error.contains("login nodes"), "{error}");
    }
}
