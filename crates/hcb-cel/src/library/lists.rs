//! Lists and sets (Kubernetes' `cel/library/lists.go`, cel-go's `ext/sets.go`).

use super::{Arguments, Entry};
use crate::Error;
use crate::value::{List, Value};
use std::cmp::Ordering;

pub(crate) const FUNCTIONS: &[Entry] = &[
    (
        "list_int_is_sorted_bool: |list(int)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_uint_is_sorted_bool: |list(uint)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_double_is_sorted_bool: |list(double)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_bool_is_sorted_bool: |list(bool)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_duration_is_sorted_bool: |list(duration)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_timestamp_is_sorted_bool: |list(timestamp)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_string_is_sorted_bool: |list(string)|.isSorted() -> bool",
        is_sorted,
    ),
    (
        "list_bytes_is_sorted_bool: |list(bytes)|.isSorted() -> bool",
        is_sorted,
    ),
    ("list_int_sum_int: |list(int)|.sum() -> int", |call| {
        sum(call, Value::Int(0))
    }),
    ("list_uint_sum_uint: |list(uint)|.sum() -> uint", |call| {
        sum(call, Value::Uint(0))
    }),
    (
        "list_double_sum_double: |list(double)|.sum() -> double",
        |call| sum(call, Value::Double(0.0)),
    ),
    (
        "list_duration_sum_duration: |list(duration)|.sum() -> duration",
        |call| sum(call, Value::Duration(0)),
    ),
    ("list_int_max_int: |list(int)|.max() -> int", max),
    ("list_uint_max_uint: |list(uint)|.max() -> uint", max),
    (
        "list_double_max_double: |list(double)|.max() -> double",
        max,
    ),
    ("list_bool_max_bool: |list(bool)|.max() -> bool", max),
    (
        "list_duration_max_duration: |list(duration)|.max() -> duration",
        max,
    ),
    (
        "list_timestamp_max_timestamp: |list(timestamp)|.max() -> timestamp",
        max,
    ),
    (
        "list_string_max_string: |list(string)|.max() -> string",
        max,
    ),
    ("list_bytes_max_bytes: |list(bytes)|.max() -> bytes", max),
    ("list_int_min_int: |list(int)|.min() -> int", min),
    ("list_uint_min_uint: |list(uint)|.min() -> uint", min),
    (
        "list_double_min_double: |list(double)|.min() -> double",
        min,
    ),
    ("list_bool_min_bool: |list(bool)|.min() -> bool", min),
    (
        "list_duration_min_duration: |list(duration)|.min() -> duration",
        min,
    ),
    (
        "list_timestamp_min_timestamp: |list(timestamp)|.min() -> timestamp",
        min,
    ),
    (
        "list_string_min_string: |list(string)|.min() -> string",
        min,
    ),
    ("list_bytes_min_bytes: |list(bytes)|.min() -> bytes", min),
    ("list_a_index_of_int: |list(A)|.indexOf(A) -> int", |call| {
        let item = call.get(1)?;
        let position = list(call)?.iter().position(|value| value.is_equal(item));
        Ok(place(position))
    }),
    (
        "list_a_last_index_of_int: |list(A)|.lastIndexOf(A) -> int",
        |call| {
            let (list, item) = (list(call)?, call.get(1)?);
            let position = (0..list.len())
                .rev()
                .find(|&index| list.get(index).is_some_and(|value| value.is_equal(item)));
            Ok(place(position))
        },
    ),
];

pub(crate) const SETS: &[Entry] = &[
    (
        "list_sets_contains_list: sets.contains(list(A), list(A)) -> bool",
        |call| {
            let (a, b) = both(call)?;
            Ok(Value::Bool(contains(a, b)))
        },
    ),
    (
        "list_sets_equivalent_list: sets.equivalent(list(A), list(A)) -> bool",
        |call| {
            let (a, b) = both(call)?;
            Ok(Value::Bool(contains(a, b) && contains(b, a)))
        },
    ),
    (
        "list_sets_intersects_list: sets.intersects(list(A), list(A)) -> bool",
        |call| {
            let (a, b) = both(call)?;
            Ok(Value::Bool(a.iter().any(|item| b.contains(&item))))
        },
    ),
];

fn place<'a>(position: Option<usize>) -> Value<'a> {
    Value::Int(position.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1))
}

fn list<'a, 's>(call: &'s Arguments<'a, '_>) -> Result<&'s List<'a>, Error> {
    match call.get(0)? {
        Value::List(list) => Ok(list),
        _ => Err(Error::no_overload()),
    }
}

fn both<'a, 's>(call: &'s Arguments<'a, '_>) -> Result<(&'s List<'a>, &'s List<'a>), Error> {
    match (call.get(0)?, call.get(1)?) {
        (Value::List(a), Value::List(b)) => Ok((a, b)),
        _ => Err(Error::no_overload()),
    }
}

fn contains(list: &List<'_>, items: &List<'_>) -> bool {
    items
        .iter()
        .all(|item| list.iter().any(|value| item.is_equal(&value)))
}

fn is_sorted<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    let mut before: Option<Value<'a>> = None;
    for item in list(call)?.iter() {
        if !item.is_comparable() {
            return Err(Error::no_overload());
        }
        // What cannot be compared does not count as out of order.
        if before
            .as_ref()
            .is_some_and(|before| before.compare(&item) == Ok(Ordering::Greater))
        {
            return Ok(Value::Bool(false));
        }
        before = Some(item);
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(call: &Arguments<'a, '_>, zero: Value<'a>) -> Result<Value<'a>, Error> {
    let add = super::core::untyped("_+_").ok_or_else(Error::no_overload)?;
    let mut total = zero;
    for item in list(call)?.iter() {
        total = add(&Arguments {
            values: &[total, item],
            pattern: None,
        })?;
    }
    Ok(total)
}

fn max<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    extreme(call, "max", Ordering::Less)
}

fn min<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    extreme(call, "min", Ordering::Greater)
}

fn extreme<'a>(
    call: &Arguments<'a, '_>,
    name: &str,
    replaced_if: Ordering,
) -> Result<Value<'a>, Error> {
    let mut best: Option<Value<'a>> = None;
    for item in list(call)?.iter() {
        if !item.is_comparable() {
            return Err(Error::no_overload());
        }
        match &best {
            Some(found) if found.compare(&item) != Ok(replaced_if) => {}
            _ => best = Some(item),
        }
    }
    best.ok_or_else(|| Error::new(format!("{name} called on empty list")))
}
