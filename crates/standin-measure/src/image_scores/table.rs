use std::error::Error as Reason;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, Repetition, Type as Physical};
use parquet::data_type::{BoolType, DataType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::{ImageScore, ImageScores};
use crate::{Error, Result};

/// A column of the table of scores.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name in the header.
    pub name: &'static str,
    /// What it holds, and in which unit.
    pub summary: &'static str,
    values: Values,
}

/// How a column is taken from a score, and by that its type: whole numbers, numbers, or true and false.
#[derive(Clone, Copy, Debug)]
enum Values {
    Index(fn(&ImageScore) -> Option<usize>),
    Number(fn(&ImageScore) -> Option<f64>),
    Flag(fn(&ImageScore) -> Option<bool>),
}

impl Column {
    const fn index(name: &'static str, summary: &'static str, value: fn(&ImageScore) -> Option<usize>) -> Self {
        Self { name, summary, values: Values::Index(value) }
    }

    const fn number(name: &'static str, summary: &'static str, value: fn(&ImageScore) -> Option<f64>) -> Self {
        Self { name, summary, values: Values::Number(value) }
    }

    const fn flag(name: &'static str, summary: &'static str, value: fn(&ImageScore) -> Option<bool>) -> Self {
        Self { name, summary, values: Values::Flag(value) }
    }

    /// The value as text that reads back to the same number; empty where there is none.
    fn text(&self, score: &ImageScore) -> String {
        fn or_empty(value: Option<impl ToString>) -> String {
            value.map_or_else(String::new, |value| value.to_string())
        }
        match self.values {
            Values::Index(value) => or_empty(value(score)),
            Values::Number(value) => or_empty(value(score)),
            Values::Flag(value) => or_empty(value(score)),
        }
    }
}

impl ImageScores {
    /// The columns of both tables.
    pub const COLUMNS: &[Column] = &[
        Column::index("synthetic", "index of the synthetic image, counted from 0", |score| Some(score.synthetic)),
        Column::index("nearest_train", "index of the training image nearest to it", |score| Some(score.nearest_train)),
        Column::number("distance", "distance to that image, in the unit of the embedding", |score| {
            Some(score.distance)
        }),
        Column::number(
            "nearest_ratio",
            "distance to the nearest divided by that to the second nearest training image, from 0 to 1",
            |score| Some(score.nearest_ratio),
        ),
        Column::number(
            "p_value",
            "(1 + holdout images at least as near to a training image) / (1 + holdout images); empty without a holdout",
            |score| score.p_value,
        ),
        Column::number(
            "adjusted_p_value",
            "p_value adjusted for the number of synthetic images (Benjamini and Hochberg); empty without a holdout",
            |score| score.adjusted_p_value,
        ),
        Column::flag(
            "copy",
            "whether distance is below the threshold of the false-match rate; empty without a holdout",
            |score| score.copy,
        ),
        Column::flag(
            "authentic",
            "whether it is farther from its nearest training image than that one is from its own (Alaa et al.)",
            |score| Some(score.authentic),
        ),
        Column::number("authenticity_margin", "the first of these distances minus the second", |score| {
            Some(score.authenticity_margin)
        }),
        Column::number(
            "realism",
            "largest ratio of a training image's radius (third neighbour) to the distance from it; \
             from 1 on the image is realistic, inf for an exact copy (Kynkäänniemi et al.)",
            |score| Some(score.realism),
        ),
        Column::number(
            "memorisation",
            "distance divided by the mean distance to the 50 nearest training images, from 0 for a copy to 1 \
             (Carlini et al.)",
            |score| Some(score.memorisation),
        ),
        Column::index(
            "nearest_synthetic",
            "index of the nearest other synthetic image; empty if there is none",
            |score| score.nearest_synthetic,
        ),
        Column::number("synthetic_distance", "distance to that image; 0 for images made twice", |score| {
            score.synthetic_distance
        }),
    ];

    /// Writes one line per image under a header, as comma-separated values in UTF-8. An existing file is replaced.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_csv(&self, path: &Path) -> Result<()> {
        let write = || -> Result<(), Box<dyn Reason + Send + Sync>> {
            let mut writer = csv::Writer::from_path(path)?;
            writer.write_record(Self::COLUMNS.iter().map(|column| column.name))?;
            for score in &self.scores {
                writer.write_record(Self::COLUMNS.iter().map(|column| column.text(score)))?;
            }
            Ok(writer.flush()?)
        };
        write().map_err(|source| Error::Write { path: path.into(), source })
    }

    /// Writes the same table as Parquet: 64-bit integers, doubles and booleans, all nullable, compressed with Snappy.
    /// The stamp, the false-match rate and the threshold are in the file's key-value metadata. An existing file is
    /// replaced.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        let write = || -> Result<(), Box<dyn Reason + Send + Sync>> {
            let metadata = [
                ("standin.stamp", Some(self.stamp.clone())),
                ("standin.false_match_rate", Some(self.false_match_rate.to_string())),
                ("standin.threshold", self.threshold.map(|threshold| threshold.to_string())),
            ];
            let metadata = metadata.map(|(key, value)| KeyValue { key: key.into(), value });
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_key_value_metadata(Some(metadata.to_vec()))
                .build();
            let file = BufWriter::new(File::create(path)?);
            let mut writer = SerializedFileWriter::new(file, Arc::new(schema()?), Arc::new(properties))?;
            let mut rows = writer.next_row_group()?;
            for column in Self::COLUMNS {
                let mut into = rows.next_column()?.expect("the schema has a column for each of these");
                match column.values {
                    Values::Index(value) => {
                        self.write_column::<Int64Type>(&mut into, |score| value(score).map(|index| index as i64))?;
                    }
                    Values::Number(value) => self.write_column::<DoubleType>(&mut into, value)?,
                    Values::Flag(value) => self.write_column::<BoolType>(&mut into, value)?,
                }
                into.close()?;
            }
            rows.close()?;
            Ok(writer.into_inner()?.flush()?)
        };
        write().map_err(|source| Error::Write { path: path.into(), source })
    }

    fn write_column<T: DataType>(
        &self,
        into: &mut SerializedColumnWriter<'_>,
        value: impl Fn(&ImageScore) -> Option<T::T>,
    ) -> parquet::errors::Result<()> {
        let cells: Vec<Option<T::T>> = self.scores.iter().map(value).collect();
        let present: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
        let values: Vec<T::T> = cells.into_iter().flatten().collect();
        into.typed::<T>().write_batch(&values, Some(&present), None)?;
        Ok(())
    }
}

fn schema() -> parquet::errors::Result<Type> {
    let field = |column: &Column| {
        let physical = match column.values {
            Values::Index(_) => Physical::INT64,
            Values::Number(_) => Physical::DOUBLE,
            Values::Flag(_) => Physical::BOOLEAN,
        };
        let field = Type::primitive_type_builder(column.name, physical).with_repetition(Repetition::OPTIONAL);
        Ok(Arc::new(field.build()?))
    };
    let fields = ImageScores::COLUMNS.iter().map(field).collect::<parquet::errors::Result<Vec<_>>>()?;
    Type::group_type_builder("scores").with_fields(fields).build()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, Row};
    use standin_data::Silent;

    use super::*;
    use crate::image_scores;
    use crate::testing::gaussian;

    fn scores(with_holdout: bool) -> ImageScores {
        let [train, holdout, mut synthetic] = [1, 2, 3].map(|seed| gaussian(60, 3, 1.0, 0.0, seed));
        synthetic = synthetic.concat(&train.select(&[4, 4])).unwrap();
        image_scores(&train, with_holdout.then_some(&holdout), &synthetic, 0.05, &Silent).unwrap()
    }

    fn number(text: &str) -> Option<f64> {
        (!text.is_empty()).then(|| text.parse().unwrap())
    }

    fn from_texts(texts: &[&str]) -> ImageScore {
        let [synthetic, train, distance, ratio, p, adjusted, copy, authentic, margin, realism, share, other, to] =
            texts
        else {
            panic!("{texts:?}")
        };
        let needed = |text| number(text).unwrap();
        ImageScore {
            synthetic: synthetic.parse().unwrap(),
            nearest_train: train.parse().unwrap(),
            distance: needed(distance),
            nearest_ratio: needed(ratio),
            p_value: number(p),
            adjusted_p_value: number(adjusted),
            copy: (!copy.is_empty()).then(|| copy.parse().unwrap()),
            authentic: authentic.parse().unwrap(),
            authenticity_margin: needed(margin),
            realism: needed(realism),
            memorisation: needed(share),
            nearest_synthetic: (!other.is_empty()).then(|| other.parse().unwrap()),
            synthetic_distance: number(to),
        }
    }

    fn texts(row: &Row) -> Vec<String> {
        let text = |(_, field): (&String, &Field)| match field {
            Field::Null => String::new(),
            Field::Long(value) => value.to_string(),
            Field::Double(value) => value.to_string(),
            Field::Bool(value) => value.to_string(),
            other => panic!("{other:?}"),
        };
        row.get_column_iter().map(text).collect()
    }

    #[test]
    fn both_tables_give_every_score_back() {
        let folder = tempfile::tempdir().unwrap();
        for with_holdout in [true, false] {
            let written = scores(with_holdout);
            assert!(written.scores[60].realism.is_infinite() || written.scores[60].realism >= 1.0);
            let path = folder.path().join("scores.csv");
            written.write_csv(&path).unwrap();
            let mut reader = csv::Reader::from_path(&path).unwrap();
            let names: Vec<&str> = ImageScores::COLUMNS.iter().map(|column| column.name).collect();
            assert_eq!(reader.headers().unwrap(), names);
            let read: Vec<ImageScore> =
                reader.records().map(|record| from_texts(&record.unwrap().iter().collect::<Vec<_>>())).collect();
            assert_eq!(read, written.scores);

            let path = folder.path().join("scores.parquet");
            written.write_parquet(&path).unwrap();
            let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
            let row = |row: parquet::errors::Result<Row>| {
                let texts = texts(&row.unwrap());
                from_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>())
            };
            let read: Vec<ImageScore> = reader.get_row_iter(None).unwrap().map(row).collect();
            assert_eq!(read, written.scores);
            let metadata = reader.metadata().file_metadata().key_value_metadata().unwrap();
            assert!(metadata.iter().any(|entry| entry.value.as_ref() == Some(&written.stamp)));
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let path = Path::new("/nowhere/at/all/scores.parquet");
        for error in [scores(true).write_parquet(path), scores(true).write_csv(path)] {
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with("/nowhere/at/all/scores.parquet"), "{error}");
        }
    }
}
