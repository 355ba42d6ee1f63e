use std::collections::BTreeMap;

use standin_encode::Embedding;

use crate::{Error, Result};

/// Images as a recogniser sees them, each of one identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Recognised {
    features: Embedding,
    /// For each image the place of its identity in `names`.
    identities: Vec<usize>,
    /// Ascending.
    names: Vec<String>,
    rows: Vec<Vec<usize>>,
    named: bool,
    rescaled: bool,
}

/// The cosine of two directions at this Euclidean distance.
pub fn similarity(distance: f64) -> f64 {
    1.0 - distance * distance / 2.0
}

impl Recognised {
    /// Features with the identity of each image. Features are scaled to length 1.
    ///
    /// # Errors
    /// If there is no image, not one identity for each, an identity without a name, or features that are all zero.
    pub fn new(what: &'static str, features: Embedding, identities: &[String]) -> Result<Self> {
        if identities.len() != features.rows() {
            let found = identities.len();
            return Err(Error::Length { what: format!("identities of {what}"), found, expected: features.rows() });
        }
        if let Some(image) = identities.iter().position(|name| name.trim().is_empty()) {
            return Err(Error::Unnamed { what, image });
        }
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (row, name) in identities.iter().enumerate() {
            by_name.entry(name.as_str()).or_default().push(row);
        }
        let names = by_name.keys().map(|&name| name.to_owned()).collect();
        Self::grouped(what, features, names, by_name.into_values().collect(), true)
    }

    /// Features without identities: every image counts as one, named by its number.
    ///
    /// # Errors
    /// If there is no image, or features are all zero.
    pub fn unnamed(what: &'static str, features: Embedding) -> Result<Self> {
        let rows = 0..features.rows();
        Self::grouped(
            what,
            features,
            rows.clone().map(|row| row.to_string()).collect(),
            rows.map(|row| vec![row]).collect(),
            false,
        )
    }

    fn grouped(
        what: &'static str,
        features: Embedding,
        names: Vec<String>,
        rows: Vec<Vec<usize>>,
        named: bool,
    ) -> Result<Self> {
        if features.is_empty() {
            return Err(Error::Empty { what });
        }
        let (features, rescaled) = features.into_directions()?;
        let mut identities = vec![0; features.rows()];
        for (identity, rows) in rows.iter().enumerate() {
            rows.iter().for_each(|&row| identities[row] = identity);
        }
        Ok(Self { features, identities, names, rows, named, rescaled })
    }

    /// Some of the images.
    ///
    /// # Errors
    /// If there are none.
    pub(super) fn select(&self, rows: &[usize]) -> Result<Self> {
        let names: Vec<String> = rows.iter().map(|&row| self.name_of(row).to_owned()).collect();
        Self::new("images", self.features.select(rows), &names)
    }

    /// Features of length 1, one row for each image.
    pub fn features(&self) -> &Embedding {
        &self.features
    }

    /// For each image the place of its identity in [`Recognised::names`].
    pub fn identities(&self) -> &[usize] {
        &self.identities
    }

    /// The identity of an image.
    pub fn name_of(&self, row: usize) -> &str {
        &self.names[self.identities[row]]
    }

    /// The identities' names, ascending.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The images of each identity, ascending.
    pub fn rows_by_identity(&self) -> &[Vec<usize>] {
        &self.rows
    }

    /// Whether identities were given.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// Whether some features had another length than 1.
    pub fn was_rescaled(&self) -> bool {
        self.rescaled
    }

    /// Checks that no identity is in another set too, where both have names.
    ///
    /// # Errors
    /// If one is: it could not be told whether it was trained on.
    pub(super) fn require_others(&self, other: &Self) -> Result<()> {
        if !(self.named && other.named) {
            return Ok(());
        }
        let shared: Vec<&String> = self.names.iter().filter(|name| other.names.binary_search(name).is_ok()).collect();
        match shared.first() {
            None => Ok(()),
            Some(first) => Err(Error::BothSides { identity: (*first).clone(), count: shared.len() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use standin_encode::Stamp;

    use super::*;

    fn features(rows: &[[f32; 2]]) -> Embedding {
        Embedding::new(rows.concat(), 2, Stamp::new("recogniser", "")).unwrap()
    }

    #[test]
    fn images_are_grouped_by_the_names_of_their_identities() {
        let names = ["b", "a", "b"].map(String::from);
        let set = Recognised::new("images", features(&[[3.0, 4.0], [0.0, 2.0], [1.0, 0.0]]), &names).unwrap();
        assert_eq!((set.names(), set.identities()), (&["a".to_owned(), "b".to_owned()][..], &[1, 0, 1][..]));
        assert_eq!(set.rows_by_identity(), [vec![1], vec![0, 2]]);
        assert_eq!(set.features().row(0), [0.6, 0.8]);
        assert!(set.was_rescaled() && set.is_named());
        assert!(!Recognised::unnamed("images", features(&[[1.0, 0.0]])).unwrap().was_rescaled());
    }

    #[test]
    fn what_cannot_be_an_identity_is_refused() {
        let refused = |rows: &[[f32; 2]], names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Recognised::new("images", features(rows), &names).unwrap_err().to_string()
        };
        assert!(refused(&[[1.0, 0.0]], &["a", "b"]).contains("2 identities of images for 1"));
        assert!(refused(&[[1.0, 0.0], [0.0, 1.0]], &["a", " "]).contains("image 1"));
        assert!(refused(&[[1.0, 0.0], [0.0, 0.0]], &["a", "b"]).contains("row 1 is all zero"));
        assert!(refused(&[], &[]).contains("no images"));
    }

    #[test]
    fn an_identity_on_both_sides_is_named() {
        let one = |name: &str| Recognised::new("images", features(&[[1.0, 0.0]]), &[name.to_owned()]).unwrap();
        assert!(one("ann").require_others(&one("bob")).is_ok());
        let error = one("ann").require_others(&one("ann")).unwrap_err().to_string();
        assert!(error.contains("\"ann\""), "{error}");
    }
}
