//! Writes the reports of a made-up study and a made-up audit, and a comparison of two studies, into a folder, to look at:
//! `cargo build --release -p standin -p standin-report --example sample_report`, then `target/release/examples/sample_report out`.

use std::path::PathBuf;

use standin_report::{Comparison, Document, Report};

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
    let (before, mut after) = (sample::summary(), sample::summary());
    after.name = format!("{}, longer training", before.name);
    after.configuration = after.configuration.replacen("epochs = 60", "epochs = 120", 1);
    after.releases[0].utility[0] = sample::utility("cnn", 0.872, Some(0.885));
    after.releases[3].attacks[1] = sample::attack("longer", "lira", "classifier", 0.8, 1500);
    after.verdict.releases[3].resists_attacks = false;
    let comparison = Comparison::of(("reports/before", &before), ("reports/after", &after));
    for path in comparison.write(&out.join("comparison"), true)? {
        println!("{}", path.display());
    }
    Ok(())
}
