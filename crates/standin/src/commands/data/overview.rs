//! What a set holds, as one JSON document or a few tables.

use serde::Serialize;
use standin_data::{Info, Parts};

use crate::output::{Align, table};

/// What each part of a set holds.
#[derive(Debug, Serialize)]
pub struct Overview {
    /// The parts in order; one nameless part for a set without a division.
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct Part {
    name: String,
    #[serde(flatten)]
    info: Info,
}

impl Overview {
    /// Looks at every pixel of every part.
    pub fn of(parts: &Parts) -> Self {
        Self { parts: parts.iter().map(|(name, set)| Part { name: name.to_owned(), info: Info::of(set) }).collect() }
    }

    /// Tables for people: the parts, then classes, columns and omissions where there are any.
    pub fn text(&self) -> String {
        let tables = [Some(self.sizes()), self.classes(), self.columns(), self.origin()];
        tables.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    }

    fn sizes(&self) -> String {
        let header = [
            ("part", Align::Left),
            ("images", Align::Right),
            ("shape", Align::Right),
            ("classes", Align::Right),
            ("mean", Align::Right),
            ("sd", Align::Right),
            ("duplicates", Align::Right),
        ];
        let channels = |values: &[f64]| values.iter().map(|value| format!("{value:.1}")).collect::<Vec<_>>().join(" ");
        let rows = self.parts.iter().map(|Part { name, info }| {
            vec![
                shown(name).to_owned(),
                info.images.to_string(),
                info.shape.to_string(),
                info.classes.as_ref().map_or("none".to_owned(), |classes| classes.len().to_string()),
                channels(&info.mean),
                channels(&info.standard_deviation),
                info.duplicates.to_string(),
            ]
        });
        table(&header, rows)
    }

    /// Images of each class in each part.
    fn classes(&self) -> Option<String> {
        let classes = self.parts.first()?.info.classes.as_ref()?;
        let names: Vec<&str> = self.parts.iter().map(|part| shown(&part.name)).collect();
        let header: Vec<(&str, Align)> =
            [("class", Align::Left)].into_iter().chain(names.iter().map(|name| (*name, Align::Right))).collect();
        let rows = classes.iter().enumerate().map(|(index, class)| {
            let counts = self.parts.iter().map(|part| {
                let count = part.info.classes.as_ref().and_then(|classes| classes.get(index));
                count.map_or_else(String::new, |class| class.images.to_string())
            });
            [class.name.clone()].into_iter().chain(counts).collect()
        });
        Some(table(&header, rows))
    }

    /// Different values of each attribute column in each part.
    fn columns(&self) -> Option<String> {
        let mut columns: Vec<&str> = Vec::new();
        for column in self.parts.iter().flat_map(|part| &part.info.columns) {
            if !columns.contains(&column.name.as_str()) {
                columns.push(&column.name);
            }
        }
        let header: Vec<(&str, Align)> = [("different values of", Align::Left)]
            .into_iter()
            .chain(self.parts.iter().map(|part| (shown(&part.name), Align::Right)))
            .collect();
        let rows = columns.iter().map(|name| {
            let cells =
                self.parts.iter().map(|part| match part.info.columns.iter().find(|column| column.name == *name) {
                    Some(column) if column.missing > 0 => format!("{} ({} missing)", column.distinct, column.missing),
                    Some(column) => column.distinct.to_string(),
                    None => String::new(),
                });
            [(*name).to_owned()].into_iter().chain(cells).collect()
        });
        (!columns.is_empty()).then(|| table(&header, rows))
    }

    /// Where the set comes from and what was left out.
    fn origin(&self) -> Option<String> {
        let provenance = &self.parts.first()?.info.provenance;
        let skipped: usize = self.parts.iter().map(|part| part.info.provenance.skipped.len()).sum();
        let mut lines = Vec::new();
        if !provenance.source.is_empty() {
            lines.push(format!("source   {} ({})", provenance.source, provenance.format));
        }
        if let Some(licence) = &provenance.licence {
            lines.push(format!("licence  {licence}"));
        }
        if skipped > 0 {
            lines.push(format!("left out {skipped} (listed with --json)"));
        }
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

/// The part's name, or what a set without parts is called.
fn shown(name: &str) -> &str {
    if name.is_empty() { "all" } else { name }
}
