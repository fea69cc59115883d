//! What a namespace may request at once.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::pair::Pair;
use crate::report::Level;
use hcb_spec::model::Quantity;
use serde_json::{Map, Value};

pub(crate) const RULE: Rule = Rule {
    id: "quota",
    about: "a namespace may request more or less at once, or less than one of its jobs needs",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[kinds::RESOURCE_QUOTA]) {
        match pair.action {
            Action::Remove => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    "deleted: the namespace may use everything",
                );
            }
            Action::Add => {
                effects.of_pair(index, Level::Caution, "new: pods beyond it wait");
                too_small(context, effects, index, pair);
            }
            _ => {
                changed(effects, index, pair);
                too_small(context, effects, index, pair);
            }
        }
    }
}

fn hard(value: &Value) -> Map<String, Value> {
    let hard = value.pointer("/spec/hard").and_then(Value::as_object);
    hard.cloned().unwrap_or_default()
}

fn amount(value: &Value) -> Option<i128> {
    let text = crate::fields::plain(value);
    Some(Quantity::parse(&text)?.milli())
}

fn changed(effects: &mut Effects, index: usize, pair: &Pair) {
    let Some((before, after)) = pair.both() else {
        return;
    };
    let (old, new) = (hard(&before.value), hard(&after.value));
    for (resource, limit) in &old {
        let Some(was) = amount(limit) else { continue };
        let show = crate::fields::plain;
        match new.get(resource).map(|value| (value, amount(value))) {
            None => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    format!("{resource} is no longer limited (was {})", show(limit)),
                );
            }
            Some((value, Some(is))) if is < was => {
                effects
                    .of_pair(
                        index,
                        Level::Caution,
                        format!("{resource} cut from {} to {}", show(limit), show(value)),
                    )
                    .detail("what runs goes on; new pods wait until enough has ended");
            }
            Some((value, Some(is))) if is > was => {
                effects.of_pair(
                    index,
                    Level::Note,
                    format!("{resource} raised from {} to {}", show(limit), show(value)),
                );
            }
            Some(_) => {}
        }
    }
}

/// Jobs of which not even one pod gets through.
fn too_small(context: &Context<'_>, effects: &mut Effects, index: usize, pair: &Pair) {
    let Some(cloud) = context.after else { return };
    let object = pair.object();
    let of_namespace = cloud.workloads.iter().filter(|workload| {
        workload.namespace == object.namespace() && workload.clusters.contains(&object.cluster)
    });
    for workload in of_namespace {
        for (resource, limit) in hard(&object.value) {
            let name = resource.strip_prefix("requests.").unwrap_or(&resource);
            let needed = workload
                .shape
                .requests
                .get(name)
                .copied()
                .unwrap_or_default();
            if amount(&limit).is_some_and(|limit| limit < needed) {
                effects.of_pair(
                    index,
                    Level::Danger,
                    format!("{} can no longer run there: one of its pods needs more {name} than the quota has", workload.name),
                );
            }
        }
    }
}
