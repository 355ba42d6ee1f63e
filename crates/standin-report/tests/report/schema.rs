//! The published schema: current, and followed by what is written.

use std::path::Path;

use serde_json::{Value, json};
use standin_bench::summary::{SCHEMA, json_schema};

use crate::validator::violations;
use crate::{audit, sample};

fn published() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/summary.schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    assert_eq!(published(), json_schema(), "write it anew: standin report --schema > docs/summary.schema.json");
    assert_eq!(published()["properties"]["schema"]["const"], SCHEMA);
}

#[test]
fn summaries_follow_the_published_schema() {
    for summary in [sample::summary(), audit::summary()] {
        assert_eq!(violations(&published(), &serde_json::to_value(summary).unwrap()), [""; 0]);
    }
}

#[test]
fn what_does_not_follow_it_is_found() {
    let schema = published();
    let changed = |pointer: &str, value: Value| {
        let mut document = serde_json::to_value(sample::summary()).unwrap();
        *document.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = value;
        violations(&schema, &document).join("; ")
    };
    assert!(changed("/schema", json!("standin.summary/4")).contains("/schema"));
    assert!(changed("/releases/0/kind", json!("weights")).contains("/releases/0/kind"));
    assert!(changed("/releases/0/attacks/0/auc/value", json!("0.5")).contains("/auc/value"));
    assert!(changed("/releases/0/attacks/0/roc/1", json!([0.1])).contains("/roc/1"));
    assert!(changed("/verdict", json!({"headline": "", "releases": [], "more": 1})).contains("more"));
    assert!(changed("/data", json!({})).contains("train is missing"));
    assert!(changed("/mitigations/0/effect", json!("cures")).contains("effect"));
    assert!(changed("/seeds/0", json!(-1)).contains("/seeds/0"));
}
