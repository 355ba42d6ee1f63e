//! Writes the reports of a made-up study and a made-up audit into a folder, to look at:
//! `cargo run --release -p standin-report -p standin --example sample_report -- out`.

use std::path::PathBuf;

use standin_report::Report;

#[path = "../tests/report/audit.rs"]
mod audit;
#[path = "../tests/report/sample.rs"]
mod sample;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out: PathBuf = std::env::args_os().nth(1).ok_or("usage: sample_report FOLDER")?.into();
    for (name, summary) in [("study", sample::summary()), ("audit", audit::summary())] {
        let finished = tempfile::tempdir()?;
        sample::write(finished.path(), &summary);
        let report = Report::load(finished.path())?.with_timings(sample::timings());
        for path in report.write(&out.join(name), true)? {
            println!("{}", path.display());
        }
    }
    Ok(())
}
