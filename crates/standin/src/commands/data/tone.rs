//! `standin data tone`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use standin_data::{Error, ImageSet, Parts, SKIN_TONE, SkinTones};

use super::Source;
use crate::commands::Context;
use crate::failure::Failure;
use crate::output::{Align, table};

/// Measure the skin tone of each image as an attribute: the individual typology angle of the skin around the centre
///
/// Kept are the angle (column `ita`, degrees) and the tone (column `skin-tone`, 1 very light to 6 dark). It is a proxy that measures light and
/// colour balance as much as skin: many angles above 90° are a colour cast, which is warned of.
#[derive(Debug, Args)]
pub(super) struct ToneArguments {
    #[command(flatten)]
    source: Source,

    /// Compare with this column: how many images of each of its values have which tone
    #[arg(long, value_name = "COLUMN")]
    against: Option<String>,

    /// Keep the set with the new columns here
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,

    /// Replace what an earlier run wrote there
    #[arg(long)]
    force: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Tones {
    images: usize,
    /// Images of each tone; "" for those without.
    tones: BTreeMap<String, usize>,
    /// Images with an angle above 90°.
    colour_casts: usize,
    /// For each value of the other column, images of each tone.
    #[serde(skip_serializing_if = "Option::is_none")]
    against: Option<Confusion>,
}

/// Tones beside the values of a column.
#[derive(Debug, Serialize)]
struct Confusion {
    column: String,
    counts: BTreeMap<String, BTreeMap<String, usize>>,
    /// Share of images for which both say the same; it means something where the column holds tones from 1 to 6.
    agreement: f64,
}

impl ToneArguments {
    pub(super) fn run(self, context: &Context<'_>) -> Result<(), Failure> {
        let parts = self.source.load(context)?;
        let mut toned = Vec::new();
        let mut found = Tones { images: 0, tones: BTreeMap::new(), colour_casts: 0, against: None };
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, set) in parts.iter() {
            let tones = SkinTones::of(set)?;
            if let Some(warning) = tones.warning() {
                context.terminal.warn(&warning);
            }
            let column = tones.column();
            found.images += set.len();
            found.colour_casts += tones.casts();
            for tone in &column.values {
                *found.tones.entry(tone.clone()).or_default() += 1;
            }
            if let Some(against) = &self.against {
                pairs.extend(values(set, against)?.into_iter().zip(column.values.iter().cloned()));
            }
            let set = set.clone().with_column(tones.angle_column())?.with_column(column)?;
            toned.push((name.to_owned(), set));
        }
        found.against = self.against.map(|column| confusion(column, &pairs));
        if let Some(out) = self.out {
            let parts = match toned.as_slice() {
                [(_, only)] => Parts::undivided(only.clone()),
                _ => Parts::divided(toned)?,
            };
            standin_data::export(&parts, &out, standin_data::ExportFormat::Saved, self.force)?;
            context.terminal.note(&format!("{} images written to {}", found.images, out.display()));
        }
        context.output.print(&found, || found.text())
    }
}

/// The values of a column.
fn values(set: &ImageSet, name: &str) -> Result<Vec<String>, Error> {
    let known = || set.columns().iter().map(|column| column.name.as_str());
    set.column(name)
        .map(|column| column.values.clone())
        .ok_or_else(|| Error::unknown("attribute column", name, known()))
}

fn confusion(column: String, pairs: &[(String, String)]) -> Confusion {
    let mut counts: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for (value, tone) in pairs {
        *counts.entry(value.clone()).or_default().entry(tone.clone()).or_default() += 1;
    }
    let same = pairs.iter().filter(|(value, tone)| value == tone).count();
    Confusion { column, counts, agreement: same as f64 / pairs.len().max(1) as f64 }
}

impl Tones {
    /// For people.
    fn text(&self) -> String {
        let named = |tone: &str| if tone.is_empty() { "(none)".to_owned() } else { tone.to_owned() };
        let Some(confusion) = &self.against else {
            let header = [(SKIN_TONE, Align::Left), ("images", Align::Right)];
            let rows = self.tones.iter().map(|(tone, count)| vec![named(tone), count.to_string()]);
            return table(&header, rows);
        };
        let tones: Vec<&String> = self.tones.keys().collect();
        let headings: Vec<String> = tones.iter().map(|tone| format!("tone {}", named(tone))).collect();
        let mut header = vec![(confusion.column.as_str(), Align::Left)];
        header.extend(headings.iter().map(|heading| (heading.as_str(), Align::Right)));
        let rows = confusion.counts.iter().map(|(value, counts)| {
            let cells = tones.iter().map(|tone| counts.get(*tone).copied().unwrap_or(0).to_string());
            [named(value)].into_iter().chain(cells).collect()
        });
        format!(
            "{}\n\n{:.1} % of the images have the same value in both columns.\n",
            table(&header, rows),
            100.0 * confusion.agreement
        )
    }
}
