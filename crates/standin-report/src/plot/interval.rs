//! A value and its interval as a mark on a short scale, to sit beside the numbers in a table.

use standin_measure::Estimate;

use super::drawing::Drawing;
use super::scale::Scale;

/// Draws an estimate on the scale from `domain.0` to `domain.1`, with a line at `reference` (nothing to find) and one
/// at `threshold` (too much).
pub(crate) fn interval_bar(estimate: &Estimate, domain: (f64, f64), reference: f64, threshold: f64) -> String {
    let (width, height) = (104.0, 14.0);
    let scale = Scale::linear(domain, (4.0, width - 4.0));
    let middle = height / 2.0;
    let mut drawing = Drawing::new(width, height);
    drawing.line("track", (4.0, middle), (width - 4.0, middle));
    drawing.line("reference", (scale.position(reference), 1.0), (scale.position(reference), height - 1.0));
    drawing.line("threshold", (scale.position(threshold), 1.0), (scale.position(threshold), height - 1.0));
    let (low, high) = (scale.position(estimate.low), scale.position(estimate.high));
    drawing.rectangle("bar", (low, middle - 3.0), (high - low, 6.0));
    drawing.line("value", (scale.position(estimate.value), 2.0), (scale.position(estimate.value), height - 2.0));
    drawing.finish_hidden()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_spans_the_interval() {
        let estimate = Estimate { value: 0.75, low: 0.5, high: 1.0, n: 10, method: "Wilson".into() };
        let svg = interval_bar(&estimate, (0.5, 1.0), 0.5, 0.6);
        assert!(svg.contains(r#"class="bar" x="4.0" y="4.0" width="96.0""#), "{svg}");
        assert!(svg.contains(r#"class="value" x1="52.0""#), "{svg}");
    }
}
