//! Can synthetic images stand in for the real ones? One command line for the whole pipeline.

mod commands;
mod failure;
mod output;
mod stages;
mod terminal;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use commands::{Command, Context};
use failure::Failure;
use output::Output;
use standin_bench::executor::Counting;
use standin_nn::DeviceChoice;
use terminal::{Color, Terminal};

/// Training makes and drops tensors of megabytes all the time; the system's allocator gives each back to the system. What each
/// stage of a study holds is put down.
#[global_allocator]
static ALLOCATOR: Counting<mimalloc::MiMalloc> = Counting(mimalloc::MiMalloc);

/// Can synthetic images stand in for your real ones?
///
/// standin trains generators on private images, with or without differential privacy, samples from them, trains
/// classifiers, attacks every stage, measures fidelity, variety, copying and utility with uncertainty, and says which
/// release is the better one.
#[derive(Debug, Parser)]
#[command(name = "standin", version, arg_required_else_help = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    global: Global,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// Print one JSON document instead of tables
    #[arg(long, global = true)]
    json: bool,

    /// No progress; warnings and errors remain
    #[arg(long, short, global = true)]
    quiet: bool,

    /// When to colour; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    color: Color,

    /// Number of threads [default: all cores]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,

    /// Where to train and sample: cpu; in a build for graphics cards also gpu or gpu:INDEX
    #[arg(long, global = true, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceChoice,

    /// Where downloaded files are kept [default: standin in the user's cache folder]
    #[arg(long, global = true, value_name = "DIR", env = "STANDIN_CACHE")]
    cache: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  standin bench                              the built-in study on built-in data
  standin bench examples/fashion-mnist.toml  a study of your own
  standin data import scans/ --out scans.set read a folder, with everything odd about it said
  standin list attacks                       what there is

Exit status: 0 done, 1 a gate failed, 2 the input or the usage is wrong, 3 an internal failure.";

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.global.quiet, cli.global.color);
    let output = Output::new(cli.global.json);
    let threads = cli.global.threads.map_or_else(available_threads, usize::from);
    let cache = cli.global.cache.unwrap_or_else(default_cache);
    let context = Context { terminal: &terminal, output, threads, cache: &cache };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|error| Failure::Internal(Box::new(error)))?;
        cli.global.device.choose().map_err(|error| Failure::Internal(Box::new(error)))?;
        cli.command.run(&context)
    }))
    .unwrap_or(Err(Failure::Panic));
    match outcome {
        Ok(status) => status.into(),
        Err(failure) => {
            terminal.error(&failure);
            failure.exit_code()
        }
    }
}

fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The user's cache folder, as the XDG base directory specification finds it; the system's temporary folder where there
/// is no home.
fn default_cache() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| folder("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    base.join("standin")
}
