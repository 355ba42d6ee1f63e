//! What `standin bench` does where things go wrong around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::program::{command, standin, text};

/// A study of a second or two.
const STUDY: &str = r#"
name = "small"
seeds = [1]
generator = [{ family = "dp-merf", epsilon = 2.0, settings = { steps = 100, frequencies = 100 } }]
classifier = ["logistic"]

[data]
source = "digits"
train = 200
holdout = 200
test = 200

[privacy]
noise = "reproducible"
"#;

/// A folder with the study, and a store in which it is finished.
fn finished() -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("study.toml"), STUDY).unwrap();
    let output = standin(folder.path(), &["bench", "study.toml", "--json", "--out", "report"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    (folder, output)
}

/// A large output of a finished stage of this kind.
fn an_output(runs: &Path, kind: &str) -> PathBuf {
    let stages = fs::read_dir(runs).unwrap().map(|entry| entry.unwrap().path());
    let of_kind = |folder: &PathBuf| {
        fs::read_to_string(folder.join("stage.toml")).is_ok_and(|record| record.contains(&format!("kind = \"{kind}\"")))
    };
    let folder = stages.into_iter().find(of_kind).unwrap();
    let files = walk(&folder).into_iter().filter(|path| !path.ends_with("stage.toml"));
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn two_at_once_share_the_work_and_find_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let run = |out: &str| {
        let arguments = ["bench", "study.toml", "--json", "--runs", "runs", "--out", out];
        command(folder, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [run("a"), run("b")].map(|child| child.wait_with_output().unwrap());
    for output in &both {
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    assert_eq!(text(&both[0].stdout), text(&both[1].stdout));
    let verified = standin(folder, &["runs", "verify"]);
    assert!(verified.status.success(), "{}", text(&verified.stdout));
}

#[test]
fn a_store_may_be_moved() {
    let (folder, before) = finished();
    let folder = folder.path();
    fs::create_dir(folder.join("elsewhere")).unwrap();
    fs::rename(folder.join("runs"), folder.join("elsewhere/kept")).unwrap();
    let again = standin(folder, &["bench", "study.toml", "--json", "--runs", "elsewhere/kept", "--out", "report"]);
    assert!(text(&again.stderr).contains("nothing to do"), "{}", text(&again.stderr));
    assert_eq!(text(&again.stdout), text(&before.stdout));
}

#[test]
fn a_changed_result_is_found_removed_and_computed_anew() {
    let (folder, before) = finished();
    let folder = folder.path();
    let file = an_output(&folder.join("runs"), "sample");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let verified = standin(folder, &["runs", "verify"]);
    let said = text(&verified.stdout);
    assert!(verified.status.code() == Some(1) && said.contains("content has changed"), "{said}");
    assert!(said.contains("prune --damaged"), "{said}");
    let pruned = standin(folder, &["runs", "prune", "--damaged"]);
    assert!(text(&pruned.stdout).starts_with("1 stages"), "{}", text(&pruned.stdout));
    let again = standin(folder, &["bench", "study.toml", "--json", "--out", "report"]);
    assert_eq!(text(&again.stdout), text(&before.stdout));
    assert!(standin(folder, &["runs", "verify"]).status.success());
}

#[test]
fn a_result_that_lost_a_file_is_named_with_its_remedy() {
    let (folder, _) = finished();
    let folder = folder.path();
    fs::remove_file(an_output(&folder.join("runs"), "summarise")).unwrap();
    let failed = standin(folder, &["bench", "study.toml", "--out", "report"]);
    let said = text(&failed.stderr);
    assert!(failed.status.code() == Some(3) && said.contains("is missing; delete this folder"), "{said}");
}

#[test]
fn results_of_older_code_are_said_to_be_there_and_not_used() {
    let (folder, before) = finished();
    let folder = folder.path();
    // As an older program would have left it: another version of the code, and so another identity.
    let runs = folder.join("runs");
    let measured = an_output(&runs, "measure").parent().unwrap().to_path_buf();
    let record = fs::read_to_string(measured.join("stage.toml")).unwrap();
    let line = record.lines().find(|line| line.starts_with("code_version")).unwrap();
    fs::write(measured.join("stage.toml"), record.replace(line, "code_version = 1")).unwrap();
    fs::rename(&measured, runs.join("0".repeat(64))).unwrap();
    let again = standin(folder, &["bench", "study.toml", "--json", "--out", "report"]);
    let said = text(&again.stderr);
    assert!(again.status.success() && said.contains("1 stages in runs were computed by older code"), "{said}");
    assert!(said.contains("1 stages computed"), "{said}");
    assert_eq!(text(&again.stdout), text(&before.stdout));
}

#[test]
fn a_stage_that_fails_leaves_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nothing can be asked of a program that ends at once.
    let broken = r#"{ family = "private-evolution", epsilon = 2.0, settings = { encoder = "pixels", api = { command = ["false"] } } }, "#;
    fs::write(folder.join("study.toml"), STUDY.replace("generator = [", &format!("generator = [{broken}"))).unwrap();
    let failed = standin(folder, &["bench", "study.toml"]);
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(3), "{said}");
    let log = said.lines().find_map(|line| line.trim().strip_prefix("log: ")).unwrap();
    let log = fs::read_to_string(folder.join(log)).unwrap();
    assert!(log.contains("configuration") && log.contains("failed: "), "{log}");
    // What does not depend on it is finished.
    let finished = text(&standin(folder, &["runs", "list"]).stdout);
    assert!(finished.contains("dp-merf-2") && finished.contains("classify"), "{finished}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_loses_nothing() {
    struct Mounted<'a>(&'a Path);
    impl Drop for Mounted<'_> {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0).status();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("study.toml"), STUDY).unwrap();
    let disk = folder.join("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&disk)
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    if !mount("size=256k") {
        eprintln!("skipped: a small file system to fill cannot be mounted here (that takes root)");
        return;
    }
    let _mounted = Mounted(&disk);
    let arguments = ["bench", "study.toml", "--json", "--runs", "disk/runs", "--out", "report"];
    let failed = standin(folder, &arguments);
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(3), "{said}");
    assert!(said.contains("free space and run again") || said.contains("No space left"), "{said}");
    assert!(standin(folder, &["runs", "verify", "--runs", "disk/runs"]).status.success());
    assert!(mount("remount,size=64m"));
    let again = standin(folder, &arguments);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let (_undisturbed, whole) = finished();
    assert_eq!(text(&again.stdout), text(&whole.stdout));
}
