use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::parquet::IMAGE;
use super::shards::shard_stem;
use super::{CARD, ExportFormat, attribute_names, joint_provenance, own_columns};
use crate::import::LABEL;
use crate::{Error, ImageSet, Parts, Provenance, Result};

/// Identifiers the hub knows, by the beginning of the licences' usual names; longer ones first.
const LICENCES: [(&str, &str); 14] = [
    ("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"),
    ("CC BY-NC-ND 4.0", "cc-by-nc-nd-4.0"),
    ("CC BY-NC 4.0", "cc-by-nc-4.0"),
    ("CC BY-NC 3.0", "cc-by-nc-3.0"),
    ("CC BY-SA 4.0", "cc-by-sa-4.0"),
    ("CC BY-SA 3.0", "cc-by-sa-3.0"),
    ("CC BY-ND 4.0", "cc-by-nd-4.0"),
    ("CC BY 4.0", "cc-by-4.0"),
    ("CC BY 3.0", "cc-by-3.0"),
    ("CC0", "cc0-1.0"),
    ("Apache-2.0", "apache-2.0"),
    ("Apache 2.0", "apache-2.0"),
    ("BSD-3-Clause", "bsd-3-clause"),
    ("MIT", "mit"),
];

/// Classes and attributes above this number are counted, not listed.
const LISTED: usize = 50;

/// Writes `README.md`: a head in YAML as the Hugging Face hub reads it (licence, task, size, features, files of each
/// part), then what the set holds, how it was made, and its privacy guarantee.
pub(super) fn write(parts: &Parts, folder: &Path, format: ExportFormat) -> Result<()> {
    let path = folder.join(CARD);
    let text = card(parts, format).expect("writing to a string succeeds");
    fs::write(&path, text).map_err(Error::io("writing", &path))
}

fn card(parts: &Parts, format: ExportFormat) -> std::result::Result<String, std::fmt::Error> {
    let sets: Vec<(&str, &ImageSet)> = parts.iter().collect();
    let (_, first) = sets[0];
    let images: usize = sets.iter().map(|(_, set)| set.len()).sum();
    let made = &joint_provenance(parts);
    let synthetic = made.guarantee.is_some();
    let mut text = String::from("---\n");
    writeln!(text, "license: {}", licence(made.licence.as_deref()))?;
    let task = if first.labels().is_some() { "image-classification" } else { "unconditional-image-generation" };
    writeln!(text, "task_categories:\n- {task}")?;
    writeln!(text, "size_categories:\n- {}", size(images))?;
    if synthetic {
        writeln!(text, "tags:\n- synthetic")?;
    }
    if format == ExportFormat::Parquet {
        features(&mut text, &sets)?;
    }
    writeln!(text, "configs:\n- config_name: default\n  data_files:")?;
    for (part, _) in &sets {
        let split = if part.is_empty() { "train" } else { part };
        writeln!(text, "  - split: {}\n    path: {}", quoted(split), quoted(&files(part, format)))?;
    }
    writeln!(text, "---\n")?;

    writeln!(text, "# {}\n", if synthetic { "Synthetic images" } else { "Images" })?;
    let shape = first.shape();
    let kind = if shape.channels == 1 { "grey" } else { "colour" };
    writeln!(
        text,
        "{images} {kind} images of {} × {} pixels (height × width), 8 bits per value.\n",
        shape.height, shape.width
    )?;
    contents(&mut text, &sets)?;
    writeln!(text, "## How it was made\n")?;
    origin(&mut text, made)?;
    writeln!(text, "\n## Privacy\n")?;
    match &made.guarantee {
        Some(guarantee) => writeln!(text, "{}", sentence(guarantee))?,
        None => writeln!(
            text,
            "Nothing is known to this card about where these images may be used or shown, and no guarantee comes with \
             them."
        )?,
    }
    Ok(text)
}

/// The files of a part, as a pattern below the card.
fn files(part: &str, format: ExportFormat) -> String {
    match (format, part) {
        (ExportFormat::Parquet, part) => format!("data/{}-*", shard_stem(part)),
        (ExportFormat::WebDataset, part) => format!("{}-*.tar", shard_stem(part)),
        (_, "") => "**".to_owned(),
        (_, part) => format!("{part}/**"),
    }
}

fn features(text: &mut String, sets: &[(&str, &ImageSet)]) -> std::fmt::Result {
    let (_, first) = sets[0];
    writeln!(text, "dataset_info:\n  features:\n  - name: {IMAGE}\n    dtype: image")?;
    if let Some(labels) = first.labels() {
        writeln!(text, "  - name: {LABEL}\n    dtype:\n      class_label:\n        names:")?;
        for (index, class) in labels.classes.iter().enumerate() {
            writeln!(text, "          '{index}': {}", quoted(class))?;
        }
    }
    for (name, _) in attribute_names(first, &own_columns(first, IMAGE)) {
        writeln!(text, "  - name: {}\n    dtype: string", quoted(&name))?;
    }
    writeln!(text, "  splits:")?;
    for (part, set) in sets {
        let split = if part.is_empty() { "train" } else { part };
        writeln!(text, "  - name: {}\n    num_examples: {}", quoted(split), set.len())?;
    }
    Ok(())
}

fn contents(text: &mut String, sets: &[(&str, &ImageSet)]) -> std::fmt::Result {
    if let [(part, _), ..] = sets
        && !part.is_empty()
    {
        writeln!(text, "| part | images |\n|---|---:|")?;
        for (part, set) in sets {
            writeln!(text, "| {} | {} |", cell(part), set.len())?;
        }
        writeln!(text)?;
    }
    let (_, first) = sets[0];
    if let Some(labels) = first.labels() {
        if labels.classes.len() > LISTED {
            writeln!(text, "{} classes.\n", labels.classes.len())?;
        } else {
            let header: Vec<String> =
                sets.iter().map(|(part, _)| cell(if part.is_empty() { "images" } else { part })).collect();
            writeln!(text, "| class | {} |\n|---|{}", header.join(" | "), "---:|".repeat(sets.len()))?;
            let counts: Vec<Vec<usize>> =
                sets.iter().map(|(_, set)| set.labels().map(|labels| labels.counts()).unwrap_or_default()).collect();
            for (index, class) in labels.classes.iter().enumerate() {
                let row: Vec<String> =
                    counts.iter().map(|counts| counts.get(index).map_or_else(String::new, usize::to_string)).collect();
                writeln!(text, "| {} | {} |", cell(class), row.join(" | "))?;
            }
            writeln!(text)?;
        }
    }
    let columns: Vec<String> = first.columns().iter().map(|column| format!("`{}`", column.name)).collect();
    if !columns.is_empty() {
        writeln!(text, "Attributes: {}.\n", columns.join(", "))?;
    }
    Ok(())
}

fn origin(text: &mut String, made: &Provenance) -> std::fmt::Result {
    match made.source.as_str() {
        "" => writeln!(text, "- source: not recorded")?,
        source => writeln!(text, "- source: {source}")?,
    }
    if !made.format.is_empty() {
        writeln!(text, "- read as: {}", made.format)?;
    }
    writeln!(
        text,
        "- licence: {}",
        made.licence.as_deref().unwrap_or("not recorded; find out before you share the set")
    )?;
    if !made.skipped.is_empty() {
        writeln!(text, "- left out: {} files or records, for example {}", made.skipped.len(), made.skipped[0].item)?;
    }
    Ok(())
}

/// The hub's identifier of a licence, by its usual name at the beginning of the text.
fn licence(text: Option<&str>) -> &'static str {
    let Some(text) = text else { return "unknown" };
    let known =
        |(name, _): &&(&str, &str)| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    LICENCES.iter().find(known).map_or("other", |(_, identifier)| identifier)
}

/// The hub's class of size.
fn size(images: usize) -> &'static str {
    match images {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    }
}

/// Text as a YAML scalar: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Text in a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    #[test]
    fn the_card_says_what_the_hub_asks_for() {
        let text = card(&Parts::undivided(digits()), ExportFormat::Parquet).unwrap();
        for line in [
            "---",
            "license: cc-by-4.0",
            "- image-classification",
            "- 1K<n<10K",
            "    path: \"data/images-*\"",
            "          '9': \"9\"",
            "    num_examples: 1797",
            "1797 grey images of 8 × 8 pixels (height × width), 8 bits per value.",
            "| 3 | 183 |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
        assert_eq!(text.lines().filter(|line| *line == "---").count(), 2);
    }

    #[test]
    fn a_guarantee_is_told_and_names_are_quoted() {
        let labels = crate::Labels { values: vec![0, 1, 0], classes: vec!["a: \"b\"".into(), "c|d".into()] };
        let provenance = Provenance {
            guarantee: Some("(ε, δ) = (8, 1e-5), per image".into()),
            licence: Some("house rules".into()),
            ..Provenance::default()
        };
        let set = digits().select(&[0, 1, 2]).with_labels(labels).unwrap().with_provenance(provenance);
        let text = card(&Parts::undivided(set), ExportFormat::Parquet).unwrap();
        assert!(text.contains("license: other") && text.contains("- synthetic"), "{text}");
        assert!(text.contains(r#"'0': "a: \"b\"""#) && text.contains(r"| c\|d | 1 |"), "{text}");
        assert!(text.contains("(ε, δ) = (8, 1e-5), per image.") && text.contains("- licence: house rules"), "{text}");
    }

    #[test]
    fn licences_are_told_by_their_usual_names() {
        assert_eq!(licence(Some("CC BY-NC 4.0: somebody")), "cc-by-nc-4.0");
        assert_eq!(licence(Some("cc by 4.0")), "cc-by-4.0");
        assert_eq!((licence(Some("ask me")), licence(None)), ("other", "unknown"));
    }

    #[test]
    fn every_class_of_size_begins_where_the_last_ends() {
        assert_eq!([999, 1_000, 99_999, 100_000].map(size), ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M"]);
    }
}
