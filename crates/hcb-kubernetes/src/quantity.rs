//! Quantities of resources as Kubernetes reads and writes them. Those of CEL expressions, which may be negative or
//! finer, are in `hcb-cel`.

use std::fmt;
use std::ops::Add;

/// A quantity: an exact number of thousandths of its unit (CPU cores, bytes, pieces).
///
/// The notation is that of Kubernetes: a decimal number with an optional suffix: decimal (`m`, `k`,
/// `M`, `G`, `T`, `P`, `E`), binary (`Ki`, `Mi`, `Gi`, `Ti`, `Pi`, `Ei`), or an exponent (`e3`). It is written as the
/// API server stores it, so that no engine sees a difference between Git and the cluster. Source:
/// the documentation of `resource.Quantity` in k8s.io/apimachinery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity {
    milli: i128,
    /// Whether it was read with a binary suffix, and so is written with one again.
    binary: bool,
}

const BINARY: [(&str, u32); 6] = [
    ("Ei", 60),
    ("Pi", 50),
    ("Ti", 40),
    ("Gi", 30),
    ("Mi", 20),
    ("Ki", 10),
];
const DECIMAL: [(&str, u32); 7] = [
    ("E", 18),
    ("P", 15),
    ("T", 12),
    ("G", 9),
    ("M", 6),
    ("k", 3),
    ("", 0),
];

impl Quantity {
    /// A whole number of units.
    pub fn whole(units: u64) -> Self {
        Self {
            milli: i128::from(units) * 1000,
            binary: false,
        }
    }

    /// Reads the notation of Kubernetes. `None` if the text is not a quantity, or if the quantity is
    /// negative, finer than a thousandth, or larger than Kubernetes allows (2^63 - 1 units).
    pub fn parse(text: &str) -> Option<Self> {
        let number_ends = text
            .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '+')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(number_ends);
        let number = number.strip_prefix('+').unwrap_or(number);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains(['.', '+']) {
            return None;
        }
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let scale = u32::try_from(fraction.len()).ok()?;
        let (numerator, binary) = match suffix {
            "m" => (digits, false),
            _ => match BINARY.iter().find(|(name, _)| *name == suffix) {
                Some((_, bits)) => (digits.checked_mul(1000 << bits)?, true),
                None => (
                    digits.checked_mul(10_i128.checked_pow(3 + exponent(suffix)?)?)?,
                    false,
                ),
            },
        };
        let divisor = 10_i128.checked_pow(scale)?;
        let fits = numerator % divisor == 0 && numerator / divisor <= i128::from(i64::MAX) * 1000;
        fits.then_some(Self {
            milli: numerator / divisor,
            binary,
        })
    }

    /// Thousandths of the unit: millicores of a CPU quantity.
    pub fn milli(self) -> i128 {
        self.milli
    }

    /// Units, rounded up as Kubernetes does where it wants whole ones.
    pub fn units(self) -> u64 {
        u64::try_from((self.milli + 999) / 1000).unwrap_or(u64::MAX)
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.milli == 0
    }

    /// This many times as much.
    #[must_use]
    pub fn times(self, count: u32) -> Self {
        Self {
            milli: self.milli * i128::from(count),
            ..self
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            milli: self.milli + other.milli,
            binary: self.binary || other.binary,
        }
    }
}

/// The power of ten of a decimal suffix: `G` or `e9`.
fn exponent(suffix: &str) -> Option<u32> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some(*power);
    }
    let power = suffix.strip_prefix(['e', 'E'])?;
    power.parse().ok().filter(|power| *power <= 18)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milli == 0 {
            return f.write_str("0");
        }
        if self.binary {
            for (suffix, bits) in BINARY {
                let unit = 1000_i128 << bits;
                if self.milli % unit == 0 {
                    return write!(f, "{}{suffix}", self.milli / unit);
                }
            }
        }
        for (suffix, power) in DECIMAL {
            let unit = 1000 * 10_i128.pow(power);
            if self.milli % unit == 0 {
                return write!(f, "{}{suffix}", self.milli / unit);
            }
        }
        write!(f, "{}m", self.milli)
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_written_as_the_api_server_stores_it() {
        // Each pair was checked against k8s.io/apimachinery's resource.Quantity.
        for (text, stored) in [
            ("4", "4"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("1000m", "1"),
            ("16Gi", "16Gi"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1e3", "1k"),
            ("1000", "1k"),
            ("1G", "1G"),
            (".5", "500m"),
            ("0", "0"),
        ] {
            let quantity = Quantity::parse(text).map(|quantity| quantity.to_string());
            assert_eq!(quantity.as_deref(), Some(stored), "{text}");
        }
    }

    #[test]
    fn texts_that_kubernetes_refuses_are_not_quantities() {
        for text in [
            "", ".", "four", "16GB", "16 Gi", "-1", "1.2.3", "0.0001", "Gi", "1e", "1e99", "12E",
            "1_000", "16gi", "NaN",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
