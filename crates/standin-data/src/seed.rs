use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A source of reproducible randomness, split by purpose.
///
/// Every consumer derives its own seed by name, so adding a step changes no other step's numbers.
///
/// ```
/// use standin_data::Seed;
/// let seed = Seed::new(7);
/// assert_eq!(seed.derive("split"), seed.derive("split"));
/// assert_ne!(seed.derive("split"), seed.derive("bootstrap"));
/// ```
///
/// Noise that protects privacy never comes from here unless the user asks for a reproducible, non-private run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(u64);

impl Seed {
    /// The root seed a user gives.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The number behind the seed.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The seed for one purpose: the first eight bytes of a BLAKE3 digest of this seed and the purpose.
    #[must_use]
    pub fn derive(self, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("standin seed derivation 1");
        hasher.update(&self.0.to_le_bytes());
        hasher.update(purpose.as_bytes());
        let mut word = [0; 8];
        hasher.finalize_xof().fill(&mut word);
        Self(u64::from_le_bytes(word))
    }

    /// A fresh generator, the same for the same seed on every platform.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }
}
