//! Which object after is which object before.

use crate::fields::{self, FieldChange, Segment};
use crate::read::{Area, Differing, Object};
use std::collections::BTreeMap;

/// What happens to an object.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is there only before.
    Remove,
    /// It is another object under another name, as a Job is whose content changed.
    Replace,
    /// Some of its fields are others.
    Change,
    /// It is the same, and another unit delivers it.
    Move,
    /// It is there only after.
    Add,
}

/// An object before and after. One of the two is always there.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    /// What happens to it.
    pub action: Action,
    /// Before.
    pub before: Option<Object>,
    /// After.
    pub after: Option<Object>,
    /// The fields that differ, where it is there before and after.
    pub fields: Vec<FieldChange>,
}

impl Pair {
    /// The object after, or before where it is removed.
    pub(crate) fn object(&self) -> &Object {
        match (&self.after, &self.before) {
            (Some(object), _) | (None, Some(object)) => object,
            (None, None) => unreachable!("a pair has one side at least"),
        }
    }

    /// Both objects, where it is there before and after.
    pub(crate) fn both(&self) -> Option<(&Object, &Object)> {
        Some((self.before.as_ref()?, self.after.as_ref()?))
    }

    /// Whether it is there before and after as one object.
    pub(crate) fn stays(&self) -> bool {
        matches!(self.action, Action::Change | Action::Move)
    }

    /// The fields below these keys that differ; steps to items of lists are passed over.
    pub(crate) fn fields_at<'a>(
        &'a self,
        keys: &'a [&str],
    ) -> impl Iterator<Item = &'a FieldChange> {
        self.fields
            .iter()
            .filter(move |field| field.path.begins_with(keys))
    }

    /// Whether anything below these keys differs, or something above them as a whole.
    pub(crate) fn touches(&self, keys: &[&str]) -> bool {
        (1..=keys.len()).any(|depth| {
            self.fields.iter().any(|field| {
                let is_above = field.path.0.len() == depth
                    && field.path.0.iter().zip(keys).all(
                        |(segment, key)| matches!(segment, Segment::Key(found) if found == key),
                    );
                is_above || field.path.begins_with(keys)
            })
        })
    }
}

/// What an object is known by: two objects with the same are one object before and after. The
/// version of the API is not part of it, since the API server converts between versions.
type Identity = (String, String, String, String, String);

fn identity(object: &Object) -> Identity {
    (
        object.cluster.clone(),
        object.group().to_owned(),
        object.kind().to_owned(),
        object.namespace().to_owned(),
        object.known_as().to_owned(),
    )
}

/// Pairs the objects that differ. Pairs without a difference (a comment changed) are counted only.
pub(crate) fn pair(differing: Differing) -> (Vec<Pair>, usize) {
    let mut by_identity: BTreeMap<Identity, (Vec<Object>, Vec<Object>)> = BTreeMap::new();
    for object in differing.before {
        by_identity
            .entry(identity(&object))
            .or_default()
            .0
            .push(object);
    }
    for object in differing.after {
        by_identity
            .entry(identity(&object))
            .or_default()
            .1
            .push(object);
    }
    let mut pairs = Vec::new();
    let mut same = 0;
    for (before, after) in by_identity.into_values() {
        for (before, after) in matched(before, after) {
            match compared(before, after) {
                Some(pair) => pairs.push(pair),
                None => same += 1,
            }
        }
    }
    (pairs, same)
}

/// Objects of one identity: those of the same file belong together, then those of the same name,
/// then the others in their order.
fn matched(mut before: Vec<Object>, after: Vec<Object>) -> Vec<(Option<Object>, Option<Object>)> {
    let mut found = Vec::new();
    let mut rest = after;
    for is_same in [
        (|a: &Object, b: &Object| a.path == b.path && a.name() == b.name())
            as fn(&Object, &Object) -> bool,
        |a, b| a.name() == b.name(),
        |_, _| true,
    ] {
        let mut left = Vec::new();
        for old in before {
            match rest.iter().position(|new| is_same(&old, new)) {
                Some(index) => found.push((Some(old), Some(rest.remove(index)))),
                None => left.push(old),
            }
        }
        before = left;
    }
    found.extend(before.into_iter().map(|old| (Some(old), None)));
    found.extend(rest.into_iter().map(|new| (None, Some(new))));
    found
}

fn compared(before: Option<Object>, after: Option<Object>) -> Option<Pair> {
    let mut fields = Vec::new();
    let action = match (&before, &after) {
        (Some(old), Some(new)) => {
            fields = fields::compare(&old.value, &new.value);
            if old.name() != new.name() {
                // That the name is another is what the action says.
                fields.retain(|field| field.path.to_string() != "metadata.name");
                Action::Replace
            } else if !fields.is_empty() {
                Action::Change
            } else if old.unit != new.unit && old.area != Area::Other {
                Action::Move
            } else {
                return None;
            }
        }
        (Some(_), None) => Action::Remove,
        (None, _) => Action::Add,
    };
    Some(Pair {
        action,
        before,
        after,
        fields,
    })
}
