//! How many pods there are, and how many may be away.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "replicas",
    about: "there are fewer replicas, or more of them may be unavailable at once",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&[
        kinds::DEPLOYMENT,
        kinds::STATEFUL_SET,
        kinds::REPLICA_SET,
        kinds::HORIZONTAL_POD_AUTOSCALER,
    ]) {
        let Some((before, after)) = pair.both() else {
            continue;
        };
        for (pointer, what) in [
            ("/spec/replicas", "replicas"),
            ("/spec/minReplicas", "replicas at least"),
            ("/spec/maxReplicas", "replicas at most"),
        ] {
            let of = |value: &Value| value.pointer(pointer).and_then(Value::as_u64);
            let (Some(was), Some(is)) = (of(&before.value), of(&after.value)) else {
                continue;
            };
            if is == was {
                continue;
            }
            let level = match (is, is < was) {
                (0, _) => Level::Danger,
                (_, true) => Level::Caution,
                _ => Level::Note,
            };
            let text = if is == 0 {
                format!("switched off: 0 {what}, not {was}")
            } else {
                format!("has {is} {what}, not {was}")
            };
            effects.of_pair(index, level, text);
        }
    }
    for (index, pair) in context.of_kinds_that_stay(&[kinds::POD_DISRUPTION_BUDGET]) {
        match pair.action {
            Action::Remove => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    "deleted: all pods may be evicted at once",
                );
            }
            Action::Change if pair.touches(&["spec"]) => {
                effects.of_pair(
                    index,
                    Level::Note,
                    "other numbers of pods may be evicted at once",
                );
            }
            _ => {}
        }
    }
}
