use crate::{Attack, Result, Target};

/// The discriminator's own opinion (Hayes, Melis, Danezis & De Cristofaro 2019, "LOGAN", the white-box attack, arXiv
/// 1705.07663): it was trained to take training images for real, and takes those that it saw for more real than others.
///
/// It is released seldom; a generator without it does not fall to this attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discriminator;

impl Attack for Discriminator {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        let target = target.generator()?;
        Ok(target.discriminator()?.scores(target.candidates(), target.classes())?)
    }
}
