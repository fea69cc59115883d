//! Who may talk to whom, by Istio's authorization policies.

use crate::context::{Context, Effects, Rule};
use crate::impact::permissions::{allowed, list, report};
use crate::kinds;
use crate::pair::Pair;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "traffic-policy",
    about: "more traffic is allowed, or some that was allowed is refused",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[kinds::ISTIO_AUTHORIZATION_POLICY]) {
        authorization(effects, index, pair);
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
            report(effects, index, opens, closes);
            if before.pointer("/spec/selector") != after.pointer("/spec/selector") {
                effects.of_pair(index, Level::Danger, "applies to other pods than before");
            }
        }
        (None, None) => {}
    }
}
