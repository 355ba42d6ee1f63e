use std::fs;
use std::path::Path;

use rayon::prelude::*;

use super::{FILES, attribute_names, own_columns, write_png, write_provenance};
use crate::saved::csv_error;
use crate::{Error, ImageSet, Result};

/// A class or part name as a folder name: characters that some file system refuses become "_".
fn folder_name(name: &str) -> String {
    let safe: String =
        name.chars().map(|c| if c.is_control() || r#"/\:*?"<>|"#.contains(c) { '_' } else { c }).collect();
    match safe.trim_matches([' ', '.']) {
        "" => "_".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

/// Writes PNG files by class, `metadata.csv` and the provenance into a new folder.
pub(super) fn write(set: &ImageSet, folder: &Path) -> Result<()> {
    let folders: Vec<String> = match set.labels() {
        // The index keeps folders apart whose names differ only in characters that were replaced.
        Some(labels) => {
            let safe: Vec<String> = labels.classes.iter().map(|class| folder_name(class)).collect();
            safe.iter()
                .enumerate()
                .map(|(class, name)| match safe.iter().filter(|other| *other == name).count() {
                    1 => name.clone(),
                    _ => format!("{name}-{class}"),
                })
                .collect()
        }
        None => vec!["images".to_owned()],
    };
    fs::create_dir_all(folder).map_err(Error::io("making the folder", folder))?;
    for name in &folders {
        let path = folder.join(name);
        fs::create_dir_all(&path).map_err(Error::io("making the folder", &path))?;
    }
    let digits = set.len().max(1).to_string().len().max(5);
    let file = |index: usize| {
        let class = set.labels().map_or(0, |labels| labels.values[index] as usize);
        format!("{}/{index:0digits$}.png", folders[class])
    };
    (0..set.len()).into_par_iter().try_for_each(|index| {
        let path = folder.join(file(index));
        write_png(set.shape(), set.image(index), &path)
    })?;

    let path = folder.join("metadata.csv");
    let mut writer = csv::Writer::from_path(&path).map_err(csv_error(&path))?;
    let own = own_columns(set, FILES);
    let attributes = attribute_names(set, &own);
    let header = own.iter().copied().chain(attributes.iter().map(|(name, _)| name.as_str()));
    writer.write_record(header).map_err(csv_error(&path))?;
    for index in 0..set.len() {
        let file = file(index);
        let label = set.labels().map(|labels| labels.classes[labels.values[index] as usize].as_str());
        let values = attributes.iter().map(|(_, values)| values[index].as_str());
        writer.write_record([file.as_str()].into_iter().chain(label).chain(values)).map_err(csv_error(&path))?;
    }
    writer.flush().map_err(Error::io("writing", &path))?;
    write_provenance(set.provenance(), folder)
}
