use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Error, Result};
use crate::stage::{StageId, Workload};

/// What is known about a finished stage: the content of its `stage.toml`.
///
/// This is the only place for what differs between two computations of the same stage, such as time and memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What the stage does.
    pub kind: String,
    /// The name it was first computed under.
    pub name: String,
    /// Version of the kind's code.
    pub code_version: u32,
    /// Version of the program that computed it.
    pub program_version: String,
    /// End of the computation, in seconds since 1970-01-01 UTC.
    pub finished_unix_seconds: u64,
    /// Duration of the computation in seconds.
    pub wall_seconds: f64,
    /// Threads it was granted.
    pub threads: usize,
    /// Most memory that the stage held at once, in bytes, files that it mapped into memory not counted; where the program keeps account
    /// of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_memory_bytes: Option<u64>,
    /// The stages it read.
    pub inputs: Vec<StageId>,
    /// Its full configuration; JSON inside the TOML, which has neither `null` nor integers beyond 63 bits.
    #[serde(with = "json")]
    pub configuration: Value,
    /// How much there was to do, where it was recorded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub workload: Option<Workload>,
    /// Its outputs, sorted by path.
    #[serde(default)]
    pub outputs: Vec<Output>,
}

/// A file that a stage left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Path in the stage's folder, with `/` between folders.
    pub path: String,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 digest of the content, 64 hexadecimal digits.
    pub blake3: String,
}

impl Record {
    pub(super) fn from_toml(text: &str, folder: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| Error::Damaged {
            path: folder.to_path_buf(),
            found: format!("stage.toml cannot be read: {}", error.to_string().trim_end()),
        })
    }

    pub(super) fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("strings, 63-bit integers and finite floats can be written as TOML")
    }

    /// The identity that follows from what is recorded: the stage's, unless the record was changed.
    pub fn id(&self) -> StageId {
        StageId::from_parts(&self.kind, self.code_version, &self.configuration, &self.inputs)
    }

    /// Total size of the outputs in bytes.
    pub fn bytes(&self) -> u64 {
        self.outputs.iter().map(|output| output.bytes).sum()
    }
}

mod json {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    pub fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:#}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_survives_its_file() {
        let record = Record {
            kind: "sample".to_owned(),
            name: "quotes \" ''' and\nlines".to_owned(),
            code_version: 4,
            program_version: "0.1.0".to_owned(),
            finished_unix_seconds: 1_700_000_000,
            wall_seconds: 0.1 + 0.2,
            threads: 3,
            workload: Some(Workload { method: "vae".to_owned(), size: 1e9, held: 7e6 }),
            peak_memory_bytes: None,
            inputs: vec![StageId::from_parts("prepare", 1, &Value::Null, &[])],
            configuration: json!({"seed": u64::MAX, "clip": null, "rate": 1e-300, "text": "'''\"\"\"\\\n"}),
            outputs: vec![Output { path: "a/b.npy".to_owned(), bytes: 0, blake3: "00".to_owned() }],
        };
        let read = Record::from_toml(&record.to_toml(), Path::new("here")).unwrap();
        assert_eq!(read, record);
        assert_eq!(read.id(), record.id());
    }

    #[test]
    fn an_unreadable_record_names_its_folder() {
        let error = Record::from_toml("kind = 3", Path::new("runs/abc")).unwrap_err();
        assert!(error.to_string().starts_with("runs/abc: stage.toml cannot be read"), "{error}");
    }
}
