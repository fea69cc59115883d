//! Who may talk to whom, by network policies.

use crate::context::{Context, Effects, Rule};
use crate::impact::permissions::{allowed, list, report};
use crate::kinds;
use crate::pair::{Action, Pair};
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "traffic-policy",
    about: "more traffic is allowed, or some that was allowed is refused",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[kinds::NETWORK_POLICY]) {
        network(effects, index, pair);
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
            report(effects, index, opens, closes);
            if before.pointer("/spec/podSelector") != after.pointer("/spec/podSelector") {
                effects.of_pair(index, Level::Danger, "applies to other pods than before");
            }
        }
        _ => {}
    }
}
