//! As much of JSON Schema (draft 2020-12) as the published schema uses. A word it does not know is an error, so that nothing
//! is passed unread.

use serde_json::{Map, Value};

/// What in a document does not follow a schema, each with its place.
pub fn violations(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { root: schema }.value(schema, document, "", &mut found);
    found
}

struct Check<'a> {
    root: &'a Value,
}

impl Check<'_> {
    fn value(&self, schema: &Value, document: &Value, place: &str, found: &mut Vec<String>) {
        let schema = match schema {
            Value::Bool(true) => return,
            Value::Object(schema) => schema,
            other => panic!("{other} is no schema"),
        };
        for (word, wanted) in schema {
            let holds = match word.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "format" => true,
                // Read together with `properties` and `items`.
                "additionalProperties" | "prefixItems" => true,
                "$ref" => {
                    let pointer = wanted.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
                    self.value(self.root.pointer(pointer).expect("it is there"), document, place, found);
                    true
                }
                "type" => is_of(wanted, document),
                "const" => document == wanted,
                "enum" => wanted.as_array().expect("a list").contains(document),
                "minimum" => document.as_f64().is_none_or(|number| number >= wanted.as_f64().expect("a number")),
                "maximum" => document.as_f64().is_none_or(|number| number <= wanted.as_f64().expect("a number")),
                "minItems" => document.as_array().is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
                "maxItems" => document.as_array().is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
                "required" => {
                    self.required(wanted, document, place, found);
                    true
                }
                "properties" => {
                    self.properties(schema, document, place, found);
                    true
                }
                "items" => {
                    self.items(schema, document, place, found);
                    true
                }
                "anyOf" | "oneOf" => wanted.as_array().expect("a list").iter().any(|one| {
                    let mut inside = Vec::new();
                    self.value(one, document, place, &mut inside);
                    inside.is_empty()
                }),
                other => panic!("the schema uses `{other}`, which this check does not know"),
            };
            if !holds {
                found.push(format!("{place}: {document} does not follow {word} {wanted}"));
            }
        }
        if !schema.contains_key("items") && schema.contains_key("prefixItems") {
            self.items(schema, document, place, found);
        }
    }

    fn required(&self, wanted: &Value, document: &Value, place: &str, found: &mut Vec<String>) {
        let Some(object) = document.as_object() else { return };
        for name in wanted.as_array().expect("a list").iter().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                found.push(format!("{place}: {name} is missing"));
            }
        }
    }

    fn properties(&self, schema: &Map<String, Value>, document: &Value, place: &str, found: &mut Vec<String>) {
        let Some(object) = document.as_object() else { return };
        for (name, value) in object {
            match schema["properties"].get(name) {
                Some(inside) => self.value(inside, value, &format!("{place}/{name}"), found),
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    found.push(format!("{place}: {name} is unknown"));
                }
                None => {}
            }
        }
    }

    fn items(&self, schema: &Map<String, Value>, document: &Value, place: &str, found: &mut Vec<String>) {
        let Some(items) = document.as_array() else { return };
        let first = schema.get("prefixItems").and_then(Value::as_array);
        for (at, item) in items.iter().enumerate() {
            let inside = first.and_then(|first| first.get(at)).or_else(|| schema.get("items"));
            if let Some(inside) = inside {
                self.value(inside, item, &format!("{place}/{at}"), found);
            }
        }
    }
}

fn is_of(wanted: &Value, document: &Value) -> bool {
    let one = |name: &str| match name {
        "object" => document.is_object(),
        "array" => document.is_array(),
        "string" => document.is_string(),
        "boolean" => document.is_boolean(),
        "null" => document.is_null(),
        "number" => document.is_number(),
        "integer" => document.is_i64() || document.is_u64(),
        other => panic!("{other} is no type"),
    };
    match wanted {
        Value::String(name) => one(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(one),
        other => panic!("{other} is no type"),
    }
}
