use crate::Grid;

/// Which axis of a file runs right, anterior and superior, and which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Orientation {
    /// For right, anterior and superior, the file's axis.
    order: [usize; 3],
    /// Whether it runs the other way.
    reversed: [bool; 3],
}

impl Orientation {
    /// The nearest to the grid's axes.
    pub(crate) fn of(grid: &Grid) -> Self {
        let mut orientation = Self { order: [0, 1, 2], reversed: [false; 3] };
        for (axis, towards) in grid.orientation().chars().enumerate() {
            let (world, reversed) = match towards {
                'R' | 'L' => (0, towards == 'L'),
                'A' | 'P' => (1, towards == 'P'),
                _ => (2, towards == 'I'),
            };
            (orientation.order[world], orientation.reversed[world]) = (axis, reversed);
        }
        orientation
    }

    /// The file's axes in the order right, anterior, superior.
    pub(crate) fn order(&self) -> [usize; 3] {
        self.order
    }

    /// Voxels of a file of this shape, turned to run right, anterior and superior; and their shape.
    pub(crate) fn turned<T: Copy>(&self, voxels: &[T], shape: [usize; 3]) -> (Vec<T>, [usize; 3]) {
        let turned = self.order.map(|axis| shape[axis]);
        let mut into = Vec::with_capacity(voxels.len());
        self.for_each(shape, |from| into.push(voxels[from]));
        (into, turned)
    }

    /// The reverse: turned voxels in the order of a file of this shape.
    pub(crate) fn turned_back<T: Copy + Default>(&self, voxels: &[T], shape: [usize; 3]) -> Vec<T> {
        let mut into = vec![T::default(); voxels.len()];
        let mut voxels = voxels.iter();
        self.for_each(shape, |to| {
            if let Some(&voxel) = voxels.next() {
                into[to] = voxel;
            }
        });
        into
    }

    /// The place in a file of this shape of each turned voxel, in the order of these.
    fn for_each(&self, shape: [usize; 3], mut place: impl FnMut(usize)) {
        let steps = [1, shape[0], shape[0] * shape[1]];
        let along = |world: usize, at: usize| {
            let axis = self.order[world];
            (if self.reversed[world] { shape[axis] - 1 - at } else { at }) * steps[axis]
        };
        let lengths = self.order.map(|axis| shape[axis]);
        for superior in 0..lengths[2] {
            for anterior in 0..lengths[1] {
                let row = along(2, superior) + along(1, anterior);
                (0..lengths[0]).for_each(|right| place(row + along(0, right)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turning_there_and_back_changes_nothing() {
        let shape = [2, 3, 4];
        let voxels: Vec<u8> = (0..24).collect();
        for affine in [
            [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            [[-1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, -1.5, 0.0, 0.0]],
            [[0.0, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0]],
        ] {
            let orientation = Orientation::of(&Grid::new(shape, affine).unwrap());
            let (turned, lengths) = orientation.turned(&voxels, shape);
            assert_eq!(lengths.iter().product::<usize>(), 24);
            assert_eq!(orientation.turned_back(&turned, shape), voxels);
        }
    }

    #[test]
    fn an_axis_that_points_left_is_reversed() {
        let affine = [[-1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let orientation = Orientation::of(&Grid::new([3, 1, 1], affine).unwrap());
        assert_eq!(orientation.turned(&[1, 2, 3], [3, 1, 1]).0, [3, 2, 1]);
    }
}
