//! The functions, one file a library. Each is given values of the types of its signature.

pub(super) mod core;
pub(super) mod format;
pub(super) mod lists;
pub(super) mod net;
pub(super) mod pattern;
pub(super) mod quantity;
pub(super) mod semver;
pub(super) mod strings;
pub(super) mod times;
pub(super) mod url;

pub(super) use pattern::Pattern;

use super::Error;
use super::program::Call;
use super::value::Value;
use std::fmt::Write;

/// What a function is given.
pub(super) struct Arguments<'a, 's> {
    pub(super) values: &'s [Value<'a>],
    /// The compiled pattern, where that is a constant.
    pub(super) pattern: Option<&'s Pattern>,
}

/// What computes one signature.
pub(super) type Implementation = for<'a> fn(&Arguments<'a, '_>) -> Result<Value<'a>, Error>;

/// A signature and what computes it.
pub(super) type Entry = (&'static str, Implementation);

/// The libraries in the order in which the API server tries the signatures of one name, each with the minor
/// version of Kubernetes that it came with (`IntroducedVersion` in `environment/base.go`).
const LIBRARIES: [(u16, &[Entry]); 12] = [
    (OLDEST, core::FUNCTIONS),
    (OLDEST, times::FUNCTIONS),
    (OLDEST, core::OPTIONALS),
    (OLDEST, url::FUNCTIONS),
    (OLDEST, pattern::FUNCTIONS),
    (OLDEST, lists::FUNCTIONS),
    (OLDEST, quantity::FUNCTIONS),
    (OLDEST, strings::FUNCTIONS),
    (OLDEST, lists::SETS),
    (30, net::FUNCTIONS),
    (31, format::FUNCTIONS),
    (33, semver::FUNCTIONS),
];

/// The minor version of Kubernetes that the comprehensions of two variables came with.
pub(super) const TWO_VARIABLES: u16 = 32;

/// The oldest minor version of Kubernetes whose language is known here.
pub(super) const OLDEST: u16 = 29;

/// The newest one: what came later is not computed here.
pub(super) const NEWEST: u16 = 33;

/// The signatures that Kubernetes 1.`minor` has.
pub(super) fn signatures(minor: u16) -> impl Iterator<Item = Entry> {
    LIBRARIES
        .iter()
        .filter(move |(since, _)| *since <= minor)
        .flat_map(|(_, entries)| *entries)
        .copied()
}

/// Calls the first overload that the arguments fit.
pub(super) fn dispatch<'a>(call: &Call, values: &[Value<'a>]) -> Result<Value<'a>, Error> {
    let arguments = Arguments {
        values,
        pattern: call.pattern.as_ref(),
    };
    // Operators and their like look at the types themselves.
    if let Some(implementation) = core::untyped(call.function.name) {
        return implementation(&arguments);
    }
    for overload in &call.overloads {
        let fits = overload.parameters.len() == values.len()
            && values
                .iter()
                .zip(&overload.parameters)
                .all(|(value, ty)| value.is_of(ty));
        if fits {
            return (overload.implementation)(&arguments);
        }
    }
    let types: Vec<_> = values.iter().map(Value::type_name).collect();
    Err(Error::new(format!(
        "no such overload: {}({})",
        call.function.name,
        types.join(", ")
    )))
}

impl<'a> Arguments<'a, '_> {
    pub(super) fn get(&self, index: usize) -> Result<&Value<'a>, Error> {
        self.values.get(index).ok_or_else(Error::no_overload)
    }

    pub(super) fn text(&self, index: usize) -> Result<&str, Error> {
        self.get(index)?.as_str().ok_or_else(Error::no_overload)
    }

    pub(super) fn int(&self, index: usize) -> Result<i64, Error> {
        match self.get(index)? {
            Value::Int(value) => Ok(*value),
            _ => Err(Error::no_overload()),
        }
    }
}

/// A text in quotes as Go's `%q` writes it.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if u32::from(c) < 0x20 || c == '\x7f' => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
