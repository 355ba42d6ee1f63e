use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Context, Format, decode_files, folder, provenance};
use crate::saved::csv_error;
use crate::{Column, Error, Parts, Result, Skipped};

/// The column that names each picture, relative to the folder.
pub(crate) const FILE_NAME: &str = "file_name";

/// The column that holds the label unless another is named.
pub(crate) const LABEL: &str = "label";

const FILES: [&str; 2] = ["metadata.csv", "metadata.jsonl"];

/// Whether this is a metadata file by its name.
pub(super) fn is_metadata(path: &Path) -> bool {
    path.file_name().is_some_and(|name| FILES.iter().any(|file| name == *file)) && path.is_file()
}

/// A folder of pictures described by `metadata.csv` or `metadata.jsonl`: the pictures it lists, in its order; its
/// columns become attributes, one of them the label.
pub(super) fn read(root: &Path, context: &Context<'_>) -> Result<Parts> {
    let present: Vec<PathBuf> = FILES.iter().map(|file| root.join(file)).filter(|path| path.is_file()).collect();
    let [path] = present.as_slice() else {
        return Err(match present.as_slice() {
            [] => Error::Missing { path: root.join(FILES[0]) },
            _ => Error::invalid(root, format!("both {} are there", FILES.join(" and ")), "keep one of them"),
        });
    };
    let mut table = if path.ends_with(FILES[0]) { read_csv(path)? } else { read_json_lines(path)? };
    let Some(position) = table.iter().position(|column| column.name == FILE_NAME) else {
        let names: Vec<&str> = table.iter().map(|column| column.name.as_str()).collect();
        return Err(Error::invalid(
            path,
            format!("no column \"{FILE_NAME}\" among {}", names.join(", ")),
            format!("a column \"{FILE_NAME}\" with each picture's path relative to the folder was expected"),
        ));
    };
    let files = table.remove(position).values;
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (row, file) in files.iter().enumerate() {
        if let Some(earlier) = first.insert(file, row) {
            return Err(Error::invalid(
                path,
                format!("\"{file}\" is listed twice, as pictures {} and {}", earlier + 1, row + 1),
                "one line per picture was expected: remove one of them",
            ));
        }
    }

    let found = folder::pictures(root)?;
    let listed: HashSet<PathBuf> = files.iter().map(|file| root.join(file)).collect();
    let mut skipped: Vec<Skipped> = folder::skip_others(root, &found.others)
        .into_iter()
        .filter(|skipped| Some(skipped.item.as_str()) != path.file_name().and_then(|name| name.to_str()))
        .collect();
    skipped.extend(
        found
            .pictures
            .iter()
            .filter(|path| !listed.contains(*path))
            .map(|picture| Skipped { item: folder::relative(root, picture), reason: "not in the metadata".to_owned() }),
    );
    let mut rows = Vec::with_capacity(files.len());
    for (row, file) in files.iter().enumerate() {
        if root.join(file).is_file() {
            rows.push(row);
        } else if context.options.skip_unreadable {
            skipped.push(Skipped { item: file.clone(), reason: "listed, but not there".to_owned() });
        } else {
            return Err(Error::invalid(
                path,
                format!("picture {} is \"{file}\", and there is no such file", row + 1),
                format!("paths relative to {} were expected; --skip-unreadable leaves such lines out", root.display()),
            ));
        }
    }
    if rows.is_empty() {
        return Err(folder::nothing(root, std::slice::from_ref(path)));
    }
    let named: Vec<_> = rows.iter().map(|&row| (root.join(&files[row]), files[row].clone())).collect();
    let decoded = decode_files(root, &named, context)?;
    skipped.extend(decoded.skipped);
    let origin = provenance(root, Format::Metadata, context.options, &decoded.tally, skipped);
    let mut set = decoded.set.with_provenance(origin);
    for column in table {
        let values = decoded.kept.iter().map(|&index| column.values[rows[index]].clone()).collect();
        set = set.with_column(Column { name: column.name, values })?;
    }
    if context.options.label.is_none() && set.column(LABEL).is_some() {
        set = set.labelled_by(LABEL)?;
    }
    Ok(Parts::undivided(set))
}

fn read_csv(path: &Path) -> Result<Vec<Column>> {
    let mut reader = csv::Reader::from_path(path).map_err(csv_error(path))?;
    // A byte order mark, as spreadsheets write it, is no part of the first column's name.
    let mut columns: Vec<Column> = reader
        .headers()
        .map_err(csv_error(path))?
        .iter()
        .map(|name| Column { name: name.trim_start_matches('\u{feff}').to_owned(), values: Vec::new() })
        .collect();
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].iter().any(|earlier| earlier.name == column.name) {
            return Err(Error::invalid(path, format!("two columns \"{}\"", column.name), "rename one of them"));
        }
    }
    for record in reader.records() {
        for (column, field) in columns.iter_mut().zip(&record.map_err(csv_error(path))?) {
            column.values.push(field.to_owned());
        }
    }
    Ok(columns)
}

fn read_json_lines(path: &Path) -> Result<Vec<Column>> {
    let text = fs::read_to_string(path).map_err(Error::io("reading", path))?;
    let mut columns: Vec<Column> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    let mut rows = 0;
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let record: serde_json::Map<String, Value> = serde_json::from_str(line).map_err(|error| {
            Error::invalid(path, format!("line {}: {error}", number + 1), "one JSON object per line was expected")
        })?;
        for (name, value) in record {
            let column = *index.entry(name).or_insert_with_key(|name| {
                columns.push(Column { name: name.clone(), values: vec![String::new(); rows] });
                columns.len() - 1
            });
            columns[column].values.push(match value {
                Value::Null => String::new(),
                Value::String(text) => text,
                other => other.to_string(),
            });
        }
        rows += 1;
        for column in &mut columns {
            column.values.resize(rows, String::new());
        }
    }
    Ok(columns)
}
