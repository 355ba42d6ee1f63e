use super::ties;

/// Largest number of points of a curve.
const POINTS: usize = 200;

/// The ROC curve from (0, 0) to (1, 1). Both sides ascending and not empty.
///
/// A long curve is thinned to its highest points at false-positive rates in geometric progression from 1/n to 1: every
/// point left is attained by a threshold, none is interpolated, and the low end keeps its detail.
pub(super) fn curve(members: &[f64], non_members: &[f64]) -> Vec<(f64, f64)> {
    let (m, n) = (members.len() as f64, non_members.len() as f64);
    let mut corners = vec![(0, 0)];
    for tie in ties(members, non_members).iter().rev() {
        let &(false_positives, true_positives) = corners.last().expect("begins with one");
        let next = (false_positives + tie.non_members, true_positives + tie.members);
        // Going on in the direction of the last step, straight up or straight right, makes the last point no corner.
        if let [.., before, last] = corners[..]
            && ((before.0 == last.0 && last.0 == next.0) || (before.1 == last.1 && last.1 == next.1))
        {
            corners.pop();
        }
        corners.push(next);
    }
    if corners.len() > POINTS {
        let steps = (POINTS - 3) as f64;
        let mut kept = vec![(0, 0)];
        for step in 0..POINTS - 2 {
            let limit = if step == 0 { 0.5 } else { n.powf(step as f64 / steps) + 1e-6 };
            let beyond = corners.partition_point(|corner| corner.0 as f64 <= limit);
            kept.push(corners[beyond - 1]);
        }
        kept.push((non_members.len(), members.len()));
        kept.dedup();
        corners = kept;
    }
    corners.into_iter().map(|(x, y)| (x as f64 / n, y as f64 / m)).collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn scores(count: usize, power: f64, seed: u64) -> Vec<f64> {
        let mut rng = Seed::new(seed).rng();
        let mut scores: Vec<f64> = (0..count).map(|_| rng.random::<f64>().powf(power)).collect();
        scores.sort_by(f64::total_cmp);
        scores
    }

    #[test]
    fn a_short_curve_has_all_its_corners() {
        assert_eq!(curve(&[2.0, 3.0], &[0.0, 1.0]), [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]);
        assert_eq!(curve(&[1.0, 1.0], &[1.0, 1.0]), [(0.0, 0.0), (1.0, 1.0)]);
        let mixed = curve(&[1.0, 3.0], &[0.0, 2.0]);
        assert_eq!(mixed, [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]);
    }

    #[test]
    fn a_long_curve_is_short_rises_and_keeps_the_low_end() {
        let (members, non_members) = (scores(3000, 0.5, 1), scores(4000, 1.0, 2));
        let found = curve(&members, &non_members);
        assert!(found.len() <= POINTS && found.len() > 100, "{}", found.len());
        assert_eq!((found[0], *found.last().unwrap()), ((0.0, 0.0), (1.0, 1.0)));
        assert!(found.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
        let attained = |&(x, y): &(f64, f64)| {
            non_members.iter().chain(&members).chain(&[f64::INFINITY]).any(|&threshold| {
                let share = |s: &[f64]| s.iter().filter(|&&score| score >= threshold).count() as f64 / s.len() as f64;
                share(&non_members) == x && share(&members) == y
            })
        };
        assert!(found.iter().all(attained));
        for few in 0..20 {
            let beyond = non_members[non_members.len() - 1 - few];
            let best = members.iter().filter(|&&score| score > beyond).count() as f64 / 3000.0;
            let rate = few as f64 / 4000.0;
            let kept = found.iter().filter(|point| point.0 <= rate).map(|point| point.1).fold(0.0, f64::max);
            assert_eq!(kept, best, "at {few} false positives");
        }
    }
}
