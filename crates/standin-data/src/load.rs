use std::path::Path;

use crate::import::is_there;
use crate::{
    Dataset, Error, ExportFormat, ImportOptions, Parts, Progress, Result, Source, digits, export, import, import_to,
};

/// Loads what a user names: a path in any form [`import`] reads, or a built-in set ("digits"), or some images of it as a
/// [`Source`] names them. A path wins over a name.
///
/// # Errors
/// As [`import`]; and if the name is of a set that has to be fetched first, with the command that does it.
pub fn load(source: &str, options: &ImportOptions, progress: &dyn Progress) -> Result<Parts> {
    let path = Path::new(source);
    if is_there(path) {
        return import(path, options, progress);
    }
    let selection = Source::parse(source)?;
    if selection.chooses() {
        return selection.choose(load(selection.set(), options, progress)?);
    }
    match Dataset::find(source) {
        Ok(dataset) if dataset.built_in() => {
            if *options != ImportOptions::default() {
                return Err(Error::inconsistent(
                    format!("options of an import for the built-in set {source}"),
                    "they apply to files: remove them",
                ));
            }
            Ok(Parts::undivided(digits()))
        }
        Ok(dataset) => Err(Error::invalid(
            path,
            "there is no such file or folder, and the data set of that name is not built in",
            format!("get it first: standin data get {0} --out {0}", dataset.name),
        )),
        Err(_) => Err(Error::Missing { path: path.to_path_buf() }),
    }
}

/// As [`load`], into `folder` in the own form: pictures go to disk batch by batch, see [`import_to`].
///
/// # Errors
/// As [`load`] and [`import_to`].
pub fn load_to(
    source: &str,
    options: &ImportOptions,
    folder: &Path,
    force: bool,
    progress: &dyn Progress,
) -> Result<Parts> {
    let path = Path::new(source);
    if is_there(path) {
        return import_to(path, options, folder, force, progress);
    }
    let parts = load(source, options, progress)?;
    export(&parts, folder, ExportFormat::Saved, force)?;
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;

    fn refusal(source: &str, options: &ImportOptions) -> String {
        load(source, options, &Silent).unwrap_err().to_string()
    }

    #[test]
    fn names_and_paths_are_told_apart() {
        let none = ImportOptions::default();
        assert_eq!(load("digits", &none, &Silent).unwrap().only().unwrap().len(), 1797);
        assert!(refusal("fashion-mnist", &none).contains("standin data get fashion-mnist --out fashion-mnist"));
        assert!(refusal("no/such/folder", &none).contains("there is no such file or folder"));
        let grey = ImportOptions { skip_unreadable: true, ..ImportOptions::default() };
        assert!(refusal("digits", &grey).contains("remove them"));
    }
}
