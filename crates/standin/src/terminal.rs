//! Progress, warnings and errors on standard error.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use standin_data::Progress;

use crate::failure::Failure;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Work shorter than this leaves no trace on a terminal or in a log.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two plain progress lines of one task.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Standard error: bars on a terminal, plain lines otherwise.
#[derive(Debug)]
pub struct Terminal {
    bars: MultiProgress,
    mode: Mode,
    color: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Quiet,
    Plain,
    Bars,
}

impl Terminal {
    /// Quiet, or else bars where standard error is a terminal.
    pub fn new(quiet: bool, color: Color) -> Self {
        let interactive = stderr().is_terminal();
        let mode = match (quiet, interactive) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Bars,
            (false, false) => Mode::Plain,
        };
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => interactive && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let target = if mode == Mode::Bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), mode, color }
    }

    /// Reports why the command ends.
    pub fn error(&self, failure: &Failure) {
        let lines = failure.lines();
        for (index, line) in lines.iter().enumerate() {
            match index {
                0 => self.line(&format!("{} {line}", self.paint("error:", "1;31"))),
                _ => self.line(&format!("  because {line}")),
            }
        }
    }

    /// Something the user should know; shown even when quiet.
    pub fn warn(&self, text: &str) {
        self.line(&format!("{} {text}", self.paint("warning:", "1;33")));
    }

    /// Something worth a line, unless quiet.
    pub fn note(&self, text: &str) {
        if self.mode != Mode::Quiet {
            self.line(text);
        }
    }

    /// Progress of one piece of work, named in front of its tasks.
    pub fn progress(&self, name: &str) -> TaskProgress<'_> {
        TaskProgress { terminal: self, name: name.to_owned(), tasks: Mutex::default() }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            // Nothing is left to do where even standard error is closed.
            let _ = writeln!(stderr(), "{text}");
        });
    }
}

/// Progress of one piece of work, which may consist of nested tasks.
#[derive(Debug)]
pub struct TaskProgress<'a> {
    terminal: &'a Terminal,
    name: String,
    tasks: Mutex<Vec<Task>>,
}

#[derive(Debug)]
struct Task {
    label: String,
    status: String,
    bar: Option<ProgressBar>,
    done: u64,
    total: u64,
    began: Instant,
    printed: Option<Instant>,
}

impl Task {
    /// Steps done, rate and time left, as the plain line says them.
    fn describe(&self) -> String {
        let elapsed = self.began.elapsed().as_secs_f64();
        let rate = self.done as f64 / elapsed.max(1e-9);
        let left = Duration::from_secs_f64((self.total.saturating_sub(self.done)) as f64 / rate.max(1e-9));
        let status = if self.status.is_empty() { String::new() } else { format!(", {}", self.status) };
        format!("{}: {}/{}, {rate:.1}/s, {} left{status}", self.label, self.done, self.total, HumanDuration(left))
    }
}

impl TaskProgress<'_> {
    fn with_task(&self, act: impl FnOnce(&mut Task)) {
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(task) = tasks.last_mut() {
            act(task);
        }
    }
}

impl Progress for TaskProgress<'_> {
    fn begin(&self, task: &str, total: u64) {
        let label = if self.name.is_empty() { task.to_owned() } else { format!("{} · {task}", self.name) };
        let task =
            Task { label, status: String::new(), bar: None, done: 0, total, began: Instant::now(), printed: None };
        self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(task);
    }

    fn advance(&self, steps: u64) {
        self.with_task(|task| {
            task.done += steps;
            match self.terminal.mode {
                Mode::Quiet => {}
                Mode::Bars => {
                    if task.bar.is_none() && task.began.elapsed() > PATIENCE / 4 {
                        let style = ProgressStyle::with_template(
                            "{prefix:<36} {bar:24.cyan} {pos:>7}/{len:<7} {per_sec:>12} {eta:>5} left  {msg}",
                        )
                        .expect("the template is fixed and well-formed");
                        let bar = self.terminal.bars.add(ProgressBar::new(task.total).with_style(style));
                        bar.set_prefix(task.label.clone());
                        bar.set_message(task.status.clone());
                        task.bar = Some(bar);
                    }
                    if let Some(bar) = &task.bar {
                        bar.set_position(task.done);
                    }
                }
                Mode::Plain => {
                    let due = task.printed.map_or(PATIENCE, |_| PLAIN_INTERVAL);
                    if task.printed.unwrap_or(task.began).elapsed() >= due {
                        task.printed = Some(Instant::now());
                        self.terminal.line(&task.describe());
                    }
                }
            }
        });
    }

    fn status(&self, text: &str) {
        self.with_task(|task| {
            text.clone_into(&mut task.status);
            if let Some(bar) = &task.bar {
                bar.set_message(task.status.clone());
            }
        });
    }

    fn warn(&self, text: &str) {
        let text = if self.name.is_empty() { text.to_owned() } else { format!("{}: {text}", self.name) };
        self.terminal.warn(&text);
    }

    fn end(&self) {
        let task = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
        if let Some(bar) = task.and_then(|task| task.bar) {
            bar.finish_and_clear();
            self.terminal.bars.remove(&bar);
        }
    }
}
