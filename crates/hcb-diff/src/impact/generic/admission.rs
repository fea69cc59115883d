//! What the API server lets in.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::pair::Pair;
use crate::report::Level;
use hcb_kubernetes::GroupKind;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "admission-weakened",
    about: "the API server admits what it refused, or refuses what it admitted",
    check,
};

const KINDS: &[GroupKind<'static>] = &[
    kinds::VALIDATING_ADMISSION_POLICY,
    kinds::VALIDATING_ADMISSION_POLICY_BINDING,
    kinds::MUTATING_ADMISSION_POLICY,
    kinds::MUTATING_ADMISSION_POLICY_BINDING,
    kinds::VALIDATING_WEBHOOK_CONFIGURATION,
    kinds::MUTATING_WEBHOOK_CONFIGURATION,
];

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(KINDS) {
        match pair.action {
            Action::Remove => {
                effects.of_pair(index, Level::Danger, "deleted: what it refused is admitted");
            }
            Action::Add => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    "new: what it refuses is no longer admitted",
                );
            }
            _ => changed(effects, index, pair),
        }
    }
    for (index, pair) in context.of_kinds(&[kinds::NAMESPACE]) {
        if pair.action == Action::Change {
            pod_security(effects, index, pair);
        }
    }
}

fn changed(effects: &mut Effects, index: usize, pair: &Pair) {
    let Some((before, after)) = pair.both() else {
        return;
    };
    let (before, after) = (&before.value, &after.value);
    let text = |value: &Value, pointer: &str| {
        value
            .pointer(pointer)
            .map(crate::fields::plain)
            .unwrap_or_default()
    };
    if text(before, "/spec/failurePolicy") != "Ignore"
        && text(after, "/spec/failurePolicy") == "Ignore"
    {
        effects.of_pair(
            index,
            Level::Danger,
            "admits everything where it cannot decide",
        );
    }
    let actions = |value: &Value| {
        let list = value
            .pointer("/spec/validationActions")
            .and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|action| action == "Deny"))
    };
    match (actions(before), actions(after)) {
        (true, false) => {
            effects.of_pair(index, Level::Danger, "no longer refuses, it only warns");
        }
        (false, true) => {
            effects.of_pair(index, Level::Caution, "refuses from now on");
        }
        _ => {}
    }
    for (list, more, less) in [
        (
            "/spec/validations",
            "checks more",
            "checks less: what a removed validation refused is admitted",
        ),
        (
            "/spec/matchConditions",
            "applies to fewer requests: it has more conditions",
            "applies to more requests",
        ),
    ] {
        let of = |value: &Value| {
            value
                .pointer(list)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let (old, new) = (of(before), of(after));
        let came = new.iter().any(|item| !old.contains(item));
        let went = old.iter().any(|item| !new.contains(item));
        let is_validations = list.ends_with("validations");
        match (came, went) {
            (true, true) => {
                effects.of_pair(
                    index,
                    Level::Danger,
                    "decides differently: read its expressions",
                );
            }
            (true, false) => {
                let level = if is_validations {
                    Level::Caution
                } else {
                    Level::Danger
                };
                effects.of_pair(index, level, more);
            }
            (false, true) => {
                let level = if is_validations {
                    Level::Danger
                } else {
                    Level::Caution
                };
                effects.of_pair(index, level, less);
            }
            (false, false) => {}
        }
    }
    for pointer in [
        "/spec/matchConstraints",
        "/spec/matchResources",
        "/spec/paramRef",
        "/spec/policyName",
    ] {
        if before.pointer(pointer) != after.pointer(pointer) {
            effects.of_pair(
                index,
                Level::Danger,
                format!(
                    "applies to other requests than before ({})",
                    pointer.trim_start_matches("/spec/")
                ),
            );
        }
    }
    if before.get("webhooks") != after.get("webhooks") {
        effects.of_pair(index, Level::Caution, "calls its webhooks differently");
    }
}

/// The levels of Pod Security, in their order.
fn pod_security(effects: &mut Effects, index: usize, pair: &Pair) {
    let rank = |value: Option<&Value>| match value.and_then(Value::as_str) {
        Some("restricted") => 2,
        Some("baseline") => 1,
        _ => 0,
    };
    for field in pair.fields_at(&["metadata", "labels"]) {
        let Some(mode) = field
            .path
            .last_key()
            .and_then(|key| key.strip_prefix("pod-security.kubernetes.io/"))
        else {
            continue;
        };
        let (was, is) = (rank(field.before.as_ref()), rank(field.after.as_ref()));
        let name = |value: &Option<Value>| {
            value
                .as_ref()
                .map_or("none".to_owned(), crate::fields::plain)
        };
        let text = format!(
            "Pod Security ({mode}) goes from {} to {}",
            name(&field.before),
            name(&field.after)
        );
        match mode {
            "enforce" if is < was => effects.of_pair(index, Level::Danger, text),
            "enforce" if is > was => effects.of_pair(index, Level::Caution, text),
            _ if is < was => effects.of_pair(index, Level::Caution, text),
            _ => continue,
        };
    }
}
