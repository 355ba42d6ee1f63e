//! The page of an audit: sets compared, gates, copies, and nothing of what an audit does not have.

use standin_bench::summary::Summary;
use standin_measure::Outcome;
use standin_report::{Document, Report};

use crate::markup::{Element, elements};
use crate::{audit, page, sample};

fn report(summary: &Summary) -> Report {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), summary);
    Report::load(folder.path()).unwrap()
}

fn html(summary: &Summary) -> String {
    report(summary).html()
}

fn refusal(change: impl FnOnce(&mut Summary)) -> String {
    let mut summary = audit::summary();
    change(&mut summary);
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), &summary);
    Report::load(folder.path()).expect_err("the summary contradicts itself").to_string()
}

fn section<'a>(document: &'a str, id: &str) -> &'a str {
    let start = document.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id}"));
    let end = document[start..].find("</section>").expect("sections end");
    &document[start..start + end]
}

#[test]
fn an_audit_is_a_page_like_any_other() {
    let summary = audit::summary();
    let document = html(&summary);
    page::assert_well_formed(&document);
    page::assert_drawn_numbers_are_finite(&document);
    page::assert_rows_are_equal(&document);
}

#[test]
fn what_an_audit_does_not_have_is_left_out() {
    let document = html(&audit::summary());
    assert!(!document.contains("id=\"questions\"") && !document.contains("href=\"#questions\""));
    for anchor in ["rankings", "correlations", "copies", "utility"] {
        assert!(document.contains(&format!("href=\"#{anchor}\"")), "{anchor}");
    }
    let mut bare = audit::summary();
    bare.rankings.clear();
    bare.correlations = None;
    bare.gates.clear();
    bare.data.test = 0;
    bare.releases.truncate(1);
    bare.verdict.releases.truncate(1);
    let release = &mut bare.releases[0];
    release.scores = None;
    release.gallery = None;
    release.attacks.clear();
    release.utility.clear();
    let document = html(&bare);
    page::assert_well_formed(&document);
    for anchor in ["rankings", "correlations", "copies", "utility", "pictures", "trade-off", "gates", "questions"] {
        assert!(!document.contains(&format!("id=\"{anchor}\"")), "{anchor}");
        assert!(!document.contains(&format!("href=\"#{anchor}\"")), "{anchor}");
    }
    assert!(
        document.contains("Not judged") && !document.contains("Fails both"),
        "what was not measured has not failed"
    );
    assert!(!document.contains("A release passes when"));
    assert!(document.contains("1200 private training images, 500 holdout; 1 repetition"));
    let markdown = report(&bare).markdown();
    assert!(markdown.contains("– Not judged"));
    for title in ["## Gates", "## Comparison", "## Utility", "## Copies", "## What foretells"] {
        assert!(!markdown.contains(title), "{title}");
    }
}

#[test]
fn a_failed_gate_stands_before_the_verdict() {
    let mut summary = audit::summary();
    let failed: Vec<&str> =
        summary.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.expression.as_str()).collect();
    assert_eq!(failed, ["fd_holdout < 60", "attack.strongest.tpr@1% .high < 0.05"]);
    let document = html(&summary);
    let alarm = document.find("2 of 3 gates have failed").unwrap();
    assert!(alarm < document.find("class=\"headline\"").unwrap());
    let elements = elements(&document);
    let outcomes: Vec<&str> = elements
        .iter()
        .filter(|element| {
            element.attributes.get("class").is_some_and(|class| class == "outcome") && element.name == "td"
        })
        .map(|element| element.text.as_str())
        .collect();
    assert_eq!(outcomes, ["✗ failed", "✗ failed", "✓ passed"]);
    for gate in &summary.gates {
        for figure in &gate.figures {
            let shown = |element: &Element| element.name == "li" && element.text.contains(&escaped(figure));
            assert!(elements.iter().any(shown), "{figure}");
        }
    }
    let markdown = report(&summary).markdown();
    assert!(markdown.find("**Gate failed: ").unwrap() < markdown.find(&summary.verdict.headline).unwrap());
    summary.gates.retain(|gate| gate.passed);
    let document = html(&summary);
    assert!(document.contains("✓ passed") && !document.contains("gates have failed"));
    assert!(!report(&summary).markdown().contains("Gate failed"));
}

fn escaped(text: &str) -> String {
    text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;")
}

#[test]
fn every_rank_is_in_the_table_and_every_value_in_a_plot() {
    let summary = audit::summary();
    assert!(summary.rankings.len() >= 10);
    let document = html(&summary);
    let rankings = section(&document, "rankings");
    let places: usize = summary.rankings.iter().map(|ranking| ranking.places.len()).sum();
    assert_eq!(rankings.matches("<span class=\"remark\">best ").count(), places);
    assert_eq!(rankings.matches("<circle").count(), places);
    assert_eq!(rankings.matches("role=\"img\"").count(), summary.rankings.len());
    let first = &summary.rankings[0].places[0];
    let (best, worst) = first.rank_interval;
    assert!(rankings.contains(&format!(">1 <span class=\"interval\">[{best}, {worst}]</span>")));
}

#[test]
fn sets_of_different_size_are_said_to_be_ranked_apart() {
    let mut summary = audit::summary();
    for row in &mut summary.releases[0].measures {
        row.stamp = row.stamp.replace("500 synthetic", "300 synthetic");
    }
    summary.rankings = standin_bench::ranking::rankings(&summary.releases);
    let said = "thin all to 300 to rank them together";
    assert!(html(&summary).contains(said));
    assert!(report(&summary).markdown().contains(said));
}

#[test]
fn correlations_are_shown_as_numbers_and_as_a_map() {
    let summary = audit::summary();
    let found = summary.correlations.as_ref().unwrap();
    let document = html(&summary);
    let correlations = section(&document, "correlations");
    let coloured = correlations.matches("class=\"correlation ").count();
    let numbers = found.matrix.iter().flatten().filter(|rho| rho.is_some()).count();
    assert_eq!(coloured + found.names.len(), numbers, "all but the diagonal are coloured");
    for rho in found.with_utility.iter().skip(1).filter_map(Outcome::estimate) {
        assert!(correlations.contains(&format!("data-value=\"{}\"", rho.value)), "{rho}");
    }
    assert!(correlations.contains("With 7 sets only the strongest relations can show"));
}

#[test]
fn copies_are_counted_beside_what_chance_gives() {
    let document = html(&audit::summary());
    let copies = section(&document, "copies");
    assert_eq!(copies.matches("more than chance").count(), 1, "only the set that copies has more");
    assert_eq!(copies.matches(">counts as a copy</text>").count(), 7);
    assert!(copies.contains("scores/copier.parquet"));
    let mut summary = audit::summary();
    for scores in summary.releases.iter_mut().filter_map(|release| release.scores.as_mut()) {
        scores.threshold = None;
        scores.holdout_quantiles.clear();
    }
    let document = html(&summary);
    let copies = section(&document, "copies");
    assert!(copies.contains("none without holdout") && !copies.contains("more than chance"));
    assert!(!copies.contains("role=\"img\""), "nothing to compare with, nothing to plot");
}

#[test]
fn the_lowest_class_and_group_are_marked() {
    let document = html(&audit::summary());
    let utility = section(&document, "utility");
    assert_eq!(utility.matches("lowest class").count(), 14);
    assert_eq!(utility.matches("lowest group").count(), 14);
    for name in ["TSTR", "TRTR", "TRTS", "T+S"] {
        assert!(utility.contains(&format!(">{name}</a>")), "{name}");
    }
    let study = html(&sample::summary());
    assert!(!study.contains("TRTS</a>") && !study.contains("lowest group"));
}

#[test]
fn the_source_of_every_set_is_named() {
    let document = html(&audit::summary());
    let shown = "synthetic images, from a text-to-image model, 500 images";
    assert_eq!(section(&document, "verdict").matches(shown).count(), 7);
    assert!(section(&document, "appendix").contains("copier: a text-to-image model, 500 images"));
}

#[test]
fn markdown_has_the_tables_that_compare_sets() {
    let summary = audit::summary();
    let markdown = report(&summary).markdown();
    for title in
        ["## Gates", "## Comparison", "## Utility", "## Accuracy of groups", "## What foretells utility", "## Copies"]
    {
        assert!(markdown.contains(title), "{title}");
    }
    let mut rows = 0;
    for block in markdown.split("\n\n").filter(|block| block.starts_with('|')) {
        let widths: Vec<usize> = block.lines().map(|line| line.chars().count()).collect();
        assert!(widths.len() >= 3 && widths.iter().all(|width| *width == widths[0]), "{block}");
        rows += widths.len() - 2;
    }
    let sets = summary.releases.len();
    let figures = summary.correlations.as_ref().unwrap().names.len() - 1;
    assert_eq!(rows, sets + summary.gates.len() + summary.rankings.len() + 2 * sets + 4 * sets + figures + sets);
}

#[test]
fn training_pictures_stay_out_of_an_audit_that_is_passed_on() {
    let folder = tempfile::tempdir().unwrap();
    let summary = audit::summary();
    sample::write(folder.path(), &summary);
    let report = Report::load(folder.path()).unwrap();
    assert!(report.html().contains("shows 42 private training pictures"));
    let document = report.without_training_pictures().html();
    assert!(
        document.contains("a private image, left out of this page") && !document.contains("private training pictures")
    );
}

#[test]
fn an_audit_that_contradicts_itself_is_refused() {
    let message = refusal(|summary| summary.rankings[0].places[0].release = "nobody".into());
    assert!(message.contains("nobody") && message.contains("ranking by frechet-distance"), "{message}");
    let message = refusal(|summary| summary.correlations.as_mut().unwrap().matrix[2].truncate(1));
    assert!(message.contains("one for each pair"), "{message}");
    let message = refusal(|summary| summary.releases[0].scores.as_mut().unwrap().holdout_quantiles.truncate(3));
    assert!(message.contains("psi-0.3") && message.contains("21 quantiles"), "{message}");
}

#[test]
fn names_with_markup_are_shown_as_text() {
    let mut summary = audit::summary();
    let name = "<b>&\"x\"|";
    summary.releases[0].name = name.into();
    summary.verdict.releases[0].name = name.into();
    summary.releases[0].scores.as_mut().unwrap().table = name.into();
    summary.releases[0].source = Some(name.into());
    summary.releases[0].utility[0].per_group[0].group = name.into();
    summary.rankings = standin_bench::ranking::rankings(&summary.releases);
    summary.correlations.as_mut().unwrap().names[1] = name.into();
    summary.gates[0].expression = name.into();
    summary.gates[0].figures[0] = name.into();
    let document = html(&summary);
    page::assert_well_formed(&document);
    assert!(elements(&document).iter().all(|element| element.name != "b"));
    for block in report(&summary).markdown().split("\n\n").filter(|block| block.starts_with('|')) {
        assert!(!block.contains("<b>"), "{block}");
    }
}
