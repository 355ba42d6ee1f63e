use rand::RngExt;
use standin_data::{Seed, Shape};
use standin_measure::{Estimate, Outcome};

use super::*;
use crate::summary::{
    AttackRow, DataSummary, GroupAccuracy, ImageScores, MeasureRow, RateAt, SCHEMA, Thresholds, Utility, Verdict,
};

fn estimate(value: f64, half: f64) -> Estimate {
    Estimate { value, low: value - half, high: value + half, n: 100, method: "made up".into() }
}

fn measured(value: f64, half: f64) -> Outcome {
    Outcome::Measured(estimate(value, half))
}

fn measure(name: &str, against: &str, encoder: &str, value: f64) -> MeasureRow {
    MeasureRow {
        measure: name.into(),
        aspect: "fidelity".into(),
        against: against.into(),
        outcome: measured(value, 1.0),
        reference: None,
        better: "lower".into(),
        stamp: format!("{encoder} (28×28); 500 synthetic"),
    }
}

fn attack(name: &str, auc: f64, rates: &[(f64, Outcome)]) -> AttackRow {
    AttackRow {
        attack: name.into(),
        access: "images".into(),
        stamp: "pixels (28×28)".into(),
        members: 100,
        non_members: 100,
        auc: estimate(auc, 0.02),
        per_seed: Vec::new(),
        p_value: 0.03,
        corrected_p_value: 0.06,
        balanced_accuracy: estimate(0.5, 0.05),
        true_positive_rates: rates
            .iter()
            .map(|(rate, outcome)| RateAt { false_positive_rate: *rate, outcome: outcome.clone() })
            .collect(),
        roc: vec![(0.0, 0.0), (1.0, 1.0)],
        epsilon_lower: Some(measured(0.4, 0.0)),
    }
}

fn utility() -> Utility {
    Utility {
        classifier: "cnn".into(),
        accuracy: estimate(0.8, 0.02),
        balanced_accuracy: estimate(0.75, 0.02),
        replacement_ratio: Some(estimate(0.9, 0.03)),
        per_class: vec![measured(0.9, 0.05), measured(0.6, 0.05)],
        per_seed: vec![0.8],
        real: None,
        real_on_synthetic: None,
        augmented: None,
        per_group: vec![GroupAccuracy {
            column: "site".into(),
            group: "north".into(),
            images: 50,
            accuracy: measured(0.7, 0.1),
            real: None,
        }],
    }
}

fn release(name: &str, fd: f64) -> Release {
    let too_few = Outcome::NotMeasurable("needs at least 1000 non-members".into());
    Release {
        name: name.into(),
        kind: ReleaseKind::Images,
        generator: None,
        source: None,
        guarantee: None,
        utility: vec![utility()],
        measures: vec![
            measure("frechet-distance", "train", "pixels", fd - 3.0),
            measure("frechet-distance", "holdout", "pixels", fd),
            measure("frechet-distance", "holdout", "onnx:fid-inception.onnx", 2.0 * fd),
            measure("vendi-score", "", "pixels", 12.0),
            MeasureRow {
                outcome: Outcome::NotMeasurable("fewer than 20 images".into()),
                ..measure("coverage", "holdout", "pixels", 0.0)
            },
        ],
        attacks: vec![
            attack("gan-leaks", 0.55, &[(0.01, measured(0.03, 0.01)), (0.001, too_few)]),
            AttackRow { corrected_p_value: 0.9, ..attack("monte-carlo", 0.62, &[(0.01, measured(0.02, 0.005))]) },
        ],
        gallery: None,
        canaries: Vec::new(),
        scores: Some(ImageScores {
            table: "scores.csv".into(),
            stamp: "pixels (28×28)".into(),
            images: 500,
            false_match_rate: 0.01,
            threshold: Some(1.5),
            copies: 4,
            expected_copies: 5.0,
            near_holdout: Some(5),
            synthetic_quantiles: vec![],
            holdout_quantiles: vec![],
        }),
    }
}

fn summary(releases: Vec<Release>) -> Summary {
    Summary {
        schema: SCHEMA.into(),
        version: String::new(),
        name: String::new(),
        seeds: vec![1],
        configuration: String::new(),
        data: DataSummary {
            source: String::new(),
            licence: None,
            shape: Shape { channels: 1, height: 28, width: 28 },
            classes: vec!["benign".into(), "malignant".into()],
            train: 500,
            holdout: 500,
            test: 500,
            duplicates_across_split: 0,
            population: None,
            grouped_by: None,
        },
        thresholds: Thresholds::default(),
        releases,
        rankings: vec![],
        correlations: None,
        gates: vec![],
        mitigations: vec![],
        post_processing: vec![],
        questions: vec![],
        verdict: Verdict { headline: String::new(), releases: vec![] },
        warnings: vec![],
    }
}

fn known() -> KnownFigures {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    KnownFigures {
        measures: names(&["frechet-distance", "vendi-score", "coverage"]),
        attacks: names(&["gan-leaks", "monte-carlo"]),
        classifiers: names(&["cnn"]),
        encoders: names(&["pixels", "onnx:fid-inception.onnx"]),
        holdout: true,
        identities: false,
    }
}

fn parsed(text: &str) -> GateExpression {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// One release: FD 19 [18, 20] on pixels, 38 [37, 39] on Inception features.
fn evaluated(text: &str) -> Gate {
    let gate = parsed(text);
    gate.check(&known()).unwrap_or_else(|error| panic!("{error}"));
    gate.evaluate(&summary(vec![release("a", 19.0)]))
}

#[test]
fn gates_are_tested_at_the_bad_end() {
    for (text, passes) in [
        ("fd_holdout@pixels < 20.5", true),
        ("fd_holdout@pixels < 20", false),
        ("fd_holdout@pixels <= 20", true),
        ("fd_holdout@pixels.value < 20", true),
        ("fd_holdout@pixels.low < 18.5", true),
        ("fd_holdout@pixels > 18", false),
        ("fd_holdout@pixels >= 18", true),
        ("fd_holdout@pixels.high > 19.5", true),
        ("vendi > 10.5", true),
        ("vendi > 11.5", false),
        ("attack.gan_leaks.auc < 0.56", false),
        ("attack.gan_leaks.auc < 0.58", true),
        ("attack.gan_leaks.tpr@1% < 0.05", true),
        ("attack.gan_leaks.tpr@1% .high < 4%", false),
        ("attack . gan-leaks . tpr @ 0.01 . value < 3 %", false),
        ("attack.gan_leaks.epsilon_lower <= 0.4", true),
        ("attack.gan_leaks.balanced_accuracy < 0.56", true),
        ("utility.cnn.accuracy > 0.75", true),
        ("utility.cnn.replacement_ratio > 0.89", false),
        ("utility.cnn.balanced_accuracy >= 0.7", true),
        ("utility.cnn.per_group > 0.55", true),
        ("scores.copies <= 4", true),
        ("scores.copies < 4", false),
        ("scores.copies_share < 0.01", false),
        ("scores.copies_share.value < 0.01", true),
    ] {
        assert_eq!(evaluated(text).passed, passes, "{text}: {:?}", evaluated(text).figures);
    }
}

#[test]
fn every_figure_that_is_meant_must_meet_the_comparison() {
    for (text, passes) in [
        ("fd@pixels < 21", true),
        ("measure.frechet_distance.train@pixels < 18", true),
        ("measure.frechet-distance@pixels.train.high < 18", true),
        ("FD_Train < 18", true),
        ("fd_holdout < 21", false),
        ("fd_holdout < 39.5", true),
        ("fid_holdout < 39.5", true),
        ("fid_holdout > 36", true),
        ("fd_holdout > 36", false),
        ("utility.cnn.per_class > 0.5", true),
        ("utility.cnn.per_class > 0.7", false),
        ("attack.strongest.auc < 0.63", false),
        ("attack.strongest.auc < 0.65", true),
        ("attack.strongest.auc > 0.59", true),
        ("attack.strongest.tpr@1% < 0.05", true),
        ("attack.strongest.tpr@1% < 0.035", false),
        ("attack.strongest.p_value > 0.05", true),
        ("attack.strongest.p_value > 0.07", false),
    ] {
        assert_eq!(evaluated(text).passed, passes, "{text}: {:?}", evaluated(text).figures);
    }
    let gate = evaluated("utility.cnn.per_class > 0.7");
    assert!(gate.figures[0].contains("malignant"), "what fails comes first: {:?}", gate.figures);
}

#[test]
fn comparisons_are_joined_by_the_usual_rules() {
    let (yes, no) = ("fd_train < 18", "fd_train < 15");
    for (text, passes) in [
        (format!("{yes} and {yes}"), true),
        (format!("{yes} and {no}"), false),
        (format!("{yes} or {no}"), true),
        (format!("{no} or {no}"), false),
        (format!("{yes} or {no} and {no}"), true),
        (format!("({yes} or {no}) and {no}"), false),
        (format!("not {no}"), true),
        (format!("NOT {yes} OR {yes}"), true),
        (format!("not ({yes} or {no})"), false),
        (format!("not ({no} or {no})"), true),
        (format!("not ({no} and {yes})"), true),
        (format!("not not {yes}"), true),
    ] {
        assert_eq!(evaluated(&text).passed, passes, "{text}");
    }
}

/// Where the interval leaves it open, neither a comparison nor its opposite passes.
#[test]
fn negation_turns_the_bad_end_around() {
    assert!(!evaluated("fd_train < 16.5").passed);
    assert!(!evaluated("not fd_train < 16.5").passed);
    assert!(evaluated("not fd_train < 15").passed);
}

#[test]
fn what_is_not_measured_meets_neither_a_comparison_nor_its_opposite() {
    for text in ["coverage_holdout > 0.5", "not coverage_holdout > 0.5"] {
        let gate = evaluated(text);
        assert!(!gate.passed);
        assert!(gate.figures[0].contains("not measurable: fewer than 20 images"), "{:?}", gate.figures);
    }
    for text in ["coverage_train > 0.5", "attack.monte-carlo.tpr@0.1% < 0.5", "utility.cnn.augmented > 0"] {
        let gate = evaluated(text);
        assert!(!gate.passed && gate.figures[0].contains("was not measured"), "{:?}", gate.figures);
    }
    let gate = evaluated("attack.strongest.tpr@0.1% < 0.5");
    assert!(!gate.passed && gate.figures[0].contains("needs at least 1000"), "{:?}", gate.figures);
    let mut without = release("a", 19.0);
    without.scores.as_mut().unwrap().threshold = None;
    let gate = parsed("scores.copies <= 10").evaluate(&summary(vec![without]));
    assert!(!gate.passed && gate.figures[0].contains("without holdout images"));
    let gate = parsed("scores.copies <= 3").evaluate(&summary(vec![release("a", 19.0)]));
    assert_eq!(gate.figures, ["a: copies (pixels) = 4, which is not <= 3"], "a count has no interval");
    let gate = parsed("fd < 20").evaluate(&summary(vec![]));
    assert!(!gate.passed && gate.figures[0].contains("no set of synthetic images"));
}

#[test]
fn every_set_must_pass_and_those_that_fail_are_named_first() {
    let mut classifier = release("classifier", 90.0);
    classifier.kind = ReleaseKind::ClassifierOnReal;
    let releases = vec![release("good", 10.0), release("poor", 40.0), classifier];
    let gate = parsed(" fd_holdout@pixels < 20 ").evaluate(&summary(releases));
    assert_eq!(gate.expression, "fd_holdout@pixels < 20");
    assert!(!gate.passed);
    assert_eq!(
        gate.figures,
        [
            "poor: frechet-distance against holdout (pixels) = 40 [39, 41]; its upper end 41 is not < 20",
            "good: frechet-distance against holdout (pixels) = 10 [9, 11]; its upper end 11 is < 20"
        ]
    );
}

#[test]
fn mistakes_are_shown_with_their_column_and_what_to_write() {
    for (text, column, parts) in [
        ("", 1, &["the expression ends", "fd_holdout"][..]),
        ("fd_holdout", 11, &["the expression ends", "`<`"]),
        ("fd_holdout = 20", 12, &["found `=`", "`<=`"]),
        ("fd_holdout <", 13, &["a number"]),
        ("fd_holdout < many", 14, &["found `many`", "a number"]),
        ("fd_holdout < 1e999", 14, &["a number"]),
        ("fd_holdout < 20x", 14, &["found `20x`"]),
        ("20 > fd_holdout", 1, &["found `20`", "on the left"]),
        ("fd < 20 && kid < 1", 9, &["found `&&`", "write `and`"]),
        ("fd < 20 || kid < 1", 9, &["write `or`"]),
        ("(fd < 20", 9, &["`)`", "column 1"]),
        ("fd < 20)", 8, &["found `)`", "remove it"]),
        ("0.4 < fd < 0.5", 1, &["found `0.4`", "on the left"]),
        ("fd < 0.5 < 0.6", 10, &["found `<`", "`and`"]),
        ("attack < 1", 8, &["the name of an attack"]),
        ("attack.gan-leaks < 1", 18, &[".auc", ".tpr"]),
        ("attack.gan-leaks.area < 1", 18, &["there is no `.area`", "known are .auc"]),
        ("attack.gan-leaks.tpr < 1", 22, &["tpr@1%"]),
        ("attack.gan-leaks.tpr@1 < 1", 21, &["a false-positive rate of 1", "1%"]),
        ("utility.cnn.acuracy > 0.5", 13, &["did you mean `.accuracy`"]),
        ("scores.copied < 3", 8, &["did you mean `.copies`"]),
        ("fd.holdout.train < 3", 12, &["again what to compare with"]),
        ("fd_holdout.hihg < 3", 12, &["no `.hihg`", ".high"]),
        ("fd.high.train < 3", 9, &["nothing follows"]),
        ("fd@\"pixels < 3", 4, &["not closed"]),
        ("measure.fd_holdot < 20", 1, &["no measure `fd_holdot`", "did you mean `fd_holdout`", "`vendi-score`"]),
        ("fd < 1 and presicion > 0.5", 12, &["no measure `presicion`", "`coverage`"]),
        ("kid < 1", 1, &["no measure `kid`", "it has `frechet-distance`"]),
        ("fd@pixel < 1", 1, &["no encoder `pixel`", "did you mean `pixels`"]),
        ("attack.gan_leak.auc < 1", 1, &["did you mean `gan-leaks`", "`strongest`"]),
        ("utility.knn.accuracy > 0.5", 1, &["no classifier `knn`", "`cnn`"]),
    ] {
        let error = match text.parse::<GateExpression>() {
            Err(error) => error,
            Ok(gate) => gate.check(&known()).expect_err(text),
        };
        assert_eq!(error.column, column, "{error}");
        for part in parts {
            assert!(error.to_string().contains(part), "\"{part}\" is not in: {error}");
        }
    }
}

#[test]
fn without_holdout_nothing_that_needs_it_can_be_asked() {
    let known = KnownFigures { holdout: false, ..known() };
    for text in ["fd_holdout < 20", "scores.copies < 3"] {
        let message = parsed(text).check(&known).unwrap_err().to_string();
        assert!(message.contains("needs holdout images"), "{message}");
    }
    parsed("fd_train < 20 or fd < 20").check(&known).unwrap();
    let message = parsed("attack.strongest.auc < 1").check(&KnownFigures::default()).unwrap_err().to_string();
    assert!(message.contains("no attack"), "{message}");
}

#[test]
fn an_audit_of_identities_has_its_own_figures_and_no_others() {
    let identities = KnownFigures { identities: true, ..KnownFigures::default() };
    parsed("identities.leaked < 2% and not identities.named > 0").check(&identities).unwrap();
    let message = parsed("utility.cnn.accuracy > 0.5").check(&identities).unwrap_err().to_string();
    assert!(message.contains("accuracy of cnn") && message.contains("`identities.most_alike`"), "{message}");
    let message = parsed("identities.named <= 0").check(&known()).unwrap_err().to_string();
    assert!(message.contains("--unit identity"), "{message}");
    assert!(!parsed("identities.named <= 0").evaluate_identities([]).passed);
}

#[test]
fn names_with_other_characters_go_in_quotation_marks() {
    let mut set = release("a", 19.0);
    set.utility[0].classifier = "resnet.18 (b)".into();
    let gate = parsed("utility.\"resnet.18 (b)\".accuracy > 0.7");
    assert!(gate.evaluate(&summary(vec![set])).passed);
    assert!(evaluated("fd_holdout@\"onnx:fid-inception.onnx\" < 40").passed);
    assert!(evaluated("fd_holdout@onnx:fid-inception < 40").passed);
}

#[test]
fn every_known_alias_stands_for_one_measure() {
    for measure in standin_measure::MEASURES {
        assert_eq!(figure::measure_named(measure.name).name, measure.name, "an alias hides a registered measure");
    }
}

/// Any text is an expression or a refusal whose column lies in it; what is an expression can be checked and evaluated,
/// and parses again from how it is shown.
#[test]
fn no_input_panics() {
    const WORDS: &[&str] = &[
        "fd_holdout",
        "measure",
        "attack",
        "strongest",
        "utility",
        "cnn",
        "scores",
        "copies",
        ".",
        "@",
        "%",
        "<",
        "<=",
        ">",
        ">=",
        "(",
        ")",
        "and",
        "or",
        "not",
        "1",
        "0.01",
        "-3e5",
        "1e",
        "\"",
        "tpr",
        "tpr@1%",
        "auc",
        "high",
        " ",
        "é",
        "\u{202f}",
        "𝛆",
        "=",
        "value",
        "coverage",
        "< 0.5",
        "fd < 2",
        "attack.gan-leaks.tpr@1%.high < 1",
        "\n",
    ];
    let summary = summary(vec![release("a", 19.0)]);
    let mut rng = Seed::new(3).rng();
    let mut understood = 0;
    for _ in 0..20_000 {
        let words = rng.random_range(0..9);
        let mut text: String = (0..words).map(|_| WORDS[rng.random_range(0..WORDS.len())]).collect();
        if rng.random_range(0..4) == 0 {
            text.push(char::from_u32(rng.random_range(0..0x3000)).unwrap_or('x'));
        }
        match text.parse::<GateExpression>() {
            Err(error) => assert!(error.column <= text.chars().count() + 1, "{error}"),
            Ok(gate) => {
                understood += 1;
                let _ = gate.check(&known());
                assert!(!gate.evaluate(&summary).figures.is_empty());
                assert_eq!(gate.to_string().parse().as_ref(), Ok(&gate));
            }
        }
    }
    assert!(understood > 200, "{understood}");
    for deep in ["(".repeat(100_000), "not ".repeat(100_000), format!("{} fd < 1", "not ".repeat(65))] {
        let error = deep.parse::<GateExpression>().unwrap_err();
        assert!(error.found.contains("64"), "{}", error.found);
    }
    assert!(vec!["fd < 1"; 20_000].join(" and ").parse::<GateExpression>().is_ok());
}
