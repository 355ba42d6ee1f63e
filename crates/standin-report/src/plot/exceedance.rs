//! How many of a set reach a value, for each value: the tail of a distribution, where the few that stand out show.

use super::axes::Axes;
use super::drawing::Drawing;
use super::scale::{Scale, domain};

/// One set's values, descending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail<'a> {
    pub(crate) name: &'a str,
    pub(crate) values: &'a [f64],
}

/// The share of each set at or above a value, on a logarithmic axis.
#[derive(Clone, Debug)]
pub(crate) struct ExceedancePlot<'a> {
    pub(crate) tails: Vec<Tail<'a>>,
    pub(crate) x_title: &'a str,
    pub(crate) y_title: &'a str,
}

const WIDTH: f64 = 340.0;
const SIDE: f64 = 250.0;
const LEFT: f64 = 66.0;
const TOP: f64 = 10.0;
const KEY_ROW: f64 = 19.0;
/// Steps of a curve at most: enough for the eye.
const STEPS: usize = 200;

impl ExceedancePlot<'_> {
    /// The plot; `id` is unique on the page.
    pub(crate) fn draw(&self, id: &str, title: &str, description: &str) -> String {
        let largest = self.tails.iter().map(|tail| tail.values.len()).max().unwrap_or(0).max(2);
        let floor = 10_f64.powf((1.0 / largest as f64).log10().floor());
        let all = self.tails.iter().flat_map(|tail| tail.values.first().into_iter().chain(tail.values.last()).copied());
        let x = Scale::linear(domain(all, 0.05), (LEFT, LEFT + SIDE));
        let y = Scale::logarithmic((floor, 1.0), (TOP + SIDE, TOP));
        let mut drawing = Drawing::new(WIDTH, TOP + SIDE + 50.0 + KEY_ROW * self.tails.len() as f64);
        let axes =
            Axes { x, y, x_title: self.x_title, y_title: self.y_title, x_percent: false, y_percent: true, ticks: 5 };
        axes.draw(&mut drawing);
        let mut row = TOP + SIDE + 50.0;
        for (at, tail) in self.tails.iter().enumerate() {
            let class = format!("series series-{}", at + 1);
            let points: Vec<(f64, f64)> =
                steps(tail.values).into_iter().map(|(value, share)| (x.position(value), y.position(share))).collect();
            drawing.open_group(tail.name);
            drawing.polyline(&class, &points);
            drawing.close_group();
            row += KEY_ROW;
            drawing.line(&class, (LEFT, row - 8.0), (LEFT + 30.0, row - 8.0));
            drawing.text("key start", (LEFT + 38.0, row - 4.0), tail.name);
        }
        drawing.finish(id, title, description)
    }
}

/// Values with the share at or above them, dense where the share is small.
fn steps(descending: &[f64]) -> Vec<(f64, f64)> {
    let count = descending.len();
    let ranks = Scale::logarithmic((1.0, count.max(2) as f64), (0.0, 1.0)).spread(STEPS);
    let mut ranks: Vec<usize> = ranks.into_iter().map(|rank| (rank.round() as usize).clamp(1, count.max(1))).collect();
    ranks.dedup();
    ranks.into_iter().filter_map(|rank| Some((*descending.get(rank - 1)?, rank as f64 / count as f64))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_begin_at_the_largest_value_and_end_at_the_least() {
        let values: Vec<f64> = (0..5_000).map(|at| 1.0 - at as f64 / 5_000.0).collect();
        let found = steps(&values);
        assert_eq!(found[0], (1.0, 1.0 / 5_000.0));
        assert_eq!(*found.last().unwrap(), (values[4_999], 1.0));
        assert!(found.len() <= STEPS && found.windows(2).all(|pair| pair[0].0 > pair[1].0));
        assert!(steps(&[]).is_empty());
        assert_eq!(steps(&[0.5]), [(0.5, 1.0)]);
    }

    #[test]
    fn every_set_has_a_curve_and_a_key() {
        let tails = vec![Tail { name: "one", values: &[0.9, 0.5, 0.1] }, Tail { name: "two", values: &[0.4, 0.2] }];
        let svg = ExceedancePlot { tails, x_title: "similarity", y_title: "share" }.draw("t", "title", "text");
        assert!(svg.contains("series-1") && svg.contains("series-2") && svg.contains(">two<"), "{svg}");
    }
}
