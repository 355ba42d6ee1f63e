//! `standin audit --unit identity`: does a synthetic set give away persons, patients, plates?

use std::path::{Path, PathBuf};

use standin_attack::{
    FALSE_DISCOVERY_RATE, IdentityFindings, IdentityMatch, IdentityOptions, ImagePair, Recognised, SyntheticMatch,
    audit_identities,
};
use standin_bench::gate::{GateError, GateExpression, KnownFigures};
use standin_data::{ImageSet, LANDMARK_COLUMNS, Seed, Shape, align_faces, png_bytes};
use standin_encode::{Embedding, EmbeddingFile, encoder, holds_features};
use standin_measure::{Outcome, Table};
use standin_report::{Document, Identities, IdentitySet, ShownPair};

use super::{Arguments, named};
use crate::commands::Context;
use crate::commands::images::Reader;
use crate::commands::run_study::gate_line;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Identities that the page names, of each set.
const NAMED: usize = 100;
/// Blocks along each side of an image that is made unrecognisable.
const BLOCKS: usize = 6;

/// What cannot be audited like this.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "--unit identity with {given} encoders; give one that recognises identities, such as --encoder onnx:recogniser.onnx#arcface, or \
         files of its features in the place of images"
    )]
    Encoder { given: usize },
    #[error("{set}: {found}; {remedy}")]
    Unnamed { set: String, found: String, remedy: String },
    #[error(
        "some sets are aligned by landmarks and {set} has none; give the ten columns {} to {} for all sets, or for none", 
        LANDMARK_COLUMNS[0][0], LANDMARK_COLUMNS[4][1]
    )]
    Alignment { set: String },
}

/// A set as it was given.
struct Given {
    name: String,
    features: Embedding,
    /// The identity of each image.
    identities: Option<Vec<String>>,
    images: Option<ImageSet>,
    aligned: bool,
}

impl Arguments {
    /// Audits identities instead of single images.
    pub(super) fn run_identities(&self, context: &Context<'_>) -> Result<Status, Failure> {
        let out = self.folders.out().map_or_else(|| Path::new("reports").join(&self.name), Path::to_path_buf);
        if !self.folders.force && out.join("report.html").exists() {
            return Err(standin_report::Error::Exists { path: out.join("report.html") }.into());
        }
        let gates = self.identity_gates()?;
        let reader = Reader::new(self.import.options(), context);
        let (train, holdout) = self.real_sides(&reader, context)?;
        let unit = self.identity.as_ref().map_or_else(|| "class".to_owned(), |column| format!("the column {column}"));
        let aligned = train.aligned;
        let rows = |set: &Given| set.features.rows();
        let real = match &holdout {
            Some(holdout) => {
                format!("{} training images of {}, {} holdout images", rows(&train), self.train, rows(holdout))
            }
            None => format!("{} training images of {}, no holdout", rows(&train), self.train),
        };
        let train_images = train.images.clone();
        let train = train.named("training images")?;
        let holdout = holdout.map(|holdout| holdout.named("holdout images")).transpose()?;
        let mut sets = Vec::new();
        for text in &self.synthetic {
            let (name, source) = named(text);
            let given = self.read(source, &reader, context)?;
            if given.aligned != aligned {
                return Err(Refused::Alignment { set: given.name }.into());
            }
            let images = given.images.clone();
            let mut name = name.map_or_else(|| given.name.clone(), str::to_owned);
            while sets.iter().any(|set: &IdentitySet| set.name == name) {
                name.push('+');
            }
            let synthetic = given.maybe_named("synthetic images")?;
            let options = IdentityOptions {
                false_match_rate: self.false_match_rate,
                pairs: self.near_copies,
                seed: Seed::new(self.seed).derive("identities"),
            };
            let progress = context.terminal.progress("");
            let found = audit_identities(&train, holdout.as_ref(), &synthetic, options, &progress)?;
            let folder = if self.synthetic.len() == 1 { out.clone() } else { out.join(&name) };
            let tables = write_tables(&found, &folder)?;
            let pictures = images.as_ref().zip(train_images.as_ref());
            sets.push(described(name, found, tables, pictures, self.redact)?);
        }
        let alignment = match aligned {
            true => "Faces were aligned by five landmarks",
            false => "Images were taken as aligned, as they came",
        };
        let audits = || sets.iter().map(|set| (set.name.as_str(), &set.audit));
        let gates: Vec<_> = gates.iter().map(|gate| gate.evaluate_identities(audits())).collect();
        let report = Identities::new(self.name.clone(), real, unit, alignment.into(), self.redact, sets, gates);
        for warning in report.warnings() {
            context.terminal.warn(&warning);
        }
        report.write(&out, self.folders.force)?;
        context.terminal.note(&format!("report: {}", out.join("report.html").display()));
        context.output.print(&report, || results(&report))?;
        Ok(if report.gates.iter().all(|gate| gate.passed) { Status::Done } else { Status::GateFailed })
    }

    /// The gates, of which none names a figure that is not measured.
    fn identity_gates(&self) -> Result<Vec<GateExpression>, Failure> {
        let known = KnownFigures { identities: true, ..KnownFigures::default() };
        let parsed = self.gates.iter().map(|gate| {
            let gate: GateExpression = gate.parse()?;
            gate.check(&known)?;
            Ok(gate)
        });
        Ok(parsed.collect::<Result<_, GateError>>()?)
    }

    /// Training and holdout images: the holdout that is named, else the part of the training set.
    fn real_sides(&self, reader: &Reader<'_>, context: &Context<'_>) -> Result<(Given, Option<Given>), Failure> {
        if let Some(holdout) = &self.holdout {
            let (train, holdout) = (self.read(&self.train, reader, context)?, self.read(holdout, reader, context)?);
            if train.aligned != holdout.aligned {
                let set = if train.aligned { holdout.name } else { train.name };
                return Err(Refused::Alignment { set }.into());
            }
            return Ok((train, Some(holdout)));
        }
        if holds_features(Path::new(&self.train))? {
            return Ok((self.read(&self.train, reader, context)?, None));
        }
        let parts = reader.parts(&self.train)?;
        let train = match parts.find("train") {
            Some(train) => train.clone(),
            None => parts.only()?.clone(),
        };
        let train = self.recognise(&self.train, train, context)?;
        let holdout = parts.find("holdout").map(|holdout| self.recognise(&self.train, holdout.clone(), context));
        Ok((train, holdout.transpose()?))
    }

    /// A set of images or of their features.
    fn read(&self, text: &str, reader: &Reader<'_>, context: &Context<'_>) -> Result<Given, Failure> {
        let path = Path::new(text);
        if !holds_features(path)? {
            return self.recognise(text, reader.read(text)?, context);
        }
        let EmbeddingFile { embedding, labels } = EmbeddingFile::read(path, None)?;
        let identities = labels.map(|labels| labels.iter().map(ToString::to_string).collect());
        let name = path.file_stem().map_or_else(|| text.to_owned(), |name| name.to_string_lossy().into_owned());
        Ok(Given { name, features: embedding, identities, images: None, aligned: false })
    }

    /// Images as the recogniser sees them.
    fn recognise(&self, text: &str, images: ImageSet, context: &Context<'_>) -> Result<Given, Failure> {
        let [name] = self.encoders.as_slice() else {
            return Err(Refused::Encoder { given: self.encoders.len() }.into());
        };
        let aligned = align_faces(&images)?;
        let (images, aligned) = (aligned.as_ref().unwrap_or(&images), aligned.is_some());
        let identities = match (&self.identity, images.labels()) {
            (Some(column), _) => images.column(column).map(|column| column.values.clone()),
            (None, labels) => labels.map(|labels| labels.names().map(str::to_owned).collect()),
        };
        let features = encoder(name)?.encode(images, &context.terminal.progress(""))?;
        let name = standin_data::Source::parse(text)?.name();
        Ok(Given { name, features, identities, images: Some(images.clone()), aligned })
    }
}

impl Given {
    /// The set with its identities, which it must have.
    fn named(self, what: &'static str) -> Result<Recognised, Failure> {
        let Some(identities) = self.identities else {
            let (found, remedy) = match &self.images {
                Some(images) => {
                    let columns: Vec<&str> = images.columns().iter().map(|column| column.name.as_str()).collect();
                    let columns = if columns.is_empty() {
                        "it has none".into()
                    } else {
                        format!("it has {}", columns.join(", "))
                    };
                    (
                        "the identity of its images is not known",
                        format!(
                            "name a column by --identity ({columns}), or put the images of each into a folder of its own"
                        ),
                    )
                }
                None => (
                    "it holds features and no labels",
                    "write the identity of each row as labels into an .npz or .parquet file".into(),
                ),
            };
            return Err(Refused::Unnamed { set: self.name, found: found.into(), remedy }.into());
        };
        Ok(Recognised::new(what, self.features, &identities)?)
    }

    /// The set with its identities, if it has some.
    fn maybe_named(self, what: &'static str) -> Result<Recognised, Failure> {
        match self.identities {
            Some(_) => self.named(what),
            None => Ok(Recognised::unnamed(what, self.features)?),
        }
    }
}

/// All that was found, as tables beside the report; returns their names.
fn write_tables(found: &IdentityFindings, folder: &Path) -> Result<Vec<String>, Failure> {
    std::fs::create_dir_all(folder)?;
    let mut written: Vec<PathBuf> = Vec::new();
    let metadata = || vec![("standin.stamp", Some(found.audit.stamp.clone()))];
    let mut both = |name: &str, write: &dyn Fn(&Path, bool) -> standin_measure::Result<()>| -> Result<(), Failure> {
        for (ending, parquet) in [("csv", false), ("parquet", true)] {
            let path = folder.join(name).with_extension(ending);
            write(&path, parquet)?;
            written.push(path);
        }
        Ok(())
    };
    let identities = |rows: &[IdentityMatch], path: &Path, parquet: bool| {
        let table = Table { columns: IdentityMatch::COLUMNS, rows, metadata: metadata() };
        if parquet { table.write_parquet(path) } else { table.write_csv(path) }
    };
    let pairs = |rows: &[ImagePair], path: &Path, parquet: bool| {
        let table = Table { columns: ImagePair::COLUMNS, rows, metadata: metadata() };
        if parquet { table.write_parquet(path) } else { table.write_csv(path) }
    };
    both("identities", &|path, parquet| identities(&found.train, path, parquet))?;
    if !found.holdout.is_empty() {
        both("holdout-identities", &|path, parquet| identities(&found.holdout, path, parquet))?;
    }
    both("synthetic", &|path, parquet| {
        let table = Table { columns: SyntheticMatch::COLUMNS, rows: &found.synthetic, metadata: metadata() };
        if parquet { table.write_parquet(path) } else { table.write_csv(path) }
    })?;
    both("pairs", &|path, parquet| pairs(&found.pairs, path, parquet))?;
    if !found.links.is_empty() {
        both("links", &|path, parquet| pairs(&found.links, path, parquet))?;
    }
    Ok(written.iter().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect())
}

/// A set as the report shows it.
fn described(
    name: String,
    found: IdentityFindings,
    tables: Vec<String>,
    pictures: Option<(&ImageSet, &ImageSet)>,
    redact: bool,
) -> Result<IdentitySet, Failure> {
    let descending = |matches: &[IdentityMatch]| {
        let mut similarities: Vec<f64> = matches.iter().map(|found| found.similarity).collect();
        similarities.sort_unstable_by(|a, b| b.total_cmp(a));
        similarities
    };
    let holdout_similarities = descending(&found.holdout);
    let mut pairs = Vec::new();
    for &pair in &found.pairs {
        let own = &found.train[found.identities[pair.other]];
        let less = holdout_similarities.iter().filter(|&&similarity| similarity < pair.similarity).count();
        let quantile = less as f64 / holdout_similarities.len().max(1) as f64;
        pairs.push(ShownPair {
            pair,
            identity: own.identity.clone(),
            p_value: own.tail_p_value,
            adjusted_p_value: own.adjusted_p_value,
            null_quantile: (!holdout_similarities.is_empty()).then_some(quantile),
            pictures: match pictures {
                Some((synthetic, train)) => Some([
                    png_bytes(synthetic.shape(), synthetic.image(pair.synthetic), Path::new("the report"))?,
                    real_picture(train.shape(), train.image(pair.other), redact)?,
                ]),
                None => None,
            },
        });
    }
    let mut named: Vec<IdentityMatch> = found
        .train
        .iter()
        .filter(|found| found.adjusted_p_value.is_some_and(|q| q <= FALSE_DISCOVERY_RATE))
        .cloned()
        .collect();
    named.sort_by(|a, b| {
        let p = |found: &IdentityMatch| found.tail_p_value.unwrap_or(1.0);
        p(a).total_cmp(&p(b)).then(b.similarity.total_cmp(&a.similarity))
    });
    named.truncate(NAMED);
    Ok(IdentitySet {
        name,
        train_similarities: descending(&found.train),
        holdout_similarities,
        named,
        pairs,
        links: found.links,
        audit: found.audit,
        tables,
    })
}

/// A real image as PNG; unrecognisable if asked for.
fn real_picture(shape: Shape, image: &[u8], redact: bool) -> Result<Vec<u8>, Failure> {
    let path = Path::new("the report");
    Ok(if redact { png_bytes(shape, &in_blocks(shape, image), path)? } else { png_bytes(shape, image, path)? })
}

/// Every block of an image in its mean colour.
fn in_blocks(shape: Shape, image: &[u8]) -> Vec<u8> {
    let (height, width) = (shape.height, shape.width);
    let mut blocks = image.to_vec();
    for plane in blocks.chunks_exact_mut(height * width) {
        for (top, bottom) in bounds(height) {
            for (left, right) in bounds(width) {
                let places = || (top..bottom).flat_map(|row| (left..right).map(move |column| row * width + column));
                let count = places().count().max(1);
                let mean = places().map(|place| usize::from(plane[place])).sum::<usize>() / count;
                places().for_each(|place| plane[place] = mean as u8);
            }
        }
    }
    blocks
}

/// Where blocks along a side begin and end.
fn bounds(side: usize) -> Vec<(usize, usize)> {
    (0..BLOCKS).map(|block| (block * side / BLOCKS, (block + 1) * side / BLOCKS)).collect()
}

/// The results for people.
fn results(report: &Identities) -> String {
    let header = [
        ("set", Align::Left),
        ("leaked", Align::Left),
        ("by chance", Align::Left),
        ("named", Align::Right),
        ("AUC", Align::Left),
        ("most alike", Align::Right),
        ("by chance", Align::Right),
    ];
    let share = |outcome: &Outcome| match outcome.estimate() {
        Some(found) => format!("{:.2} % [{:.2}, {:.2}]", 100.0 * found.value, 100.0 * found.low, 100.0 * found.high),
        None => "n/m".to_owned(),
    };
    let rows = report.sets.iter().map(|set| {
        let audit = &set.audit;
        vec![
            set.name.clone(),
            share(&audit.leaked),
            share(&audit.matched_by_chance),
            audit.discoveries.to_string(),
            audit.auc.estimate().map_or_else(|| "n/m".to_owned(), |auc| format!("{auc:.3}")),
            format!("{:.3}", audit.highest),
            audit.highest_by_chance.map_or_else(|| "–".to_owned(), |highest| format!("{highest:.3}")),
        ]
    });
    let mut text = table(&header, rows);
    text.push_str("\n\n");
    for set in &report.sets {
        text.push_str(&format!("{}.\n", Identities::headline(set)));
        for found in set.named.iter().take(10) {
            text.push_str(&format!(
                "  {}: similarity {:.3} to synthetic image {}, p = {:.2e}\n",
                found.identity,
                found.similarity,
                found.synthetic,
                found.tail_p_value.unwrap_or(1.0)
            ));
        }
        if set.audit.discoveries > 10 {
            text.push_str(&format!("  and {} more, in identities.csv\n", set.audit.discoveries - 10));
        }
    }
    for gate in &report.gates {
        text.push_str(&gate_line(gate));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_the_mean_and_nothing_else() {
        let shape = Shape { channels: 1, height: 12, width: 18 };
        let image: Vec<u8> = (0..12 * 18).map(|at| (at * 7 % 251) as u8).collect();
        let blocks = in_blocks(shape, &image);
        let distinct: std::collections::BTreeSet<u8> = blocks.iter().copied().collect();
        assert!(distinct.len() <= BLOCKS * BLOCKS && blocks[0] == blocks[18 + 2]);
        let sum = |values: &[u8]| values.iter().map(|&value| f64::from(value)).sum::<f64>();
        assert!((sum(&blocks) - sum(&image)).abs() / sum(&image) < 0.02);
        // Smaller than a block a side: every pixel is its own.
        let tiny = Shape { channels: 1, height: 2, width: 3 };
        assert_eq!(in_blocks(tiny, &[1, 2, 3, 4, 5, 6]), [1, 2, 3, 4, 5, 6]);
    }
}
