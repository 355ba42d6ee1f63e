//! Two studies side by side.

use standin_bench::summary::Summary;
use standin_measure::{Estimate, Outcome};
use standin_report::{Comparison, Document, Figure};

use crate::markup::elements;
use crate::page::{assert_rows_are_equal, assert_well_formed};
use crate::sample;

/// The sample with a VAE of more epochs and more accuracy, without one release and with another.
fn changed() -> Summary {
    let mut summary = sample::summary();
    summary.name = "Colon tissue, longer".into();
    summary.configuration = summary.configuration.replacen("epochs = 60", "epochs = 120", 1);
    let utility = &mut summary.releases[0].utility[0];
    utility.per_seed.iter_mut().for_each(|accuracy| *accuracy += 0.03);
    utility.accuracy.value += 0.03;
    summary.releases[2].name = "merf-5".into();
    summary.verdict.releases[2].name = "merf-5".into();
    summary.verdict.releases[3].resists_attacks = false;
    summary.releases[1].measures[0].stamp = "scattering J=3 L=8, k=5".into();
    summary
}

fn compared() -> Comparison {
    Comparison::of(("old", &sample::summary()), ("new", &changed()))
}

fn figure<'a>(comparison: &'a Comparison, release: &str, name: &str) -> &'a Figure {
    let found = comparison.releases.iter().find(|found| found.name == release).unwrap();
    found.figures.iter().find(|figure| figure.figure == name).unwrap_or_else(|| panic!("{name} of {release}"))
}

#[test]
fn differences_are_b_less_a_and_paired_by_seed() {
    let comparison = compared();
    let accuracy = figure(&comparison, "vae", "accuracy of cnn");
    let difference = accuracy.difference.as_ref().unwrap();
    assert!((difference.value - 0.03).abs() < 1e-9 && accuracy.is_beyond_chance(), "{difference}");
    assert!(difference.method.starts_with("3 seeds paired"));
    let mut other = changed();
    other.seeds = vec![7, 8, 9];
    let unpaired = Comparison::of(("old", &sample::summary()), ("new", &other));
    assert!(unpaired.warnings.iter().any(|warning| warning.contains("seeds differ")));
    let method = &figure(&unpaired, "vae", "accuracy of cnn").difference.as_ref().unwrap().method;
    assert!(method.starts_with("difference of independent"));
}

#[test]
fn equal_studies_do_not_differ() {
    let summary = sample::summary();
    let comparison = Comparison::of(("a", &summary), ("b", &summary));
    assert!(comparison.warnings.is_empty() && comparison.configuration.is_empty());
    assert_eq!((comparison.changed().count(), comparison.releases.len()), (0, 5));
    let figures = comparison.releases.iter().flat_map(|release| &release.figures);
    for figure in figures.filter(|figure| matches!(figure.a, Some(Outcome::Measured(_)))) {
        assert_eq!(figure.difference.as_ref().map(|difference| difference.value), Some(0.0), "{}", figure.figure);
    }
}

#[test]
fn what_only_one_has_what_changed_and_which_settings_differ_is_said() {
    let comparison = compared();
    assert_eq!((comparison.only_in_a.join(","), comparison.only_in_b.join(",")), ("merf-10".into(), "merf-5".into()));
    let changed: Vec<&str> = comparison.changed().map(|release| release.name.as_str()).collect();
    assert_eq!(changed, ["classifier-vae"]);
    let [setting] = comparison.configuration.as_slice() else { panic!("{:?}", comparison.configuration) };
    assert_eq!(setting.setting, "generator vae: epochs");
    assert_eq!((setting.a.as_deref(), setting.b.as_deref()), (Some("60"), Some("120")));
}

#[test]
fn figures_of_different_protocols_or_images_are_not_subtracted() {
    let comparison = compared();
    let kid = figure(&comparison, "merf-1", "kid against train, scattering J=2 L=8");
    assert_eq!((kid.difference.as_ref(), kid.remark.as_str()), (None, "only in A"));
    let mut other = sample::summary();
    other.releases[0].attacks[0].stamp = "pixels".into();
    let comparison = Comparison::of(("a", &sample::summary()), ("b", &other));
    let nearest = figure(&comparison, "vae", "AUC of nearest");
    assert!(nearest.difference.is_none() && nearest.remark.contains("different protocols"));
    assert!(comparison.warnings.iter().any(|warning| warning.contains("different protocols")));
    other.data.source = "another hospital".into();
    let comparison = Comparison::of(("a", &sample::summary()), ("b", &other));
    assert!(comparison.warnings[0].contains("must not be compared"));
    assert!(comparison.releases.iter().flat_map(|release| &release.figures).all(|figure| figure.difference.is_none()));
}

#[test]
fn the_page_and_the_markdown_have_the_numbers() {
    let comparison = compared();
    let page = comparison.html();
    assert!(assert_well_formed(&page) > 12 && assert_rows_are_equal(&page) >= 6);
    assert!(page.contains("The verdict on 1 of 4 releases changed.") && page.contains("Only in B: merf-5."));
    let values: Vec<String> =
        elements(&page).iter().filter_map(|element| element.attributes.get("data-value").cloned()).collect();
    let difference: &Estimate = figure(&comparison, "vae", "accuracy of cnn").difference.as_ref().unwrap();
    assert!(values.contains(&difference.value.to_string()));
    let markdown = comparison.markdown();
    for part in ["| generator vae: epochs | 60 | 120 |", "**changed**", "Only in A: merf-10."] {
        assert!(markdown.contains(part), "{part} is not in {markdown}");
    }
    let json: serde_json::Value = serde_json::from_str(&comparison.json()).unwrap();
    assert_eq!(json["schema"], "standin.comparison/1");
    assert_eq!(json["releases"][0]["figures"][0]["figure"], "accuracy of cnn");
}

#[test]
fn studies_and_reports_are_read_and_foreign_files_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [study, report] = ["study", "report"].map(|name| folder.path().join(name));
    std::fs::create_dir_all(&study).unwrap();
    sample::write(&study, &sample::summary());
    standin_report::Report::load(&study).unwrap().write(&report, false).unwrap();
    let comparison = Comparison::load(&study, &report).unwrap();
    let paths = comparison.write(&folder.path().join("out"), false).unwrap();
    assert!(paths.iter().all(|path| path.exists()));
    assert!(comparison.write(&folder.path().join("out"), false).unwrap_err().to_string().contains("--force"));
    let text = std::fs::read_to_string(report.join("report.json")).unwrap().replacen("summary/5", "summary/4", 1);
    std::fs::write(report.join("report.json"), text).unwrap();
    let refused = Comparison::load(&study, &report.join("report.json")).unwrap_err().to_string();
    assert!(refused.contains("report.json") && refused.contains("standin.summary/4"), "{refused}");
}
