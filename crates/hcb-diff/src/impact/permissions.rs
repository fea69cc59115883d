//! Policies as lists of what they permit, and what more or less of it means.

use crate::context::Effects;
use crate::report::Level;
use serde_json::Value;
use std::collections::BTreeSet;

/// Says that traffic is allowed or refused that was not.
pub(super) fn report(effects: &mut Effects, index: usize, opens: usize, closes: usize) {
    match (opens, closes) {
        (0, 0) => {}
        (0, _) => {
            effects.of_pair(index, Level::Caution, "refuses traffic that was allowed");
        }
        (_, 0) => {
            effects.of_pair(index, Level::Danger, "allows traffic that was refused");
        }
        _ => {
            effects.of_pair(
                index,
                Level::Danger,
                "allows other traffic than before: read its rules",
            );
        }
    }
}

/// Rules taken apart to single permissions: one peer, one port, one value of each list. What is not a
/// list of alternatives (`when`, `notPrincipals`) stays as it is.
pub(super) fn allowed(rules: &[Value]) -> BTreeSet<String> {
    let mut single = BTreeSet::new();
    for rule in rules {
        for permission in alternatives(rule) {
            single.insert(permission.to_string());
        }
    }
    single
}

/// Every way to choose one item of each list in an object.
fn alternatives(value: &Value) -> Vec<Value> {
    let Value::Object(fields) = value else {
        return vec![value.clone()];
    };
    let mut chosen = vec![serde_json::Map::new()];
    for (key, value) in fields {
        let choices: Vec<Value> = match value {
            Value::Array(items)
                if !key.starts_with("not") && !is_joint(key) && !items.is_empty() =>
            {
                items.iter().flat_map(alternatives).collect()
            }
            Value::Object(_) if !is_joint(key) => alternatives(value),
            other => vec![other.clone()],
        };
        chosen = chosen
            .into_iter()
            .flat_map(|so_far| {
                choices.iter().map(move |choice| {
                    let mut next = so_far.clone();
                    next.insert(key.clone(), choice.clone());
                    next
                })
            })
            .collect();
    }
    chosen.into_iter().map(Value::Object).collect()
}

/// Fields whose parts hold together, and are no alternatives.
fn is_joint(key: &str) -> bool {
    matches!(key, "when" | "except" | "matchLabels" | "matchExpressions")
}

/// The items of a list; none where it is not there.
pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}
