//! Colours of the style sheet: readable in light and dark, and light on paper.

use std::collections::BTreeMap;

const STYLE: &str = include_str!("../../templates/style.css");

type Colour = [f64; 3];

/// The variables of the block that follows `selector`.
fn variables(selector: &str) -> BTreeMap<String, String> {
    let (_, after) = STYLE.split_once(selector).expect("the style sheet has the selector");
    let (block, _) = after.split_once('}').expect("blocks end");
    let declarations = block.trim_start_matches([' ', '{']).split(';');
    let pairs = declarations.filter_map(|declaration| declaration.split_once(':'));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

fn themes() -> [(&'static str, BTreeMap<String, String>); 3] {
    [
        ("light", variables(":root {")),
        ("dark by system", variables(":root:not([data-theme=\"light\"]) {")),
        ("dark by toggle", variables(":root[data-theme=\"dark\"] {")),
    ]
}

fn colour(text: &str) -> Colour {
    let hex = text.strip_prefix('#').unwrap_or_else(|| panic!("{text} is not a colour"));
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()))
}

/// Relative luminance (WCAG 2.2).
fn luminance(colour: Colour) -> f64 {
    let linear = colour.map(|value| {
        let share = value / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

/// Contrast ratio (WCAG 2.2), from 1 to 21.
fn contrast(a: Colour, b: Colour) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// The ground of a heat cell at its deepest.
fn deepest(variables: &BTreeMap<String, String>, heat: &str) -> Colour {
    let heat: Vec<f64> = variables[heat].split(' ').map(|value| value.parse().unwrap()).collect();
    let depth: f64 = variables["--heat-depth"].parse().unwrap();
    let paper = colour(&variables["--paper"]);
    [0, 1, 2].map(|channel| depth * heat[channel] + (1.0 - depth) * paper[channel])
}

/// The colour as people without red or without green receptors see it (Viénot, Brettel and Mollon 1999, in linear light).
fn without_receptor(seen: Colour, matrix: [[f64; 3]; 3]) -> Colour {
    let linear = seen.map(|value| (value / 255.0).powf(2.2));
    matrix.map(|row| (0..3).map(|channel| row[channel] * linear[channel]).sum::<f64>().max(0.0).powf(1.0 / 2.2) * 255.0)
}

#[test]
fn signs_of_a_correlation_differ_for_the_colour_blind() {
    let protanopia = [[0.112_38, 0.887_62, 0.0], [0.112_38, 0.887_62, 0.0], [0.004_01, -0.004_01, 1.0]];
    let deuteranopia = [[0.292_75, 0.707_25, 0.0], [0.292_75, 0.707_25, 0.0], [-0.022_34, 0.022_34, 1.0]];
    for (theme, variables) in themes() {
        let [positive, negative] = ["--heat-rgb", "--heat-negative-rgb"].map(|heat| deepest(&variables, heat));
        for matrix in [protanopia, deuteranopia] {
            let (a, b) = (without_receptor(positive, matrix), without_receptor(negative, matrix));
            let distance = (0..3).map(|channel| (a[channel] - b[channel]).powi(2)).sum::<f64>().sqrt();
            assert!(distance > 40.0, "{theme}: {distance:.0}");
        }
    }
}

#[test]
fn black_on_white_has_the_largest_contrast() {
    assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
}

#[test]
fn text_is_readable_on_every_ground_it_stands_on() {
    for (theme, variables) in themes() {
        let named = |name: &str| colour(&variables[name]);
        let grounds = [
            ("--paper", &["--ink", "--soft", "--link", "--pass", "--fail", "--warn"][..]),
            ("--panel", &["--ink"]),
            ("--alarm", &["--ink", "--fail"]),
            ("--caution", &["--ink", "--soft", "--link", "--warn"]),
            ("--passing", &["--ink", "--soft"]),
            ("--shade", &["--ink", "--soft"]),
        ];
        for (ground, inks) in grounds {
            for ink in inks {
                let ratio = contrast(named(ground), named(ink));
                assert!(ratio >= 4.5, "{theme}: {ink} on {ground} has {ratio:.2}");
            }
        }
        for heat in ["--heat-rgb", "--heat-negative-rgb"] {
            let ratio = contrast(deepest(&variables, heat), named("--ink"));
            assert!(ratio >= 4.5, "{theme}: text on the deepest {heat} has {ratio:.2}");
        }
    }
}

#[test]
fn marks_stand_out_from_the_paper() {
    for (theme, variables) in themes() {
        let marks = variables
            .keys()
            .filter(|name| name.starts_with("--series-") || name.ends_with("images") || name.starts_with("--on-"));
        let marks: Vec<&String> = marks.collect();
        assert_eq!(marks.len(), 9);
        for mark in marks {
            let ratio = contrast(colour(&variables["--paper"]), colour(&variables[mark]));
            assert!(ratio >= 3.0, "{theme}: {mark} has {ratio:.2}");
        }
    }
}

#[test]
fn both_ways_to_dark_are_the_same_and_neither_prints() {
    let [_, (_, system), (_, toggle)] = themes();
    assert_eq!(system, toggle);
    for (before, _) in STYLE.match_indices("--paper: #14171a").map(|(at, _)| STYLE.split_at(at)) {
        let media = before.rfind("@media").expect("dark is inside a media query");
        assert!(before[media..].starts_with("@media screen"));
    }
}
