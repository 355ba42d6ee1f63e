//! What ends a command early, and the exit status it ends with.

use std::error::Error;
use std::process::ExitCode;

/// Why a command did not finish.
#[derive(Debug)]
pub enum Failure {
    /// The input or the usage is wrong: exit status 2.
    Input(Box<dyn Error + Send + Sync>),
    /// The program or the machine failed: exit status 3.
    Internal(Box<dyn Error + Send + Sync>),
    /// What there was to do was not begun, because it waits for something else: exit status 4.
    NotBegun(Box<dyn Error + Send + Sync>),
    /// A defect of the program, already printed by the panic hook: exit status 3.
    Panic,
}

impl Failure {
    /// The status the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Input(_) => ExitCode::from(2),
            Self::Internal(_) | Self::Panic => ExitCode::from(3),
            Self::NotBegun(_) => ExitCode::from(4),
        }
    }

    /// The message and its causes, outermost first, each said once.
    pub fn lines(&self) -> Vec<String> {
        let (Self::Input(error) | Self::Internal(error) | Self::NotBegun(error)) = self else {
            return vec!["an internal error, described above; please report it with the command that led to it".into()];
        };
        let mut lines = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            let line = error.to_string();
            if !lines.iter().any(|said| said.contains(&line)) {
                lines.push(line);
            }
            cause = error.source();
        }
        lines
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Input(Box::new(error))
    }
}

/// How a command that ran to its end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All done: exit status 0.
    Done,
    /// All done, and something that must hold does not: exit status 1.
    GateFailed,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Done => Self::SUCCESS,
            Status::GateFailed => Self::FAILURE,
        }
    }
}
