//! Operators, conversions and optionals (cel-go's `common/stdlib/standard.go` and its optional
//! library).

use super::{Arguments, Entry, Implementation};
use crate::Error;
use crate::convert;
use crate::value::{List, Value};
use std::cmp::Ordering;
use std::sync::Arc;

/// What is planned in other ways, and only has to be known to the checker.
fn planned<'a>(_: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    Err(Error::no_overload())
}

pub(crate) const FUNCTIONS: &[Entry] = &[
    ("conditional: _?_:_(bool, A, A) -> A", planned),
    ("logical_and: _&&_(bool, bool) -> bool", planned),
    ("logical_or: _||_(bool, bool) -> bool", planned),
    ("logical_not: !_(bool) -> bool", not),
    (
        "not_strictly_false: @not_strictly_false(bool) -> bool",
        planned,
    ),
    ("equals: _==_(A, A) -> bool", planned),
    ("not_equals: _!=_(A, A) -> bool", planned),
    ("add_bytes: _+_(bytes, bytes) -> bytes", add),
    ("add_double: _+_(double, double) -> double", add),
    (
        "add_duration_duration: _+_(duration, duration) -> duration",
        add,
    ),
    (
        "add_duration_timestamp: _+_(duration, timestamp) -> timestamp",
        add,
    ),
    (
        "add_timestamp_duration: _+_(timestamp, duration) -> timestamp",
        add,
    ),
    ("add_int64: _+_(int, int) -> int", add),
    ("add_list: _+_(list(A), list(A)) -> list(A)", add),
    ("add_string: _+_(string, string) -> string", add),
    ("add_uint64: _+_(uint, uint) -> uint", add),
    ("divide_double: _/_(double, double) -> double", divide),
    ("divide_int64: _/_(int, int) -> int", divide),
    ("divide_uint64: _/_(uint, uint) -> uint", divide),
    ("modulo_int64: _%_(int, int) -> int", modulo),
    ("modulo_uint64: _%_(uint, uint) -> uint", modulo),
    ("multiply_double: _*_(double, double) -> double", multiply),
    ("multiply_int64: _*_(int, int) -> int", multiply),
    ("multiply_uint64: _*_(uint, uint) -> uint", multiply),
    ("negate_double: -_(double) -> double", negate),
    ("negate_int64: -_(int) -> int", negate),
    ("subtract_double: _-_(double, double) -> double", subtract),
    (
        "subtract_duration_duration: _-_(duration, duration) -> duration",
        subtract,
    ),
    ("subtract_int64: _-_(int, int) -> int", subtract),
    (
        "subtract_timestamp_duration: _-_(timestamp, duration) -> timestamp",
        subtract,
    ),
    (
        "subtract_timestamp_timestamp: _-_(timestamp, timestamp) -> duration",
        subtract,
    ),
    ("subtract_uint64: _-_(uint, uint) -> uint", subtract),
    ("less_bool: _<_(bool, bool) -> bool", less),
    ("less_int64: _<_(int, int) -> bool", less),
    ("less_int64_double: _<_(int, double) -> bool", less),
    ("less_int64_uint64: _<_(int, uint) -> bool", less),
    ("less_uint64: _<_(uint, uint) -> bool", less),
    ("less_uint64_double: _<_(uint, double) -> bool", less),
    ("less_uint64_int64: _<_(uint, int) -> bool", less),
    ("less_double: _<_(double, double) -> bool", less),
    ("less_double_int64: _<_(double, int) -> bool", less),
    ("less_double_uint64: _<_(double, uint) -> bool", less),
    ("less_string: _<_(string, string) -> bool", less),
    ("less_bytes: _<_(bytes, bytes) -> bool", less),
    ("less_timestamp: _<_(timestamp, timestamp) -> bool", less),
    ("less_duration: _<_(duration, duration) -> bool", less),
    ("less_equals_bool: _<=_(bool, bool) -> bool", less_equals),
    ("less_equals_int64: _<=_(int, int) -> bool", less_equals),
    (
        "less_equals_int64_double: _<=_(int, double) -> bool",
        less_equals,
    ),
    (
        "less_equals_int64_uint64: _<=_(int, uint) -> bool",
        less_equals,
    ),
    ("less_equals_uint64: _<=_(uint, uint) -> bool", less_equals),
    (
        "less_equals_uint64_double: _<=_(uint, double) -> bool",
        less_equals,
    ),
    (
        "less_equals_uint64_int64: _<=_(uint, int) -> bool",
        less_equals,
    ),
    (
        "less_equals_double: _<=_(double, double) -> bool",
        less_equals,
    ),
    (
        "less_equals_double_int64: _<=_(double, int) -> bool",
        less_equals,
    ),
    (
        "less_equals_double_uint64: _<=_(double, uint) -> bool",
        less_equals,
    ),
    (
        "less_equals_string: _<=_(string, string) -> bool",
        less_equals,
    ),
    ("less_equals_bytes: _<=_(bytes, bytes) -> bool", less_equals),
    (
        "less_equals_timestamp: _<=_(timestamp, timestamp) -> bool",
        less_equals,
    ),
    (
        "less_equals_duration: _<=_(duration, duration) -> bool",
        less_equals,
    ),
    ("greater_bool: _>_(bool, bool) -> bool", greater),
    ("greater_int64: _>_(int, int) -> bool", greater),
    ("greater_int64_double: _>_(int, double) -> bool", greater),
    ("greater_int64_uint64: _>_(int, uint) -> bool", greater),
    ("greater_uint64: _>_(uint, uint) -> bool", greater),
    ("greater_uint64_double: _>_(uint, double) -> bool", greater),
    ("greater_uint64_int64: _>_(uint, int) -> bool", greater),
    ("greater_double: _>_(double, double) -> bool", greater),
    ("greater_double_int64: _>_(double, int) -> bool", greater),
    ("greater_double_uint64: _>_(double, uint) -> bool", greater),
    ("greater_string: _>_(string, string) -> bool", greater),
    ("greater_bytes: _>_(bytes, bytes) -> bool", greater),
    (
        "greater_timestamp: _>_(timestamp, timestamp) -> bool",
        greater,
    ),
    ("greater_duration: _>_(duration, duration) -> bool", greater),
    (
        "greater_equals_bool: _>=_(bool, bool) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_int64: _>=_(int, int) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_int64_double: _>=_(int, double) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_int64_uint64: _>=_(int, uint) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_uint64: _>=_(uint, uint) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_uint64_double: _>=_(uint, double) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_uint64_int64: _>=_(uint, int) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_double: _>=_(double, double) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_double_int64: _>=_(double, int) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_double_uint64: _>=_(double, uint) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_string: _>=_(string, string) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_bytes: _>=_(bytes, bytes) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_timestamp: _>=_(timestamp, timestamp) -> bool",
        greater_equals,
    ),
    (
        "greater_equals_duration: _>=_(duration, duration) -> bool",
        greater_equals,
    ),
    ("index_list: _[_](list(A), int) -> A", planned),
    ("index_map: _[_](map(A, B), A) -> B", planned),
    (
        "optional_list_index_int: _[_](optional(list(A)), int) -> optional(A)",
        planned,
    ),
    (
        "optional_map_index_value: _[_](optional(map(A, B)), A) -> optional(B)",
        planned,
    ),
    (
        "list_optindex_optional_int: _[?_](list(A), int) -> optional(A)",
        planned,
    ),
    (
        "optional_list_optindex_optional_int: _[?_](optional(list(A)), int) -> optional(A)",
        planned,
    ),
    (
        "map_optindex_optional_value: _[?_](map(A, B), A) -> optional(B)",
        planned,
    ),
    (
        "optional_map_optindex_optional_value: _[?_](optional(map(A, B)), A) -> optional(B)",
        planned,
    ),
    ("in_list: @in(A, list(A)) -> bool", is_in),
    ("in_map: @in(A, map(A, B)) -> bool", is_in),
    (
        "@mapInsert_map_key_value: cel.@mapInsert(map(A, B), A, B) -> map(A, B)",
        planned,
    ),
    (
        "@mapInsert_map_map: cel.@mapInsert(map(A, B), map(A, B)) -> map(A, B)",
        planned,
    ),
    ("size_bytes: size(bytes) -> int", size),
    ("bytes_size: |bytes|.size() -> int", size),
    ("size_list: size(list(A)) -> int", size),
    ("list_size: |list(A)|.size() -> int", size),
    ("size_map: size(map(A, B)) -> int", size),
    ("map_size: |map(A, B)|.size() -> int", size),
    ("size_string: size(string) -> int", size),
    ("string_size: |string|.size() -> int", size),
    ("type: type(A) -> type(A)", type_of),
    ("bool_to_bool: bool(bool) -> bool", |call| {
        convert::to_bool(call.get(0)?)
    }),
    ("string_to_bool: bool(string) -> bool", |call| {
        convert::to_bool(call.get(0)?)
    }),
    ("bytes_to_bytes: bytes(bytes) -> bytes", |call| {
        convert::to_bytes(call.get(0)?)
    }),
    ("string_to_bytes: bytes(string) -> bytes", |call| {
        convert::to_bytes(call.get(0)?)
    }),
    ("double_to_double: double(double) -> double", |call| {
        convert::to_double(call.get(0)?)
    }),
    ("int64_to_double: double(int) -> double", |call| {
        convert::to_double(call.get(0)?)
    }),
    ("string_to_double: double(string) -> double", |call| {
        convert::to_double(call.get(0)?)
    }),
    ("uint64_to_double: double(uint) -> double", |call| {
        convert::to_double(call.get(0)?)
    }),
    (
        "duration_to_duration: duration(duration) -> duration",
        |call| convert::to_duration(call.get(0)?),
    ),
    ("int64_to_duration: duration(int) -> duration", |call| {
        convert::to_duration(call.get(0)?)
    }),
    ("string_to_duration: duration(string) -> duration", |call| {
        convert::to_duration(call.get(0)?)
    }),
    ("to_dyn: dyn(A) -> dyn", |call| call.get(0).cloned()),
    ("int64_to_int64: int(int) -> int", |call| {
        convert::to_int(call.get(0)?)
    }),
    ("double_to_int64: int(double) -> int", |call| {
        convert::to_int(call.get(0)?)
    }),
    ("duration_to_int64: int(duration) -> int", |call| {
        convert::to_int(call.get(0)?)
    }),
    ("string_to_int64: int(string) -> int", |call| {
        convert::to_int(call.get(0)?)
    }),
    ("timestamp_to_int64: int(timestamp) -> int", |call| {
        convert::to_int(call.get(0)?)
    }),
    ("uint64_to_int64: int(uint) -> int", |call| {
        convert::to_int(call.get(0)?)
    }),
    ("string_to_string: string(string) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("bool_to_string: string(bool) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("bytes_to_string: string(bytes) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("double_to_string: string(double) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("duration_to_string: string(duration) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("int64_to_string: string(int) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("timestamp_to_string: string(timestamp) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    ("uint64_to_string: string(uint) -> string", |call| {
        convert::to_string(call.get(0)?)
    }),
    (
        "timestamp_to_timestamp: timestamp(timestamp) -> timestamp",
        |call| convert::to_timestamp(call.get(0)?),
    ),
    ("int64_to_timestamp: timestamp(int) -> timestamp", |call| {
        convert::to_timestamp(call.get(0)?)
    }),
    (
        "string_to_timestamp: timestamp(string) -> timestamp",
        |call| convert::to_timestamp(call.get(0)?),
    ),
    ("uint64_to_uint64: uint(uint) -> uint", |call| {
        convert::to_uint(call.get(0)?)
    }),
    ("double_to_uint64: uint(double) -> uint", |call| {
        convert::to_uint(call.get(0)?)
    }),
    ("int64_to_uint64: uint(int) -> uint", |call| {
        convert::to_uint(call.get(0)?)
    }),
    ("string_to_uint64: uint(string) -> uint", |call| {
        convert::to_uint(call.get(0)?)
    }),
    (
        "contains_string: |string|.contains(string) -> bool",
        |call| Ok(Value::Bool(call.text(0)?.contains(call.text(1)?))),
    ),
    (
        "ends_with_string: |string|.endsWith(string) -> bool",
        |call| Ok(Value::Bool(call.text(0)?.ends_with(call.text(1)?))),
    ),
    (
        "starts_with_string: |string|.startsWith(string) -> bool",
        |call| Ok(Value::Bool(call.text(0)?.starts_with(call.text(1)?))),
    ),
    (
        "matches: matches(string, string) -> bool",
        super::pattern::matches,
    ),
    (
        "matches_string: |string|.matches(string) -> bool",
        super::pattern::matches,
    ),
];

pub(crate) const OPTIONALS: &[Entry] = &[
    ("optional_of: optional.of(A) -> optional(A)", |call| {
        Ok(Value::Optional(Some(Arc::new(call.get(0)?.clone()))))
    }),
    (
        "optional_ofNonZeroValue: optional.ofNonZeroValue(A) -> optional(A)",
        |call| {
            let value = call.get(0)?;
            Ok(Value::Optional(
                (!value.is_zero()).then(|| Arc::new(value.clone())),
            ))
        },
    ),
    ("optional_none: optional.none() -> optional(A)", |_| {
        Ok(Value::Optional(None))
    }),
    (
        "optional_value: |optional(A)|.value() -> A",
        |call| match call.get(0)? {
            Value::Optional(Some(value)) => Ok((**value).clone()),
            _ => Err(Error::fixed("optional.none() dereference")),
        },
    ),
    (
        "optional_hasValue: |optional(A)|.hasValue() -> bool",
        |call| {
            Ok(Value::Bool(matches!(
                call.get(0)?,
                Value::Optional(Some(_))
            )))
        },
    ),
    (
        "optional_or_optional: |optional(A)|.or(optional(A)) -> optional(A)",
        planned,
    ),
    (
        "optional_orValue_value: |optional(A)|.orValue(A) -> A",
        planned,
    ),
    (
        "list_last: |list(A)|.last() -> optional(A)",
        |call| match call.get(0)? {
            Value::List(list) => Ok(Value::Optional(
                list.get(list.len().wrapping_sub(1)).map(Arc::new),
            )),
            _ => Err(Error::no_overload()),
        },
    ),
    (
        "list_first: |list(A)|.first() -> optional(A)",
        |call| match call.get(0)? {
            Value::List(list) => Ok(Value::Optional(list.get(0).map(Arc::new))),
            _ => Err(Error::no_overload()),
        },
    ),
    (
        "optional_unwrap: optional.unwrap(list(optional(A))) -> list(A)",
        unwrap,
    ),
    (
        "optional_unwrapOpt: |list(optional(A))|.unwrapOpt() -> list(A)",
        unwrap,
    ),
];

/// What computes a function whose overloads share one implementation: it says itself what does not
/// fit.
pub(crate) fn untyped(function: &str) -> Option<Implementation> {
    Some(match function {
        "!_" => not,
        "-_" => negate,
        "_+_" => add,
        "_-_" => subtract,
        "_*_" => multiply,
        "_/_" => divide,
        "_%_" => modulo,
        "_<_" => less,
        "_<=_" => less_equals,
        "_>_" => greater,
        "_>=_" => greater_equals,
        "@in" => is_in,
        "size" => size,
        "type" => type_of,
        "dyn" => |call| call.get(0).cloned(),
        "contains" => |call| Ok(Value::Bool(call.text(0)?.contains(call.text(1)?))),
        "startsWith" => |call| Ok(Value::Bool(call.text(0)?.starts_with(call.text(1)?))),
        "endsWith" => |call| Ok(Value::Bool(call.text(0)?.ends_with(call.text(1)?))),
        "matches" => super::pattern::matches,
        _ => return None,
    })
}

fn not<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match call.get(0)? {
        Value::Bool(value) => Ok(Value::Bool(!value)),
        _ => Err(Error::no_overload()),
    }
}

/// The error for a left side that knows no such operator at all. Texts, durations and timestamps
/// are asked by name first, and word it without.
fn unknown(function: &str, left: &Value<'_>) -> Error {
    match left {
        Value::String(_) | Value::Duration(_) | Value::Timestamp(_) => Error::no_overload(),
        _ => Error::new(format!("no such overload: {function}")),
    }
}

fn overflow() -> Error {
    Error::fixed("integer overflow")
}

fn unsigned_overflow() -> Error {
    Error::fixed("unsigned integer overflow")
}

fn negate<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match call.get(0)? {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Duration(value) => value
            .checked_neg()
            .map(Value::Duration)
            .ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        Value::Bool(_) => Err(Error::no_overload()),
        other => Err(unknown("-_", other)),
    }
}

fn add<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => a
            .checked_add(*b)
            .map(Value::Uint)
            .ok_or_else(unsigned_overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a + b)),
        (Value::String(a), Value::String(b)) => Ok(format!("{}{}", &**a, &**b).into()),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(Value::Bytes([&**a, &**b].concat().into())),
        (Value::List(a), Value::List(b)) => Ok(join(a, b)),
        (Value::Duration(a), Value::Duration(b)) => {
            a.checked_add(*b).map(Value::Duration).ok_or_else(overflow)
        }
        (Value::Duration(duration), Value::Timestamp(time))
        | (Value::Timestamp(time), Value::Duration(duration)) => {
            time.add(*duration).map(Value::Timestamp)
        }
        (
            Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::List(_)
            | Value::Duration(_)
            | Value::Timestamp(_),
            _,
        ) => Err(Error::no_overload()),
        (left, _) => Err(unknown("_+_", left)),
    }
}

fn join<'a>(a: &List<'a>, b: &List<'a>) -> Value<'a> {
    if a.len() == 0 {
        return Value::List(b.clone());
    }
    if b.len() == 0 {
        return Value::List(a.clone());
    }
    a.iter().chain(b.iter()).collect::<Vec<_>>().into()
}

fn subtract<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(a), Value::Int(b)) => a.checked_sub(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => a
            .checked_sub(*b)
            .map(Value::Uint)
            .ok_or_else(unsigned_overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a - b)),
        (Value::Duration(a), Value::Duration(b)) => {
            a.checked_sub(*b).map(Value::Duration).ok_or_else(overflow)
        }
        (Value::Timestamp(time), Value::Duration(duration)) => time
            .add(duration.checked_neg().ok_or_else(overflow)?)
            .map(Value::Timestamp),
        (Value::Timestamp(a), Value::Timestamp(b)) => a.since(*b).map(Value::Duration),
        (
            Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::Duration(_)
            | Value::Timestamp(_),
            _,
        ) => Err(Error::no_overload()),
        (left, _) => Err(unknown("_-_", left)),
    }
}

fn multiply<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(a), Value::Int(b)) => a.checked_mul(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => a
            .checked_mul(*b)
            .map(Value::Uint)
            .ok_or_else(unsigned_overflow),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a * b)),
        (Value::Int(_) | Value::Uint(_) | Value::Double(_), _) => Err(Error::no_overload()),
        (left, _) => Err(unknown("_*_", left)),
    }
}

fn divide<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            Err(Error::fixed("division by zero"))
        }
        (Value::Int(a), Value::Int(b)) => a.checked_div(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => Ok(Value::Uint(a / b)),
        (Value::Double(a), Value::Double(b)) => Ok(Value::Double(a / b)),
        (Value::Int(_) | Value::Uint(_) | Value::Double(_), _) => Err(Error::no_overload()),
        (left, _) => Err(unknown("_/_", left)),
    }
}

fn modulo<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    match (call.get(0)?, call.get(1)?) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            Err(Error::fixed("modulus by zero"))
        }
        (Value::Int(a), Value::Int(b)) => a.checked_rem(*b).map(Value::Int).ok_or_else(overflow),
        (Value::Uint(a), Value::Uint(b)) => Ok(Value::Uint(a % b)),
        (Value::Int(_) | Value::Uint(_), _) => Err(Error::no_overload()),
        (left, _) => Err(unknown("_%_", left)),
    }
}

fn order(call: &Arguments<'_, '_>, function: &str) -> Result<Ordering, Error> {
    let left = call.get(0)?;
    if !left.is_comparable() {
        return Err(unknown(function, left));
    }
    left.compare(call.get(1)?)
}

fn less<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(order(call, "_<_")?.is_lt()))
}

fn less_equals<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(order(call, "_<=_")?.is_le()))
}

fn greater<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(order(call, "_>_")?.is_gt()))
}

fn greater_equals<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    Ok(Value::Bool(order(call, "_>=_")?.is_ge()))
}

fn is_in<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    let value = call.get(0)?;
    match call.get(1)? {
        Value::List(list) => Ok(Value::Bool(list.contains(value))),
        Value::Map(map) => Ok(Value::Bool(map.get(value).is_some())),
        _ => Err(Error::no_overload()),
    }
}

fn size<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    let size = match call.get(0)? {
        Value::String(text) => text.chars().count(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(list) => list.len(),
        Value::Map(map) => map.len(),
        other => return Err(unknown("size", other)),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}

fn type_of<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    Ok(Value::Type(call.get(0)?.type_name()))
}

fn unwrap<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    let Value::List(list) = call.get(0)? else {
        return Err(Error::no_overload());
    };
    let mut items = Vec::new();
    for item in list.iter() {
        match item {
            Value::Optional(inner) => items.extend(inner.map(|inner| (*inner).clone())),
            other => return Err(Error::new(format!("value {other} is not optional"))),
        }
    }
    Ok(items.into())
}
