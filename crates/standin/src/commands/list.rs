//! `standin list`: the families, straight from their tables.

use serde::Serialize;
use standin_attack::ATTACKS;
use standin_bench::study::PRESETS;
use standin_classify::CLASSIFIERS;
use standin_data::DATASETS;
use standin_encode::ENCODERS;
use standin_generate::{GENERATORS, PublicImages};
use standin_measure::MEASURES;
use standin_segment::METHODS;

use super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// List what there is
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Only this kind
    #[arg(value_enum)]
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Generators,
    Attacks,
    Measures,
    Encoders,
    Classifiers,
    Segmenters,
    Datasets,
    Presets,
}

const KINDS: [Kind; 8] = [
    Kind::Generators,
    Kind::Attacks,
    Kind::Measures,
    Kind::Encoders,
    Kind::Classifiers,
    Kind::Segmenters,
    Kind::Datasets,
    Kind::Presets,
];

/// One line of the list.
#[derive(Debug, Serialize)]
struct Entry {
    kind: Kind,
    name: String,
    /// What distinguishes it: guarantee, access and needs, aspect and better direction, shape.
    nature: String,
    summary: String,
    cost: String,
    source: String,
}

impl Kind {
    fn entries(self) -> Vec<Entry> {
        let entry = |name: &str, nature: String, summary: &str, cost: &str, source: &str| Entry {
            kind: self,
            name: name.to_owned(),
            nature,
            summary: summary.to_owned(),
            cost: cost.to_owned(),
            source: source.to_owned(),
        };
        match self {
            Self::Generators => GENERATORS
                .iter()
                .map(|f| {
                    let guarantee = if f.private { "differentially private" } else { "no guarantee" };
                    let public = match f.public {
                        PublicImages::Unused => "",
                        PublicImages::Optional => ", can learn from public images first",
                        PublicImages::Needed => ", needs public images",
                    };
                    entry(f.name, format!("{guarantee}{public}"), f.summary, f.cost, f.source)
                })
                .collect(),
            Self::Attacks => ATTACKS
                .iter()
                .map(|f| {
                    let needs: Vec<String> = f.needs.iter().map(ToString::to_string).collect();
                    let needs = if needs.is_empty() { "nothing else".to_owned() } else { needs.join(", ") };
                    entry(f.name, format!("sees {}, needs {needs}", f.access), f.summary, f.cost, f.source)
                })
                .collect(),
            Self::Measures => MEASURES
                .iter()
                .map(|f| entry(f.name, format!("{}, better: {}", f.aspect, f.better), f.summary, f.cost, f.source))
                .collect(),
            Self::Encoders => {
                ENCODERS.iter().map(|f| entry(f.name, "training-free".into(), f.summary, f.cost, f.source)).collect()
            }
            Self::Classifiers => {
                CLASSIFIERS.iter().map(|f| entry(f.name, String::new(), f.summary, f.cost, f.source)).collect()
            }
            Self::Segmenters => METHODS
                .iter()
                .map(|m| {
                    let learns =
                        if m.uses_unlabelled { "learns from labels and without" } else { "learns from labels" };
                    let decoders = if m.decoders.len() == 1 { "one decoder" } else { "three decoders" };
                    entry(m.name, format!("{learns}, {decoders}"), m.summary, m.cost, m.source)
                })
                .collect(),
            Self::Datasets => DATASETS
                .iter()
                .map(|d| {
                    let nature = format!("{} images of {}, {} classes", d.images(), d.shape, d.classes);
                    entry(d.name, nature, d.summary, d.licence, d.source)
                })
                .collect(),
            Self::Presets => PRESETS
                .iter()
                .map(|p| {
                    entry(
                        p.name,
                        format!("standin bench {}", p.usage),
                        p.about,
                        p.cost,
                        "this program; --show prints it",
                    )
                })
                .collect(),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Generators => "Generators",
            Self::Attacks => "Attacks",
            Self::Measures => "Measures",
            Self::Encoders => "Encoders",
            Self::Classifiers => "Classifiers",
            Self::Segmenters => "Segmenters",
            Self::Datasets => "Data sets",
            Self::Presets => "Studies",
        }
    }
}

impl Arguments {
    /// Prints the list.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let kinds: Vec<Kind> = self.kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
        let entries: Vec<Entry> = kinds.iter().flat_map(|kind| kind.entries()).collect();
        context.output.print(&entries, || {
            let sections = kinds.iter().map(|&kind| {
                let cost = if kind == Kind::Datasets { "licence" } else { "cost" };
                let rows = entries.iter().filter(|entry| entry.kind == kind).flat_map(|entry| {
                    let under = |text: String| vec![String::new(), text];
                    let nature = (!entry.nature.is_empty()).then(|| under(format!("  {}", entry.nature)));
                    [vec![entry.name.clone(), entry.summary.clone()]].into_iter().chain(nature).chain([
                        under(format!("  {cost}: {}", entry.cost)),
                        under(format!("  source: {}", entry.source)),
                    ])
                });
                table(&[(kind.title(), Align::Left), ("", Align::Left)], rows)
            });
            sections.collect::<Vec<_>>().join("\n\n")
        })?;
        Ok(Status::Done)
    }
}
