//! ROC curves on logarithmic axes, where an adversary who is certain about a few people shows (Carlini et al. 2022,
//! "Membership inference attacks from first principles", §3).

use standin_bench::leakage::true_positive_ceiling;

use super::axes::Axes;
use super::drawing::{Drawing, shortened, text_width};
use super::scale::Scale;

/// One attack's curve.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve<'a> {
    pub(crate) name: &'a str,
    /// The attack's place among all attacks of the page, which gives it the same colour and dashes in each panel.
    pub(crate) slot: usize,
    /// Non-members behind the curve: it is drawn from a false-positive rate of one over this.
    pub(crate) non_members: usize,
    /// Points (false-positive rate, true-positive rate) from (0, 0) to (1, 1), neither coordinate falling.
    pub(crate) roc: &'a [(f64, f64)],
    /// What the key says beside the name.
    pub(crate) remark: &'a str,
}

/// The curve no attack can cross against an (ε, δ) guarantee.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceiling<'a> {
    pub(crate) epsilon: f64,
    pub(crate) delta: f64,
    /// What the key says.
    pub(crate) name: &'a str,
}

/// All attacks on one release.
#[derive(Clone, Debug)]
pub(crate) struct RocPanel<'a> {
    pub(crate) curves: Vec<Curve<'a>>,
    pub(crate) ceiling: Option<Ceiling<'a>>,
    /// Where both axes start: the same in all panels of a page, so that they can be compared.
    pub(crate) floor: f64,
}

const WIDTH: f64 = 340.0;
const SIDE: f64 = 250.0;
const LEFT: f64 = 66.0;
const TOP: f64 = 10.0;
const KEY_ROW: f64 = 19.0;

/// Positions at which a curve is drawn: enough for the eye, however many thresholds the attack had.
const SAMPLES: usize = 160;

/// Dash patterns and colours are told apart up to this many attacks; further ones repeat.
const SLOTS: usize = 6;

impl<'a> RocPanel<'a> {
    /// The largest power of ten below one over `non_members`: below it no panel has anything to show.
    pub(crate) fn floor_for(non_members: usize) -> f64 {
        let smallest = 1.0 / non_members.max(2) as f64;
        10_f64.powf((smallest.log10() - 1e-9).floor())
    }

    /// The panel; `id` is unique on the page.
    pub(crate) fn draw(&self, id: &str, title: &str, description: &str) -> String {
        let keys = self.curves.len() + usize::from(self.ceiling.is_some()) + 1;
        let height = TOP + SIDE + 50.0 + KEY_ROW * keys as f64;
        let mut drawing = Drawing::new(WIDTH, height);
        let x = Scale::logarithmic((self.floor, 1.0), (LEFT, LEFT + SIDE));
        let y = Scale::logarithmic((self.floor, 1.0), (TOP + SIDE, TOP));
        self.shade_unmeasurable(&mut drawing, x, y);
        let axes = Axes {
            x,
            y,
            x_title: "False-positive rate",
            y_title: "True-positive rate",
            x_percent: true,
            y_percent: true,
            ticks: 0,
        };
        axes.draw(&mut drawing);
        let (corner, end) = (self.floor, 1.0);
        drawing.line("diagonal", (x.position(corner), y.position(corner)), (x.position(end), y.position(end)));
        if let Some(ceiling) = &self.ceiling {
            let curve = |rate: f64| true_positive_ceiling(ceiling.epsilon, ceiling.delta, rate);
            drawing.polyline("ceiling", &traced(curve, self.floor, x, y));
        }
        for curve in &self.curves {
            let first = self.floor.max(1.0 / curve.non_members.max(1) as f64);
            let points = traced(|rate| true_positive_rate(curve.roc, rate), first, x, y);
            drawing.open_group(curve.name);
            drawing.polyline(&series(curve.slot), &points);
            drawing.close_group();
        }
        self.draw_key(&mut drawing, TOP + SIDE + 50.0);
        drawing.finish(id, title, description)
    }

    fn shade_unmeasurable(&self, drawing: &mut Drawing, x: Scale, y: Scale) {
        let non_members = self.curves.iter().map(|curve| curve.non_members).max().unwrap_or(0);
        let ((left, right), (bottom, top)) = (x.range(), y.range());
        let edge = if non_members == 0 { right } else { x.position(1.0 / non_members as f64) };
        drawing.rectangle("unmeasurable", (left, top), (edge - left, bottom - top));
        if edge - left > 15.0 {
            drawing.upright_text("note end", ((left + edge) / 2.0 + 4.0, top + 8.0), "not measurable");
        }
    }

    fn draw_key(&self, drawing: &mut Drawing, top: f64) {
        let mut row = top;
        let mut entry = |drawing: &mut Drawing, class: &str, name: &str, remark: &str| {
            row += KEY_ROW;
            let middle = row - 8.0;
            drawing.line(class, (LEFT, middle), (LEFT + 30.0, middle));
            let available = SIDE - 38.0 - text_width(remark, 12.0) - 8.0;
            drawing.text("key start", (LEFT + 38.0, row - 4.0), &shortened(name, available));
            drawing.text("key end", (LEFT + SIDE, row - 4.0), remark);
        };
        for curve in &self.curves {
            entry(drawing, &series(curve.slot), curve.name, curve.remark);
        }
        if let Some(ceiling) = &self.ceiling {
            entry(drawing, "ceiling", ceiling.name, "");
        }
        entry(drawing, "diagonal", "guessing", "");
    }
}

fn series(slot: usize) -> String {
    format!("series series-{}", slot % SLOTS + 1)
}

/// A curve from the false-positive rate `first` to 1 as positions, without the part below the lower axis.
fn traced(curve: impl Fn(f64) -> f64, first: f64, x: Scale, y: Scale) -> Vec<(f64, f64)> {
    let rates = Scale::logarithmic((first.min(0.999), 1.0), (0.0, 1.0)).spread(SAMPLES);
    let floor = y.domain().0;
    let points: Vec<(f64, f64)> = rates.into_iter().map(|rate| (rate, curve(rate))).collect();
    let visible = points.iter().position(|(_, found)| *found > floor).unwrap_or(points.len());
    points[visible.saturating_sub(1)..].iter().map(|(rate, found)| (x.position(*rate), y.position(*found))).collect()
}

/// The true-positive rate at a false-positive rate, linear between the points of the curve; at a jump its upper end.
fn true_positive_rate(roc: &[(f64, f64)], rate: f64) -> f64 {
    let after = roc.partition_point(|point| point.0 <= rate);
    match (after.checked_sub(1).map(|before| roc[before]), roc.get(after)) {
        (Some((x0, y0)), Some((x1, y1))) => y0 + (rate - x0) / (x1 - x0) * (y1 - y0),
        (Some((_, y0)), None) => y0,
        (None, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curve_is_linear_between_points_and_high_at_jumps() {
        let roc = [(0.0, 0.0), (0.0, 0.2), (0.5, 0.6), (1.0, 1.0)];
        assert_eq!(true_positive_rate(&roc, 0.0), 0.2);
        assert!((true_positive_rate(&roc, 0.25) - 0.4).abs() < 1e-12);
        assert_eq!(true_positive_rate(&roc, 1.0), 1.0);
        assert_eq!(true_positive_rate(&[], 0.5), 0.0);
    }

    #[test]
    fn axes_start_a_power_of_ten_below_the_smallest_rate() {
        for (non_members, floor) in [(500, 1e-3), (1000, 1e-4), (1001, 1e-4), (9, 1e-1), (0, 1e-1)] {
            assert!((RocPanel::floor_for(non_members) / floor - 1.0).abs() < 1e-9, "{non_members}");
        }
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_measurable() {
        let roc = [(0.0, 0.5), (1.0, 1.0)];
        let curve = Curve { name: "certain", slot: 0, non_members: 100, roc: &roc, remark: "" };
        let panel = RocPanel { curves: vec![curve], ceiling: None, floor: 1e-4 };
        let svg = panel.draw("p", "t", "d");
        let path = svg.split(r#"class="series series-1" d="M"#).nth(1).unwrap();
        let start: f64 = path.split(' ').next().unwrap().parse().unwrap();
        assert!((start - (LEFT + SIDE / 2.0)).abs() < 0.1, "the curve starts at 1 %, not at {start}");
        assert!(svg.contains("not measurable"));
    }

    #[test]
    fn long_curves_do_not_make_long_paths() {
        let roc: Vec<_> = (0..=100_000).map(|i| f64::from(i) / 1e5).map(|rate| (rate, rate.sqrt())).collect();
        let curve = Curve { name: "fine", slot: 7, non_members: 100_000, roc: &roc, remark: "" };
        let svg = RocPanel { curves: vec![curve], ceiling: None, floor: 1e-6 }.draw("p", "t", "d");
        assert!(svg.len() < 10_000 && svg.contains("series-2"));
    }
}
