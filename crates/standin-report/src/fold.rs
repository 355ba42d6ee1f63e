//! What is shown at once and what is folded away where many releases are compared.

use std::collections::BTreeSet;

use standin_bench::summary::{Front, Release, ReleaseVerdict, Summary};

/// Up to so many releases nothing is folded.
pub(crate) const FEW: usize = 12;

/// Releases shown at once where there are more.
const FIRST: usize = 8;

/// Names of the releases that matter most for a decision: all of few; of many those that pass the thresholds, then those
/// that may be on the Pareto front, the likelier first.
#[derive(Clone, Debug)]
pub(crate) struct Prominent<'a> {
    names: Option<BTreeSet<&'a str>>,
}

/// Items in two parts: those shown at once, and the others by the generator they come from.
#[derive(Clone, Debug)]
pub(crate) struct Folded<T> {
    pub(crate) first: Vec<T>,
    pub(crate) groups: Vec<Group<T>>,
}

/// Items folded together.
#[derive(Clone, Debug)]
pub(crate) struct Group<T> {
    /// The generator's family, or what is released.
    pub(crate) name: String,
    /// How many releases they belong to.
    pub(crate) releases: usize,
    pub(crate) items: Vec<T>,
}

impl<'a> Prominent<'a> {
    /// The prominent releases of a study.
    pub(crate) fn of(summary: &'a Summary) -> Self {
        if summary.releases.len() <= FEW {
            return Self { names: None };
        }
        let place = |verdict: &ReleaseVerdict| {
            let passes = verdict.useful && verdict.resists_attacks;
            let front = verdict.front().filter(|front| *front != Front::Unlikely);
            (passes || front.is_some()).then(|| (!passes, 1.0 - verdict.pareto_probability.unwrap_or(0.0)))
        };
        let judged = summary.verdict.releases.iter();
        let mut placed: Vec<((bool, f64), &str)> =
            judged.filter_map(|verdict| Some((place(verdict)?, verdict.name.as_str()))).collect();
        placed.sort_by(|a, b| a.0.0.cmp(&b.0.0).then(a.0.1.total_cmp(&b.0.1)));
        Self { names: Some(placed.into_iter().take(FIRST).map(|(_, name)| name).collect()) }
    }

    /// Whether a release is shown at once.
    pub(crate) fn shows(&self, release: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(release))
    }

    /// Divides items, each with the release it belongs to, keeping their order.
    pub(crate) fn fold<T>(&self, items: impl IntoIterator<Item = (&'a Release, T)>) -> Folded<T> {
        let mut folded = Folded { first: Vec::new(), groups: Vec::<Group<T>>::new() };
        let mut counted: BTreeSet<&str> = BTreeSet::new();
        for (release, item) in items {
            if self.shows(&release.name) {
                folded.first.push(item);
                continue;
            }
            let name = group(release);
            let known = folded.groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
                folded.groups.push(Group { name, releases: 0, items: Vec::new() });
                folded.groups.len() - 1
            });
            folded.groups[known].releases += usize::from(counted.insert(&release.name));
            folded.groups[known].items.push(item);
        }
        folded
    }
}

impl<T> Folded<T> {
    /// Whether there is nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.groups.is_empty()
    }
}

/// What a release is folded under.
pub(crate) fn group(release: &Release) -> String {
    match (&release.generator, &release.source) {
        (Some((_, family)), _) => format!("generator {family}"),
        (None, Some(_)) => "images made elsewhere".into(),
        (None, None) => "trained on the private images".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(name: usize, passes: bool, chance: f64) -> ReleaseVerdict {
        ReleaseVerdict {
            name: name.to_string(),
            useful: passes,
            resists_attacks: passes,
            pareto: false,
            pareto_probability: Some(chance),
            reasons: Vec::new(),
        }
    }

    /// A summary of releases with these verdicts, as JSON has the least of it.
    fn summary(verdicts: Vec<ReleaseVerdict>) -> Summary {
        let release = |verdict: &ReleaseVerdict| {
            serde_json::json!({
                "name": verdict.name, "kind": "images", "generator": ["g", if verdict.name == "0" { "gan" } else { "vae" }],
                "guarantee": null, "utility": [], "measures": [], "attacks": [], "gallery": null
            })
        };
        let document = serde_json::json!({
            "schema": "", "version": "", "name": "", "seeds": [], "configuration": "",
            "data": {
                "source": "", "licence": null, "shape": { "channels": 1, "height": 1, "width": 1 }, "classes": [],
                "train": 1, "holdout": 1, "test": 1, "duplicates_across_split": 0, "population": null, "grouped_by": null
            },
            "thresholds": {}, "releases": verdicts.iter().map(release).collect::<Vec<_>>(), "questions": [],
            "verdict": { "headline": "", "releases": verdicts }, "warnings": []
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn of_few_all_are_shown_and_of_many_those_that_matter() {
        let few = summary((0..12).map(|name| verdict(name, false, 0.0)).collect());
        assert!(few.releases.iter().all(|release| Prominent::of(&few).shows(&release.name)));
        let many = summary((0..30).map(|name| verdict(name, name == 29, if name < 20 { 0.5 } else { 0.0 })).collect());
        let prominent = Prominent::of(&many);
        let shown: Vec<&str> =
            many.releases.iter().map(|release| release.name.as_str()).filter(|name| prominent.shows(name)).collect();
        assert_eq!(shown, ["0", "1", "2", "3", "4", "5", "6", "29"]);
        let folded = prominent.fold(many.releases.iter().map(|release| (release, release.name.clone())));
        assert_eq!(folded.first, shown);
        assert_eq!((folded.groups.len(), folded.groups[0].releases, folded.groups[0].items.len()), (1, 22, 22));
        assert_eq!(folded.groups[0].name, "generator vae");
    }
}
