use askama::Template;
use standin_bench::leakage::{auc_ceiling, exceeds_guarantee, exchange, strongest_attack};
use standin_bench::summary::{AttackRow, Release, Summary};

use crate::cell::{Cell, Note, Notes};
use crate::fold::{Folded, Prominent};
use crate::leakage::ceiling_text;
use crate::number::{Style, count, fixed, plain, probability, rate};
use crate::plot::{Ceiling, Curve, RocPanel, interval_bar};
use crate::words;

/// What each attack found, against what the guarantee allows, and the ROC curves.
#[derive(Template)]
#[template(path = "attacks.html")]
pub(super) struct Section<'a> {
    rates: Vec<String>,
    tables: Vec<Table<'a>>,
    protocols: Vec<(String, String)>,
    notes: Vec<Note>,
    methods: String,
    panels: Folded<(&'a str, String)>,
    guaranteed: bool,
}

/// Attacks on the releases that are shown at once, or on those folded together.
struct Table<'a> {
    anchor: String,
    /// What the fold says; empty where the table is shown at once.
    folded: String,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    release: &'a str,
    attack: &'a AttackRow,
    sample: String,
    auc: Cell,
    p_value: String,
    corrected_p_value: String,
    ceiling: Option<String>,
    balanced_accuracy: Cell,
    rates: Vec<Cell>,
    epsilon_lower: Cell,
    epsilon_upper: String,
}

impl<'a> Section<'a> {
    pub(super) fn new(summary: &'a Summary) -> Self {
        let rates = false_positive_rates(summary);
        let mut notes = Notes::new("attacks");
        let mut rows = Vec::new();
        for release in &summary.releases {
            for attack in &release.attacks {
                rows.push((release, row(summary, release, attack, &rates, &mut notes)));
            }
        }
        let Folded { first, groups } = Prominent::of(summary).fold(rows);
        let mut tables = Vec::new();
        if !first.is_empty() {
            tables.push(Table { anchor: "attacks-caption".into(), folded: String::new(), rows: first });
        }
        for (index, group) in groups.into_iter().enumerate() {
            let folded = format!("{}: attacks on {} more", group.name, group.releases);
            tables.push(Table { anchor: format!("attacks-caption-{index}"), folded, rows: group.items });
        }
        Self {
            rates: rates.iter().map(|&share| rate(share)).collect(),
            tables,
            protocols: protocols(summary),
            notes: notes.list(),
            methods: notes.methods(),
            panels: panels(summary),
            guaranteed: summary.releases.iter().any(|release| release.guarantee.is_some()),
        }
    }
}

/// Each protocol with the attacks that ran under it, in the order of first use.
fn protocols(summary: &Summary) -> Vec<(String, String)> {
    let mut protocols: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for attack in summary.releases.iter().flat_map(|release| &release.attacks) {
        let known =
            protocols.iter_mut().find(|(access, stamp, _)| (*access, *stamp) == (&attack.access, &attack.stamp));
        match known {
            Some((_, _, names)) if names.contains(&attack.attack.as_str()) => {}
            Some((_, _, names)) => names.push(&attack.attack),
            None => protocols.push((&attack.access, &attack.stamp, vec![&attack.attack])),
        }
    }
    let entry = |(access, stamp, names): (&str, &str, Vec<&str>)| {
        (words::listed(&names), format!("sees the {access}; {stamp}"))
    };
    protocols.into_iter().map(entry).collect()
}

/// All false-positive rates of the study, the largest first.
fn false_positive_rates(summary: &Summary) -> Vec<f64> {
    let attacks = summary.releases.iter().flat_map(|release| &release.attacks);
    let mut rates: Vec<f64> =
        attacks.flat_map(|attack| attack.true_positive_rates.iter().map(|at| at.false_positive_rate)).collect();
    rates.sort_by(|a, b| b.total_cmp(a));
    rates.dedup();
    rates
}

fn row<'a>(
    summary: &Summary,
    release: &'a Release,
    attack: &'a AttackRow,
    rates: &[f64],
    notes: &mut Notes,
) -> Row<'a> {
    let at = |share: f64| attack.true_positive_rates.iter().find(|at| at.false_positive_rate == share);
    let rates =
        rates.iter().map(|&share| Cell::optional(at(share).map(|at| &at.outcome), Style::Percent, notes)).collect();
    let mut auc = Cell::estimate(&attack.auc, Style::Decimal, notes);
    auc.drawing = interval_bar(&attack.auc, (0.4, 1.0), 0.5, summary.thresholds.attack_auc);
    let mut epsilon_lower = Cell::optional(attack.epsilon_lower.as_ref(), Style::Adaptive, notes);
    if let Some(estimate) = attack.epsilon_lower.as_ref().and_then(|outcome| outcome.estimate()) {
        epsilon_lower.text = fixed(estimate.value, 2);
        // A bound has one side: what is above it is not known.
        epsilon_lower.interval = String::new();
    }
    if release.guarantee.as_ref().is_some_and(|guarantee| exceeds_guarantee(guarantee, attack)) {
        epsilon_lower.text.push_str(" — above the guarantee");
        epsilon_lower.class.push_str(" contradiction");
    }
    let guarantee = release.guarantee.as_ref();
    Row {
        release: &release.name,
        attack,
        sample: format!("n = {} + {}", count(attack.members), count(attack.non_members)),
        auc,
        p_value: probability(attack.p_value),
        corrected_p_value: probability(attack.corrected_p_value),
        ceiling: guarantee.map(exchange).map(|(epsilon, delta)| ceiling_text(auc_ceiling(epsilon, delta))),
        balanced_accuracy: Cell::estimate(&attack.balanced_accuracy, Style::Percent, notes),
        rates,
        epsilon_lower,
        epsilon_upper: guarantee.map_or("–".into(), |guarantee| plain(guarantee.epsilon)),
    }
}

/// One panel of ROC curves for each release that was attacked.
fn panels(summary: &Summary) -> Folded<(&str, String)> {
    let attacked: Vec<&Release> = summary.releases.iter().filter(|release| !release.attacks.is_empty()).collect();
    let all = || attacked.iter().flat_map(|release| &release.attacks);
    let floor = RocPanel::floor_for(all().map(|attack| attack.non_members).max().unwrap_or(0));
    let mut names: Vec<&str> = Vec::new();
    for attack in all() {
        if !names.contains(&attack.attack.as_str()) {
            names.push(&attack.attack);
        }
    }
    let panels = attacked.iter().enumerate().map(|(index, &release)| {
        let svg = panel(index, release, &names, floor);
        (release, (release.name.as_str(), svg))
    });
    Prominent::of(summary).fold(panels)
}

fn panel(index: usize, release: &Release, names: &[&str], floor: f64) -> String {
    let remarks: Vec<String> =
        release.attacks.iter().map(|attack| format!("AUC {}", fixed(attack.auc.value, 3))).collect();
    let curves = release.attacks.iter().zip(&remarks).map(|(attack, remark)| Curve {
        name: &attack.attack,
        slot: names.iter().position(|name| *name == attack.attack).unwrap_or(0),
        non_members: attack.non_members,
        roc: &attack.roc,
        remark,
    });
    let name = release.guarantee.as_ref().map(|guarantee| format!("most that ε = {} allows", plain(guarantee.epsilon)));
    let bound = release.guarantee.as_ref().map(exchange);
    let ceiling = bound.zip(name.as_ref()).map(|((epsilon, delta), name)| Ceiling { epsilon, delta, name });
    let title = format!("ROC curves of the attacks on {}", release.name);
    let strongest = strongest_attack(release).map_or("", |attack| attack.attack.as_str());
    let description = format!(
        "Logarithmic axes. {} attack{} on {}; the strongest is {strongest}. The table above has the numbers.",
        release.attacks.len(),
        if release.attacks.len() == 1 { "" } else { "s" },
        words::kind(release.kind),
    );
    RocPanel { curves: curves.collect(), ceiling, floor }.draw(&format!("roc-{index}"), &title, &description)
}
