//! Tables of canaries' scores, for `standin privacy audit --scores`.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::failure::Failure;

/// A table of scores that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
struct Unreadable {
    path: PathBuf,
    problem: String,
}

/// Names of the columns.
const SCORE: &str = "score";
const MEMBER: &str = "member";

/// Scores of members and of non-members from a CSV or Parquet table, told apart by the file's ending.
///
/// # Errors
/// If the file cannot be read, lacks a column, holds something else than scores and memberships, or only one kind.
pub fn read_scores(path: &Path) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    let unreadable = |problem: String| Unreadable { path: path.to_path_buf(), problem };
    let is_parquet = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    let rows = if is_parquet { parquet_rows(path) } else { csv_rows(path) }.map_err(unreadable)?;
    let (mut members, mut others) = (Vec::new(), Vec::new());
    for (place, score, member) in rows {
        let number = score.parse().ok().filter(|number: &f64| !number.is_nan());
        let number =
            number.ok_or_else(|| unreadable(format!("{place}: the score is `{score}`; it must be a number")))?;
        match member.to_lowercase().as_str() {
            "1" | "true" | "yes" => members.push(number),
            "0" | "false" | "no" => others.push(number),
            found => {
                let problem = format!("{place}: member is `{found}`; it must be 1 or 0, or true or false");
                return Err(unreadable(problem).into());
            }
        }
    }
    if members.is_empty() || others.is_empty() {
        let problem = format!(
            "has {} members and {} others; an audit needs canaries that were put in and canaries that were left out",
            members.len(),
            others.len()
        );
        return Err(unreadable(problem).into());
    }
    Ok((members, others))
}

/// Where a row stands, its score and its membership as text.
type Row = (String, String, String);

/// The places of the two columns.
fn columns(names: &[String]) -> Result<[usize; 2], String> {
    let place = |name: &str| {
        names.iter().position(|found| found.eq_ignore_ascii_case(name)).ok_or_else(|| {
            format!(
                "has the columns {}, and {name} is missing; name the columns {SCORE} and {MEMBER}",
                names.join(", ")
            )
        })
    };
    Ok([place(SCORE)?, place(MEMBER)?])
}

fn csv_rows(path: &Path) -> Result<Vec<Row>, String> {
    let text = |error: csv::Error| error.to_string();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(text)?;
    let names: Vec<String> = reader.headers().map_err(text)?.iter().map(str::to_owned).collect();
    let [score, member] = columns(&names)?;
    let row = |(index, record): (usize, csv::Result<csv::StringRecord>)| {
        let record = record.map_err(text)?;
        let field = |column: usize| record.get(column).unwrap_or_default().to_owned();
        Ok((format!("row {}", index + 2), field(score), field(member)))
    };
    reader.records().enumerate().map(row).collect()
}

fn parquet_rows(path: &Path) -> Result<Vec<Row>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let [score, member] = columns(&names)?;
    let mut rows = Vec::new();
    for (index, row) in reader.get_row_iter(None).map_err(|error| error.to_string())?.enumerate() {
        let row = row.map_err(|error| error.to_string())?;
        let values: Vec<String> = row.get_column_iter().map(|(_, field)| field.to_string()).collect();
        rows.push((format!("row {}", index + 1), values[score].clone(), values[member].clone()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::data_type::{BoolType, DoubleType};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    #[test]
    fn both_formats_are_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let (scores, members) = ([0.5, -1.25, 3.0, 2.0], [true, false, true, false]);
        let table = folder.path().join("scores.csv");
        let text: String = scores.iter().zip(members).map(|(score, member)| format!("x,{member}, {score}\n")).collect();
        std::fs::write(&table, format!("name,Member,score\n{text}")).unwrap();
        let binary = folder.path().join("scores.parquet");
        let schema = parse_message_type("message s { required boolean member; required double score; }").unwrap();
        let properties = Arc::new(WriterProperties::builder().build());
        let file = File::create(&binary).unwrap();
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<BoolType>().write_batch(&members, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&scores, None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
        let expected = (vec![0.5, 3.0], vec![-1.25, 2.0]);
        assert_eq!(read_scores(&table).unwrap(), expected);
        assert_eq!(read_scores(&binary).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("scores.csv");
        for (text, part) in [
            ("score,label\n1,1\n", "member is missing"),
            ("score,member\n1,1\n", "1 members and 0 others"),
            ("score,member\n1,maybe\n", "`maybe`"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = read_scores(&path).unwrap_err().lines().join(" ");
            assert!(message.contains(part) && message.contains("scores.csv"), "{message}");
        }
    }
}
