/// Distances from a starting point in a slice, with the greatest of them known, so that one comparison shows that all
/// stay inside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offsets<'a> {
    values: &'a [u32],
    reach: usize,
}

impl<'a> Offsets<'a> {
    /// These distances.
    pub(crate) fn new(values: &'a [u32]) -> Self {
        Self { values, reach: values.iter().max().map_or(0, |&most| most as usize) }
    }

    /// Some of them; what is known of all holds for these.
    pub(crate) fn part(self, range: std::ops::Range<usize>) -> Self {
        Self { values: &self.values[range], reach: self.reach }
    }

    /// The distances.
    pub(crate) fn values(self) -> &'a [u32] {
        self.values
    }

    /// No distance is greater.
    pub(crate) fn reach(self) -> usize {
        self.reach
    }
}
