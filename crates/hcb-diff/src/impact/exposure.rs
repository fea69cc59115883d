//! How services are reached.

use super::super::pair::Pair;
use super::super::{Action, Level};
use super::{Context, Effects, Rule};
use serde_json::Value;

pub(super) const RULE: Rule = Rule {
    id: "service-exposed",
    about: "a service is reached from farther away, by other ports, or not at all",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&["Service", "Gateway", "Ingress", "HTTPRoute"])
    {
        let is_service = pair.object().kind() == "Service";
        match pair.action {
            Action::Remove if is_service => {
                effects.of_pair(
                    index,
                    Level::Danger,
                    "deleted: its name is no longer known, and who uses it fails",
                );
            }
            Action::Remove => {
                effects.of_pair(
                    index,
                    Level::Danger,
                    "deleted: nothing comes in by it any more",
                );
            }
            Action::Add if is_service && reach(&pair.object().value) == 0 => {}
            Action::Add => {
                effects.of_pair(index, Level::Caution, "new: opens a way in");
            }
            _ if is_service => service(effects, index, pair),
            _ => {
                if pair.touches(&["spec"]) {
                    effects.of_pair(index, Level::Caution, "lets other traffic in than before");
                }
            }
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
            "has other ports: who uses the old ones fails",
        );
    }
    if pair.touches(&["spec", "selector"]) {
        effects.of_pair(index, Level::Caution, "leads to other pods");
    }
}
