//! Nearest distances of synthetic images against those of real ones that nothing was trained on, quantile by quantile.

use super::axes::Axes;
use super::drawing::Drawing;
use super::scale::{Scale, domain};

/// Quantiles of distances to the nearest training image, at equal levels on both sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuantilePlot<'a> {
    pub(crate) synthetic: &'a [f64],
    pub(crate) holdout: &'a [f64],
    /// The distance below which a synthetic image counts as a copy.
    pub(crate) threshold: Option<f64>,
}

const SIDE: f64 = 250.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 10.0;
const WIDTH: f64 = 340.0;

impl QuantilePlot<'_> {
    /// The plot; `id` is unique on the page. On the diagonal both sides are equally far from the training images; below
    /// it the synthetic ones are nearer.
    pub(crate) fn draw(&self, id: &str, title: &str, description: &str) -> String {
        let values = self.synthetic.iter().chain(self.holdout).copied();
        let found = domain(values.chain(self.threshold), 0.05);
        let x = Scale::linear(found, (LEFT, LEFT + SIDE));
        let y = Scale::linear(found, (TOP + SIDE, TOP));
        let mut drawing = Drawing::new(WIDTH, TOP + SIDE + 46.0);
        if let Some(threshold) = self.threshold {
            let height = y.position(threshold);
            drawing.rectangle("copied", (LEFT, height), (SIDE, TOP + SIDE - height));
        }
        let axes = Axes {
            x,
            y,
            x_title: "Holdout images: distance",
            y_title: "Synthetic images: distance",
            x_percent: false,
            y_percent: false,
            ticks: 5,
        };
        axes.draw(&mut drawing);
        drawing.line("diagonal", (LEFT, TOP + SIDE), (LEFT + SIDE, TOP));
        if let Some(threshold) = self.threshold {
            let height = y.position(threshold);
            drawing.line("threshold", (LEFT, height), (LEFT + SIDE, height));
            drawing.text("note end", (LEFT + SIDE - 4.0, height + 13.0), "counts as a copy");
        }
        let points: Vec<(f64, f64)> = self
            .holdout
            .iter()
            .zip(self.synthetic)
            .map(|(holdout, synthetic)| (x.position(*holdout), y.position(*synthetic)))
            .collect();
        drawing.polyline("whisker images", &points);
        for point in points {
            drawing.circle("marker images hollow", point, 3.0);
        }
        drawing.finish(id, title, description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_distances_lie_on_the_diagonal() {
        let same = [1.0, 2.0, 3.0];
        let svg = QuantilePlot { synthetic: &same, holdout: &same, threshold: Some(1.5) }.draw("q", "title", "text");
        let number = |circle: &str, name: &str| -> f64 {
            circle.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
        };
        let circles: Vec<&str> = svg.split("<circle").skip(1).collect();
        assert_eq!(circles.len(), 3);
        for circle in circles {
            let (right, up) = (number(circle, "cx") - LEFT, TOP + SIDE - number(circle, "cy"));
            assert!((right - up).abs() < 0.11, "{circle}");
        }
        assert!(svg.contains("counts as a copy"));
    }
}
