//! Runs the program.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The program with these arguments, in this folder.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_standin"));
    command.current_dir(folder).args(arguments);
    command
}

/// What it ends with.
pub fn standin(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// The document of a command that must end well.
pub fn document(folder: &Path, arguments: &[&str]) -> Value {
    parsed(&standin(folder, &[arguments, &["--json", "--quiet"]].concat()))
}

/// The document that a command printed, which must have ended well.
pub fn parsed(output: &Output) -> Value {
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The message of a command that must end with exit status 2 and print no result.
pub fn refusal(folder: &Path, arguments: &[&str]) -> String {
    let output = standin(folder, arguments);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    message
}

/// What was printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
