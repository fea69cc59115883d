//! The way to a field, and a field that differs.

use serde_json::Value;
use std::fmt;

/// One step into an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Segment {
    /// Into the value of a key.
    Key(String),
    /// To the item of a list that has these values; `null` where the field is left out.
    Item(Vec<(String, Value)>),
    /// To the item of a list that is this value as a whole, before the change.
    Element(Value),
    /// To an item by its number, from zero.
    Index(usize),
}

/// The way from an object to one of its fields.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Path(pub Vec<Segment>);

/// A field that is not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Where it is.
    pub path: Path,
    /// What it was; `None` where it was not there.
    pub before: Option<Value>,
    /// What it is; `None` where it is no longer there.
    pub after: Option<Value>,
}

impl Path {
    /// Whether the path begins with these keys; steps to items of lists are passed over.
    pub(crate) fn begins_with(&self, keys: &[&str]) -> bool {
        let mut rest = keys.iter();
        for segment in &self.0 {
            let Segment::Key(key) = segment else { continue };
            match rest.next() {
                Some(expected) if expected == key => {}
                Some(_) => return false,
                None => return true,
            }
        }
        rest.next().is_none()
    }

    /// The last key on the way.
    pub(crate) fn last_key(&self) -> Option<&str> {
        self.0.iter().rev().find_map(|segment| match segment {
            Segment::Key(key) => Some(key.as_str()),
            _ => None,
        })
    }

    pub(super) fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.to_owned()))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if key.is_empty() || key.contains(['.', '/', '[', ' ']) => {
                    write!(formatter, "[{key:?}]")?;
                }
                Segment::Key(key) if index == 0 => formatter.write_str(key)?,
                Segment::Key(key) => write!(formatter, ".{key}")?,
                Segment::Item(keys) => {
                    let keys: Vec<_> = keys
                        .iter()
                        .filter(|(_, value)| !value.is_null())
                        .map(|(key, value)| format!("{key}={}", plain(value)))
                        .collect();
                    write!(formatter, "[{}]", keys.join(","))?;
                }
                Segment::Element(_) => formatter.write_str("[]")?,
                Segment::Index(item) => write!(formatter, "[{item}]")?,
            }
        }
        Ok(())
    }
}

/// A scalar without quotes; a collection as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
