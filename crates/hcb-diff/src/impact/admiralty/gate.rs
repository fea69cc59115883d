//! The gates of virtual nodes.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::report::Level;
use hcb_api::gate::GATE;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "gates",
    about: "the gate of a cluster, the order of tiers, or the time at which a tier opens changes",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&[kinds::NODE]) {
        let Some((before, after)) = pair.both() else {
            continue;
        };
        match (is_gated(&before.value), is_gated(&after.value)) {
            (true, false) => {
                effects
                    .of_pair(index, Level::Danger, "has no gate any more: jobs go there although earlier tiers have room")
                    .detail("a virtual node that is there already keeps its gate until somebody takes it off");
            }
            (false, true) => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    "gets a gate: jobs go there only when the reconciler lets them",
                );
            }
            _ => {}
        }
    }
}

fn is_gated(node: &Value) -> bool {
    let taints = node.pointer("/spec/taints").and_then(Value::as_array);
    taints.is_some_and(|taints| taints.iter().any(|taint| taint["key"] == GATE))
}
