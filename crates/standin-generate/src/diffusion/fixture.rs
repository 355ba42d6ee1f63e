//! Values of an independent implementation, for tests.

/// The values under one name in `tests/fixtures/edm.csv`, which `edm.py` beside it makes.
pub(crate) fn fixture(name: &str) -> Vec<f64> {
    let table = include_str!("../../tests/fixtures/edm.csv");
    let line = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(','));
    let values = line.unwrap_or_else(|| panic!("no line {name} in edm.csv"));
    values.split(',').map(|value| value.parse().expect("edm.csv holds numbers")).collect()
}
