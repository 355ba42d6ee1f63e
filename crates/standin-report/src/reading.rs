//! Summaries as files: read and checked.

use std::path::Path;

use standin_bench::summary::{AttackRow, SCHEMA, Summary};

use crate::{Error, Result};

/// Reads and checks the summary in a file.
pub(crate) fn summary(path: &Path) -> Result<Summary> {
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::invalid(
            path,
            "there is no such file",
            "give the folder of a finished study, which has a summary.json in it",
        ),
        _ => Error::io("reading", path)(source),
    })?;
    let summary = parse(path, &bytes)?;
    check(path, &summary)?;
    Ok(summary)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Summary> {
    let again = "copy the study's folder again, or run the study again";
    let document: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid(path, format!("this is not a JSON document ({error})"), again))?;
    match document.get("schema").and_then(serde_json::Value::as_str) {
        Some(SCHEMA) => {}
        Some(other) => {
            return Err(Error::invalid(
                path,
                format!("its schema is \"{other}\", and this program reads \"{SCHEMA}\""),
                "use the version of the program that ran the study, or run the study again with this one",
            ));
        }
        None => {
            return Err(Error::invalid(
                path,
                format!("it names no schema, so no study has written it; expected \"{SCHEMA}\""),
                "give the folder of a finished study",
            ));
        }
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Error::invalid(path, format!("it does not follow {SCHEMA} ({error})"), again))
}

/// Checks what the schema says in words and its types do not.
fn check(path: &Path, summary: &Summary) -> Result<()> {
    let damaged = |found: String| Error::invalid(path, found, "copy the study's folder again, or run the study again");
    let names: Vec<_> = summary.releases.iter().map(|release| &release.name).collect();
    let judged: Vec<_> = summary.verdict.releases.iter().map(|verdict| &verdict.name).collect();
    if names != judged {
        return Err(damaged(format!("its verdict is on {judged:?}, but its releases are {names:?}")));
    }
    for release in &summary.releases {
        for utility in &release.utility {
            let of = format!("the utility of {} with {}", release.name, utility.classifier);
            let (found, expected) = (utility.per_class.len(), summary.data.classes.len());
            if found != expected {
                return Err(damaged(format!("{of} has {found} class accuracies for {expected} classes")));
            }
            let (found, expected) = (utility.per_seed.len(), summary.seeds.len());
            if found != expected {
                return Err(damaged(format!("{of} has {found} accuracies for {expected} seeds")));
            }
        }
        if let Some(scores) = &release.scores {
            let (synthetic, holdout) = (scores.synthetic_quantiles.len(), scores.holdout_quantiles.len());
            if holdout > 0 && holdout != synthetic {
                return Err(damaged(format!(
                    "the scores of {} have {synthetic} quantiles of synthetic and {holdout} of holdout images",
                    release.name
                )));
            }
        }
        if let Some(attack) = release.attacks.iter().find(|attack| !is_roc(attack)) {
            return Err(damaged(format!(
                "the ROC curve of {} on {} does not rise from (0, 0) to (1, 1)",
                attack.attack, release.name
            )));
        }
    }
    for ranking in &summary.rankings {
        if let Some(place) = ranking.places.iter().find(|place| !names.contains(&&place.release)) {
            return Err(damaged(format!(
                "its ranking by {} has a place for \"{}\", which is not among its releases",
                ranking.measure, place.release
            )));
        }
    }
    if let Some(found) = &summary.correlations {
        let named = found.names.len();
        let square = found.matrix.len() == named && found.matrix.iter().all(|row| row.len() == named);
        if named == 0 || !square || found.with_utility.len() != named {
            return Err(damaged(format!("its correlations of {named} names are not one for each pair of names")));
        }
    }
    Ok(())
}

fn is_roc(attack: &AttackRow) -> bool {
    let roc = &attack.roc;
    roc.first() == Some(&(0.0, 0.0))
        && roc.last() == Some(&(1.0, 1.0))
        && roc.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1)
}
