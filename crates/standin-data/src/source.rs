use std::fmt;
use std::path::{Path, PathBuf};

use crate::import::is_there;
use crate::{Dataset, Error, ImageSet, ImportOptions, Parts, Progress, Result, get, import};

/// Which images, as a user names them: `SET[@PART][@COLUMN=VALUE]…`.
///
/// The set is a path in any form [`import`] reads or the name of a public set; `@PART` takes one of its parts, and each
/// `@COLUMN=VALUE` keeps the images with that value in an attribute column or, as `@label=NAME`, of that class. A path
/// that exists is a path, whatever characters it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    set: String,
    part: Option<String>,
    conditions: Vec<(String, String)>,
}

impl Source {
    /// Reads what a user wrote. Nothing is looked up on disk but whether the whole text is a path.
    ///
    /// # Errors
    /// If it names no set, or two parts.
    pub fn parse(text: &str) -> Result<Self> {
        if is_there(Path::new(text)) {
            return Ok(Self { set: text.to_owned(), part: None, conditions: Vec::new() });
        }
        let mut pieces = text.split('@');
        let set = pieces.next().unwrap_or_default().to_owned();
        let mut source = Self { set, part: None, conditions: Vec::new() };
        for piece in pieces {
            match piece.split_once('=') {
                Some((column, value)) => source.conditions.push((column.to_owned(), value.to_owned())),
                None if source.part.is_none() && !piece.is_empty() => source.part = Some(piece.to_owned()),
                None => {
                    return Err(Error::inconsistent(
                        format!("\"{text}\" names the part \"{piece}\" after another or not at all"),
                        "write SET@PART@COLUMN=VALUE, with at most one part",
                    ));
                }
            }
        }
        if source.set.is_empty() {
            return Err(Error::inconsistent(format!("\"{text}\" names no set"), "begin with a path or a set's name"));
        }
        Ok(source)
    }

    /// The same with a relative path looked up in `folder`, where it exists there or is no name of a public set.
    #[must_use]
    pub fn beside(mut self, folder: &Path) -> Self {
        let beside = folder.join(&self.set);
        if beside.exists() || Dataset::find(&self.set).is_err() {
            self.set = beside.to_string_lossy().into_owned();
        }
        self
    }

    /// The last name of the path, or the set's name: what to call these images where nothing better is given.
    pub fn name(&self) -> String {
        let path = PathBuf::from(&self.set);
        let stem = if path.is_dir() { path.file_name() } else { path.file_stem() };
        stem.map_or_else(|| self.set.clone(), |stem| stem.to_string_lossy().into_owned())
    }

    /// The parts of the set that the conditions leave; a part without an image is dropped.
    ///
    /// `from` holds the files of a public set; without it they are fetched, and kept in `cache`.
    ///
    /// # Errors
    /// If the set cannot be read or fetched, the part or a column does not exist, or no image meets the conditions.
    pub fn parts(
        &self,
        options: &ImportOptions,
        from: Option<&Path>,
        cache: &Path,
        progress: &dyn Progress,
    ) -> Result<Parts> {
        let path = Path::new(&self.set);
        let parts = if !is_there(path) && Dataset::find(&self.set).is_ok() {
            get(&self.set, from, cache, progress)?
        } else {
            import(path, options, progress)?
        };
        self.choose(parts)
    }

    /// The path or name without part and conditions.
    pub(crate) fn set(&self) -> &str {
        &self.set
    }

    /// Whether there is a part or a condition.
    pub(crate) fn chooses(&self) -> bool {
        self.part.is_some() || !self.conditions.is_empty()
    }

    /// Takes the part and meets the conditions.
    pub(crate) fn choose(&self, parts: Parts) -> Result<Parts> {
        let chosen = match &self.part {
            Some(part) => Parts::undivided(parts.get(part)?.clone()),
            None => parts,
        };
        if self.conditions.is_empty() {
            return Ok(chosen);
        }
        let mut kept = Vec::new();
        for (name, set) in chosen.iter() {
            let rows = self.meeting(set)?;
            if !rows.is_empty() {
                kept.push((name.to_owned(), set.select(&rows)));
            }
        }
        match kept.as_slice() {
            [] => Err(Error::inconsistent(
                format!("no image of {} meets the conditions", self),
                "look at the values of its columns with `standin data info`",
            )),
            [(name, set)] if name.is_empty() => Ok(Parts::undivided(set.clone())),
            _ => Parts::divided(kept),
        }
    }

    /// All these images in one set.
    ///
    /// # Errors
    /// As [`Source::parts`]; and if the set has parts and none is named.
    pub fn images(&self, options: &ImportOptions, cache: &Path, progress: &dyn Progress) -> Result<ImageSet> {
        let parts = self.parts(options, None, cache, progress)?;
        match parts.names().collect::<Vec<_>>().as_slice() {
            [_] => Ok(parts.only()?.clone()),
            names => Err(Error::inconsistent(
                format!("{self} has the parts {}", names.join(", ")),
                format!("name one: {}@{}", self.set, names[0]),
            )),
        }
    }

    /// Indices of the images that meet every condition.
    fn meeting(&self, set: &ImageSet) -> Result<Vec<usize>> {
        let mut rows: Vec<usize> = (0..set.len()).collect();
        for (column, value) in &self.conditions {
            match (set.column(column), set.labels()) {
                (Some(column), _) => rows.retain(|&row| column.values[row] == *value),
                (None, Some(labels)) if column == "label" => {
                    let names: Vec<&str> = labels.names().collect();
                    rows.retain(|&row| names[row] == value);
                }
                (None, _) => {
                    let columns = set.columns().iter().map(|column| column.name.as_str());
                    return Err(Error::unknown("column", column, columns));
                }
            }
        }
        Ok(rows)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.set)?;
        if let Some(part) = &self.part {
            write!(f, "@{part}")?;
        }
        self.conditions.iter().try_for_each(|(column, value)| write!(f, "@{column}={value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Silent};

    fn images(text: &str) -> Result<ImageSet> {
        Source::parse(text)?.images(&ImportOptions::default(), Path::new("no cache"), &Silent)
    }

    #[test]
    fn a_class_of_a_built_in_set_is_named_in_one_word() {
        assert_eq!(images("digits").unwrap().len(), 1797);
        let sevens = images("digits@label=7").unwrap();
        assert_eq!(sevens.len(), sevens.labels().unwrap().counts()[7]);
    }

    #[test]
    fn parts_and_columns_of_a_saved_set_are_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let digits = crate::digits().select(&[0, 1, 2, 3]);
        let tone = Column { name: "tone".into(), values: ["a", "b", "a", "a"].map(str::to_owned).to_vec() };
        let set = digits.with_column(tone).unwrap();
        set.save(&folder.path().join("train")).unwrap();
        set.select(&[1]).save(&folder.path().join("test")).unwrap();
        let path = folder.path().display();
        assert_eq!(images(&format!("{path}@train@tone=a")).unwrap().len(), 3);
        assert_eq!(images(&format!("{path}@test")).unwrap().len(), 1);
        for (text, said) in [
            (format!("{path}"), "@train"),
            (format!("{path}@valid"), "no part \"valid\""),
            (format!("{path}@train@ton=a"), "did you mean \"tone\""),
            (format!("{path}@train@tone=z"), "no image of"),
            (format!("{path}@train@test"), "at most one part"),
        ] {
            let message = images(&text).unwrap_err().to_string();
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn what_is_printed_is_read_again() {
        for text in ["digits", "a/b@train@x=1@label=c d"] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Source::parse("faces/real.npz@kind=real").unwrap().name(), "real");
    }
}
