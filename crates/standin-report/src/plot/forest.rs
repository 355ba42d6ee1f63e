//! Estimates under each other on one scale, a dot with whiskers each.

use standin_measure::Estimate;

use super::drawing::{Drawing, shortened, text_width};
use super::scale::{Scale, domain};
use crate::number::Style;

/// One estimate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) estimate: &'a Estimate,
    /// Whether the dot is filled, for what the caption says that means.
    pub(crate) filled: bool,
}

/// Estimates of one quantity, the first on top.
#[derive(Clone, Debug)]
pub(crate) struct Forest<'a> {
    pub(crate) rows: Vec<Row<'a>>,
    /// A value to draw a line at.
    pub(crate) reference: Option<f64>,
    /// Where the scale begins and ends; by the estimates if none is given.
    pub(crate) domain: Option<(f64, f64)>,
    pub(crate) x_title: &'a str,
    pub(crate) style: Style,
}

const ROW: f64 = 22.0;
const TOP: f64 = 6.0;
const BELOW: f64 = 44.0;
const LABEL: f64 = 12.0;
const TITLE: f64 = 12.5;
const RADIUS: f64 = 4.5;

impl Forest<'_> {
    /// The plot at that width in CSS pixels; `id` is unique on the page.
    pub(crate) fn draw(&self, id: &str, title: &str, description: &str, width: f64) -> String {
        let widest = self.rows.iter().map(|row| text_width(row.name, LABEL)).fold(0.0, f64::max);
        let left = (widest + 12.0).clamp(48.0, 0.62 * width);
        let bottom = TOP + ROW * self.rows.len() as f64;
        let ends = self.rows.iter().flat_map(|row| [row.estimate.low, row.estimate.value, row.estimate.high]);
        let found = self.domain.unwrap_or_else(|| domain(ends.chain(self.reference), 0.05));
        let x = Scale::linear(found, (left, width - 16.0));
        let mut drawing = Drawing::new(width, bottom + BELOW);
        for tick in x.ticks(if width < 500.0 { 4 } else { 8 }, false) {
            drawing.line("grid", (tick.position, bottom), (tick.position, TOP));
            drawing.text("tick middle", (tick.position, bottom + 16.0), &tick.label);
        }
        drawing.line("axis", (left, bottom), (width - 16.0, bottom));
        // Below the scale where there is room, and inside the drawing in any case.
        let half = text_width(self.x_title, TITLE) / 2.0;
        let middle = ((left + width - 16.0) / 2.0).min(width - 2.0 - half).max(half.min(width / 2.0));
        drawing.text("axis-title middle", (middle, bottom + 36.0), self.x_title);
        if let Some(reference) = self.reference {
            drawing.line("threshold", (x.position(reference), bottom), (x.position(reference), TOP));
        }
        for (index, row) in self.rows.iter().enumerate() {
            self.draw_row(&mut drawing, row, TOP + ROW * (index as f64 + 0.5), left, x);
        }
        drawing.finish(id, title, description)
    }

    fn draw_row(&self, drawing: &mut Drawing, row: &Row<'_>, middle: f64, left: f64, x: Scale) {
        let Estimate { value, low, high, .. } = *row.estimate;
        let (west, at, east) = (x.position(low), x.position(value), x.position(high));
        drawing.open_group(&format!("{}: {}", row.name, self.style.full(row.estimate)));
        drawing.text("key end", (left - 8.0, middle + 4.0), &shortened(row.name, left - 8.0));
        let cap = 3.5;
        let whisker = [
            (west, middle - cap),
            (west, middle + cap),
            (west, middle),
            (east, middle),
            (east, middle - cap),
            (east, middle + cap),
        ];
        drawing.polyline("whisker images", &whisker);
        let class = if row.filled { "marker images filled" } else { "marker images hollow" };
        drawing.circle(class, (at, middle), RADIUS);
        drawing.close_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, half: f64) -> Estimate {
        Estimate { value, low: value - half, high: value + half, n: 10, method: "made up".into() }
    }

    #[test]
    fn every_estimate_has_a_name_a_whisker_and_a_dot() {
        let (first, second) = (estimate(0.2, 0.1), estimate(0.8, f64::INFINITY));
        let rows = vec![
            Row { name: "a <1>", estimate: &first, filled: true },
            Row { name: "b", estimate: &second, filled: false },
        ];
        let forest = Forest { rows, reference: Some(0.0), domain: None, x_title: "ρ", style: Style::Adaptive };
        let svg = forest.draw("f", "title", "description", 340.0);
        assert_eq!((svg.matches("whisker").count(), svg.matches("<circle").count()), (2, 2));
        assert!(
            svg.contains(">a &#60;1&#62;<") && svg.contains("[−∞, ∞]") && !svg.contains("inf") && !svg.contains("NaN"),
            "{svg}"
        );
    }

    #[test]
    fn dots_lie_where_the_scale_says() {
        let found = estimate(0.5, 0.25);
        let rows = vec![Row { name: "a", estimate: &found, filled: true }];
        let forest = Forest { rows, reference: None, domain: Some((0.0, 1.0)), x_title: "", style: Style::Decimal };
        // The scale runs from 48 to 344.
        let svg = forest.draw("f", "title", "description", 360.0);
        assert!(svg.contains(r#"<circle class="marker images filled" cx="196.0""#), "{svg}");
        assert!(svg.contains("M122.0 "), "{svg}");
    }
}
