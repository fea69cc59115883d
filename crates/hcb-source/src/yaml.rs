//! YAML with places: a tree in which every key and value has its byte range in the file.
//!
//! The reader is strict where YAML is treacherous: a duplicate key, an alias (which can
//! blow a small file up to gigabytes and would give one value two places), a custom tag and a
//! merge key are findings. Scalars follow the YAML 1.2 core schema, and keep their text as
//! written, so that `1.30` can be told from `1.3`.

mod emit;
mod read;

pub use emit::to_string;
pub use read::read;

use crate::source::Location;
use std::fmt::Write;

/// JSON that is also YAML: characters that YAML does not allow are escaped. They are only in strings,
/// since the rest of JSON is ASCII.
pub fn printable(json: &str) -> std::borrow::Cow<'_, str> {
    // Line separators are allowed, but readers of YAML 1.1 take them for ends of lines.
    let is_plain = |c: char| match c {
        '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' => {
            !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
        }
        _ => c >= '\u{10000}',
    };
    if json.chars().all(is_plain) {
        return json.into();
    }
    let mut text = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_plain(c) {
            text.push(c);
        } else {
            // Beyond 16 bits everything is plain.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        }
    }
    text.into()
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The bytes of the value. A block mapping or sequence spans from its first to its last child.
    pub location: Location,
    /// The value.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, with its text as written.
    Number(serde_json::Number, String),
    /// Everything else that is a scalar.
    String(String),
    /// A list.
    Sequence(Vec<Node>),
    /// A mapping, in the order of the file.
    Mapping(Vec<Entry>),
}

/// One `key: value` of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key, always a string.
    pub key: String,
    /// The bytes of the key.
    pub key_location: Location,
    /// The value.
    pub node: Node,
}

/// One step down the tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into the value of a mapping's key.
    Key(String),
    /// Into a list's item, from zero.
    Index(usize),
}

impl Node {
    /// The value of `key`, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry of `key`, where this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The string, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The child that `step` names.
    pub fn child(&self, step: &Step) -> Option<&Node> {
        match (step, &self.value) {
            (Step::Key(key), _) => self.get(key),
            (Step::Index(index), Value::Sequence(items)) => items.get(*index),
            _ => None,
        }
    }

    /// The value that `steps` lead to.
    pub fn descend(&self, steps: &[Step]) -> Option<&Node> {
        steps.iter().try_fold(self, |node, step| node.child(step))
    }

    /// The place that `steps` lead to. If they lead past what is in the file (to a default), it is the
    /// place of the nearest key above, since a whole mapping is too much to underline.
    pub fn locate(&self, steps: &[Step]) -> Location {
        let mut node = self;
        let mut location = self.first_line();
        for step in steps {
            let Some(child) = node.child(step) else { break };
            // Nothing cannot be underlined, and a whole collection is too much.
            let has_no_place = match child.value {
                Value::Mapping(_) | Value::Sequence(_) => true,
                _ => child.location.start == child.location.end,
            };
            location = match step {
                Step::Key(key) if has_no_place => node
                    .entry(key)
                    .map_or_else(|| child.first_line(), |entry| entry.key_location),
                _ => child.first_line(),
            };
            node = child;
        }
        location
    }

    /// The value itself where it is a scalar, else its first key or item: what to underline when a
    /// whole collection is meant.
    fn first_line(&self) -> Location {
        match &self.value {
            Value::Mapping(entries) => entries
                .first()
                .map_or(self.location, |entry| entry.key_location),
            Value::Sequence(items) => items.first().map_or(self.location, Node::first_line),
            _ => self.location,
        }
    }

    /// The value as JSON, without places.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number, _) => number.clone().into(),
            Value::String(text) => text.as_str().into(),
            Value::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.node.to_json()))
                .collect(),
        }
    }

    /// The key or text below a collection that a message mentions by its name, where there is one.
    pub fn mentioned_in(&self, message: &str) -> Option<Location> {
        let is_mentioned = |word: &str| {
            word.len() > 2
                && message.match_indices(word).any(|(at, _)| {
                    let is_border =
                        |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
                    is_border(message[..at].chars().next_back())
                        && is_border(message[at + word.len()..].chars().next())
                })
        };
        match &self.value {
            Value::Mapping(entries) => entries.iter().find_map(|entry| {
                if is_mentioned(&entry.key) {
                    Some(entry.key_location)
                } else if entry.node.as_str().is_some_and(is_mentioned) {
                    Some(entry.node.location)
                } else {
                    entry.node.mentioned_in(message)
                }
            }),
            Value::Sequence(items) => items.iter().find_map(|item| {
                if item.as_str().is_some_and(is_mentioned) {
                    Some(item.location)
                } else {
                    item.mentioned_in(message)
                }
            }),
            _ => None,
        }
    }

    /// Removes the value at `steps` from the tree, if there is one.
    pub fn remove(&mut self, steps: &[Step]) {
        match (steps, &mut self.value) {
            ([Step::Key(key)], Value::Mapping(entries)) => {
                entries.retain(|entry| entry.key != *key);
            }
            ([Step::Index(index)], Value::Sequence(items)) if *index < items.len() => {
                items.remove(*index);
            }
            ([Step::Key(key), rest @ ..], Value::Mapping(entries)) => {
                if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
                    entry.node.remove(rest);
                }
            }
            ([Step::Index(index), rest @ ..], Value::Sequence(items)) => {
                if let Some(item) = items.get_mut(*index) {
                    item.remove(rest);
                }
            }
            _ => {}
        }
    }
}

/// The steps of a JSON pointer (RFC 6901). A step that is a number is an index only where the
/// value it is taken into is a list, so the tree decides.
pub fn steps_of_pointer(root: &Node, pointer: &str) -> Vec<Step> {
    let mut node = Some(root);
    let mut steps = Vec::new();
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let step = match (node.map(|node| &node.value), token.parse()) {
            (Some(Value::Sequence(_)), Ok(index)) => Step::Index(index),
            _ => Step::Key(token),
        };
        node = node.and_then(|node| node.child(&step));
        steps.push(step);
    }
    steps
}
