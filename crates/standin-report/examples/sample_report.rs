//! Writes the report of a made-up study into a folder, to look at: `cargo run --release -p standin-report --example sample_report -- out`.

use std::path::PathBuf;

use standin_report::Report;

#[path = "../tests/report/sample.rs"]
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out: PathBuf = std::env::args_os().nth(1).ok_or("usage: sample_report FOLDER")?.into();
    let study = tempfile::tempdir()?;
    sample::write(study.path(), &sample::summary());
    let report = Report::load(study.path())?.with_timings(sample::timings());
    for path in report.write(&out, true)? {
        println!("{}", path.display());
    }
    Ok(())
}
