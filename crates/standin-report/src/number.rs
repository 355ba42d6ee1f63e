//! How numbers are written: with no more digits than their interval supports, and signs and spaces as printed text has
//! them.

use standin_measure::Estimate;

/// A narrow space that does not break, between a number and its unit and between groups of three digits.
const THIN: char = '\u{202f}';

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A share as a percentage, with a second decimal where the interval is that narrow.
    Percent,
    /// A share, ratio or area that is usually written as a decimal.
    Decimal,
    /// A difference of shares in percentage points, with its sign.
    Points,
    /// A difference of decimals, with its sign.
    Difference,
    /// A correlation from −1 to 1.
    Correlation,
    /// A measure without a customary scale: two digits of its interval's width decide.
    Adaptive,
}

impl Style {
    /// The value of an estimate.
    pub(crate) fn value(self, estimate: &Estimate) -> String {
        let decimals = self.decimals(estimate);
        match self {
            Self::Percent => format!("{}{THIN}%", fixed(100.0 * estimate.value, decimals)),
            Self::Points => signed(100.0 * estimate.value, decimals),
            Self::Difference => signed(estimate.value, decimals),
            Self::Decimal | Self::Correlation | Self::Adaptive => fixed(estimate.value, decimals),
        }
    }

    /// Its interval in brackets, in the unit and precision of the value.
    pub(crate) fn interval(self, estimate: &Estimate) -> String {
        let decimals = self.decimals(estimate);
        let scale = if matches!(self, Self::Percent | Self::Points) { 100.0 } else { 1.0 };
        let end = |value: f64| match self {
            Self::Points | Self::Difference => signed(scale * value, decimals),
            Self::Percent | Self::Decimal | Self::Correlation | Self::Adaptive => fixed(scale * value, decimals),
        };
        format!("[{}, {}]", end(estimate.low), end(estimate.high))
    }

    /// Value and interval.
    pub(crate) fn full(self, estimate: &Estimate) -> String {
        format!("{} {}", self.value(estimate), self.interval(estimate))
    }

    fn decimals(self, estimate: &Estimate) -> usize {
        let width = estimate.high - estimate.low;
        match self {
            Self::Decimal | Self::Difference => 3,
            Self::Points => 1,
            Self::Correlation => 2,
            Self::Percent => {
                if width < 0.003 && width > 0.0 {
                    2
                } else {
                    1
                }
            }
            Self::Adaptive if width > 0.0 && width.is_finite() => two_digits(width).min(6),
            Self::Adaptive => 3,
        }
    }
}

/// The decimals that show about two digits of `width`.
fn two_digits(width: f64) -> usize {
    if width > 0.0 { ((-width.log10()).ceil() + 1.0).max(0.0) as usize } else { 1 }
}

/// A number with a fixed count of decimals, a true minus sign and a true sign of infinity.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "∞".into() } else { "−∞".into() };
    }
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.into(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// A number with its sign, also where it is positive.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) && value > 0.0 { format!("+{text}") } else { text }
}

/// A share as a percentage without trailing zeros, for thresholds and rates the user chose: 0.01 is "1 %".
pub(crate) fn rate(share: f64) -> String {
    format!("{}{THIN}%", plain(100.0 * share))
}

/// A number the user chose, with the digits he gave.
pub(crate) fn plain(value: f64) -> String {
    let rounded = format!("{value:.6}");
    let text = rounded.trim_end_matches('0').trim_end_matches('.');
    if value != 0.0 && (text == "0" || text == "-0") { power(value) } else { text.replacen('-', "−", 1) }
}

/// A number with three digits that count, where nothing says how exact it is.
pub(crate) fn significant(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    fixed(value, (2.0 - magnitude).clamp(0.0, 9.0) as usize)
}

/// A probability, such as a p-value.
pub(crate) fn probability(p: f64) -> String {
    if p < 1e-3 { power(p) } else { fixed(p, 3) }
}

/// A small number as a multiple of a power of ten: 1e-5 is "10⁻⁵".
pub(crate) fn power(value: f64) -> String {
    let scientific = format!("{value:.1e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let superscript: String = exponent
        .chars()
        .map(|digit| match digit {
            '-' => '⁻',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            _ => digit.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(digit),
        })
        .collect();
    match mantissa.strip_suffix(".0").unwrap_or(mantissa) {
        "1" => format!("10{superscript}"),
        mantissa => format!("{}·10{superscript}", mantissa.replacen('-', "−", 1)),
    }
}

/// A count with its digits in groups of three.
pub(crate) fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

/// A duration in the unit a person would choose.
pub(crate) fn duration(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    match seconds {
        ..9.95 => format!("{seconds:.1}{THIN}s"),
        ..99.5 => format!("{seconds:.0}{THIN}s"),
        ..5970.0 => format!("{minutes:.0}{THIN}min"),
        _ => format!("{:.1}{THIN}h", minutes / 60.0),
    }
}

/// Memory in MiB or GiB.
pub(crate) fn memory(mebibytes: f64) -> String {
    if mebibytes < 1024.0 { format!("{mebibytes:.0}{THIN}MiB") } else { format!("{:.1}{THIN}GiB", mebibytes / 1024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate(value: f64, low: f64, high: f64) -> Estimate {
        Estimate { value, low, high, n: 100, method: "Wilson".into() }
    }

    #[test]
    fn digits_follow_the_interval() {
        assert_eq!(Style::Adaptive.full(&estimate(0.01234, 0.0115, 0.0132)), "0.0123 [0.0115, 0.0132]");
        assert_eq!(Style::Adaptive.full(&estimate(45.31, 44.7, 45.9)), "45.3 [44.7, 45.9]");
        assert_eq!(Style::Adaptive.value(&estimate(1234.5, 1000.0, 1400.0)), "1234");
        assert_eq!(Style::Percent.full(&estimate(0.8731, 0.866, 0.8801)), "87.3\u{202f}% [86.6, 88.0]");
        assert_eq!(Style::Percent.value(&estimate(0.00123, 0.0005, 0.0025)), "0.12\u{202f}%");
        assert_eq!(Style::Points.full(&estimate(-0.0234, -0.05, 0.0032)), "−2.3 [−5.0, +0.3]");
        assert_eq!(Style::Difference.full(&estimate(0.0, -0.0001, 0.02)), "0.000 [0.000, +0.020]");
        assert_eq!(Style::Decimal.full(&estimate(0.5, 0.48, 0.52)), "0.500 [0.480, 0.520]");
    }

    #[test]
    fn zero_has_no_sign() {
        assert_eq!(fixed(-0.0001, 2), "0.00");
        assert_eq!(fixed(-0.5, 1), "−0.5");
        assert_eq!([f64::INFINITY, f64::NEG_INFINITY].map(|value| fixed(value, 2)), ["∞", "−∞"]);
    }

    #[test]
    fn chosen_numbers_keep_their_digits() {
        assert_eq!(rate(0.1), "10\u{202f}%");
        assert_eq!(rate(0.001), "0.1\u{202f}%");
        assert_eq!(rate(0.0), "0\u{202f}%");
        assert_eq!(plain(2.5), "2.5");
        assert_eq!(plain(1e-9), "10⁻⁹");
        assert_eq!([0.41, 2.392, 1234.5].map(significant), ["0.410", "2.39", "1234"]);
        assert_eq!(power(2.5e-6), "2.5·10⁻⁶");
        assert_eq!(power(4.0e13), "4·10¹³");
    }

    #[test]
    fn counts_and_durations_read_as_text() {
        assert_eq!(count(9000), "9000");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(duration(0.42), "0.4\u{202f}s");
        assert_eq!(duration(600.0), "10\u{202f}min");
        assert_eq!(duration(9000.0), "2.5\u{202f}h");
        assert_eq!(memory(2048.0), "2.0\u{202f}GiB");
    }
}
