//! The figures a gate can name, and where a release has them.

use standin_attack::IdentityAudit;
use standin_measure::{ALIASES, Alias, Estimate, Outcome, wilson};

use super::parse::nearest;
use super::{KnownFigures, Subject, canonical};
use crate::summary::{AttackRow, Release, Utility};

/// What is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Quantity {
    /// A measure by its registered name, and as the user wrote it; of both sides and all encoders if none is named.
    Measure {
        name: String,
        written: String,
        side: Option<Side>,
        encoder: Option<String>,
    },
    /// Of one attack, or of that with the largest figure if none is named.
    Attack {
        name: Option<String>,
        encoder: Option<String>,
        figure: AttackFigure,
    },
    Utility {
        classifier: String,
        figure: UtilityFigure,
    },
    Scores(ScoreFigure),
    Identities(IdentityFigure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Train,
    Holdout,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum AttackFigure {
    Auc,
    BalancedAccuracy,
    /// At this false-positive rate.
    TruePositiveRate(f64),
    EpsilonLower,
    /// Its p-value, corrected for the number of attacks.
    PValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UtilityFigure {
    Accuracy,
    BalancedAccuracy,
    ReplacementRatio,
    Real,
    RealOnSynthetic,
    Augmented,
    PerClass,
    PerGroup,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScoreFigure {
    Copies,
    CopiesShare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityFigure {
    Leaked,
    Named,
    Auc,
    PValue,
    MostAlike,
}

impl AttackFigure {
    pub(super) const ALL: &[(&str, Self)] = &[
        ("auc", Self::Auc),
        ("balanced_accuracy", Self::BalancedAccuracy),
        ("tpr", Self::TruePositiveRate(f64::NAN)),
        ("epsilon_lower", Self::EpsilonLower),
        ("p_value", Self::PValue),
    ];
}

impl UtilityFigure {
    pub(super) const ALL: &[(&str, Self)] = &[
        ("accuracy", Self::Accuracy),
        ("balanced_accuracy", Self::BalancedAccuracy),
        ("replacement_ratio", Self::ReplacementRatio),
        ("real", Self::Real),
        ("real_on_synthetic", Self::RealOnSynthetic),
        ("augmented", Self::Augmented),
        ("per_class", Self::PerClass),
        ("per_group", Self::PerGroup),
    ];
}

impl ScoreFigure {
    pub(super) const ALL: &[(&str, Self)] = &[("copies", Self::Copies), ("copies_share", Self::CopiesShare)];
}

impl IdentityFigure {
    pub(super) const ALL: &[(&str, Self)] = &[
        ("leaked", Self::Leaked),
        ("named", Self::Named),
        ("auc", Self::Auc),
        ("p_value", Self::PValue),
        ("most_alike", Self::MostAlike),
    ];
}

/// A measure as a gate names it.
pub(super) struct Named {
    /// Its registered name, or the name as it was written where no other is known.
    pub(super) name: String,
    pub(super) side: Option<Side>,
    pub(super) encoder: Option<&'static str>,
}

/// The short name of the class score, which is no measure of embeddings and so in no table of theirs.
const CLASS_SCORE: Alias = Alias { short: "is", measure: "class-score", encoder: None };

/// Names readers know, with the registered ones.
fn aliases() -> impl Iterator<Item = &'static Alias> {
    ALIASES.iter().chain([&CLASS_SCORE])
}

/// What a name such as `fd_holdout` stands for.
pub(super) fn measure_named(written: &str) -> Named {
    let whole = canonical(written);
    let (stem, side) = match (whole.strip_suffix("-train"), whole.strip_suffix("-holdout")) {
        (Some(stem), _) => (stem, Some(Side::Train)),
        (_, Some(stem)) => (stem, Some(Side::Holdout)),
        (None, None) => (whole.as_str(), None),
    };
    let alias = aliases().find(|alias| alias.short == stem);
    let (name, encoder) = alias.map_or((stem, None), |alias| (alias.measure, alias.encoder));
    Named { name: name.into(), side, encoder }
}

/// The name of the encoder with which a stamp begins.
fn encoder_of(stamp: &str) -> &str {
    stamp.split(['(', ';', ',']).next().unwrap_or(stamp).trim()
}

/// Whether the words of `wanted` stand next to each other in the name of the encoder with which a stamp begins.
fn is_encoder(stamp: &str, wanted: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.map(str::to_lowercase).collect()
    };
    let (name, wanted) = (words(encoder_of(stamp)), words(wanted));
    !wanted.is_empty() && name.windows(wanted.len()).any(|window| window == wanted)
}

/// What was found, and what to do about it.
type Refusal = (String, String);

fn refuse_unknown(what: &str, found: &str, known: &[String]) -> Result<(), Refusal> {
    if known.iter().any(|name| canonical(name) == canonical(found)) {
        return Ok(());
    }
    let list = if known.is_empty() { "none".into() } else { quoted(known) };
    let hint = nearest(found, known.iter().map(String::as_str));
    let hint = hint.map_or(String::new(), |name| format!("did you mean `{name}`? "));
    Err((format!("this run has no {what} `{found}`"), format!("{hint}it has {list}")))
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

impl Quantity {
    pub(super) fn check(&self, known: &KnownFigures) -> Result<(), Refusal> {
        let encoder_known = |encoder: &Option<String>| {
            let Some(encoder) = encoder else { return Ok(()) };
            if known.encoders.iter().any(|name| is_encoder(name, encoder)) {
                return Ok(());
            }
            refuse_unknown("encoder", encoder, &known.encoders)
        };
        let holdout = |what: &str| {
            if known.holdout {
                return Ok(());
            }
            Err((
                format!("{what} needs holdout images, and there are none"),
                "give some, or leave this gate out".into(),
            ))
        };
        match self {
            Self::Identities(_) if known.identities => Ok(()),
            Self::Identities(_) => Err((
                "identities are not audited here".into(),
                "audit them with `standin audit --unit identity`, or leave this gate out".into(),
            )),
            other if known.identities => Err((
                format!("an audit of identities does not measure {}", other.name()),
                format!(
                    "it has {}",
                    quoted(
                        &IdentityFigure::ALL.iter().map(|(name, _)| format!("identities.{name}")).collect::<Vec<_>>()
                    )
                ),
            )),
            Self::Measure { name, written, side, encoder } => {
                if !known.measures.iter().any(|measure| canonical(measure) == *name) {
                    return Err(unknown_measure(written, known));
                }
                encoder_known(encoder)?;
                if *side == Some(Side::Holdout) { holdout(&format!("`{written}`")) } else { Ok(()) }
            }
            Self::Attack { name, encoder, .. } => {
                encoder_known(encoder)?;
                match name {
                    Some(name) => {
                        let names: Vec<String> =
                            known.attacks.iter().cloned().chain(["strongest".to_owned()]).collect();
                        refuse_unknown("attack", name, &names)
                    }
                    None if known.attacks.is_empty() => {
                        Err(("this run has no attack".into(), "leave this gate out, or name the attacks to run".into()))
                    }
                    None => Ok(()),
                }
            }
            Self::Utility { classifier, .. } => refuse_unknown("classifier", classifier, &known.classifiers),
            Self::Scores(_) => holdout("counting copies"),
        }
    }

    /// Every figure that it stands for, each under the name of where it was found.
    pub(super) fn find(&self, subject: Subject<'_>) -> Vec<(String, Outcome)> {
        match (self, subject) {
            (Self::Identities(figure), Subject::Identities(audit)) => vec![figure.of(audit)],
            (_, Subject::Release(release, classes)) => self.of_release(release, classes),
            (_, Subject::Identities(_)) => Vec::new(),
        }
    }

    fn of_release(&self, release: &Release, classes: &[String]) -> Vec<(String, Outcome)> {
        match self {
            Self::Identities(_) => Vec::new(),
            Self::Measure { name, side, encoder, .. } => {
                let rows = release.measures.iter().filter(|row| {
                    canonical(&row.measure) == *name
                        && side.is_none_or(|side| row.against == side.name())
                        && encoder.as_ref().is_none_or(|encoder| is_encoder(&row.stamp, encoder))
                });
                rows.map(|row| {
                    let against =
                        if row.against.is_empty() { String::new() } else { format!(" against {}", row.against) };
                    (format!("{}{against} ({})", row.measure, encoder_of(&row.stamp)), row.outcome.clone())
                })
                .collect()
            }
            Self::Attack { name, encoder, figure } => {
                let rows = release.attacks.iter().filter(|row| {
                    name.as_ref().is_none_or(|name| canonical(name) == canonical(&row.attack))
                        && encoder.as_ref().is_none_or(|encoder| is_encoder(&row.stamp, encoder))
                });
                rows.filter_map(|row| {
                    let label = format!("{} of {} ({})", figure.in_words(), row.attack, encoder_of(&row.stamp));
                    Some((label, figure.of(row)?))
                })
                .collect()
            }
            Self::Utility { classifier, figure } => {
                let rows = release.utility.iter().filter(|row| canonical(classifier) == canonical(&row.classifier));
                rows.flat_map(|row| figure.of(row, classes)).collect()
            }
            Self::Scores(figure) => release.scores.iter().map(|scores| figure.of(scores)).collect(),
        }
    }

    /// What it is called where nothing is found.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Measure { written, side, encoder, .. } => {
                let side = side.map_or(String::new(), |side| format!(" against {}", side.name()));
                let encoder = encoder.as_ref().map_or(String::new(), |encoder| format!(" with {encoder}"));
                format!("{written}{side}{encoder}")
            }
            Self::Attack { name, encoder, figure } => {
                let encoder = encoder.as_ref().map_or(String::new(), |encoder| format!(" with {encoder}"));
                let attack = name.as_deref().unwrap_or("any attack");
                format!("{} of {attack}{encoder}", figure.in_words())
            }
            Self::Utility { classifier, figure } => {
                let name = UtilityFigure::ALL.iter().find(|(_, known)| known == figure).map_or("", |(name, _)| name);
                format!("{} of {classifier}", name.replace('_', " "))
            }
            Self::Scores(_) => "copies".into(),
            Self::Identities(figure) => figure.in_words().into(),
        }
    }
}

/// The refusal of a measure: beside the registered names, those that users know and that stand for one of them.
fn unknown_measure(written: &str, known: &KnownFigures) -> Refusal {
    let short = aliases().filter(|alias| known.measures.iter().any(|measure| canonical(measure) == alias.measure));
    let names: Vec<String> = known.measures.iter().cloned().chain(short.map(|alias| alias.short.to_owned())).collect();
    let sides = ["", "_train", "_holdout"];
    let forms: Vec<String> =
        names.iter().flat_map(|name| sides.map(|side| format!("{}{side}", name.replace('-', "_")))).collect();
    let hint = nearest(written, forms.iter().map(String::as_str));
    let hint = hint.map_or(String::new(), |name| format!("did you mean `{name}`? "));
    let remedy = format!(
        "{hint}it has {}, each with `_train` or `_holdout` if wanted, and figures that begin with `attack.`, `utility.` \
         or `scores.`",
        quoted(&names)
    );
    (format!("this run has no measure `{written}`"), remedy)
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Holdout => "holdout",
        }
    }
}

impl AttackFigure {
    /// The figure, if the attack states it.
    fn of(self, row: &AttackRow) -> Option<Outcome> {
        match self {
            Self::Auc => Some(Outcome::Measured(row.auc.clone())),
            Self::BalancedAccuracy => Some(Outcome::Measured(row.balanced_accuracy.clone())),
            Self::TruePositiveRate(rate) => {
                // Rates are written in percent or as decimals, so equal ones may differ in the last bit.
                let same = |other: f64| (other - rate).abs() <= 1e-12 * rate.max(1e-3);
                row.true_positive_rates.iter().find(|at| same(at.false_positive_rate)).map(|at| at.outcome.clone())
            }
            Self::EpsilonLower => row.epsilon_lower.clone(),
            Self::PValue => {
                let (p, n) = (row.corrected_p_value, row.members + row.non_members);
                Some(Outcome::Measured(Estimate { value: p, low: p, high: p, n, method: "rank-sum, Holm".into() }))
            }
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Auc => "AUC".into(),
            Self::BalancedAccuracy => "balanced accuracy".into(),
            Self::TruePositiveRate(rate) => format!("TPR at {} % FPR", digits(100.0 * rate)),
            Self::EpsilonLower => "ε demonstrated".into(),
            Self::PValue => "corrected p".into(),
        }
    }
}

impl UtilityFigure {
    fn of(self, row: &Utility, classes: &[String]) -> Vec<(String, Outcome)> {
        let classifier = &row.classifier;
        let one = |what: &str, outcome: Option<Outcome>| -> Vec<(String, Outcome)> {
            outcome.map(|outcome| (format!("{what} of {classifier}"), outcome)).into_iter().collect()
        };
        match self {
            Self::Accuracy => one("accuracy", Some(Outcome::Measured(row.accuracy.clone()))),
            Self::BalancedAccuracy => one("balanced accuracy", Some(Outcome::Measured(row.balanced_accuracy.clone()))),
            Self::ReplacementRatio => one("replacement ratio", row.replacement_ratio.clone().map(Outcome::Measured)),
            Self::Real => one("accuracy on private images", row.real.clone()),
            Self::RealOnSynthetic => one("accuracy, real on synthetic,", row.real_on_synthetic.clone()),
            Self::Augmented => one("accuracy with private and synthetic images", row.augmented.clone()),
            Self::PerClass => {
                let name = |at: usize| classes.get(at).cloned().unwrap_or_else(|| at.to_string());
                let outcomes = row.per_class.iter().enumerate();
                outcomes
                    .map(|(at, outcome)| (format!("accuracy of class {} with {classifier}", name(at)), outcome.clone()))
                    .collect()
            }
            Self::PerGroup => row
                .per_group
                .iter()
                .map(|group| {
                    let label = format!("accuracy of {} {} with {classifier}", group.column, group.group);
                    (label, group.accuracy.clone())
                })
                .collect(),
        }
    }
}

impl ScoreFigure {
    /// Copies are counted in the set that is released, so their number is exact; their share is also read as a property
    /// of what made the set, with Wilson's interval.
    fn of(self, scores: &crate::summary::ImageScores) -> (String, Outcome) {
        let label = |what: &str| format!("{what} ({})", encoder_of(&scores.stamp));
        if scores.threshold.is_none() {
            let reason = "without holdout images no threshold for copies could be set";
            return (label("copies"), Outcome::NotMeasurable(reason.into()));
        }
        match self {
            Self::Copies => {
                let value = scores.copies as f64;
                let (n, method) = (scores.images, "counted".into());
                (label("copies"), Outcome::Measured(Estimate { value, low: value, high: value, n, method }))
            }
            Self::CopiesShare if scores.images == 0 => {
                (label("share of copies"), Outcome::NotMeasurable("no image was scored".into()))
            }
            Self::CopiesShare => {
                (label("share of copies"), Outcome::Measured(wilson(scores.copies.min(scores.images), scores.images)))
            }
        }
    }
}

impl IdentityFigure {
    fn in_words(self) -> &'static str {
        match self {
            Self::Leaked => "share of identities that leaked",
            Self::Named => "identities named as leaked",
            Self::Auc => "AUC of identities",
            Self::PValue => "p of identities",
            Self::MostAlike => "highest similarity",
        }
    }

    /// Those that say what is more than chance cannot be measured without unseen identities.
    fn of(self, audit: &IdentityAudit) -> (String, Outcome) {
        let exact = |value: f64, n: usize, method: &str| {
            Outcome::Measured(Estimate { value, low: value, high: value, n, method: method.into() })
        };
        let outcome = match self {
            Self::Leaked => audit.leaked.clone(),
            Self::Auc => audit.auc.clone(),
            Self::MostAlike => exact(audit.highest, audit.synthetic, "found"),
            Self::Named if audit.holdout[0] > 0 => exact(audit.discoveries as f64, audit.train[0], "counted"),
            Self::PValue if let Some(p) = audit.p_value => exact(p, audit.train[0], "rank-sum"),
            Self::Named | Self::PValue => {
                Outcome::NotMeasurable("without holdout identities nothing says what is more than chance".into())
            }
        };
        (self.in_words().into(), outcome)
    }
}

/// Four digits that count.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let decimals = (3.0 - value.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}
