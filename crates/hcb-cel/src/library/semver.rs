//! Semantic versions (Kubernetes' `cel/library/semverlib.go`, `github.com/blang/semver/v4`).

use super::{Arguments, Entry, quoted};
use crate::Error;
use crate::value::{OpaqueValue, Value};
use std::cmp::Ordering;
use std::sync::Arc;

pub(crate) const FUNCTIONS: &[Entry] = &[
    ("string_to_semver: semver(string) -> Semver", |call| {
        to_semver(call.text(0)?, false)
    }),
    (
        "string_bool_to_semver: semver(string, bool) -> Semver",
        |call| to_semver(call.text(0)?, normalizes(call)?),
    ),
    ("is_semver_string: isSemver(string) -> bool", |call| {
        Ok(Value::Bool(to_semver(call.text(0)?, false).is_ok()))
    }),
    (
        "is_semver_string_bool: isSemver(string, bool) -> bool",
        |call| {
            Ok(Value::Bool(
                to_semver(call.text(0)?, normalizes(call)?).is_ok(),
            ))
        },
    ),
    (
        "semver_is_greater_than: |Semver|.isGreaterThan(Semver) -> bool",
        |call| Ok(Value::Bool(get(call, 0)?.compare(get(call, 1)?).is_gt())),
    ),
    (
        "semver_is_less_than: |Semver|.isLessThan(Semver) -> bool",
        |call| Ok(Value::Bool(get(call, 0)?.compare(get(call, 1)?).is_lt())),
    ),
    (
        "semver_compare_to: |Semver|.compareTo(Semver) -> int",
        |call| Ok(Value::Int(get(call, 0)?.compare(get(call, 1)?) as i64)),
    ),
    ("semver_major: |Semver|.major() -> int", |call| {
        Ok(number(get(call, 0)?.numbers[0]))
    }),
    ("semver_minor: |Semver|.minor() -> int", |call| {
        Ok(number(get(call, 0)?.numbers[1]))
    }),
    ("semver_patch: |Semver|.patch() -> int", |call| {
        Ok(number(get(call, 0)?.numbers[2]))
    }),
];

/// A version. What is built of it does not count when versions are compared.
#[derive(Debug, Clone)]
pub struct Version {
    numbers: [u64; 3],
    prerelease: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(String),
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl Version {
    fn compare(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            // Without a prerelease comes after all with one.
            .then_with(|| self.prerelease.is_empty().cmp(&other.prerelease.is_empty()))
            .then_with(|| self.prerelease.cmp(&other.prerelease))
    }
}

fn number<'a>(value: u64) -> Value<'a> {
    Value::Int(value.cast_signed())
}

fn normalizes(call: &Arguments<'_, '_>) -> Result<bool, Error> {
    match call.get(1)? {
        Value::Bool(value) => Ok(*value),
        _ => Err(Error::no_overload()),
    }
}

fn get<'s>(call: &'s Arguments<'_, '_>, index: usize) -> Result<&'s Version, Error> {
    match call.get(index)? {
        Value::Opaque(opaque) => match &**opaque {
            OpaqueValue::Semver(version) => Ok(version),
            _ => Err(Error::no_overload()),
        },
        _ => Err(Error::no_overload()),
    }
}

fn to_semver<'a>(text: &str, normalizes: bool) -> Result<Value<'a>, Error> {
    let version = if normalizes {
        parse(&normalize(text)?)?
    } else {
        parse(text)?
    };
    Ok(Value::Opaque(Arc::new(OpaqueValue::Semver(version))))
}

/// Without `v` and leading zeros, with three numbers.
fn normalize(text: &str) -> Result<String, Error> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text
        .splitn(3, '.')
        .map(|part| {
            if part.len() <= 1 {
                return part.to_owned();
            }
            let stripped = part.trim_start_matches('0');
            if stripped.starts_with(|c: char| c.is_ascii_digit()) {
                stripped.to_owned()
            } else {
                format!("0{stripped}")
            }
        })
        .collect();
    if parts.len() < 3 {
        if parts.last().is_some_and(|last| last.contains(['+', '-'])) {
            return Err(Error::fixed(
                "short version cannot contain PreRelease/Build meta data",
            ));
        }
        parts.resize(3, "0".to_owned());
    }
    Ok(parts.join("."))
}

fn parse(text: &str) -> Result<Version, Error> {
    if text.is_empty() {
        return Err(Error::fixed("Version string empty"));
    }
    let parts: Vec<&str> = text.splitn(3, '.').collect();
    let [major, minor, patch] = parts.as_slice() else {
        return Err(Error::fixed("No Major.Minor.Patch elements found"));
    };
    let major = plain_number(major, "major", "Major")?;
    let minor = plain_number(minor, "minor", "Minor")?;
    let (patch, build) = match patch.split_once('+') {
        Some((patch, build)) => (patch, Some(build)),
        None => (*patch, None),
    };
    let (patch, prerelease) = match patch.split_once('-') {
        Some((patch, prerelease)) => (patch, Some(prerelease)),
        None => (patch, None),
    };
    let patch = plain_number(patch, "patch", "Patch")?;
    let prerelease = prerelease
        .map(|text| text.split('.').map(part).collect::<Result<Vec<_>, _>>())
        .transpose()?
        .unwrap_or_default();
    for part in build.into_iter().flat_map(|build| build.split('.')) {
        if part.is_empty() {
            return Err(Error::fixed("Build meta data is empty"));
        }
        if !is_alphanumeric(part) {
            return Err(Error::new(format!(
                "Invalid character(s) found in build meta data {}",
                quoted(part)
            )));
        }
    }
    Ok(Version {
        numbers: [major, minor, patch],
        prerelease,
    })
}

fn is_alphanumeric(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn plain_number(text: &str, name: &str, title: &str) -> Result<u64, Error> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::new(format!(
            "Invalid character(s) found in {name} number {}",
            quoted(text)
        )));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(Error::new(format!(
            "{title} number must not contain leading zeroes {}",
            quoted(text)
        )));
    }
    parse_number(text)
}

fn parse_number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| {
        let why = if text.is_empty() {
            "invalid syntax"
        } else {
            "value out of range"
        };
        Error::new(format!(
            "strconv.ParseUint: parsing {}: {why}",
            quoted(text)
        ))
    })
}

fn part(text: &str) -> Result<Part, Error> {
    if text.is_empty() {
        return Err(Error::fixed("Prerelease is empty"));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        if text.len() > 1 && text.starts_with('0') {
            return Err(Error::new(format!(
                "Numeric PreRelease version must not contain leading zeroes {}",
                quoted(text)
            )));
        }
        return parse_number(text).map(Part::Number);
    }
    if !is_alphanumeric(text) {
        return Err(Error::new(format!(
            "Invalid character(s) found in prerelease {}",
            quoted(text)
        )));
    }
    Ok(Part::Text(text.to_owned()))
}
