//! Two axes around a plotting area: ticks, light grid lines, titles.

use super::drawing::Drawing;
use super::scale::Scale;

/// A horizontal and a vertical scale with what they measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes<'a> {
    pub(crate) x: Scale,
    pub(crate) y: Scale,
    pub(crate) x_title: &'a str,
    pub(crate) y_title: &'a str,
    pub(crate) x_percent: bool,
    pub(crate) y_percent: bool,
    /// About how many ticks a linear axis has.
    pub(crate) ticks: usize,
}

impl Axes<'_> {
    /// Draws grid, tick labels and titles.
    pub(crate) fn draw(&self, drawing: &mut Drawing) {
        let ((left, right), (bottom, top)) = (self.x.range(), self.y.range());
        for tick in self.x.ticks(self.ticks, self.x_percent) {
            drawing.line("grid", (tick.position, bottom), (tick.position, top));
            drawing.text("tick middle", (tick.position, bottom + 16.0), &tick.label);
        }
        for tick in self.y.ticks(self.ticks, self.y_percent) {
            drawing.line("grid", (left, tick.position), (right, tick.position));
            drawing.text("tick end", (left - 7.0, tick.position + 4.0), &tick.label);
        }
        drawing.line("axis", (left, bottom), (right, bottom));
        drawing.line("axis", (left, bottom), (left, top));
        drawing.text("axis-title middle", ((left + right) / 2.0, bottom + 36.0), self.x_title);
        drawing.upright_text("axis-title middle", (left - 46.0, (bottom + top) / 2.0), self.y_title);
    }
}
