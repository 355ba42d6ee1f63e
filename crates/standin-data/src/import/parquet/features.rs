use std::collections::HashMap;
use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde_json::Value;

use crate::{Error, Result};

/// The key under which the Hugging Face `datasets` library describes the columns of a table, as JSON:
/// `{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}`.
pub(crate) const KEY: &str = "huggingface";

/// What a column is, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    Image,
    /// Indices into these names.
    Classes(Vec<String>),
    Other,
}

pub(super) type Features = HashMap<String, Feature>;

/// The columns that the schema's metadata describe; none where there is no description.
pub(super) fn read(metadata: Option<&Vec<KeyValue>>, file: &Path) -> Result<Features> {
    let text = metadata.into_iter().flatten().find(|entry| entry.key == KEY).and_then(|entry| entry.value.as_deref());
    let Some(text) = text else { return Ok(Features::new()) };
    let value: Value = serde_json::from_str(text).map_err(|error| {
        Error::invalid(
            file,
            format!("the schema's metadata \"{KEY}\" is no JSON: {error}"),
            "the file is damaged: get it again",
        )
    })?;
    let features = value.pointer("/info/features").and_then(Value::as_object);
    Ok(features.into_iter().flatten().map(|(name, description)| (name.clone(), feature(description))).collect())
}

fn feature(description: &Value) -> Feature {
    let kind = description.get("_type").and_then(Value::as_str);
    match (kind, description.get("names").and_then(Value::as_array)) {
        (Some("Image"), _) => Feature::Image,
        (Some("ClassLabel"), Some(names)) => {
            let text = |name: &Value| name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            Feature::Classes(names.iter().map(text).collect())
        }
        _ => Feature::Other,
    }
}
