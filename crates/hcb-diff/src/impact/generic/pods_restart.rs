//! Pods that restart.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pods::pod_template;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "pods-restart",
    about: "running pods are replaced by new ones",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in
        context.of_kinds(&[kinds::DEPLOYMENT, kinds::STATEFUL_SET, kinds::DAEMON_SET])
    {
        let Some(template) = pod_template(pair.object().group_kind()).filter(|_| pair.stays())
        else {
            continue;
        };
        if !pair.touches(template) {
            continue;
        }
        let value = &pair.object().value;
        let strategy = value
            .pointer("/spec/strategy/type")
            .or(value.pointer("/spec/updateStrategy/type"));
        match strategy.and_then(Value::as_str) {
            Some("Recreate") => effects.of_pair(
                index,
                Level::Danger,
                "all pods stop before the new ones start: it is unavailable meanwhile",
            ),
            Some("OnDelete") => effects.of_pair(
                index,
                Level::Note,
                "its pods change when somebody deletes them",
            ),
            _ if value.pointer("/spec/replicas") == Some(&Value::from(1)) => effects.of_pair(
                index,
                Level::Caution,
                "the one pod is replaced by a new one",
            ),
            _ => effects.of_pair(index, Level::Caution, "pods restart, one after another"),
        };
    }
}
