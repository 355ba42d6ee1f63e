//! The audit as a page.

use askama::Template;
use standin_attack::Verification;

use super::{Identities, IdentitySet, ShownPair, false_discovery_rate};
use crate::cell::{Cell, Note, Notes};
use crate::number::{Style, count, fixed, probability, rate};
use crate::picture::{Budget, Shown};
use crate::plot::{ExceedancePlot, Tail};
use crate::section::{Gates, document, placed};

#[derive(Template)]
#[template(path = "identities_verdict.html")]
struct Verdict<'a> {
    gates: Gates<'a>,
    warnings: Vec<String>,
    headlines: Vec<String>,
    rows: Vec<Row<'a>>,
    rate: String,
    false_discovery_rate: String,
    notes: Vec<Note>,
    methods: String,
    pictures: usize,
}

struct Row<'a> {
    set: &'a IdentitySet,
    leaked: Cell,
    by_chance: Cell,
    auc: Cell,
    p_value: String,
    highest: String,
    highest_by_chance: String,
}

#[derive(Template)]
#[template(path = "identities_matches.html")]
struct Matches<'a> {
    panels: Vec<(&'a str, String)>,
    tables: Vec<Named<'a>>,
    unit: &'a str,
}

struct Named<'a> {
    set: &'a IdentitySet,
    anchor: String,
    rows: Vec<NamedRow<'a>>,
}

struct NamedRow<'a> {
    identity: &'a str,
    images: usize,
    image: usize,
    synthetic: usize,
    similarity: String,
    p_value: String,
    adjusted: String,
}

#[derive(Template)]
#[template(path = "identities_gallery.html")]
struct Gallery<'a> {
    sets: Vec<(&'a str, String, Vec<Pair<'a>>)>,
    redacted: bool,
}

struct Pair<'a> {
    synthetic: Shown,
    real: Shown,
    synthetic_index: String,
    real_index: String,
    identity: &'a str,
    similarity: String,
    says: String,
}

#[derive(Template)]
#[template(path = "identities_recogniser.html")]
struct Recogniser<'a> {
    stamp: &'a str,
    alignment: &'a str,
    rescaled: bool,
    rows: Vec<Verified<'a>>,
    reasons: Vec<(&'a str, &'a str)>,
    doubles: Vec<Doubles<'a>>,
    notes: Vec<Note>,
    methods: String,
}

struct Verified<'a> {
    name: &'a str,
    identities: String,
    auc: Cell,
    equal_error_rate: Cell,
    within: Cell,
    between: String,
    at: Vec<String>,
}

struct Doubles<'a> {
    name: &'a str,
    identities: String,
    threshold: String,
    doubles: Cell,
    among_real: Cell,
}

/// The whole page, one HTML document.
pub(super) fn page(found: &Identities) -> String {
    let matches = placed("matches", "Best matches", Some(matches(found)));
    let recogniser = placed("recogniser", "Recogniser", recogniser(found));
    let without = placed("verdict", "Verdict", Some(verdict(found, 0)));
    let text = [&without, &matches, &recogniser].into_iter().flatten().map(|placed| placed.html.len()).sum();
    let gallery = gallery(found, text);
    let real = gallery.sets.iter().flat_map(|(_, _, pairs)| pairs);
    let shown = if found.redacted { 0 } else { real.filter(|pair| matches!(pair.real, Shown::Inlined { .. })).count() };
    let pictures = gallery.sets.iter().any(|(_, _, pairs)| !pairs.is_empty()).then_some(gallery);
    let sections = [
        if shown == 0 { without } else { placed("verdict", "Verdict", Some(verdict(found, shown))) },
        matches,
        placed("gallery", "Pairs", pictures),
        recogniser,
    ];
    let title = format!("{}: which identities leak?", found.name);
    let facts = format!("{}; identities by {}.", found.real, found.unit);
    document(&found.name, title, found.version, facts, sections.into_iter().flatten().collect())
}

fn verdict(found: &Identities, pictures: usize) -> Verdict<'_> {
    let mut notes = Notes::new("verdict");
    let rows = found
        .sets
        .iter()
        .map(|set| {
            let audit = &set.audit;
            Row {
                set,
                leaked: Cell::outcome(&audit.leaked, Style::Percent, &mut notes),
                by_chance: Cell::outcome(&audit.matched_by_chance, Style::Percent, &mut notes),
                auc: Cell::outcome(&audit.auc, Style::Decimal, &mut notes),
                p_value: audit.p_value.map_or_else(|| "–".into(), probability),
                highest: fixed(audit.highest, 3),
                highest_by_chance: audit.highest_by_chance.map_or_else(|| "–".into(), |highest| fixed(highest, 3)),
            }
        })
        .collect();
    Verdict {
        gates: Gates::of(&found.gates),
        warnings: found.warnings(),
        headlines: found.sets.iter().map(Identities::headline).collect(),
        rows,
        rate: found.sets.first().map_or_else(String::new, |set| rate(set.audit.false_match_rate)),
        false_discovery_rate: false_discovery_rate(),
        notes: notes.list(),
        methods: notes.methods(),
        pictures,
    }
}

fn matches(found: &Identities) -> Matches<'_> {
    let panel = |(index, set): (usize, &IdentitySet)| {
        let mut tails = vec![Tail { name: "training identities", values: &set.train_similarities }];
        if !set.holdout_similarities.is_empty() {
            tails.push(Tail { name: "holdout identities", values: &set.holdout_similarities });
        }
        let plot =
            ExceedancePlot { tails, x_title: "Similarity of the best match", y_title: "Identities with such a match" };
        let title = format!("Best matches of identities among the images of {}", set.name);
        let description = "The share of identities with a match at least as similar, training against holdout identities. \
                           The tables beside the report have every identity.";
        plot.draw(&format!("matches-{index}"), &title, description)
    };
    let tables = found.sets.iter().enumerate().filter(|(_, set)| !set.named.is_empty()).map(|(index, set)| Named {
        set,
        anchor: format!("named-{index}"),
        rows: set
            .named
            .iter()
            .map(|found| NamedRow {
                identity: &found.identity,
                images: found.images,
                image: found.image,
                synthetic: found.synthetic,
                similarity: fixed(found.similarity, 3),
                p_value: found.tail_p_value.map_or_else(|| "–".into(), probability),
                adjusted: found.adjusted_p_value.map_or_else(|| "–".into(), probability),
            })
            .collect(),
    });
    Matches {
        panels: found.sets.iter().enumerate().map(|(index, set)| (set.name.as_str(), panel((index, set)))).collect(),
        tables: tables.collect(),
        unit: &found.unit,
    }
}

fn gallery(found: &Identities, text: usize) -> Gallery<'_> {
    let mut budget = Budget::beside(text);
    let sets = found.sets.iter().enumerate().map(|(index, set)| {
        let pairs = set.pairs.iter().filter_map(|pair| shown(pair, &mut budget)).collect();
        (set.name.as_str(), format!("pairs-{index}"), pairs)
    });
    Gallery { sets: sets.collect(), redacted: found.redacted }
}

fn shown<'a>(pair: &'a ShownPair, budget: &mut Budget) -> Option<Pair<'a>> {
    let [synthetic, real] = pair.pictures.as_ref()?;
    let says = match (pair.p_value, pair.null_quantile) {
        (Some(p), Some(quantile)) => {
            format!(
                "p = {}; more alike than the best match of {} of unseen identities",
                probability(p),
                rate((1e3 * quantile).floor() / 1e3)
            )
        }
        _ => "no holdout to compare with".into(),
    };
    Some(Pair {
        synthetic: budget.show(synthetic),
        real: budget.show(real),
        synthetic_index: count(pair.pair.synthetic),
        real_index: count(pair.pair.other),
        identity: &pair.identity,
        similarity: fixed(pair.pair.similarity, 3),
        says,
    })
}

fn recogniser(found: &Identities) -> Option<Recogniser<'_>> {
    let first = found.sets.first()?;
    let mut notes = Notes::new("recogniser");
    let mut reasons = Vec::new();
    let own =
        found.sets.iter().filter_map(|set| Some((set.name.as_str(), &set.audit.identities.as_ref()?.separability)));
    let mut rows = Vec::new();
    for (name, verified) in [("real images", &first.audit.recogniser)].into_iter().chain(own) {
        match verified {
            standin_attack::Verified::Measured(found) => rows.push(row(name, found, &mut notes)),
            standin_attack::Verified::NotMeasurable(reason) => reasons.push((name, reason.as_str())),
        }
    }
    let doubles = found.sets.iter().filter_map(|set| {
        let own = set.audit.identities.as_ref()?;
        Some(Doubles {
            name: &set.name,
            identities: count(own.identities),
            threshold: own.threshold.map_or_else(|| "–".into(), |threshold| fixed(threshold, 3)),
            doubles: Cell::outcome(&own.doubles, Style::Percent, &mut notes),
            among_real: Cell::outcome(&own.doubles_among_real, Style::Percent, &mut notes),
        })
    });
    Some(Recogniser {
        stamp: &first.audit.stamp,
        alignment: &found.alignment,
        rescaled: first.audit.rescaled,
        doubles: doubles.collect(),
        rows,
        reasons,
        notes: notes.list(),
        methods: notes.methods(),
    })
}

fn row<'a>(name: &'a str, found: &Verification, notes: &mut Notes) -> Verified<'a> {
    let at = found.at.iter();
    Verified {
        name,
        identities: count(found.identities),
        auc: Cell::estimate(&found.auc, Style::Decimal, notes),
        equal_error_rate: Cell::estimate(&found.equal_error_rate, Style::Percent, notes),
        within: Cell::estimate(&found.similarity_within, Style::Decimal, notes),
        between: fixed(found.similarity_between, 3),
        at: at
            .map(|at| {
                let (rate, threshold) = (rate(at.false_match_rate), fixed(at.threshold, 3));
                format!("{} at {rate} (from {threshold})", Style::Percent.full(&at.true_match_rate))
            })
            .collect(),
    }
}
