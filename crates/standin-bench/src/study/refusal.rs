//! How a study is refused: what was found, and what to do about it.

use std::collections::BTreeSet;
use std::path::Path;

use super::configuration::StudyError;

/// What was found in a study, and what to do about it.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) found: String,
    pub(crate) remedy: String,
}

pub(crate) fn refusal(found: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Refusal { found: found.into(), remedy: remedy.into() }
}

/// Refuses with these words unless `holds`.
pub(crate) fn require(holds: bool, found: impl FnOnce() -> String, remedy: &str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal(found(), remedy)) }
}

/// Checks that no name occurs twice.
pub(crate) fn distinct<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    for name in names {
        require(seen.insert(name), || format!("two {what} are named \"{name}\""), "give each a name of its own")?;
    }
    Ok(())
}

/// Checks a name against the known ones, and says the nearest.
pub(crate) fn known<'a>(what: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Result<(), Refusal> {
    if names.clone().any(|known| known == name) {
        return Ok(());
    }
    let list = names.clone().collect::<Vec<_>>().join(", ");
    let remedy = nearest(name, names).map_or_else(
        || format!("known are: {list}"),
        |nearest| format!("did you mean \"{nearest}\"? Known are: {list}"),
    );
    Err(refusal(format!("there is no {what} \"{name}\""), remedy))
}

/// The known name most like `name`, if any is like it at all.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

/// A TOML error with its line, and the nearest known key beside an unknown one.
pub(crate) fn explain(error: &toml::de::Error, text: &str, origin: &Path) -> StudyError {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    let message = error.message();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (found, remedy) = match quoted.split_first() {
        Some((key, expected)) if message.starts_with("unknown field") => {
            let list = expected.join(", ");
            let remedy = nearest(key, expected.iter().copied()).map_or_else(
                || format!("known here are: {list}"),
                |nearest| format!("did you mean \"{nearest}\"? Known here are: {list}"),
            );
            (format!("unknown key \"{key}\""), remedy)
        }
        _ => (message.to_owned(), "see docs/studies.md for every key and its default".to_owned()),
    };
    StudyError { origin: origin.to_path_buf(), found: format!("{place}{found}"), remedy }
}
