/// exp(−5(1 − min(t, 1))²): how much a term on unlabelled images weighs when t of its rise is over (Laine and Aila 2017).
///
/// The published trainings rise for 6 000 steps of 15 000, in steps of 150; here the rise is a share of however many steps
/// there are, and continuous.
pub fn ramp(risen: f64) -> f64 {
    (-5.0 * (1.0 - risen.clamp(0.0, 1.0)).powi(2)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_rises_from_little_to_one() {
        assert!((ramp(0.0) - (-5.0f64).exp()).abs() < 1e-15);
        assert!((ramp(0.5) - (-1.25f64).exp()).abs() < 1e-15);
        assert_eq!((ramp(1.0), ramp(2.0)), (1.0, 1.0));
    }
}
