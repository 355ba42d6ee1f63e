//! A matrix of correlations as a heat map with its numbers.

use super::drawing::{Drawing, text_width};
use crate::number::fixed;

/// Correlations between quantities, from −1 to 1; none where there is no number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CorrelationMatrix<'a> {
    pub(crate) names: &'a [String],
    pub(crate) values: &'a [Vec<Option<f64>>],
}

const CELL: (f64, f64) = (46.0, 25.0);
const TOP: f64 = 22.0;
const LABEL: f64 = 12.0;

impl CorrelationMatrix<'_> {
    /// The map at its natural size; `id` is unique on the page. Rows are named, and columns carry the numbers of rows.
    /// Sign is said by the number and by two colours that the colour-blind tell apart, strength by the depth.
    pub(crate) fn draw(&self, id: &str, title: &str, description: &str) -> String {
        let numbered: Vec<String> =
            self.names.iter().enumerate().map(|(index, name)| format!("{name}  {}", index + 1)).collect();
        let left = numbered.iter().map(|name| text_width(name, LABEL)).fold(0.0, f64::max) + 10.0;
        let count = self.names.len() as f64;
        let mut drawing = Drawing::new(left + CELL.0 * count + 2.0, TOP + CELL.1 * count + 2.0);
        for (index, name) in numbered.iter().enumerate() {
            let middle = TOP + CELL.1 * (index as f64 + 0.5);
            drawing.text("key end", (left - 8.0, middle + 4.0), name);
            let centre = left + CELL.0 * (index as f64 + 0.5);
            drawing.text("tick middle", (centre, TOP - 7.0), &(index + 1).to_string());
        }
        for (row, values) in self.values.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let corner = (left + CELL.0 * column as f64, TOP + CELL.1 * row as f64);
                draw_cell(&mut drawing, corner, *value, row == column);
            }
        }
        drawing.finish(id, title, description)
    }
}

fn draw_cell(drawing: &mut Drawing, (x, y): (f64, f64), value: Option<f64>, diagonal: bool) {
    let inside = (CELL.0 - 1.0, CELL.1 - 1.0);
    let text = match value {
        None => "–".into(),
        Some(value) => {
            let class = if value < 0.0 { "correlation negative" } else { "correlation positive" };
            // What correlates with itself says nothing.
            if !diagonal {
                drawing.shaded_rectangle(class, (x, y), inside, value.abs());
            }
            fixed(value, 2)
        }
    };
    let class = if diagonal || value.is_none() { "tick middle" } else { "cell middle" };
    drawing.text(class, (x + inside.0 / 2.0, y + inside.1 / 2.0 + 4.0), &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_say_sign_and_strength_in_number_class_and_depth() {
        let names = ["accuracy", "fd <1>"].map(String::from);
        let values = vec![vec![Some(1.0), Some(-0.5)], vec![Some(-0.5), None]];
        let svg = CorrelationMatrix { names: &names, values: &values }.draw("m", "title", "description");
        assert_eq!(svg.matches(r#"class="correlation negative" style="--heat:50""#).count(), 2);
        assert_eq!(svg.matches(">−0.50<").count(), 2);
        assert!(!svg.contains("correlation positive"), "the diagonal is not coloured");
        assert!(svg.contains(">–<") && svg.contains("fd &#60;1&#62;  2"));
    }
}
