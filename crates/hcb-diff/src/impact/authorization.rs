//! Who may talk to whom.

use super::super::pair::Pair;
use super::super::{Action, Level};
use super::{Context, Effects, Rule};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) const RULE: Rule = Rule {
    id: "traffic-policy",
    about: "more traffic is allowed, or some that was allowed is refused",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&["AuthorizationPolicy", "NetworkPolicy"]) {
        match pair.object().kind() {
            "NetworkPolicy" => network(effects, index, pair),
            _ => authorization(effects, index, pair),
        }
    }
}

fn authorization(effects: &mut Effects, index: usize, pair: &Pair) {
    let action = |value: &Value| {
        value
            .pointer("/spec/action")
            .and_then(Value::as_str)
            .unwrap_or("ALLOW")
            .to_owned()
    };
    let rules = |value: &Value| list(value.pointer("/spec/rules"));
    match (&pair.before, &pair.after) {
        (Some(before), None) => {
            let text = if action(&before.value) == "ALLOW" {
                "deleted: unless another policy allows by list, everybody may talk to its pods"
            } else {
                "deleted: what it refused is allowed"
            };
            effects.of_pair(index, Level::Danger, text);
        }
        (None, Some(_)) => {
            effects.of_pair(
                index,
                Level::Note,
                "new: traffic that no rule allows is refused",
            );
        }
        (Some(before), Some(after)) => {
            let (before, after) = (&before.value, &after.value);
            if action(before) != action(after) {
                effects.of_pair(
                    index,
                    Level::Danger,
                    format!(
                        "its action goes from {} to {}",
                        action(before),
                        action(after)
                    ),
                );
                return;
            }
            let (old, new) = (allowed(&rules(before)), allowed(&rules(after)));
            let more = new.difference(&old).count();
            let less = old.difference(&new).count();
            // A rule of a list that allows opens; one of a list that refuses closes.
            let (opens, closes) = if action(after) == "ALLOW" {
                (more, less)
            } else {
                (less, more)
            };
            tell(effects, index, opens, closes);
            if before.pointer("/spec/selector") != after.pointer("/spec/selector") {
                effects.of_pair(index, Level::Danger, "holds for other pods than before");
            }
        }
        (None, None) => {}
    }
}

fn network(effects: &mut Effects, index: usize, pair: &Pair) {
    match (&pair.before, &pair.after) {
        (Some(_), None) => {
            effects.of_pair(index, Level::Danger, "deleted: unless another policy selects them, its pods reach everything and are reached by everybody");
        }
        (None, Some(_)) if pair.action == Action::Add => {
            effects.of_pair(
                index,
                Level::Note,
                "new: its pods are cut off from all that it does not name",
            );
        }
        (Some(before), Some(after)) => {
            let (before, after) = (&before.value, &after.value);
            let (mut opens, mut closes) = (0, 0);
            for direction in ["/spec/ingress", "/spec/egress"] {
                let (old, new) = (
                    list(before.pointer(direction)),
                    list(after.pointer(direction)),
                );
                let (old, new) = (allowed(&old), allowed(&new));
                opens += new.difference(&old).count();
                closes += old.difference(&new).count();
            }
            let types = |value: &Value| list(value.pointer("/spec/policyTypes"));
            if types(before)
                .iter()
                .any(|kind| !types(after).contains(kind))
            {
                effects.of_pair(
                    index,
                    Level::Danger,
                    "no longer limits one direction of traffic",
                );
            }
            tell(effects, index, opens, closes);
            if before.pointer("/spec/podSelector") != after.pointer("/spec/podSelector") {
                effects.of_pair(index, Level::Danger, "holds for other pods than before");
            }
        }
        _ => {}
    }
}

fn tell(effects: &mut Effects, index: usize, opens: usize, closes: usize) {
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
fn allowed(rules: &[Value]) -> BTreeSet<String> {
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

fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}
