//! Values at run time. What comes from JSON is borrowed, never converted as a whole, so no key is
//! ever changed or lost.

use super::time::Timestamp;
use super::types::{OpaqueType, Type};
use super::{Error, library};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// A value of an expression.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// An unsigned integer.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A list.
    List(List<'a>),
    /// A map.
    Map(Map<'a>),
    /// A length of time, in nanoseconds.
    Duration(i64),
    /// A point in time.
    Timestamp(Timestamp),
    /// A type, by its name.
    Type(&'static str),
    /// A value that may be absent.
    Optional(Option<Arc<Value<'a>>>),
    /// A value of a library of Kubernetes.
    Opaque(Arc<OpaqueValue>),
}

/// A text, borrowed where it stands somewhere already.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// From the object or the expression.
    Borrowed(&'a str),
    /// Made while evaluating.
    Shared(Arc<str>),
}

/// A list, borrowed or made while evaluating.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// From the object.
    Json(&'a [Json]),
    /// Made while evaluating.
    Shared(Arc<Vec<Value<'a>>>),
}

/// A map, borrowed or made while evaluating.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// From the object.
    Json(&'a serde_json::Map<String, Json>),
    /// Made while evaluating.
    Shared(Arc<Entries<'a>>),
}

/// The entries of a map in their order.
#[derive(Debug, Clone, Default)]
pub struct Entries<'a> {
    items: Vec<(Value<'a>, Value<'a>)>,
    index: HashMap<Key, usize>,
}

/// A key of a map. An int and a uint of one value are different keys that find each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Arc<str>),
}

/// A value of a type that only the functions of a library can look into.
#[derive(Debug, Clone, PartialEq)]
pub enum OpaqueValue {
    /// An amount.
    Quantity(library::quantity::Quantity),
    /// An address.
    Ip(std::net::IpAddr),
    /// A block of addresses.
    Cidr(ipnet::IpNet),
    /// A URL.
    Url(library::url::Url),
    /// A version.
    Semver(library::semver::Version),
    /// A named format.
    Format(&'static library::format::Format),
}

impl OpaqueValue {
    pub(super) fn ty(&self) -> OpaqueType {
        match self {
            OpaqueValue::Quantity(_) => OpaqueType::Quantity,
            OpaqueValue::Ip(_) => OpaqueType::Ip,
            OpaqueValue::Cidr(_) => OpaqueType::Cidr,
            OpaqueValue::Url(_) => OpaqueType::Url,
            OpaqueValue::Semver(_) => OpaqueType::Semver,
            OpaqueValue::Format(_) => OpaqueType::Format,
        }
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Value::String(Text::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Value::String(Text::Shared(text.into()))
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        Value::List(List::Shared(Arc::new(items)))
    }
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            // Integers beyond 64 signed bits are floating-point numbers for Kubernetes.
            Json::Number(number) => number.as_i64().map_or_else(
                || Value::Double(number.as_f64().unwrap_or(f64::NAN)),
                Value::Int,
            ),
            Json::String(text) => text.as_str().into(),
            Json::Array(items) => Value::List(List::Json(items)),
            Json::Object(fields) => Value::Map(Map::Json(fields)),
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            List::Json(items) => items.len(),
            List::Shared(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            List::Json(items) => items.get(index).map(Value::from),
            List::Shared(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Value<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    pub(super) fn contains(&self, value: &Value<'a>) -> bool {
        match self {
            List::Json(items) => items.iter().any(|item| value.is_equal(&Value::from(item))),
            List::Shared(items) => items.iter().any(|item| value.is_equal(item)),
        }
    }
}

impl<'a> Map<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Map::Json(fields) => fields.len(),
            Map::Shared(entries) => entries.items.len(),
        }
    }

    /// The value of a key; of a key of another type there is none.
    pub(super) fn get(&self, key: &Value<'_>) -> Option<Value<'a>> {
        match self {
            Map::Json(fields) => match key {
                Value::String(key) => fields.get(&**key).map(Value::from),
                _ => None,
            },
            Map::Shared(entries) => entries.get(key).cloned(),
        }
    }

    pub(super) fn get_field(&self, field: &str) -> Option<Value<'a>> {
        match self {
            Map::Json(fields) => fields.get(field).map(Value::from),
            Map::Shared(_) => self.get(&Value::from(field)),
        }
    }

    pub(super) fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Map::Json(fields) => fields.keys().map(|key| key.as_str().into()).collect(),
            Map::Shared(entries) => entries.items.iter().map(|(key, _)| key.clone()).collect(),
        }
    }

    pub(super) fn entries(&self) -> Vec<(Value<'a>, Value<'a>)> {
        match self {
            Map::Json(fields) => fields
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.into()))
                .collect(),
            Map::Shared(entries) => entries.items.clone(),
        }
    }
}

impl<'a> Entries<'a> {
    /// Puts `value` under `key`, in the place of the one that is there under the same key of the
    /// same type.
    pub(super) fn set(&mut self, key: Value<'a>, value: Value<'a>) -> Result<(), Error> {
        let name = Key::of(&key)
            .ok_or_else(|| Error::new(format!("unsupported key type: {}", key.type_name())))?;
        if let Some(&at) = self.index.get(&name) {
            self.items[at].1 = value;
        } else {
            self.index.insert(name, self.items.len());
            self.items.push((key, value));
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, key: &Value<'a>) {
        let Some(at) = Key::of(key).and_then(|key| self.index.remove(&key)) else {
            return;
        };
        self.items.remove(at);
        for (index, (key, _)) in self.items.iter().enumerate().skip(at) {
            if let Some(key) = Key::of(key) {
                self.index.insert(key, index);
            }
        }
    }

    fn get(&self, key: &Value<'_>) -> Option<&Value<'a>> {
        Key::candidates(key)
            .into_iter()
            .flatten()
            .find_map(|key| self.index.get(&key))
            .map(|&at| &self.items[at].1)
    }

    /// Adds an entry that must not be there yet.
    pub(super) fn insert(&mut self, key: Value<'a>, value: Value<'a>) -> Result<(), Error> {
        if self.get(&key).is_some() {
            return Err(Error::new(format!(
                "insert failed: key {key} already exists"
            )));
        }
        self.set(key, value)
    }
}

impl Key {
    fn of(value: &Value<'_>) -> Option<Key> {
        match value {
            Value::Bool(value) => Some(Key::Bool(*value)),
            Value::Int(value) => Some(Key::Int(*value)),
            Value::Uint(value) => Some(Key::Uint(*value)),
            Value::String(text) => Some(Key::String(match text {
                Text::Borrowed(text) => Arc::from(*text),
                Text::Shared(text) => Arc::clone(text),
            })),
            _ => None,
        }
    }

    /// The keys that `value` finds, the exact one first.
    fn candidates(value: &Value<'_>) -> [Option<Key>; 2] {
        match value {
            Value::Int(value) => [
                Some(Key::Int(*value)),
                u64::try_from(*value).ok().map(Key::Uint),
            ],
            Value::Uint(value) => [
                Some(Key::Uint(*value)),
                i64::try_from(*value).ok().map(Key::Int),
            ],
            Value::Double(value) => [
                double_to_int(*value).map(Key::Int),
                double_to_uint(*value).map(Key::Uint),
            ],
            other => [Key::of(other), None],
        }
    }
}

/// The integer that `value` is, exactly.
pub(super) fn double_to_int(value: f64) -> Option<i64> {
    let is_within = value > -9_223_372_036_854_775_808.0 && value < 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the bounds were checked")]
    let int = value as i64;
    #[expect(clippy::float_cmp, reason = "exactness is asked for")]
    let is_exact = int as f64 == value;
    (is_within && is_exact).then_some(int)
}

/// The unsigned integer that `value` is, exactly.
pub(super) fn double_to_uint(value: f64) -> Option<u64> {
    let is_within = (0.0..18_446_744_073_709_551_616.0).contains(&value);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the bounds were checked"
    )]
    let int = value as u64;
    #[expect(clippy::float_cmp, reason = "exactness is asked for")]
    let is_exact = int as f64 == value;
    (is_within && is_exact).then_some(int)
}

impl Value<'_> {
    /// A type's name as `type()` and messages have it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::List(_) => "list",
            Value::Map(_) => "map",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::Type(_) => "type",
            Value::Optional(_) => "optional_type",
            Value::Opaque(opaque) => opaque.ty().name(),
        }
    }

    /// The type's name in the sources of cel-go, which one message has.
    pub(super) fn go_type_name(&self) -> &'static str {
        match self {
            Value::Null => "types.Null",
            Value::Bool(_) => "types.Bool",
            Value::Int(_) => "types.Int",
            Value::Uint(_) => "types.Uint",
            Value::Double(_) => "types.Double",
            Value::String(_) => "types.String",
            Value::Bytes(_) => "types.Bytes",
            Value::List(_) => "*types.baseList",
            Value::Map(_) => "*types.baseMap",
            Value::Duration(_) => "types.Duration",
            Value::Timestamp(_) => "types.Timestamp",
            Value::Type(_) => "*types.Type",
            Value::Optional(_) => "*types.Optional",
            Value::Opaque(opaque) => match **opaque {
                OpaqueValue::Quantity(_) => "cel.Quantity",
                OpaqueValue::Ip(_) => "cel.IP",
                OpaqueValue::Cidr(_) => "cel.CIDR",
                OpaqueValue::Url(_) => "cel.URL",
                OpaqueValue::Semver(_) => "cel.Semver",
                OpaqueValue::Format(_) => "cel.Format",
            },
        }
    }

    /// Whether this may be an argument of type `ty`. Of lists and maps the first item is looked at.
    pub(super) fn is_of(&self, ty: &Type) -> bool {
        match (ty, self) {
            (Type::Dyn | Type::Param(_), _)
            | (Type::Null, Value::Null)
            | (Type::Bool, Value::Bool(_))
            | (Type::Int, Value::Int(_))
            | (Type::Uint, Value::Uint(_))
            | (Type::Double, Value::Double(_))
            | (Type::String, Value::String(_))
            | (Type::Bytes, Value::Bytes(_))
            | (Type::Duration, Value::Duration(_))
            | (Type::Timestamp, Value::Timestamp(_))
            | (Type::Type(_), Value::Type(_))
            | (Type::Optional(_), Value::Optional(_)) => true,
            (Type::List(item), Value::List(list)) => {
                list.get(0).is_none_or(|first| first.is_of(item))
            }
            (Type::Map(key, value), Value::Map(map)) => map
                .entries()
                .first()
                .is_none_or(|(k, v)| k.is_of(key) && v.is_of(value)),
            (Type::Opaque(object), Value::Opaque(opaque)) => opaque.ty() == *object,
            _ => false,
        }
    }

    /// `==`. Values of different types are not equal, but numbers are compared by their value.
    pub fn is_equal(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::String(a), Value::String(b)) => **a == **b,
            (Value::Bytes(a), Value::Bytes(b)) => a == b,
            (Value::Duration(a), Value::Duration(b)) => a == b,
            (Value::Timestamp(a), Value::Timestamp(b)) => a == b,
            (Value::Type(a), Value::Type(b)) => a == b,
            (Value::Optional(a), Value::Optional(b)) => match (a, b) {
                (Some(a), Some(b)) => a.is_equal(b),
                (a, b) => a.is_none() && b.is_none(),
            },
            (Value::Opaque(a), Value::Opaque(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.is_equal(&b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.entries()
                        .into_iter()
                        .all(|(key, value)| b.get(&key).is_some_and(|other| value.is_equal(&other)))
            }
            _ => self.compare_numbers(other) == Some(Ok(Ordering::Equal)),
        }
    }

    /// Both as numbers, where they are; NaN has no order.
    fn compare_numbers(&self, other: &Value<'_>) -> Option<Result<Ordering, Error>> {
        let of_double = |double: f64, int: i128| {
            // Every i64 and u64 lies within: beyond them, the sign decides.
            if double < -9_223_372_036_854_775_808.0 {
                Some(Ordering::Less)
            } else if double > 18_446_744_073_709_551_615.0 {
                Some(Ordering::Greater)
            } else {
                double.partial_cmp(&(int as f64))
            }
        };
        let order = match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::Uint(a), Value::Uint(b)) => Some(a.cmp(b)),
            (Value::Double(a), Value::Double(b)) => a.partial_cmp(b),
            (Value::Int(a), Value::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Value::Uint(a), Value::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Value::Double(a), Value::Int(b)) => of_double(*a, i128::from(*b)),
            (Value::Double(a), Value::Uint(b)) => of_double(*a, i128::from(*b)),
            (Value::Int(a), Value::Double(b)) => {
                of_double(*b, i128::from(*a)).map(Ordering::reverse)
            }
            (Value::Uint(a), Value::Double(b)) => {
                of_double(*b, i128::from(*a)).map(Ordering::reverse)
            }
            _ => return None,
        };
        Some(order.ok_or_else(|| Error::fixed("NaN values cannot be ordered")))
    }

    /// The order of two values of one kind.
    ///
    /// # Errors
    ///
    /// Values of kinds that have no order, and NaN.
    pub(super) fn compare(&self, other: &Value<'_>) -> Result<Ordering, Error> {
        if let Some(order) = self.compare_numbers(other) {
            return order;
        }
        match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => Ok(a.cmp(b)),
            (Value::String(a), Value::String(b)) => Ok((**a).cmp(&**b)),
            (Value::Bytes(a), Value::Bytes(b)) => Ok(a.cmp(b)),
            (Value::Duration(a), Value::Duration(b)) => Ok(a.cmp(b)),
            (Value::Timestamp(a), Value::Timestamp(b)) => Ok(a.cmp(b)),
            _ => Err(Error::no_overload()),
        }
    }

    /// Whether values of this kind have an order.
    pub(super) fn is_comparable(&self) -> bool {
        matches!(
            self,
            Value::Bool(_)
                | Value::Int(_)
                | Value::Uint(_)
                | Value::Double(_)
                | Value::String(_)
                | Value::Bytes(_)
                | Value::Duration(_)
                | Value::Timestamp(_)
        )
    }

    /// The size that costs go by: items, bytes or characters, 1 where there is no size.
    pub(super) fn cost_size(&self) -> u64 {
        match self {
            Value::String(text) => text.chars().count() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::List(list) => list.len() as u64,
            Value::Map(map) => map.len() as u64,
            Value::Optional(Some(value)) => value.cost_size(),
            Value::Opaque(opaque) => match &**opaque {
                OpaqueValue::Ip(ip) => {
                    if ip.is_ipv4() {
                        4
                    } else {
                        16
                    }
                }
                OpaqueValue::Cidr(net) => u64::from(net.prefix_len()).div_ceil(8),
                _ => 1,
            },
            _ => 1,
        }
    }

    /// Whether this is what its type has as nothing: `0`, `""`, `[]`, `null`.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Int(value) | Value::Duration(value) => *value == 0,
            Value::Uint(value) => *value == 0,
            Value::Double(value) => *value == 0.0,
            Value::String(text) => text.is_empty(),
            Value::Bytes(bytes) => bytes.is_empty(),
            Value::List(list) => list.len() == 0,
            Value::Map(map) => map.len() == 0,
            Value::Timestamp(time) => time.is_zero(),
            Value::Type(_) | Value::Optional(_) | Value::Opaque(_) => false,
        }
    }

    /// The text, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value as JSON, where JSON has it.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::Uint(value) => (*value).into(),
            Value::Double(value) => serde_json::Number::from_f64(*value)?.into(),
            Value::String(text) => (**text).into(),
            Value::List(list) => list
                .iter()
                .map(|item| item.to_json())
                .collect::<Option<_>>()?,
            Value::Map(map) => map
                .entries()
                .into_iter()
                .map(|(key, value)| Some((key.as_str()?.to_owned(), value.to_json()?)))
                .collect::<Option<_>>()?,
            _ => return None,
        })
    }
}

/// As Go prints it with `%v`: what messages have.
impl std::fmt::Display for Value<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Null => out.write_str("NULL_VALUE"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Int(value) => write!(out, "{value}"),
            Value::Uint(value) => write!(out, "{value}"),
            Value::Double(value) => out.write_str(&super::convert::double_to_string(*value)),
            Value::String(text) => out.write_str(text),
            Value::Bytes(bytes) => write!(out, "{bytes:?}"),
            Value::List(list) => {
                out.write_str("[")?;
                for (index, item) in list.iter().enumerate() {
                    if index > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{item}")?;
                }
                out.write_str("]")
            }
            Value::Map(map) => {
                out.write_str("{")?;
                for (index, (key, value)) in map.entries().into_iter().enumerate() {
                    if index > 0 {
                        out.write_str(", ")?;
                    }
                    write!(out, "{key}: {value}")?;
                }
                out.write_str("}")
            }
            Value::Duration(nanoseconds) => {
                out.write_str(&super::convert::duration_to_go(*nanoseconds))
            }
            Value::Timestamp(time) => write!(out, "{time}"),
            Value::Type(name) => out.write_str(name),
            Value::Optional(Some(value)) => write!(out, "optional({value})"),
            Value::Optional(None) => out.write_str("optional.none()"),
            Value::Opaque(opaque) => write!(out, "{opaque:?}"),
        }
    }
}
