//! Settings of a family on the command line.

/// `KEY=VALUE`: a key, dotted for a table within, and a TOML value or a bare word.
#[derive(Clone, Debug)]
pub struct Setting {
    keys: Vec<String>,
    value: toml::Value,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("give KEY=VALUE, such as epochs=10".into());
        };
        let keys: Vec<String> = key.split('.').map(|key| key.trim().to_owned()).collect();
        if keys.iter().any(String::is_empty) {
            return Err(format!("\"{key}\" is no key; give KEY=VALUE, such as epochs=10"));
        }
        let parsed = toml::from_str::<toml::Table>(&format!("value = {value}")).ok();
        let parsed = parsed.and_then(|mut table| table.remove("value"));
        Ok(Self { keys, value: parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())) })
    }
}

impl Setting {
    /// The value at a path of keys.
    pub fn new(path: &[&str], value: impl Into<toml::Value>) -> Self {
        Self { keys: path.iter().map(|&key| key.to_owned()).collect(), value: value.into() }
    }

    /// Puts the value in its place.
    pub fn enter(&self, table: &mut toml::Table) -> Result<(), TwoValues> {
        match self.put(table) {
            Some(None) => Ok(()),
            Some(Some(_)) | None => Err(TwoValues { key: self.keys.join(".") }),
        }
    }

    /// Puts the value in its place, whatever was there.
    pub fn replace(&self, table: &mut toml::Table) -> Result<(), NoTable> {
        self.put(table).map(drop).ok_or_else(|| NoTable { key: self.keys.join(".") })
    }

    /// What was in the place; none if the path leads through something that is no table.
    fn put(&self, table: &mut toml::Table) -> Option<Option<toml::Value>> {
        let mut table = table;
        let (last, path) = self.keys.split_last()?;
        for key in path {
            table = table.entry(key.clone()).or_insert_with(|| toml::Table::new().into()).as_table_mut()?;
        }
        Some(table.insert(last.clone(), self.value.clone()))
    }
}

/// A setting was given more than once.
#[derive(Debug, thiserror::Error)]
#[error("{key}: set twice, by --set or an option of its own; give it once")]
pub struct TwoValues {
    key: String,
}

/// The keys lead through something that is no table.
#[derive(Debug, thiserror::Error)]
#[error("{key}: what comes before the last dot is no table with keys of its own; change such lists in a study file")]
pub struct NoTable {
    key: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_toml_or_words() {
        let mut table = toml::Table::new();
        for text in ["epochs=3", "schedule.name=step", "schedule.every=0.5", "privacy={ epsilon = 1.0 }", "flip = true"]
        {
            text.parse::<Setting>().unwrap().enter(&mut table).unwrap();
        }
        let expected: toml::Table = toml::from_str(
            "epochs = 3\nflip = true\n[schedule]\nname = \"step\"\nevery = 0.5\n[privacy]\nepsilon = 1.0",
        )
        .unwrap();
        assert_eq!(table, expected);
    }

    #[test]
    fn a_setting_has_one_value() {
        let mut table = toml::Table::new();
        for text in ["epochs=3", "norm=group"] {
            text.parse::<Setting>().unwrap().enter(&mut table).unwrap();
        }
        for (text, key) in [("epochs=4", "epochs"), ("norm.name=group", "norm.name")] {
            let error = text.parse::<Setting>().unwrap().enter(&mut table).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{key}: set twice")), "{error}");
        }
        assert!("epochs".parse::<Setting>().is_err() && ".x=1".parse::<Setting>().is_err());
    }
}
