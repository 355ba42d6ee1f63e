//! Utility against leakage: one labelled point a release, with both intervals, the thresholds and the Pareto front.

use standin_bench::summary::Front;
use standin_measure::Estimate;

use super::axes::Axes;
use super::drawing::{Drawing, text_width};
use super::labels::{Anchor, Rectangle, place_labels};
use super::scale::{Scale, share_domain};
use crate::number::{Style, plain, rate};

/// The shape that says what is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Diamond,
    Square,
    Triangle,
}

/// One release.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point<'a> {
    pub(crate) name: &'a str,
    pub(crate) marker: Marker,
    /// Whether it passes the thresholds: filled, or else hollow.
    pub(crate) passes: bool,
    /// Whether no other release beats it in both, by the values alone.
    pub(crate) pareto: bool,
    /// How sure that is: lines and outline are full, dashed or faint.
    pub(crate) front: Option<Front>,
    /// Whether its name stands beside it.
    pub(crate) labelled: bool,
    /// Leakage, from left to right.
    pub(crate) leakage: &'a Estimate,
    /// Utility, from bottom to top.
    pub(crate) utility: &'a Estimate,
}

/// All releases that have both numbers.
#[derive(Clone, Debug)]
pub(crate) struct Scatter<'a> {
    pub(crate) points: Vec<Point<'a>>,
    /// The largest area under the ROC curve that passes.
    pub(crate) leakage_threshold: f64,
    /// The smallest accuracy that passes, where one holds for all points.
    pub(crate) utility_threshold: Option<f64>,
}

const LABEL_SIZE: f64 = 13.0;
const NOTE_SIZE: f64 = 11.0;
const RADIUS: f64 = 5.5;

impl Scatter<'_> {
    /// The plot at a size in CSS pixels. `id` is unique on the page.
    pub(crate) fn draw(&self, id: &str, title: &str, description: &str, (width, height): (f64, f64)) -> String {
        let leakage = self.points.iter().flat_map(|point| [point.leakage.low, point.leakage.high]);
        let utility = self.points.iter().flat_map(|point| [point.utility.low, point.utility.high]);
        let x = Scale::linear(share_domain(leakage.chain([0.5, self.leakage_threshold]), 0.08), (64.0, width - 16.0));
        let y = Scale::linear(share_domain(utility.chain(self.utility_threshold), 0.12), (height - 50.0, 14.0));
        let mut drawing = Drawing::new(width, height);
        let mut obstacles = self.draw_thresholds(&mut drawing, x, y);
        let axes = Axes {
            x,
            y,
            x_title: "AUC of the strongest attack (0.5: guessing)",
            y_title: "Accuracy on real test images",
            x_percent: false,
            y_percent: true,
            ticks: if width < 500.0 { 4 } else { 7 },
        };
        axes.draw(&mut drawing);
        obstacles.extend(self.draw_front(&mut drawing, x, y));
        for point in &self.points {
            obstacles.extend(draw_point(&mut drawing, point, x, y));
        }
        self.draw_labels(&mut drawing, &obstacles, x, y);
        drawing.finish(id, title, description)
    }

    /// Shades what passes, and names the thresholds; returns what labels must not cover.
    fn draw_thresholds(&self, drawing: &mut Drawing, x: Scale, y: Scale) -> Vec<Rectangle> {
        let ((left, right), (bottom, top)) = (x.range(), y.range());
        let across = x.position(self.leakage_threshold);
        let up = self.utility_threshold.map(|threshold| y.position(threshold));
        drawing.rectangle("passing", (left, top), (across - left, up.unwrap_or(bottom) - top));
        drawing.line("threshold", (across, bottom), (across, top));
        let mut obstacles = vec![Rectangle::along((across, bottom), (across, top), 3.0)];
        let auc = format!("allowed: {}", plain(self.leakage_threshold));
        // Beside the line, on the side where there is room.
        let fits = across + 5.0 + text_width(&auc, NOTE_SIZE) < right;
        let (class, at) = if fits { ("note start", across + 5.0) } else { ("note end", across - 5.0) };
        obstacles.push(draw_note(drawing, class, (at, bottom - 6.0), &auc));
        if let (Some(up), Some(threshold)) = (up, self.utility_threshold) {
            drawing.line("threshold", (left, up), (right, up));
            obstacles.push(Rectangle::along((left, up), (right, up), 3.0));
            let needed = format!("needed: {}", rate((threshold * 1e3).round() / 1e3));
            obstacles.push(draw_note(drawing, "note end", (right - 4.0, up + 13.0), &needed));
        }
        if across - left > 150.0 {
            obstacles.push(draw_note(drawing, "note start", (left + 6.0, top + 14.0), "meets the thresholds"));
        }
        obstacles
    }

    /// The best utility reached at each leakage or less: a staircase through the points on the front. Returns what
    /// labels must not cover.
    fn draw_front(&self, drawing: &mut Drawing, x: Scale, y: Scale) -> Vec<Rectangle> {
        let mut front: Vec<(f64, f64)> = self
            .points
            .iter()
            .filter(|point| point.pareto)
            .map(|point| (x.position(point.leakage.value), y.position(point.utility.value)))
            .collect();
        front.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut corners = Vec::new();
        let mut level = y.range().0;
        for &(across, up) in &front {
            corners.extend([(across, level), (across, up)]);
            level = up;
        }
        if corners.is_empty() {
            return Vec::new();
        }
        corners.push((x.range().1, level));
        drawing.polyline("front", &corners);
        corners.windows(2).map(|ends| Rectangle::along(ends[0], ends[1], 3.0)).collect()
    }

    fn draw_labels(&self, drawing: &mut Drawing, obstacles: &[Rectangle], x: Scale, y: Scale) {
        let at = |point: &Point<'_>| (x.position(point.leakage.value), y.position(point.utility.value));
        let labelled = || self.points.iter().filter(|point| point.labelled);
        let anchors: Vec<Anchor> = labelled()
            .map(|point| Anchor {
                point: at(point),
                width: text_width(point.name, LABEL_SIZE),
                height: LABEL_SIZE + 3.0,
            })
            .collect();
        let ((left, right), (bottom, top)) = (x.range(), y.range());
        let places = place_labels(&anchors, obstacles, Rectangle { left, top, right, bottom });
        for (point, place) in labelled().zip(places) {
            let from = at(point);
            let to = place.nearest(from);
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length > 2.5 * RADIUS {
                let start = RADIUS / length;
                let away = (from.0 + start * (to.0 - from.0), from.1 + start * (to.1 - from.1));
                drawing.line("leader", away, to);
            }
            let class = if place.right <= from.0 { "label end" } else { "label start" };
            let anchor = if place.right <= from.0 { place.right } else { place.left };
            drawing.text(class, (anchor, place.bottom - 4.0), point.name);
        }
    }
}

/// Draws a remark beside a line; returns the space it takes.
fn draw_note(drawing: &mut Drawing, class: &str, (x, y): (f64, f64), text: &str) -> Rectangle {
    drawing.text(class, (x, y), text);
    let width = text_width(text, NOTE_SIZE);
    let left = if class.ends_with("end") { x - width } else { x };
    Rectangle { left, top: y - 11.0, right: left + width, bottom: y + 3.0 }
}

/// Draws intervals and marker; returns what labels must not cover.
fn draw_point(drawing: &mut Drawing, point: &Point<'_>, x: Scale, y: Scale) -> [Rectangle; 3] {
    let (across, up) = (x.position(point.leakage.value), y.position(point.utility.value));
    let (west, east) = (x.position(point.leakage.low), x.position(point.leakage.high));
    let (south, north) = (y.position(point.utility.low), y.position(point.utility.high));
    let class = class_of(point.marker);
    let title = format!(
        "{}: AUC {}, accuracy {}",
        point.name,
        Style::Decimal.full(point.leakage),
        Style::Percent.full(point.utility)
    );
    drawing.open_release(&format!("release {}", class_of_front(point.front)), point.name, &title);
    let cap = 3.5;
    let horizontal = [(west, up - cap), (west, up + cap), (west, up), (east, up), (east, up - cap), (east, up + cap)];
    let vertical = [
        (across - cap, south),
        (across + cap, south),
        (across, south),
        (across, north),
        (across - cap, north),
        (across + cap, north),
    ];
    drawing.polyline(&format!("whisker {class}"), &horizontal);
    drawing.polyline(&format!("whisker {class}"), &vertical);
    draw_marker(drawing, point.marker, point.passes, (across, up));
    drawing.close_group();
    [
        Rectangle::around((across, up), 2.6 * RADIUS, 2.6 * RADIUS),
        Rectangle::along((west, up), (east, up), 2.0 * cap),
        Rectangle::along((across, south), (across, north), 2.0 * cap),
    ]
}

fn class_of(marker: Marker) -> &'static str {
    match marker {
        Marker::Circle => "images",
        Marker::Diamond => "on-synthetic",
        Marker::Square => "on-real",
        Marker::Triangle => "generator",
    }
}

fn class_of_front(front: Option<Front>) -> &'static str {
    match front {
        Some(Front::Certain) | None => "front-certain",
        Some(Front::Possible) => "front-possible",
        Some(Front::Unlikely) => "front-unlikely",
    }
}

fn draw_marker(drawing: &mut Drawing, marker: Marker, filled: bool, (x, y): (f64, f64)) {
    let class = format!("marker {} {}", class_of(marker), if filled { "filled" } else { "hollow" });
    let r = RADIUS;
    let path = match marker {
        Marker::Circle => format!("M{:.1} {y:.1}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z", x - r, d = 2.0 * r),
        Marker::Diamond => {
            let r = 1.3 * r;
            format!("M{x:.1} {:.1}L{:.1} {y:.1}L{x:.1} {:.1}L{:.1} {y:.1}Z", y - r, x + r, y + r, x - r)
        }
        Marker::Square => {
            let r = 0.9 * r;
            format!("M{:.1} {:.1}h{d}v{d}h-{d}Z", x - r, y - r, d = 2.0 * r)
        }
        Marker::Triangle => {
            let r = 1.2 * r;
            format!("M{x:.1} {:.1}L{:.1} {:.1}H{:.1}Z", y - r, x + r, y + 0.8 * r, x - r)
        }
    };
    drawing.path(&class, &path);
}

/// The marker alone, for the key.
pub(crate) fn marker_sample(marker: Marker, filled: bool) -> String {
    let mut drawing = Drawing::new(18.0, 18.0);
    draw_marker(&mut drawing, marker, filled, (9.0, 9.0));
    drawing.finish_hidden()
}

/// A marker with its lines as sure as that, for the key.
pub(crate) fn certainty_sample(front: Front) -> String {
    let mut drawing = Drawing::new(34.0, 18.0);
    drawing.open_class(class_of_front(Some(front)));
    drawing.line("whisker images", (2.0, 9.0), (32.0, 9.0));
    draw_marker(&mut drawing, Marker::Circle, false, (17.0, 9.0));
    drawing.close_group();
    drawing.finish_hidden()
}

/// A piece of the front's line, for the key.
pub(crate) fn front_sample() -> String {
    let mut drawing = Drawing::new(26.0, 18.0);
    drawing.path("front", "M1 15V6H25");
    drawing.finish_hidden()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64) -> Estimate {
        Estimate { value, low: value - 0.02, high: value + 0.02, n: 100, method: "Wilson".into() }
    }

    #[test]
    fn every_release_is_labelled_and_has_both_intervals() {
        let (low, high) = (estimate(0.52), estimate(0.8));
        let point = |name, marker, front| Point {
            name,
            marker,
            passes: true,
            pareto: true,
            front: Some(front),
            labelled: name != "unnamed",
            leakage: &low,
            utility: &high,
        };
        let points = vec![
            point("vae", Marker::Circle, Front::Certain),
            point("merf <1>", Marker::Diamond, Front::Possible),
            point("real", Marker::Square, Front::Unlikely),
            point("unnamed", Marker::Square, Front::Unlikely),
        ];
        let scatter = Scatter { points, leakage_threshold: 0.6, utility_threshold: Some(0.75) };
        let svg = scatter.draw("t", "title", "description", (720.0, 420.0));
        for label in [">vae<", ">merf &#60;1&#62;<", ">real<"] {
            assert!(svg.contains(label), "{label}");
        }
        assert!(!svg.contains(">unnamed<") && svg.contains("data-release=\"unnamed\""));
        assert_eq!(svg.matches(r#"class="whisker"#).count(), 8);
        for (class, times) in [("front-certain", 1), ("front-possible", 1), ("front-unlikely", 2)] {
            assert_eq!(svg.matches(&format!("class=\"release {class}\"")).count(), times, "{class}");
        }
    }

    #[test]
    fn no_release_draws_empty_axes() {
        let scatter = Scatter { points: Vec::new(), leakage_threshold: 0.6, utility_threshold: None };
        let svg = scatter.draw("t", "title", "description", (340.0, 360.0));
        assert!(svg.starts_with("<svg") && !svg.contains("NaN") && !svg.contains("front"));
    }

    #[test]
    fn front_rises_from_left_to_right() {
        let numbers = [(0.6, 0.9), (0.5, 0.7)].map(|(x, y)| (estimate(x), estimate(y)));
        let points = numbers
            .iter()
            .map(|(leakage, utility)| Point {
                name: "a",
                marker: Marker::Circle,
                passes: true,
                pareto: true,
                front: None,
                labelled: true,
                leakage,
                utility,
            })
            .collect();
        let scatter = Scatter { points, leakage_threshold: 0.6, utility_threshold: None };
        let svg = scatter.draw("t", "title", "description", (700.0, 400.0));
        let path = svg.split(r#"class="front" d="M"#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let height = |point: &str| point.split(' ').nth(1).unwrap().parse::<f64>().unwrap();
        let heights: Vec<f64> = path.split('L').map(height).collect();
        assert_eq!(heights.len(), 5);
        assert!(heights.windows(2).all(|pair| pair[1] <= pair[0]), "{path}");
    }
}
