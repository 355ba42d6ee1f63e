use std::ops::Range;

use crate::screen::{Screen, near, squared_distance};
use crate::{Embedding, Error, Metric, Result, hamming};

/// Whether a ball contains the points at exactly its radius.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// It does not: distance < radius.
    Open,
    /// It does: distance ≤ radius.
    Closed,
}

impl Boundary {
    /// Whether a point at `distance` from the centre is in a ball of `radius`.
    pub fn holds(self, distance: f64, radius: f64) -> bool {
        match self {
            Self::Open => distance < radius,
            Self::Closed => distance <= radius,
        }
    }
}

/// For each row of `queries`, how many rows of `base` hold it in their ball: `radii` has one radius per **base** row.
///
/// Exact like [`crate::nearest`], at the same cost, and independent of the number of threads.
///
/// # Errors
/// If the embeddings have different protocols or there is not one radius per base row.
pub fn count_within(queries: &Embedding, base: &Embedding, radii: &[f64], boundary: Boundary) -> Result<Vec<usize>> {
    let tiles =
        visit(queries, base, Balls { centres: Centres::Base, radii, boundary }, zeros, count, |(_, counts)| counts)?;
    Ok(tiles.into_iter().flatten().collect())
}

/// For each of `centres`, how many of `points` its ball holds: `radii` has one radius per centre.
///
/// Exact like [`crate::nearest`], at the same cost, and independent of the number of threads.
///
/// # Errors
/// If the embeddings have different protocols or there is not one radius per centre.
pub fn count_around(centres: &Embedding, points: &Embedding, radii: &[f64], boundary: Boundary) -> Result<Vec<usize>> {
    let balls = Balls { centres: Centres::Queries, radii, boundary };
    Ok(visit(centres, points, balls, zeros, count, |(_, counts)| counts)?.into_iter().flatten().collect())
}

/// For each row of `queries`, which rows of `base` hold it in their ball, ascending; one radius per **base** row.
///
/// As [`count_within`], with memory for every pair found: choose queries that are in few balls.
///
/// # Errors
/// If the embeddings have different protocols or there is not one radius per base row.
pub fn holding(queries: &Embedding, base: &Embedding, radii: &[f64], boundary: Boundary) -> Result<Vec<Vec<usize>>> {
    let tiles = visit(
        queries,
        base,
        Balls { centres: Centres::Base, radii, boundary },
        |range| (range.start, vec![Vec::new(); range.len()]),
        |(start, found), query, row| found[query - *start].push(row),
        |(_, found)| found,
    )?;
    Ok(tiles.into_iter().flatten().collect())
}

fn zeros(range: Range<usize>) -> (usize, Vec<usize>) {
    (range.start, vec![0; range.len()])
}

fn count((start, counts): &mut (usize, Vec<usize>), query: usize, _: usize) {
    counts[query - *start] += 1;
}

struct Balls<'a> {
    centres: Centres,
    radii: &'a [f64],
    boundary: Boundary,
}

#[derive(Clone, Copy)]
enum Centres {
    Queries,
    Base,
}

/// Calls `hit(state, query, row)` for every point in a ball, base rows ascending; states are per tile of queries.
fn visit<State, T: Send>(
    queries: &Embedding,
    base: &Embedding,
    Balls { centres, radii, boundary }: Balls<'_>,
    start: impl Fn(Range<usize>) -> State + Sync,
    hit: impl Fn(&mut State, usize, usize) + Sync,
    finish: impl Fn(State) -> T + Sync,
) -> Result<Vec<T>> {
    queries.require_same_protocol(base)?;
    let rows = match centres {
        Centres::Queries => queries.rows(),
        Centres::Base => base.rows(),
    };
    if radii.len() != rows {
        return Err(Error::Radii { radii: radii.len(), rows });
    }
    if queries.is_empty() || base.is_empty() {
        let all = start(0..queries.rows());
        return Ok(vec![finish(all)]);
    }
    let ball = |query: usize, row: usize| match centres {
        Centres::Queries => query,
        Centres::Base => row,
    };
    if base.stamp().metric == Metric::Hamming {
        let compare = |state: &mut State, query, first, distances: &[u32]| {
            for (row, &distance) in (first..).zip(distances) {
                if boundary.holds(f64::from(distance), radii[ball(query, row)]) {
                    hit(state, query, row);
                }
            }
        };
        return Ok(hamming::stream(queries, base, start, compare, finish));
    }
    let screen = Screen::new(queries, base);
    let squares: Vec<f64> = radii.iter().map(|radius| screen.scaled(radius * radius)).collect();
    let ceilings: Vec<f32> = squares.iter().map(|&square| (square as f32).next_up()).collect();
    Ok(screen.stream(
        start,
        |state, query, first, lower| {
            let near = match centres {
                Centres::Queries => near(lower, ceilings[query], None),
                Centres::Base => near(lower, f32::NEG_INFINITY, Some(&ceilings[first..first + lower.len()])),
            };
            for offset in near.flatten() {
                let (row, lower) = (first + offset, lower[offset]);
                let ball = ball(query, row);
                if lower > ceilings[ball] {
                    continue;
                }
                let upper = f64::from(lower) + f64::from(screen.slack(query, row));
                let distance = || squared_distance(queries.row(query), base.row(row)).sqrt();
                if upper < squares[ball] * (1.0 - 1e-9) || boundary.holds(distance(), radii[ball]) {
                    hit(state, query, row);
                }
            }
        },
        finish,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nearest;
    use crate::testing::{embed, random};

    #[test]
    fn balls_hold_what_brute_force_finds() {
        let (a, b) = (embed(random(90, 3, 7), 3), embed(random(530, 3, 8), 3));
        let radii = nearest(&b, &b, 5, true).unwrap().at_rank(5);
        for boundary in [Boundary::Open, Boundary::Closed] {
            let counts = count_within(&a, &b, &radii, boundary).unwrap();
            let lists = holding(&a, &b, &radii, boundary).unwrap();
            let mut around = vec![0; b.rows()];
            for query in 0..a.rows() {
                let inside = |row: &usize| squared_distance(a.row(query), b.row(*row)).sqrt() < radii[*row];
                let expected: Vec<usize> = (0..b.rows()).filter(inside).collect();
                expected.iter().for_each(|&row| around[row] += 1);
                assert_eq!(counts[query], expected.len());
                assert_eq!(lists[query], expected);
            }
            assert_eq!(count_around(&b, &a, &radii, boundary).unwrap(), around);
        }
    }

    #[test]
    fn the_boundary_decides_at_exactly_the_radius() {
        let rows = embed(random(530, 3, 8), 3);
        let radii = nearest(&rows, &rows, 5, true).unwrap().at_rank(5);
        // Each ball's fifth neighbour lies on its boundary.
        let open: usize = count_within(&rows, &rows, &radii, Boundary::Open).unwrap().iter().sum();
        let closed: usize = count_within(&rows, &rows, &radii, Boundary::Closed).unwrap().iter().sum();
        assert_eq!(closed, open + rows.rows());
        let copies = embed(vec![0.3; 90], 3);
        assert_eq!(count_within(&copies, &copies, &[0.0; 30], Boundary::Closed).unwrap(), [30; 30]);
        assert_eq!(count_within(&copies, &copies, &[0.0; 30], Boundary::Open).unwrap(), [0; 30]);
    }

    #[test]
    fn empty_sets_hold_nothing_and_radii_must_fit() {
        let (some, none) = (embed(random(4, 2, 1), 2), embed(Vec::new(), 2));
        assert_eq!(count_within(&some, &none, &[], Boundary::Open).unwrap(), [0; 4]);
        assert_eq!(holding(&none, &some, &[1.0; 4], Boundary::Open).unwrap(), Vec::<Vec<usize>>::new());
        assert!(matches!(count_within(&some, &some, &[1.0], Boundary::Open), Err(Error::Radii { radii: 1, rows: 4 })));
    }
}
