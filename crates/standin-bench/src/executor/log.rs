//! What a stage said before it failed.

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use standin_data::Progress;

use super::Failure;
use crate::graph::Node;

/// Lines that are kept: the last ones say why.
const LINES: usize = 1000;

/// Keeps what a stage says of its work, and hands it on.
pub(super) struct Log<'a> {
    reported: Box<dyn Progress + 'a>,
    began: Instant,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    kept: std::collections::VecDeque<String>,
    dropped: usize,
}

impl<'a> Log<'a> {
    pub fn new(reported: Box<dyn Progress + 'a>) -> Self {
        Self { reported, began: Instant::now(), lines: Mutex::default() }
    }

    fn line(&self, text: &str) {
        let line = format!("{:>9.2} s  {text}", self.began.elapsed().as_secs_f64());
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.kept.len() == LINES {
            lines.kept.pop_front();
            lines.dropped += 1;
        }
        lines.kept.push_back(line);
    }

    /// Writes all of it, and how it ended, to a file. Where that cannot be written nothing is lost but the details: the failure itself is
    /// reported all the same.
    pub fn write(&self, path: &Path, node: &Node, threads: usize, failure: &Failure) {
        let stage = node.stage();
        let mut text = format!(
            "stage          {}\nkind           {}\nname           {}\nprogram        {}\nthreads        {threads}\n",
            node.id(),
            stage.kind(),
            stage.name(),
            env!("CARGO_PKG_VERSION"),
        );
        for input in stage.inputs() {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "input          {input}");
        }
        let _ = writeln!(text, "configuration  {:#}\n", stage.configuration());
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.dropped > 0 {
            let _ = writeln!(text, "({} lines left out)", lines.dropped);
        }
        for line in &lines.kept {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "{:>9.2} s  failed: {failure}", self.began.elapsed().as_secs_f64());
        let mut cause = match failure {
            Failure::Stage(error) => error.source(),
            failure => failure.source(),
        };
        while let Some(error) = cause {
            let _ = writeln!(text, "             because: {error}");
            cause = error.source();
        }
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(path, text));
        if let Err(error) = written {
            self.reported.warn(&format!("{}: the log cannot be written ({error})", path.display()));
        }
    }
}

impl Progress for Log<'_> {
    fn begin(&self, task: &str, total: u64) {
        self.line(&format!("{task}: {total} steps"));
        self.reported.begin(task, total);
    }

    fn advance(&self, steps: u64) {
        self.reported.advance(steps);
    }

    fn status(&self, text: &str) {
        self.line(text);
        self.reported.status(text);
    }

    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
        self.reported.warn(text);
    }

    fn end(&self) {
        self.reported.end();
    }
}
