//! The page as a reader, a browser and a screen reader meet it.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use standin_bench::summary::Summary;
use standin_measure::{Estimate, Outcome};
use standin_privacy::NoiseOrigin;
use standin_report::{Document, Report};

use crate::markup::{Element, elements};
use crate::sample;

fn report(summary: &Summary) -> Report {
    let folder = tempfile::tempdir().unwrap();
    sample::write(folder.path(), summary);
    Report::load(folder.path()).unwrap().with_timings(sample::timings())
}

fn html(summary: &Summary) -> String {
    report(summary).html()
}

/// The sample with names that mean something in markup.
fn hostile() -> Summary {
    let mut summary = sample::summary();
    let name = r#"<b>&"'</td>{{x}}"#;
    summary.name = name.into();
    summary.data.classes[0] = name.into();
    summary.releases[0].name = name.into();
    summary.verdict.releases[0].name = name.into();
    summary.releases[0].attacks[0].attack = name.into();
    summary.releases[1].measures[0].stamp = name.into();
    summary.warnings.push(name.into());
    summary.configuration = format!("name = '{name}'</code></pre><script>alert(1)</script>");
    summary
}

/// Elements nest, identifiers are unique, and what refers to one finds it. Returns how many references there are.
pub fn assert_well_formed(document: &str) -> usize {
    let elements = elements(document);
    let identifiers: Vec<&String> = elements.iter().filter_map(|element| element.attributes.get("id")).collect();
    let unique: BTreeSet<&String> = identifiers.iter().copied().collect();
    assert_eq!(unique.len(), identifiers.len(), "an identifier is used twice");
    let mut references = 0;
    for element in &elements {
        let linked = element.attributes.get("href").map(|href| href.strip_prefix('#').expect("links stay on the page"));
        let labels =
            ["aria-labelledby", "aria-describedby"].into_iter().filter_map(|name| element.attributes.get(name));
        for reference in linked.into_iter().chain(labels.flat_map(|names| names.split(' '))) {
            assert!(unique.contains(&reference.to_owned()), "nothing has the identifier {reference}");
            references += 1;
        }
    }
    references
}

#[test]
fn elements_nest_and_identifiers_resolve() {
    for summary in [sample::summary(), hostile()] {
        assert!(assert_well_formed(&html(&summary)) > 60);
    }
}

/// Every table has a caption, a head and a body, and rows of one length that begin with a header. Returns how many tables
/// there are.
pub fn assert_rows_are_equal(document: &str) -> usize {
    let elements = elements(document);
    let tables: Vec<&Element> = elements.iter().filter(|element| element.name == "table").collect();
    for table in &tables {
        let child = |element: &Element, name: &str| -> Vec<Element> {
            element.children.iter().map(|&index| elements[index].clone()).filter(|child| child.name == name).collect()
        };
        assert_eq!(child(table, "caption").len(), 1);
        let groups = ["thead", "tbody"].into_iter().flat_map(|name| child(table, name));
        let rows: Vec<Element> = groups.flat_map(|group| child(&group, "tr")).collect();
        assert!(rows.len() >= 2);
        let widths: BTreeSet<usize> = rows.iter().map(|row| row.children.len()).collect();
        assert_eq!(widths.len(), 1, "{widths:?}");
        for row in &rows {
            let heads = child(row, "th");
            assert!(!heads.is_empty() && heads.iter().all(|head| head.attributes.contains_key("scope")));
        }
    }
    tables.len()
}

#[test]
fn rows_of_a_table_have_equal_cells() {
    assert!(assert_rows_are_equal(&html(&sample::summary())) >= 7);
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let document = html(&sample::summary());
    for element in elements(&document) {
        assert!(!matches!(element.name.as_str(), "link" | "iframe" | "object" | "base" | "image" | "use"));
        for (name, value) in &element.attributes {
            let loads =
                matches!(name.as_str(), "src" | "href" | "srcset" | "action" | "xlink:href" | "poster" | "data");
            assert!(!loads || value.starts_with("data:image/png;base64,") || value.starts_with('#'), "{name}={value}");
        }
    }
    for loading in ["http:", "https:", "url(", "@import", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!document.contains(loading), "{loading}");
    }
}

#[test]
fn names_are_shown_as_text() {
    let document = html(&hostile());
    let elements = elements(&document);
    assert!(elements.iter().all(|element| element.name != "b"));
    assert_eq!(elements.iter().filter(|element| element.name == "script").count(), 1);
    let shown = "&#60;b&#62;&#38;&#34;&#39;&#60;/td&#62;{{x}}";
    let texts =
        |name: &str| elements.iter().filter(|element| element.name == name && element.text.contains(shown)).count();
    for name in ["title", "h1", "h3", "th", "td", "text", "li", "code"] {
        assert!(texts(name) > 0, "no {name} shows the name");
    }
}

#[test]
fn plots_have_a_name_or_are_hidden() {
    let elements = elements(&html(&sample::summary()));
    let plots: Vec<&Element> = elements.iter().filter(|element| element.name == "svg").collect();
    for plot in &plots {
        let named = plot.attributes.get("role").is_some_and(|role| role == "img");
        assert!(named != plot.attributes.contains_key("aria-hidden"));
        if named {
            let parts: Vec<&str> = plot.children.iter().map(|&index| elements[index].name.as_str()).take(2).collect();
            assert_eq!(parts, ["title", "desc"]);
        }
    }
    let panels = plots.iter().filter(|plot| plot.path.last().is_some_and(|parent| parent == "figure")).count();
    assert_eq!(panels, sample::summary().releases.len());
    assert!(elements.iter().filter(|element| element.name == "img").all(|image| !image.attributes["alt"].is_empty()));
}

/// No drawing has a coordinate that is not a number. Returns how much is drawn.
pub fn assert_drawn_numbers_are_finite(document: &str) -> usize {
    let mut drawn = 0;
    for element in elements(document) {
        for name in ["d", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "transform"] {
            let value = element.attributes.get(name).map_or("", String::as_str);
            assert!(!value.contains("NaN") && !value.contains("inf"), "{name}=\"{value}\" of {}", element.name);
            drawn += value.len();
        }
    }
    drawn
}

#[test]
fn drawn_numbers_are_finite() {
    assert!(assert_drawn_numbers_are_finite(&html(&sample::summary())) > 10_000);
}

#[test]
fn numbers_on_the_page_are_those_of_the_summary() {
    let summary = sample::summary();
    let elements = elements(&html(&summary));
    let values: BTreeSet<&String> =
        elements.iter().filter_map(|element| element.attributes.get("data-value")).collect();
    let mut estimates: Vec<&Estimate> = Vec::new();
    for release in &summary.releases {
        for utility in &release.utility {
            estimates.extend([&utility.accuracy, &utility.balanced_accuracy]);
            estimates.extend(&utility.replacement_ratio);
            estimates.extend(utility.per_class.iter().filter_map(Outcome::estimate));
        }
        for measure in &release.measures {
            estimates.extend(measure.outcome.estimate());
            estimates.extend(measure.reference.as_ref().and_then(Outcome::estimate));
        }
        for attack in &release.attacks {
            estimates.extend([&attack.auc, &attack.balanced_accuracy]);
            estimates.extend(attack.true_positive_rates.iter().filter_map(|at| at.outcome.estimate()));
            estimates.extend(attack.epsilon_lower.as_ref().and_then(Outcome::estimate));
        }
    }
    assert!(estimates.len() > 200);
    for estimate in estimates {
        assert!(values.contains(&estimate.value.to_string()), "{estimate} is not in a table");
    }
    let accuracy = &summary.releases[0].utility[0].accuracy;
    let cell =
        elements.iter().find(|element| element.attributes.get("data-value") == Some(&accuracy.value.to_string()));
    assert_eq!(cell.unwrap().text.trim(), format!("{:.1}\u{202f}%", 100.0 * accuracy.value));
}

#[test]
fn what_is_not_measurable_is_said_with_the_reason() {
    let document = html(&sample::summary());
    let elements = elements(&document);
    let cells: Vec<&Element> =
        elements.iter().filter(|element| element.name == "td" && element.text.contains("not measurable")).collect();
    let missing = |release: &standin_bench::summary::Release| {
        let rates = release.attacks.iter().flat_map(|attack| &attack.true_positive_rates).map(|at| &at.outcome);
        let classes = release.utility.iter().flat_map(|utility| &utility.per_class);
        rates.chain(classes).filter(|outcome| outcome.estimate().is_none()).count()
    };
    let expected: usize = sample::summary().releases.iter().map(missing).sum();
    assert!(expected > 0);
    assert_eq!(cells.len(), expected);
    assert!(cells.iter().all(|cell| !cell.attributes.contains_key("data-value")));
    assert!(document.contains("Not measurable: needs at least 1000 non-members, there are 500"));
}

fn raise_lower_bound(summary: &mut Summary, value: f64) {
    let attack =
        summary.releases.iter_mut().find(|release| release.name == "merf-1").unwrap().attacks.last_mut().unwrap();
    let Some(Outcome::Measured(lower)) = &mut attack.epsilon_lower else { panic!("the sample has a lower bound") };
    lower.value = value;
}

#[test]
fn a_lower_bound_above_the_guarantee_is_an_alarm() {
    let mut summary = sample::summary();
    raise_lower_bound(&mut summary, 2.0);
    assert!(
        !html(&summary).contains("This run has failed"),
        "twice ε meets an add-or-remove guarantee where one image is exchanged"
    );
    raise_lower_bound(&mut summary, 2.73);
    let report = report(&summary);
    let elements = elements(&report.html());
    let alarm = elements.iter().position(|element| element.attributes.get("role").is_some_and(|role| role == "alert"));
    let headline =
        elements.iter().position(|element| element.attributes.get("class").is_some_and(|class| class == "headline"));
    assert!(alarm.unwrap() < headline.unwrap(), "the alarm comes before the verdict it overturns");
    let item = elements.iter().find(|element| element.text.contains("demonstrates ε ≥ 2.73")).unwrap();
    assert!(item.text.contains("merf-1") && item.text.contains("allows at most 2."));
    assert!(elements.iter().any(|element| element.text.contains("2.73 — above the guarantee")));
    assert!(report.markdown().contains("**This run has failed.**"));
}

#[test]
fn canaries_that_show_more_than_is_promised_are_an_alarm() {
    let mut summary = sample::summary();
    summary.releases[1].canaries = vec![sample::canaries("noise", 0.9, 1.99, Some(2.0))];
    let before = html(&summary);
    assert!(!before.contains("This run has failed") && before.contains("500 × 8 runs, 4 guessed"));
    summary.releases[1].canaries = vec![sample::canaries("noise", 0.9, 2.25, Some(1.9999))];
    let report = report(&summary);
    let page = report.html();
    assert!(page.contains("demonstrates ε ≥ 2.25 for adding or removing one image, where ε = 1.9999 is promised"));
    assert!(
        page.contains("2.25 — above the promise") && page.contains(">2.00</td>"),
        "2.00 is not below what is promised"
    );
    let markdown = report.markdown();
    assert!(markdown.contains("**This run has failed.**") && markdown.contains("## Canaries"));
}

#[test]
fn an_attack_above_the_ceiling_of_the_guarantee_is_an_alarm() {
    let mut summary = sample::summary();
    let attack = &mut summary.releases[1].attacks[0];
    // ε = 1 for adding or removing one image: exchanging one allows an AUC of e²/(1 + e²) = 0.881.
    attack.auc = Estimate { value: 0.90, low: 0.87, high: 0.93, ..attack.auc.clone() };
    assert!(!html(&summary).contains("This run has failed"));
    let attack = &mut summary.releases[1].attacks[0];
    attack.auc = Estimate { value: 0.92, low: 0.89, high: 0.95, ..attack.auc.clone() };
    assert!(html(&summary).contains("the guarantee allows at most 0.881"));
}

#[test]
fn a_classifier_that_leaks_more_than_its_images_shows_weak_attacks() {
    let mut summary = sample::summary();
    assert!(!html(&summary).contains("so the attacks on it are weak"));
    let attack = &mut summary.releases[3].attacks[1];
    attack.auc = Estimate { value: 0.8, low: 0.78, high: 0.82, ..attack.auc.clone() };
    summary.post_processing = standin_bench::leakage::post_processing(&summary.releases);
    let report = report(&summary);
    assert!(report.html().contains("reversed: weak attacks on vae"));
    assert!(report.html().contains("so the attacks on it are weak"));
    assert!(report.markdown().contains("so the attacks on it are weak"));
}

#[test]
fn reproducible_noise_is_stamped() {
    let mut summary = sample::summary();
    assert!(!html(&summary).contains("NOT PRIVATE"));
    summary.releases[2].guarantee.as_mut().unwrap().noise = NoiseOrigin::Reproducible;
    let report = report(&summary);
    let document = report.html();
    assert!(document.contains("Not private: reproducible noise") && document.contains("<strong>NOT PRIVATE.</strong>"));
    assert!(report.markdown().contains("NOT PRIVATE"));
}

#[test]
fn training_pictures_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut summary = sample::summary();
    // Without pictures of their own, the sample's copies equal the training images they copy.
    summary.releases[0].gallery.as_mut().unwrap().near_copies[0].train_picture = "only-train.png".into();
    sample::write(folder.path(), &summary);
    let picture = image::RgbImage::from_fn(28, 28, |x, y| image::Rgb([(x * 9) as u8, (y * 9) as u8, 77]));
    picture.save(folder.path().join("only-train.png")).unwrap();
    let encoded = STANDARD.encode(std::fs::read(folder.path().join("only-train.png")).unwrap());
    let report = Report::load(folder.path()).unwrap();
    assert!(report.html().contains(&encoded) && report.html().contains("shows 18 private training pictures"));
    let document = report.without_training_pictures().html();
    assert!(!document.contains(&encoded) && !document.contains("private training pictures"));
    assert!(document.contains("a private image, left out of this page"));
}

#[test]
fn a_page_of_large_pictures_stays_below_ten_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let summary = sample::summary();
    sample::write(folder.path(), &summary);
    let mut word = 1_u32;
    let noise = image::RgbImage::from_fn(1000, 1000, |_, _| {
        let mut byte = || {
            word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (word >> 24) as u8
        };
        image::Rgb([byte(), byte(), byte()])
    });
    for release in &summary.releases[..3] {
        noise.save(folder.path().join(&release.gallery.as_ref().unwrap().grid)).unwrap();
    }
    let document = Report::load(folder.path()).unwrap().html();
    assert!(document.len() < 10_000_000, "{}", document.len());
    assert!(document.contains("see merf-10/grid.png beside the summary"));
}

#[test]
fn a_summary_without_results_is_a_page_that_says_so() {
    let mut summary = sample::summary();
    summary.releases.clear();
    summary.verdict.releases.clear();
    summary.questions.clear();
    summary.seeds.clear();
    let document = html(&summary);
    elements(&document);
    assert!(document.contains("No attack ran: nothing is known"));
    assert!(document.contains("No set of images was measured"));
    assert!(!document.contains("NaN"));
}
