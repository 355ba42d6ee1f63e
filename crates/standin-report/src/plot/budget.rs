//! ε over steps, as a picture of its own.

use super::axes::Axes;
use super::drawing::Drawing;
use super::scale::Scale;

/// What is known about ε after a number of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetPoint {
    /// Steps taken, at least 1.
    pub steps: u64,
    /// No smaller ε holds.
    pub low: f64,
    /// This ε holds.
    pub high: f64,
    /// ε by Rényi differential privacy; left out of the picture where it is not finite.
    pub rdp: f64,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 616.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 336.0;

/// Colours for a picture that no page lends any, for light and for dark.
const STYLE: &str = "<style>\
    .plot{--paper:#ffffff;--ink:#1b1f24;--soft:#545d68;--rule:#d5dae0;--first:#0067a3;--second:#c45100;background:var(--paper);\
    font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Liberation Sans',Arial,sans-serif}\
    @media (prefers-color-scheme:dark){.plot{--paper:#14171a;--ink:#e5e8eb;--soft:#a4adb7;--rule:#3a4148;--first:#5fb4ea;--second:#f09a55}}\
    .paper{fill:var(--paper)}.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}\
    .tick{fill:var(--soft);font-size:12px}.axis-title,.key{fill:var(--ink);font-size:13px}\
    .middle{text-anchor:middle}.end{text-anchor:end}\
    .curve{fill:none;stroke-width:2}.bracket{fill:var(--first);opacity:.25}\
    .first{stroke:var(--first)}.second{stroke:var(--second);stroke-dasharray:7 4}\
    </style>";

/// Draws ε over steps as an SVG file that stands alone and follows light and dark: the curve that holds, the band down to
/// where no smaller ε does, and Rényi differential privacy dashed. Steps are on a logarithmic axis if they span more than
/// two decades. `points` are in rising order of steps; `delta` is the δ of all.
///
/// Nothing if there are fewer than two points.
pub fn budget_curve(points: &[BudgetPoint], delta: f64) -> Option<String> {
    let (first, last) = (points.first()?, points.last()?);
    if first.steps >= last.steps {
        return None;
    }
    let steps = (first.steps as f64, last.steps as f64);
    let values = || points.iter().flat_map(|point| [point.high, point.rdp]).filter(|value| value.is_finite());
    let top = 1.05 * values().fold(f64::MIN_POSITIVE, f64::max);
    let x = if steps.1 > 100.0 * steps.0 {
        Scale::logarithmic(steps, (LEFT, RIGHT))
    } else {
        Scale::linear((0.0, steps.1), (LEFT, RIGHT))
    };
    let y = Scale::linear((0.0, top), (BOTTOM, TOP));
    let mut drawing = Drawing::new(WIDTH, HEIGHT);
    drawing.rectangle("paper", (0.0, 0.0), (WIDTH, HEIGHT));
    let axes = Axes { x, y, x_title: "Steps", y_title: "ε", x_percent: false, y_percent: false, ticks: 6 };
    axes.draw(&mut drawing);
    let at = |point: &BudgetPoint, value: f64| (x.position(point.steps as f64), y.position(value));
    let upper = points.iter().map(|point| at(point, point.high));
    let lower = points.iter().rev().map(|point| at(point, point.low));
    let band: Vec<String> = upper.clone().chain(lower).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    drawing.path("bracket", &format!("M{}Z", band.join("L")));
    let rdp: Vec<(f64, f64)> =
        points.iter().filter(|point| point.rdp.is_finite()).map(|point| at(point, point.rdp)).collect();
    drawing.polyline("curve second", &rdp);
    drawing.polyline("curve first", &upper.collect::<Vec<_>>());
    for (left, class, name) in [
        (LEFT, "curve first", "ε that holds, with its bracket"),
        (LEFT + 290.0, "curve second", "Rényi differential privacy"),
    ] {
        drawing.line(class, (left, 20.0), (left + 30.0, 20.0));
        drawing.text("key", (left + 38.0, 24.5), name);
    }
    drawing.text("tick end", (RIGHT, HEIGHT - 6.0), &format!("δ = {delta:e}"));
    let description = format!(
        "At δ = {delta:e}, ε is between {:.3} and {:.3} after {} steps and between {:.3} and {:.3} after {}.",
        first.low, first.high, first.steps, last.low, last.high, last.steps
    );
    let svg = drawing.finish("budget", "Privacy loss over steps", &description);
    let open = svg.find('>')? + 1;
    let (head, body) = svg.split_at(open);
    Some(format!("{}{STYLE}{body}\n", head.replacen("<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"", 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(steps: u64, high: f64) -> BudgetPoint {
        BudgetPoint { steps, low: 0.99 * high, high, rdp: 1.1 * high }
    }

    #[test]
    fn the_picture_stands_alone_and_tells_its_numbers() {
        let points: Vec<BudgetPoint> = (0..5).map(|k| point(10_u64.pow(k), 0.5 * f64::from(k + 1))).collect();
        let svg = budget_curve(&points, 1e-5).unwrap();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""), "{svg}");
        for part in ["prefers-color-scheme:dark", "δ = 1e-5", "after 10000", "curve second", ">Steps<"] {
            assert!(svg.contains(part), "`{part}` is missing");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn nothing_to_draw_gives_no_picture_and_infinite_bounds_are_left_out() {
        assert_eq!(budget_curve(&[point(3, 1.0)], 1e-5), None);
        let svg = budget_curve(&[point(1, 0.0), BudgetPoint { rdp: f64::INFINITY, ..point(4, 2.0) }], 1e-5).unwrap();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
