//! Labels beside points, placed so that they cover neither each other nor the marks.

/// An axis-parallel rectangle: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rectangle {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

impl Rectangle {
    /// The rectangle of that size around a centre.
    pub(crate) fn around((x, y): (f64, f64), width: f64, height: f64) -> Self {
        Self { left: x - width / 2.0, top: y - height / 2.0, right: x + width / 2.0, bottom: y + height / 2.0 }
    }

    /// The rectangle a horizontal or vertical line of that thickness takes.
    pub(crate) fn along((x1, y1): (f64, f64), (x2, y2): (f64, f64), thickness: f64) -> Self {
        let half = thickness / 2.0;
        Self { left: x1.min(x2) - half, top: y1.min(y2) - half, right: x1.max(x2) + half, bottom: y1.max(y2) + half }
    }

    /// The area shared with another rectangle.
    pub(crate) fn overlap(&self, other: &Self) -> f64 {
        let width = self.right.min(other.right) - self.left.max(other.left);
        let height = self.bottom.min(other.bottom) - self.top.max(other.top);
        width.max(0.0) * height.max(0.0)
    }

    fn area(&self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }

    /// The point of the rectangle nearest to a point.
    pub(crate) fn nearest(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (x.clamp(self.left, self.right), y.clamp(self.top, self.bottom))
    }
}

/// A point that wants a label of that size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anchor {
    pub(crate) point: (f64, f64),
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// Directions from a point to its label, the customary first: right, left, above, below, then the corners.
const DIRECTIONS: [(f64, f64); 8] =
    [(1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];

/// Free space between a point and its label in CSS pixels, the nearest first.
const DISTANCES: [f64; 5] = [10.0, 18.0, 30.0, 46.0, 66.0];

/// Rounds in which each label may move again, given where the others went.
const ROUNDS: usize = 6;

/// A rectangle for each anchor's label inside `bounds`, over as few `obstacles` and other labels as possible.
///
/// Each label takes the cheapest of 40 places; labels move in turn until none improves. Deterministic; cost grows with
/// anchors × (anchors + obstacles).
pub(crate) fn place_labels(anchors: &[Anchor], obstacles: &[Rectangle], bounds: Rectangle) -> Vec<Rectangle> {
    let mut placed: Vec<Option<Rectangle>> = vec![None; anchors.len()];
    for _ in 0..ROUNDS {
        let before = placed.clone();
        for (index, anchor) in anchors.iter().enumerate() {
            let others: Vec<Rectangle> = placed
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .filter_map(|(_, place)| *place)
                .collect();
            placed[index] = candidates(anchor)
                .map(|(place, cost)| (place, cost + crowding(&place, &others, obstacles, bounds)))
                .min_by(|(_, a), (_, b)| a.total_cmp(b))
                .map(|(place, _)| place);
        }
        if placed == before {
            break;
        }
    }
    placed.into_iter().flatten().collect()
}

/// The places of a label with the cost of their direction and distance.
fn candidates(anchor: &Anchor) -> impl Iterator<Item = (Rectangle, f64)> {
    let Anchor { point: (x, y), width, height } = *anchor;
    DISTANCES.into_iter().enumerate().flat_map(move |(step, distance)| {
        DIRECTIONS.into_iter().enumerate().map(move |(rank, (right, down))| {
            let centre = (x + right * (distance + width / 2.0), y + down * (distance + height / 2.0));
            (Rectangle::around(centre, width, height), step as f64 + 0.1 * rank as f64)
        })
    })
}

/// The cost of covering labels, obstacles, and of leaving the drawing, in shares of the label's area.
fn crowding(place: &Rectangle, labels: &[Rectangle], obstacles: &[Rectangle], bounds: Rectangle) -> f64 {
    let over = |others: &[Rectangle]| others.iter().map(|other| place.overlap(other)).sum::<f64>() / place.area();
    let outside = 1.0 - place.overlap(&bounds) / place.area();
    40.0 * over(labels) + 20.0 * over(obstacles) + 100.0 * outside
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Rectangle = Rectangle { left: 0.0, top: 0.0, right: 400.0, bottom: 300.0 };

    fn anchor(x: f64, y: f64) -> Anchor {
        Anchor { point: (x, y), width: 80.0, height: 16.0 }
    }

    #[test]
    fn crowded_labels_do_not_overlap() {
        let anchors: Vec<_> =
            (0..8).map(|i| anchor(200.0 + f64::from(i % 3) * 6.0, 150.0 + f64::from(i) * 5.0)).collect();
        let marks: Vec<_> = anchors.iter().map(|anchor| Rectangle::around(anchor.point, 10.0, 10.0)).collect();
        let placed = place_labels(&anchors, &marks, BOUNDS);
        assert_eq!(placed.len(), anchors.len());
        for (index, a) in placed.iter().enumerate() {
            assert!(placed[index + 1..].iter().all(|b| a.overlap(b) == 0.0));
        }
    }

    #[test]
    fn labels_stay_inside() {
        for (x, y) in [(2.0, 2.0), (398.0, 2.0), (398.0, 298.0), (2.0, 298.0)] {
            let placed = place_labels(&[anchor(x, y)], &[], BOUNDS);
            assert!((placed[0].overlap(&BOUNDS) - 80.0 * 16.0).abs() < 1e-9);
        }
    }

    #[test]
    fn a_lone_label_stands_to_the_right() {
        let placed = place_labels(&[anchor(100.0, 100.0)], &[], BOUNDS);
        assert_eq!(placed[0].left, 110.0);
    }
}
