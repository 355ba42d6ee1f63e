//! Which identities synthetic sets give away, as a page, as Markdown and as JSON.

mod page;
mod text;

use serde::Serialize;
use standin_attack::{FALSE_DISCOVERY_RATE, IdentityAudit, IdentityMatch, ImagePair};
use standin_bench::summary::Gate;

use crate::document::{Document, json_line};

/// The name and version of the document's schema.
const SCHEMA: &str = "standin.identities/1";

/// An audit of one or several synthetic sets against the identities of one training set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Identities {
    /// Name and version of this document's schema.
    schema: &'static str,
    /// Version of the program.
    version: &'static str,
    /// Name of the audit.
    pub name: String,
    /// The real images: training and holdout.
    pub real: String,
    /// What an identity is: the name of a column, or the classes.
    pub unit: String,
    /// Whether images were aligned, and by what.
    pub alignment: String,
    /// Whether the real side of the gallery is made unrecognisable.
    pub redacted: bool,
    /// The synthetic sets.
    pub sets: Vec<IdentitySet>,
    /// Conditions on their figures, as they came out.
    pub gates: Vec<Gate>,
}

/// One synthetic set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdentitySet {
    /// What it is called.
    pub name: String,
    /// What sums it up.
    pub audit: IdentityAudit,
    /// The training identities that are named as leaked, least p-value first: as many as the page lists.
    pub named: Vec<IdentityMatch>,
    /// The most similar pairs of a synthetic and a training image.
    pub pairs: Vec<ShownPair>,
    /// The most similar pairs of different synthetic identities.
    pub links: Vec<ImagePair>,
    /// The best similarity of every training identity, descending.
    #[serde(skip)]
    pub train_similarities: Vec<f64>,
    /// The same of every holdout identity.
    #[serde(skip)]
    pub holdout_similarities: Vec<f64>,
    /// Files with all that was found, beside the report.
    pub tables: Vec<String>,
}

/// A synthetic image beside the training image that it is most like.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownPair {
    /// Which images, and how like they are.
    #[serde(flatten)]
    pub pair: ImagePair,
    /// Identity of the training image.
    pub identity: String,
    /// p-value of that identity, extrapolated beyond all unseen ones; none without a holdout.
    pub p_value: Option<f64>,
    /// The same adjusted for the number of identities.
    pub adjusted_p_value: Option<f64>,
    /// Share of holdout identities whose best match is less similar; none without a holdout.
    pub null_quantile: Option<f64>,
    /// Both pictures as PNG, where images were given.
    #[serde(skip)]
    pub pictures: Option<[Vec<u8>; 2]>,
}

impl Identities {
    /// A report of these sets.
    pub fn new(
        name: String,
        real: String,
        unit: String,
        alignment: String,
        redacted: bool,
        sets: Vec<IdentitySet>,
        gates: Vec<Gate>,
    ) -> Self {
        Self { schema: SCHEMA, version: env!("CARGO_PKG_VERSION"), name, real, unit, alignment, redacted, sets, gates }
    }

    /// What a reader has to know before the figures.
    pub fn warnings(&self) -> Vec<String> {
        let Some(first) = self.sets.first() else { return Vec::new() };
        let mut warnings = Vec::new();
        if let Some(found) = first.audit.recogniser.measured().filter(|found| !found.recognises()) {
            warnings.push(format!(
                "The encoder hardly recognises these identities: two images of one are more alike than two of different ones in \
                 only {:.0} % of cases, where guessing gives 50 %. It cannot show that anybody leaked, nor that nobody did.",
                100.0 * found.auc.value
            ));
        }
        if first.audit.recogniser.measured().is_none() {
            warnings.push(
                "Too few real identities have two images, so that it is not known how well the encoder recognises them."
                    .into(),
            );
        }
        if first.audit.holdout[0] == 0 {
            warnings.push(
                "There are no holdout identities: something is always alike, and nothing here says whether it is more than chance."
                    .into(),
            );
        }
        warnings
    }

    /// What was found about a set, in a sentence.
    pub fn headline(set: &IdentitySet) -> String {
        let audit = &set.audit;
        let named = audit.discoveries;
        let share = match audit.leaked.estimate() {
            None => return format!("{}: whether identities leaked cannot be said ({})", set.name, audit.leaked),
            Some(share) => share,
        };
        let rate = 100.0 * audit.false_match_rate;
        let percent = |value: f64| format!("{:.1}", 100.0 * value);
        let counted = format!(
            "{} % [{}, {}] of {} training identities are matched where {rate} % would be by chance",
            percent(share.value),
            percent(share.low),
            percent(share.high),
            audit.train[0],
        );
        match (named, share.low > audit.false_match_rate) {
            (0, false) => format!("{}: no identity is shown to have leaked; {counted}", set.name),
            (0, true) => format!("{}: identities leaked, and none can be named with confidence; {counted}", set.name),
            (1, _) => format!("{}: one identity leaked; {counted}", set.name),
            (named, _) => format!("{}: {named} identities leaked; {counted}", set.name),
        }
    }
}

impl Document for Identities {
    fn html(&self) -> String {
        page::page(self)
    }

    fn markdown(&self) -> String {
        text::document(self)
    }

    fn json(&self) -> String {
        json_line(self)
    }
}

/// The share of wrong names that is accepted, for people.
fn false_discovery_rate() -> String {
    crate::number::rate(FALSE_DISCOVERY_RATE)
}
