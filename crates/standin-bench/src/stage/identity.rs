use std::fmt::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Stage;

/// The identity of a stage: a BLAKE3 digest of its kind, code version, configuration and inputs' identities.
///
/// Because an input's identity covers that input's inputs, equal identities mean equal histories. Written and read as
/// 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StageId([u8; blake3::OUT_LEN]);

impl StageId {
    /// The identity of a stage.
    pub fn of(stage: &dyn Stage) -> Self {
        Self::from_parts(stage.kind(), stage.code_version(), &stage.configuration(), &stage.inputs())
    }

    /// The identity of what has these parts, such as those recorded with a finished stage.
    pub fn from_parts(kind: &str, code_version: u32, configuration: &Value, inputs: &[Self]) -> Self {
        let mut configuration_text = String::new();
        write_canonical(configuration, &mut configuration_text);

        let mut hasher = blake3::Hasher::new_derive_key("standin stage 1");
        for text in [kind, &configuration_text] {
            // The length keeps "ab" + "c" and "a" + "bc" apart.
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.update(&code_version.to_le_bytes());
        for input in inputs {
            hasher.update(&input.0);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first 12 digits, enough for people to tell the stages of a store apart.
    pub fn short(&self) -> String {
        let mut digits = self.to_string();
        digits.truncate(12);
        digits
    }
}

/// Writes JSON without white space and with sorted keys, one text for each value.
fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            // `serde_json` sorts keys itself unless some crate of the build asks it for insertion order.
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            text.push('{');
            for (position, (key, entry)) in entries.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(entry, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

impl fmt::Display for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StageId(")?;
        fmt::Display::fmt(self, f)?;
        f.write_char(')')
    }
}

impl From<StageId> for String {
    fn from(id: StageId) -> Self {
        id.to_string()
    }
}

/// A text that is no stage's digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no stage: expected its digest, 64 lower-case hexadecimal digits")]
pub struct InvalidStageId(String);

impl FromStr for StageId {
    type Err = InvalidStageId;

    fn from_str(text: &str) -> Result<Self, InvalidStageId> {
        // One digest has one spelling, because the spelling is also a folder's name.
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match blake3::Hash::from_hex(text) {
            Ok(hash) if lower => Ok(Self(*hash.as_bytes())),
            _ => Err(InvalidStageId(text.to_owned())),
        }
    }
}

impl TryFrom<String> for StageId {
    type Error = InvalidStageId;

    fn try_from(text: String) -> Result<Self, InvalidStageId> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(kind: &str, code_version: u32, configuration: Value, inputs: &[StageId]) -> StageId {
        StageId::from_parts(kind, code_version, &configuration, inputs)
    }

    #[test]
    fn every_part_changes_the_identity() {
        let a = id("sample", 1, json!({"seed": 0}), &[]);
        let b = id("sample", 1, json!({"seed": 1}), &[]);
        let variants = [
            a,
            b,
            id("train", 1, json!({"seed": 0}), &[]),
            id("sample", 2, json!({"seed": 0}), &[]),
            id("sample", 1, json!({"seed": 0.0}), &[]),
            id("sample", 1, json!({"seed": "0"}), &[]),
            id("sample", 1, json!({"seed": null}), &[]),
            id("sample", 1, json!({"seed": 0, "steps": 5}), &[]),
            id("sample", 1, json!({"seed": 0}), &[a]),
            id("sample", 1, json!({"seed": 0}), &[b]),
            id("sample", 1, json!({"seed": 0}), &[a, b]),
            id("sample", 1, json!({"seed": 0}), &[b, a]),
            id("sample", 1, json!([0, 1]), &[]),
            id("sample", 1, json!([1, 0]), &[]),
        ];
        let different: std::collections::BTreeSet<_> = variants.iter().collect();
        assert_eq!(different.len(), variants.len());
    }

    #[test]
    fn kind_and_configuration_do_not_run_into_each_other() {
        assert_ne!(id("a", 1, json!("b"), &[]), id("a\"b\"", 1, json!(""), &[]));
    }

    #[test]
    fn key_order_does_not_change_the_identity() {
        let forward: Value = serde_json::from_str(r#"{"a": 1, "b": {"c": [2, null], "d": 0.1}}"#).unwrap();
        let backward: Value = serde_json::from_str(r#"{ "b": {"d": 0.1, "c": [2, null]}, "a": 1 }"#).unwrap();
        assert_eq!(id("k", 1, forward, &[]), id("k", 1, backward, &[]));
    }

    #[test]
    fn canonical_form_sorts_keys_at_every_depth_and_escapes_them() {
        let mut text = String::new();
        write_canonical(&json!({"z": [{"q\"": 1, "b": -0.5}], "a": u64::MAX}), &mut text);
        assert_eq!(text, r#"{"a":18446744073709551615,"z":[{"b":-0.5,"q\"":1}]}"#);
    }

    #[test]
    fn identity_is_stable_across_versions_of_the_program() {
        let expected = include_str!("../../tests/fixtures/stage_identity.txt").trim();
        let input = id("prepare", 3, json!({}), &[]);
        assert_eq!(id("sample", 1, json!({"seed": 7, "name": "é"}), &[input]).to_string(), expected);
    }

    #[test]
    fn digits_survive_a_round_trip_and_other_texts_are_refused() {
        let a = id("sample", 1, json!({}), &[]);
        assert_eq!(a.to_string().parse(), Ok(a));
        assert!(a.to_string().starts_with(&a.short()));
        for wrong in ["", "xyz", &a.to_string()[1..], &a.to_string().to_uppercase()] {
            assert!(wrong.parse::<StageId>().is_err(), "{wrong}");
        }
    }
}
