//! Quantities (Kubernetes' `cel/library/quantity.go` and `apimachinery/pkg/api/resource`).
//!
//! `hcb_kubernetes::Quantity` is another type: what a spec may ask for, never negative and exact to a
//! thousandth, with an order and the form that the API server stores. An expression computes with all that
//! the API server reads: signs, nanos, exponents of any size, and whether Kubernetes holds the number as
//! an int64, which decides what an integer is. A test of the package `hcb` shows that both read a text alike.

use super::{Arguments, Entry};
use crate::Error;
use crate::value::{OpaqueValue, Value};
use std::cmp::Ordering;
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Entry] = &[
    ("string_to_quantity: quantity(string) -> Quantity", |call| {
        Quantity::parse(call.text(0)?).map(value)
    }),
    ("is_quantity_string: isQuantity(string) -> bool", |call| {
        Ok(Value::Bool(Quantity::parse(call.text(0)?).is_ok()))
    }),
    ("quantity_sign: sign(Quantity) -> int", |call| {
        Ok(Value::Int(get(call, 0)?.mantissa.signum() as i64))
    }),
    (
        "quantity_is_greater_than: |Quantity|.isGreaterThan(Quantity) -> bool",
        |call| Ok(Value::Bool(get(call, 0)?.compare(get(call, 1)?).is_gt())),
    ),
    (
        "quantity_is_less_than: |Quantity|.isLessThan(Quantity) -> bool",
        |call| Ok(Value::Bool(get(call, 0)?.compare(get(call, 1)?).is_lt())),
    ),
    (
        "quantity_compare_to: |Quantity|.compareTo(Quantity) -> int",
        |call| Ok(Value::Int(get(call, 0)?.compare(get(call, 1)?) as i64)),
    ),
    (
        "quantity_get_float: |Quantity|.asApproximateFloat() -> double",
        |call| Ok(Value::Double(get(call, 0)?.as_float())),
    ),
    ("quantity_get_int: |Quantity|.asInteger() -> int", |call| {
        get(call, 0)?
            .as_integer()
            .map(Value::Int)
            .ok_or_else(|| Error::fixed("cannot convert value to integer"))
    }),
    (
        "quantity_is_integer: |Quantity|.isInteger() -> bool",
        |call| Ok(Value::Bool(get(call, 0)?.as_integer().is_some())),
    ),
    (
        "quantity_add: |Quantity|.add(Quantity) -> Quantity",
        |call| get(call, 0)?.add(get(call, 1)?, 1).map(value),
    ),
    (
        "quantity_add_int: |Quantity|.add(int) -> Quantity",
        |call| {
            get(call, 0)?
                .add(&Quantity::from_int(call.int(1)?), 1)
                .map(value)
        },
    ),
    (
        "quantity_sub: |Quantity|.sub(Quantity) -> Quantity",
        |call| get(call, 0)?.add(get(call, 1)?, -1).map(value),
    ),
    (
        "quantity_sub_int: |Quantity|.sub(int) -> Quantity",
        |call| {
            get(call, 0)?
                .add(&Quantity::from_int(call.int(1)?), -1)
                .map(value)
        },
    ),
];

fn value<'a>(quantity: Quantity) -> Value<'a> {
    Value::Opaque(Arc::new(OpaqueValue::Quantity(quantity)))
}

fn get<'s>(call: &'s Arguments<'_, '_>, index: usize) -> Result<&'s Quantity, Error> {
    match call.get(index)? {
        Value::Opaque(opaque) => match &**opaque {
            OpaqueValue::Quantity(quantity) => Ok(quantity),
            _ => Err(Error::no_overload()),
        },
        _ => Err(Error::no_overload()),
    }
}

/// An amount: `mantissa` times ten to the power of `exponent`.
#[derive(Debug, Clone)]
pub struct Quantity {
    mantissa: i128,
    exponent: i32,
    /// Whether it is held as an int64 by Kubernetes, which alone counts as an integer.
    is_small: bool,
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

const WRONG_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_SUFFIX: &str = "unable to parse quantity's suffix";
const WRONG_NUMBER: &str = "unable to parse numeric part of quantity";

/// What an int64 holds for sure, in digits.
const DIGITS: i32 = 18;

impl Quantity {
    fn from_int(value: i64) -> Self {
        Self {
            mantissa: i128::from(value),
            exponent: 0,
            is_small: true,
        }
    }

    /// Reads a quantity as Kubernetes does.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::fixed(WRONG_FORMAT));
        }
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let is_negative = text.starts_with('-');
        let stripped = unsigned.trim_start_matches('0');
        if stripped.is_empty() {
            return Ok(Self::from_int(0));
        }
        let is_digit = |c: char| c.is_ascii_digit();
        let whole_end = stripped.find(|c| !is_digit(c)).unwrap_or(stripped.len());
        let (whole, rest) = stripped.split_at(whole_end);
        // A fraction may be empty: `1.` is 1.
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(rest) => rest.split_at(rest.find(|c| !is_digit(c)).unwrap_or(rest.len())),
            None => ("", rest),
        };
        let letters_end = suffix
            .find(|c| !"eEinumkKMGTP".contains(c))
            .unwrap_or(suffix.len());
        let after = suffix[letters_end..]
            .strip_prefix(['+', '-'])
            .unwrap_or(&suffix[letters_end..]);
        if !after.chars().all(is_digit) {
            return Err(Error::fixed(WRONG_FORMAT));
        }
        let (base, power) = suffix_of(suffix).ok_or_else(|| Error::fixed(WRONG_SUFFIX))?;
        if whole.is_empty() && fraction.is_empty() && !unsigned.starts_with('0') {
            return Err(Error::fixed(WRONG_NUMBER));
        }
        let digits = format!("{}{fraction}", if whole.is_empty() { "0" } else { whole });
        // So many digits say nothing that a policy could ask for.
        let mut mantissa: i128 = digits.parse().map_err(|_| Error::fixed(WRONG_NUMBER))?;
        let mut exponent = -i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
        let mut is_small = match base {
            10 => {
                exponent = exponent.saturating_add(power);
                DIGITS - length >= 0 && exponent >= -9
            }
            _ => power >= 0 && fraction.is_empty() && 15 - length - power * 3 / 10 > 0,
        };
        if base == 2 {
            mantissa = mantissa
                .checked_mul(1i128 << power)
                .ok_or_else(|| Error::fixed(WRONG_NUMBER))?;
            let limit = i128::from(i64::MAX);
            if !is_small && exponent == 0 && mantissa > limit {
                mantissa = limit;
            }
            is_small &= i64::try_from(mantissa).is_ok();
        }
        // What is smaller than a nano is rounded up, away from zero.
        while exponent < -9 {
            mantissa = mantissa / 10 + i128::from(mantissa % 10 != 0);
            exponent += 1;
        }
        if is_negative {
            mantissa = -mantissa;
        }
        Ok(Self {
            mantissa,
            exponent,
            is_small,
        })
    }

    /// Both with one exponent; nothing if that is too large.
    fn aligned(&self, other: &Self) -> Option<(i128, i128, i32)> {
        let exponent = self.exponent.min(other.exponent);
        let scale = |quantity: &Self| {
            let power = u32::try_from(quantity.exponent - exponent).ok()?;
            10i128.checked_pow(power)?.checked_mul(quantity.mantissa)
        };
        Some((scale(self)?, scale(other)?, exponent))
    }

    fn compare(&self, other: &Self) -> Ordering {
        match self.aligned(other) {
            Some((a, b, _)) => a.cmp(&b),
            // So far apart that the size decides.
            None => self
                .as_float()
                .partial_cmp(&other.as_float())
                .unwrap_or(Ordering::Equal),
        }
    }

    fn add(&self, other: &Self, sign: i128) -> Result<Self, Error> {
        if other.mantissa == 0 {
            return Ok(self.clone());
        }
        let (a, b, exponent) = self
            .aligned(other)
            .ok_or_else(|| Error::fixed("the quantities are too far apart"))?;
        let mantissa = a
            .checked_add(b * sign)
            .ok_or_else(|| Error::fixed("the quantity is too large"))?;
        let (mantissa, exponent) = if self.mantissa == 0 {
            (sign * other.mantissa, other.exponent)
        } else {
            (mantissa, exponent)
        };
        Ok(Self {
            mantissa,
            exponent,
            is_small: self.is_small && other.is_small && i64::try_from(mantissa).is_ok(),
        })
    }

    fn as_integer(&self) -> Option<i64> {
        if !self.is_small || self.exponent < 0 {
            return None;
        }
        let power = u32::try_from(self.exponent).ok()?;
        let value = 10i128.checked_pow(power)?.checked_mul(self.mantissa)?;
        i64::try_from(value).ok()
    }

    fn as_float(&self) -> f64 {
        if self.exponent == 0 {
            return self.mantissa as f64;
        }
        self.mantissa as f64 * 10f64.powi(self.exponent)
    }
}

/// Base and power of a suffix.
fn suffix_of(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (10, 0),
        "n" => (10, -9),
        "u" => (10, -6),
        "m" => (10, -3),
        "k" => (10, 3),
        "M" => (10, 6),
        "G" => (10, 9),
        "T" => (10, 12),
        "P" => (10, 15),
        "E" => (10, 18),
        "Ki" => (2, 10),
        "Mi" => (2, 20),
        "Gi" => (2, 30),
        "Ti" => (2, 40),
        "Pi" => (2, 50),
        "Ei" => (2, 60),
        _ => {
            let power = suffix.strip_prefix(['e', 'E'])?;
            (10, power.parse::<i32>().ok()?)
        }
    })
}
