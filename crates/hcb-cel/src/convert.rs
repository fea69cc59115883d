//! Conversions between types (`ConvertToType` of cel-go's `common/types`).

use super::Error;
use super::time::{Timestamp, parse_duration};
use super::value::Value;

/// Integers beyond what a double can be told from.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

fn unreadable(value: &Value<'_>, wanted: &str) -> Error {
    Error::new(format!(
        "type conversion error from '{}' to '{wanted}'",
        value.type_name()
    ))
}

/// Go's `strconv.ParseInt` with base 10: a sign may be there, nothing else.
fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

pub(super) fn to_int<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    Ok(Value::Int(match value {
        Value::Int(value) | Value::Duration(value) => *value,
        Value::Uint(value) => {
            i64::try_from(*value).map_err(|_| Error::fixed("integer overflow"))?
        }
        Value::Double(double) => {
            // Both bounds are excluded: they cannot be told from what lies beyond.
            if !(*double > -TWO_TO_63 && *double < TWO_TO_63) {
                return Err(Error::fixed("integer overflow"));
            }
            #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
            let int = *double as i64;
            int
        }
        Value::String(text) => parse_int(text).ok_or_else(|| unreadable(value, "int"))?,
        Value::Timestamp(time) => time.seconds(),
        other => return Err(unreadable(other, "int")),
    }))
}

pub(super) fn to_uint<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    Ok(Value::Uint(match value {
        Value::Uint(value) => *value,
        Value::Int(value) => {
            u64::try_from(*value).map_err(|_| Error::fixed("unsigned integer overflow"))?
        }
        Value::Double(double) => {
            if !(0.0..TWO_TO_64).contains(double) {
                return Err(Error::fixed("unsigned integer overflow"));
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the bounds were checked"
            )]
            let int = *double as u64;
            int
        }
        Value::String(text) => {
            // Go allows no sign here.
            let digits = text.starts_with(|c: char| c.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|_| digits)
                .ok_or_else(|| unreadable(value, "uint"))?
        }
        other => return Err(unreadable(other, "uint")),
    }))
}

pub(super) fn to_double<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    Ok(Value::Double(match value {
        Value::Double(value) => *value,
        Value::Int(value) => *value as f64,
        Value::Uint(value) => *value as f64,
        Value::String(text) => parse_double(text).ok_or_else(|| unreadable(value, "double"))?,
        other => return Err(unreadable(other, "double")),
    }))
}

fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_word = unsigned.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_word {
        let lower = unsigned.to_ascii_lowercase();
        return match lower.as_str() {
            "inf" | "infinity" if text.starts_with('-') => Some(f64::NEG_INFINITY),
            "inf" | "infinity" => Some(f64::INFINITY),
            "nan" if unsigned.len() == text.len() => Some(f64::NAN),
            _ => None,
        };
    }
    // Too large a number is an error for Go.
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

pub(super) fn to_bool<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    match value {
        Value::Bool(_) => Ok(value.clone()),
        Value::String(text) => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Value::Bool(false)),
            _ => Err(unreadable(value, "bool")),
        },
        other => Err(unreadable(other, "bool")),
    }
}

pub(super) fn to_bytes<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    match value {
        Value::Bytes(_) => Ok(value.clone()),
        Value::String(text) => Ok(Value::Bytes(text.as_bytes().into())),
        other => Err(unreadable(other, "bytes")),
    }
}

pub(super) fn to_duration<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    match value {
        Value::Duration(_) => Ok(value.clone()),
        Value::String(text) => parse_duration(text)
            .map(Value::Duration)
            .ok_or_else(|| unreadable(value, "google.protobuf.Duration")),
        other => Err(unreadable(other, "google.protobuf.Duration")),
    }
}

pub(super) fn to_timestamp<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    match value {
        Value::Timestamp(_) => Ok(value.clone()),
        Value::Int(seconds) => Timestamp::from_seconds(*seconds).map(Value::Timestamp),
        Value::String(text) => Timestamp::parse(text)
            .ok_or_else(|| unreadable(value, "google.protobuf.Timestamp"))?
            .map(Value::Timestamp),
        other => Err(unreadable(other, "google.protobuf.Timestamp")),
    }
}

pub(super) fn to_string<'a>(value: &Value<'a>) -> Result<Value<'a>, Error> {
    Ok(match value {
        Value::String(_) => value.clone(),
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string().into(),
        Value::Int(value) => value.to_string().into(),
        Value::Uint(value) => value.to_string().into(),
        Value::Double(value) => double_to_string(*value).into(),
        Value::Bytes(bytes) => std::str::from_utf8(bytes)
            .map_err(|_| Error::fixed("invalid UTF-8 in bytes, cannot convert to string"))?
            .to_owned()
            .into(),
        Value::Duration(nanoseconds) => duration_to_string(*nanoseconds).into(),
        Value::Timestamp(time) => time.to_string().into(),
        Value::Type(name) => (*name).into(),
        other => return Err(unreadable(other, "string")),
    })
}

/// Seconds, with as many digits as are needed: `5400s`, `0.25s`.
pub(super) fn duration_to_string(nanoseconds: i64) -> String {
    // As Go does: whole seconds and the rest are converted apart.
    let seconds = (nanoseconds / 1_000_000_000) as f64 + (nanoseconds % 1_000_000_000) as f64 / 1e9;
    format!("{}s", positional(seconds))
}

/// As Go prints a `time.Duration`: `1h30m0s`, `250ms`.
pub(super) fn duration_to_go(nanoseconds: i64) -> String {
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let total = nanoseconds.unsigned_abs();
    if total == 0 {
        return "0s".to_owned();
    }
    if total < 1_000_000_000 {
        let (unit, name) = match total {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", positional(total as f64 / f64::from(unit)));
    }
    let seconds = positional((total % 60_000_000_000) as f64 / 1e9);
    let minutes = total / 60_000_000_000;
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

/// The shortest digits that read back as the same number, never with an exponent.
fn positional(value: f64) -> String {
    format!("{value}")
}

/// As Go prints a number with `%g`: the shortest digits that read back as the same number, with an
/// exponent from a million and below 0.0001.
pub(super) fn double_to_string(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return positional(value);
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
