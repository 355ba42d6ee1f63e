//! What differs between two configurations, setting by setting.

use std::fmt;

use toml::{Table, Value};

/// A setting that two configurations do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDifference {
    /// Its name, with those of the tables around it, such as "generator vae: epochs".
    pub setting: String,
    /// Its value in the first configuration; none where it is not set there.
    pub of: Option<String>,
    /// Its value in the second.
    pub from: Option<String>,
}

impl fmt::Display for SettingDifference {
    /// "epochs 20 instead of 200", "no_copies (encoder pixels)", "without no_copies (encoder pixels)".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, of, from } = self;
        match (of, from) {
            (Some(of), Some(from)) => write!(f, "{setting} {of} instead of {from}"),
            (Some(of), None) => write!(f, "{setting} {of}"),
            (None, Some(from)) => write!(f, "without {setting} {from}"),
            (None, None) => f.write_str(setting),
        }
    }
}

/// What differs between two tables, in the order of the first. Tables inside are compared key by key; lists of tables that
/// have names, such as the generators of a study, by these names.
pub fn setting_differences(of: &Table, from: &Table) -> Vec<SettingDifference> {
    let mut found = Vec::new();
    tables(of, from, "", &mut found);
    found
}

/// What differs between two configurations as a summary has them.
///
/// # Errors
/// If one is not TOML.
pub fn configuration_differences(of: &str, from: &str) -> Result<Vec<SettingDifference>, toml::de::Error> {
    Ok(setting_differences(&toml::from_str(of)?, &toml::from_str(from)?))
}

fn tables(of: &Table, from: &Table, path: &str, found: &mut Vec<SettingDifference>) {
    let keys = of.keys().chain(from.keys().filter(|key| !of.contains_key(*key)));
    for key in keys {
        values(of.get(key), from.get(key), &format!("{path}{key}"), found);
    }
}

fn values(of: Option<&Value>, from: Option<&Value>, setting: &str, found: &mut Vec<SettingDifference>) {
    match (of, from) {
        (Some(Value::Table(of)), Some(Value::Table(from))) => tables(of, from, &format!("{setting}."), found),
        (Some(of), Some(from)) if of == from => {}
        (Some(of), Some(from)) => match (named(of), named(from)) {
            (Some(ours), Some(theirs)) => lists(&ours, &theirs, setting, found),
            _ => found.push(SettingDifference {
                setting: setting.into(),
                of: Some(written(of)),
                from: Some(written(from)),
            }),
        },
        (of, from) => match of.or(from).and_then(named) {
            Some(entries) if of.is_some() => lists(&entries, &[], setting, found),
            Some(entries) => lists(&[], &entries, setting, found),
            None => {
                found.push(SettingDifference { setting: setting.into(), of: of.map(written), from: from.map(written) })
            }
        },
    }
}

/// A list whose entries all have names.
fn named(value: &Value) -> Option<Vec<(&str, &Table)>> {
    let entries = value.as_array()?.iter();
    let named = entries.map(|entry| entry.as_table().and_then(|table| Some((table.get("name")?.as_str()?, table))));
    named.collect::<Option<Vec<_>>>().filter(|entries| !entries.is_empty())
}

fn lists(of: &[(&str, &Table)], from: &[(&str, &Table)], setting: &str, found: &mut Vec<SettingDifference>) {
    let entry = |list: &[(&str, &Table)], name: &str| -> Option<Table> {
        list.iter().find(|(known, _)| *known == name).map(|(_, table)| (*table).clone())
    };
    let names = of.iter().chain(from.iter().filter(|(name, _)| entry(of, name).is_none()));
    for (name, _) in names {
        let setting = format!("{setting} {name}");
        match (entry(of, name), entry(from, name)) {
            (Some(of), Some(from)) => tables(&of, &from, &format!("{setting}: "), found),
            (of, from) => {
                let rest = |table: Option<Table>| {
                    table.map(|mut table| {
                        table.remove("name");
                        written(&Value::Table(table))
                    })
                };
                found.push(SettingDifference { setting, of: rest(of), from: rest(from) });
            }
        }
    }
}

/// A value as a person writes it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(moment) => moment.to_string(),
        Value::Array(values) => format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let pairs: Vec<String> = table.iter().map(|(key, value)| format!("{key} {}", written(value))).collect();
            format!("({})", pairs.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(of: &str, from: &str) -> Vec<String> {
        let table = |text: &str| toml::from_str::<Table>(text).unwrap();
        setting_differences(&table(of), &table(from)).iter().map(SettingDifference::to_string).collect()
    }

    #[test]
    fn settings_that_differ_are_said_in_words() {
        let of = "temperature = 0.5\nepochs = 20.0\nno_copies = { encoder = \"pixels\", false_match_rate = 0.05 }";
        let from = "temperature = 1.0\nepochs = 200.0\ncount = 7";
        assert_eq!(
            differences(of, from),
            [
                "epochs 20 instead of 200",
                "no_copies (encoder pixels, false_match_rate 0.05)",
                "temperature 0.5 instead of 1",
                "without count 7",
            ]
        );
        assert!(differences(of, of).is_empty());
    }

    #[test]
    fn entries_of_lists_are_told_apart_by_their_names() {
        let of = "seeds = [1, 2]\n[[generator]]\nname = \"b\"\nsettings = { beta = 1 }\n[[generator]]\nname = \"a\"";
        let from = "seeds = [1]\n[[generator]]\nname = \"a\"\n[[generator]]\nname = \"b\"\nsettings = { beta = 2 }\n\
                    [[generator]]\nname = \"c\"\nfamily = \"vae\"";
        assert_eq!(
            differences(of, from),
            [
                "generator b: settings.beta 1 instead of 2",
                "without generator c (family vae)",
                "seeds [1, 2] instead of [1]"
            ]
        );
    }
}
