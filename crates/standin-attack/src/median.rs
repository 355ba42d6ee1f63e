/// The middle value, or the mean of the two in the middle.
///
/// # Panics
/// If there is no value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { 0.5 * (values[middle - 1] + values[middle]) } else { values[middle] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_values_has_the_mean_of_the_middle_two() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 100.0]), 3.5);
        assert_eq!(median(vec![2.0, -1.0, 9.0]), 2.0);
        assert_eq!(median(vec![7.0]), 7.0);
    }
}
