use std::path::Path;

use super::{ImageScore, ImageScores};
use crate::Result;
use crate::table::{Column, Table};

impl ImageScores {
    /// The columns of both tables.
    pub const COLUMNS: &[Column<ImageScore>] = &[
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
        self.table().write_csv(path)
    }

    /// Writes the same table as Parquet; the stamp, the false-match rate and the threshold are in the file's key-value
    /// metadata. An existing file is replaced.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_parquet(&self, path: &Path) -> Result<()> {
        self.table().write_parquet(path)
    }

    fn table(&self) -> Table<'_, ImageScore> {
        Table {
            columns: Self::COLUMNS,
            rows: &self.scores,
            metadata: vec![
                ("standin.stamp", Some(self.stamp.clone())),
                ("standin.false_match_rate", Some(self.false_match_rate.to_string())),
                ("standin.threshold", self.threshold.map(|threshold| threshold.to_string())),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

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
