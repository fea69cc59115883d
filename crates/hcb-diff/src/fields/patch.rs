//! The changes of a comparison, applied.

use super::path::{FieldChange, Path, Segment};
use serde_json::Value;

/// A change that does not belong to the object: what it changes is not there.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("there is no `{0}`")]
pub struct NotThere(pub Path);

/// Makes of an object what the changes say. Items that come are put at the end of their lists.
///
/// # Errors
///
/// A change is not one of this object. The object is then changed in part.
pub fn apply(object: &mut Value, changes: &[FieldChange]) -> Result<(), NotThere> {
    for change in changes {
        at(object, &change.path.0, change).ok_or_else(|| NotThere(change.path.clone()))?;
    }
    Ok(())
}

fn at(value: &mut Value, path: &[Segment], change: &FieldChange) -> Option<()> {
    let Some((segment, rest)) = path.split_first() else {
        *value = change.after.clone()?;
        return Some(());
    };
    if !rest.is_empty() {
        let next = match segment {
            Segment::Key(key) => value.as_object_mut()?.get_mut(key)?,
            Segment::Index(index) => value.as_array_mut()?.get_mut(*index)?,
            _ => {
                let index = position(value.as_array()?, segment)?;
                &mut value.as_array_mut()?[index]
            }
        };
        return at(next, rest, change);
    }
    match (segment, &change.after) {
        (Segment::Key(key), Some(after)) => {
            value.as_object_mut()?.insert(key.clone(), after.clone());
        }
        (Segment::Key(key), None) => {
            value.as_object_mut()?.shift_remove(key)?;
        }
        (Segment::Index(index), Some(after)) => {
            *value.as_array_mut()?.get_mut(*index)? = after.clone();
        }
        (_, after) => {
            let list = value.as_array_mut()?;
            let index = change.before.as_ref().and_then(|_| position(list, segment));
            match (index, after) {
                (Some(index), Some(after)) => list[index] = after.clone(),
                (Some(index), None) => {
                    list.remove(index);
                }
                (None, Some(after)) if change.before.is_none() => list.push(after.clone()),
                (None, _) => return None,
            }
        }
    }
    Some(())
}

/// Where the item is that a step leads to.
fn position(list: &[Value], segment: &Segment) -> Option<usize> {
    list.iter().position(|item| match segment {
        Segment::Item(keys) => keys
            .iter()
            .all(|(key, value)| item.get(key).unwrap_or(&Value::Null) == value),
        Segment::Element(whole) => item == whole,
        Segment::Key(_) | Segment::Index(_) => false,
    })
}
