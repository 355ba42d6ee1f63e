/// Where the noise of an image comes from: a first draw, and later ones mixed into it.
///
/// With z₀ the first draw and a share d for each later one, z ← √(1−d²)·z + d·z′, which is standard normal again: the
/// image is one the generator could have drawn, and the smaller d the more it is like its ancestor.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// The class to draw, as the generator numbers them.
    pub class: u32,
    /// The stream of each draw and its share in what is there, the first with share 1.
    pub draws: Vec<(u64, f64)>,
}

impl Lineage {
    /// A first draw.
    pub fn new(class: u32, stream: u64) -> Self {
        Self { class, draws: vec![(stream, 1.0)] }
    }

    /// A descendant that another draw is mixed into.
    ///
    /// # Panics
    /// If the share is not in [0, 1].
    #[must_use]
    pub fn varied(&self, stream: u64, share: f64) -> Self {
        assert!((0.0..=1.0).contains(&share), "a share is between 0 and 1, and this is {share}");
        let mut descendant = self.clone();
        // What is before a whole draw is forgotten.
        if share == 1.0 {
            descendant.draws.clear();
        }
        descendant.draws.push((stream, share));
        descendant
    }
}
