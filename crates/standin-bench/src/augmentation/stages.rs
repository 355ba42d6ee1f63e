//! The stages of an augmentation study.

mod accept;
mod arm;
mod examine;
mod prepare;
mod scarce;
mod summarise;
mod translate;
mod trial;

pub use accept::Accept;
pub use arm::{Judge, Knowledge, Question, TrainArm};
pub use examine::Examine;
pub use prepare::Prepare;
pub use scarce::Scarce;
pub use summarise::{Branch, Repetition, Summarise, Trained};
pub use translate::Translate;
pub use trial::TryStrengths;

use super::configuration::MinorityGenerator;

/// The column that says of which side an image is, and its values.
pub const SIDE: &str = "side";
/// Images of the majority.
pub const MAJORITY: &str = "majority";
/// Images of the minority.
pub const MINORITY: &str = "minority";

/// A generator's settings with the study's sides as groups.
///
/// # Errors
/// If they name groups themselves.
pub fn generator_settings(generator: &MinorityGenerator) -> Result<toml::Table, String> {
    let mut settings = generator.settings.clone();
    let mut group = match settings.remove("group") {
        None => toml::Table::new(),
        Some(toml::Value::Table(group)) => group,
        Some(_) => return Err("generator.settings.group is no table".into()),
    };
    for (key, value) in [("column", SIDE.into()), ("names", toml::Value::Array(vec![MAJORITY.into(), MINORITY.into()]))]
    {
        if group.insert(key.into(), value).is_some() {
            return Err(format!("generator.settings has group.{key}"));
        }
    }
    settings.insert("group".into(), group.into());
    if generator.family == standin_generate::diffusion::DualEdm::NAME {
        let minority = toml::Value::Array(vec![MINORITY.into()]);
        if settings.insert("minority".into(), minority).is_some() {
            return Err("generator.settings has minority".into());
        }
    }
    Ok(settings)
}
