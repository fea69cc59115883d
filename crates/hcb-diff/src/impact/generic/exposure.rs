//! How services are reached.

use crate::context::{Context, Effects, Rule};
use crate::impact::ingress;
use crate::kinds;
use crate::pair::{Action, Pair};
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "service-exposed",
    about: "a service is reached from farther away, by other ports, or not at all",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    let of_kubernetes = [
        kinds::SERVICE,
        kinds::GATEWAY,
        kinds::INGRESS,
        kinds::HTTP_ROUTE,
    ];
    for (index, pair) in context.of_kinds_that_stay(&of_kubernetes) {
        if pair.object().group_kind() != kinds::SERVICE {
            ingress::changed(effects, index, pair);
            continue;
        }
        match pair.action {
            Action::Remove => {
                effects.of_pair(
                    index,
                    Level::Danger,
                    "deleted: its name no longer resolves, and its clients fail",
                );
            }
            Action::Add if reach(&pair.object().value) == 0 => {}
            Action::Add => {
                effects.of_pair(index, Level::Caution, "new: opens a way in");
            }
            _ => service(effects, index, pair),
        }
    }
}

fn reach(service: &Value) -> u8 {
    match service.pointer("/spec/type").and_then(Value::as_str) {
        Some("LoadBalancer") => 2,
        Some("NodePort") => 1,
        _ => 0,
    }
}

fn service(effects: &mut Effects, index: usize, pair: &Pair) {
    let Some((before, after)) = pair.both() else {
        return;
    };
    let (was, is) = (reach(&before.value), reach(&after.value));
    if is > was {
        effects.of_pair(index, Level::Danger, "reached from outside the cluster now");
    } else if is < was {
        effects.of_pair(
            index,
            Level::Caution,
            "no longer reached from outside the cluster",
        );
    }
    if pair.touches(&["spec", "ports"]) {
        effects.of_pair(
            index,
            Level::Caution,
            "has other ports: clients of the old ones fail",
        );
    }
    if pair.touches(&["spec", "selector"]) {
        effects.of_pair(index, Level::Caution, "selects other pods");
    }
}
