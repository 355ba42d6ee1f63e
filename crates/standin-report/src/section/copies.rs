use askama::Template;
use standin_bench::summary::{ImageScores, Release, Summary};

use crate::fold::{Folded, Prominent};
use crate::number::{count, fixed, rate, significant};
use crate::plot::QuantilePlot;

/// Synthetic images nearer to a training image than real ones come by chance: how many, and the distances behind it.
#[derive(Template)]
#[template(path = "copies.html")]
pub(super) struct Section<'a> {
    rows: Vec<Row<'a>>,
    protocols: Vec<&'a str>,
    panels: Folded<(&'a str, String)>,
    tables: Vec<Distances<'a>>,
}

struct Row<'a> {
    release: &'a str,
    images: usize,
    threshold: Option<f64>,
    threshold_text: String,
    false_match_rate: String,
    scores: &'a ImageScores,
    copies: String,
    expected: String,
    near_holdout: String,
    share: String,
    /// More copies than chance explains.
    excess: bool,
    /// Number of the protocol below the table, from 1.
    protocol: usize,
}

/// The quantiles of one set.
struct Distances<'a> {
    release: &'a str,
    anchor: String,
    against_holdout: bool,
    /// Level, synthetic and holdout.
    rows: Vec<(String, String, String)>,
}

impl<'a> Section<'a> {
    /// None where no images were scored.
    pub(super) fn new(summary: &'a Summary) -> Option<Self> {
        let scored: Vec<(&Release, &ImageScores)> =
            summary.releases.iter().filter_map(|release| Some((release, release.scores.as_ref()?))).collect();
        if scored.is_empty() {
            return None;
        }
        let mut protocols: Vec<&str> = Vec::new();
        for (_, scores) in &scored {
            if !protocols.contains(&scores.stamp.as_str()) {
                protocols.push(&scores.stamp);
            }
        }
        let protocol = |stamp: &str| 1 + protocols.iter().position(|known| *known == stamp).unwrap_or(0);
        let holdout = summary.data.holdout;
        let rows = scored.iter().map(|(release, scores)| row(release, scores, holdout, protocol(&scores.stamp)));
        let rows = rows.collect();
        let compared = scored.iter().filter(|(_, scores)| !scores.holdout_quantiles.is_empty());
        let panels = compared.enumerate().map(|(index, (release, scores))| (*release, panel(index, release, scores)));
        let panels = Prominent::of(summary).fold(panels);
        let tables = scored.iter().enumerate().map(|(index, (release, scores))| distances(index, release, scores));
        let tables = tables.collect();
        Some(Self { rows, protocols, panels, tables })
    }
}

fn row<'a>(release: &'a Release, scores: &'a ImageScores, holdout: usize, protocol: usize) -> Row<'a> {
    let judged = scores.threshold.is_some();
    let unless_judged = |text: String| if judged { text } else { "–".into() };
    Row {
        release: &release.name,
        images: scores.images,
        threshold: scores.threshold,
        threshold_text: scores.threshold.map_or("none without holdout".into(), significant),
        false_match_rate: unless_judged(rate(scores.false_match_rate)),
        scores,
        copies: unless_judged(count(scores.copies)),
        expected: unless_judged(fixed(scores.expected_copies, 1)),
        near_holdout: scores.near_holdout.map_or("–".into(), count),
        share: unless_judged(rate((1e4 * scores.copies as f64 / scores.images.max(1) as f64).round() / 1e4)),
        excess: judged && is_excess(scores, holdout),
        protocol,
    }
}

/// Whether there are more copies than chance and typical images explain: above the expected count, or the count of those
/// as near to holdout images, by two standard deviations. The
/// threshold comes from `holdout` images, so the count varies as the difference of two counts does,
/// with variance e·(1 + n/h) for e expected among n images and h holdout images.
pub(super) fn is_excess(scores: &ImageScores, holdout: usize) -> bool {
    let ratio = scores.images as f64 / holdout.max(1) as f64;
    let expected = scores.expected_copies.max(scores.near_holdout.unwrap_or(0) as f64);
    let deviation = (expected.max(1.0) * (1.0 + ratio)).sqrt();
    scores.copies as f64 > expected + 2.0 * deviation
}

fn panel<'a>(index: usize, release: &'a Release, scores: &ImageScores) -> (&'a str, String) {
    let plot = QuantilePlot {
        synthetic: &scores.synthetic_quantiles,
        holdout: &scores.holdout_quantiles,
        threshold: scores.threshold,
    };
    let title = format!("Distances to the nearest training image, {} against holdout", release.name);
    let description = "Quantiles of both. Below the diagonal synthetic images are nearer to training images than real \
                       ones are. The table below has the same numbers.";
    (&release.name, plot.draw(&format!("quantiles-{index}"), &title, description))
}

fn distances<'a>(index: usize, release: &'a Release, scores: &ImageScores) -> Distances<'a> {
    let steps = scores.synthetic_quantiles.len().saturating_sub(1).max(1) as f64;
    let rows = scores.synthetic_quantiles.iter().enumerate().map(|(at, synthetic)| {
        let holdout = scores.holdout_quantiles.get(at).map_or("–".into(), |holdout| significant(*holdout));
        (rate(at as f64 / steps), significant(*synthetic), holdout)
    });
    Distances {
        release: &release.name,
        anchor: format!("distances-{index}"),
        against_holdout: !scores.holdout_quantiles.is_empty(),
        rows: rows.collect(),
    }
}
