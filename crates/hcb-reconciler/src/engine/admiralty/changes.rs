//! The changes by which Admiralty is told what was decided.

use crate::core::demand::Demand;
use crate::engine::admiralty::chaperons::Chaperons;
use crate::engine::change::{
    Change, Edit, ObjectRef, Patch, Revision, set_annotation, test_version,
};
use crate::engine::object::WatchedKind;
use hcb_api::config::Cluster;
use hcb_api::explanation::{DECISION, Explanation};
use hcb_api::gate::{GATE, Gate};
use hcb_api::release::{NUDGED, RELEASED, toleration, write_note};
use jiff::Timestamp;
use serde_json::{Value, json};

/// The condition of a pod that says whether it has a place.
const CONDITION: &str = "PodScheduled";

/// Gives a pod the tolerations for the gates of clusters, with a note of when and why.
pub(super) fn admit(
    demand: &Demand,
    clusters: &[&Cluster],
    why: Option<&Explanation>,
    now: Timestamp,
) -> Change {
    let mut releases = demand.released.clone();
    let mut operations = vec![test_version(&Value::from(demand.version.as_str()))];
    for cluster in clusters {
        releases.insert(cluster.name.clone(), now);
        let toleration = toleration(&cluster.name);
        operations.push(json!({"op": "add", "path": "/spec/tolerations/-", "value": toleration}));
    }
    operations.push(set_annotation(RELEASED, &write_note(&releases)));
    let why = why.and_then(|why| serde_json::to_string(why).ok());
    operations.extend(why.map(|why| set_annotation(DECISION, &why)));
    Change {
        object: ObjectRef::pod(&demand.namespace, &demand.name),
        is_of_status: false,
        edit: Edit::Patch(Patch::Json(operations)),
    }
}

/// Makes the taint of a virtual node what it is to be. Taints of others stay, whoever changes them at the same time.
pub(super) fn set_gate(cluster: &Cluster, gate: Gate) -> Change {
    let value = gate.value(&cluster.name);
    Change {
        object: ObjectRef::node(&cluster.virtual_node),
        is_of_status: false,
        edit: Edit::Revise(Revision::new(move |node| gated(node, value.as_deref()))),
    }
}

/// The patch that gives a virtual node a gate of this value; none where it has that gate.
fn gated(node: &Value, value: Option<&str>) -> Option<Patch> {
    let mut taints = node["spec"]["taints"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let found = taints.iter().find(|taint| taint["key"] == GATE);
    if found.map(|taint| taint["value"].as_str()) == value.map(Some) {
        return None;
    }
    taints.retain(|taint| taint["key"] != GATE);
    taints.extend(value.map(|value| json!({"key": GATE, "value": value, "effect": "NoSchedule"})));
    Some(Patch::Json(vec![
        test_version(&node["metadata"]["resourceVersion"]),
        json!({"op": "add", "path": "/spec/taints", "value": taints}),
    ]))
}

/// Writes a note on a pod: any change of it makes the scheduler look at it again.
pub(super) fn nudge(demand: &Demand, now: Timestamp) -> Change {
    let note = json!({NUDGED: format!("{now:.3}")});
    let patch = json!({"metadata": {"uid": demand.uid, "annotations": note}});
    Change {
        object: ObjectRef::pod(&demand.namespace, &demand.name),
        is_of_status: false,
        edit: Edit::Patch(Patch::Merge(patch)),
    }
}

/// Takes the condition off a candidate that says that it was refused.
///
/// A candidate that did not fit when it was first tried says so in a condition. Its scheduler leaves the condition
/// when it reserves a place for the pod later, until the pod is bound; and Admiralty, which binds it, takes it for a
/// refusal and would only do so after a time-out of half a minute.
///
/// The condition is the pod's, and Admiralty's agent copies it to the pod's chaperon, which the source's scheduler
/// looks at. The agent makes five requests a second and waits for one where its write met another, so the chaperon's
/// is taken off here too; after the pod's, or the agent would write it back. Source: Admiralty 0.17.0,
/// `pkg/controllers/chaperon/controller.go`.
pub(super) fn unstick((namespace, name): &(String, String)) -> Vec<Change> {
    let of_pod = json!({"status": {"conditions": [{"type": CONDITION, "$patch": "delete"}]}});
    let kind = (
        Chaperons::GROUP,
        Chaperons::VERSION,
        Chaperons::NAME,
        Chaperons::PLURAL,
    );
    vec![
        Change {
            object: ObjectRef::pod(namespace, name),
            is_of_status: true,
            edit: Edit::Patch(Patch::Strategic(of_pod)),
        },
        Change {
            object: ObjectRef::new(kind, Some(namespace), name),
            is_of_status: true,
            // A pod that has no place has no other condition, as a rule.
            edit: Edit::PatchOrRevise(without_condition(0), Revision::new(without_refusal)),
        },
    ]
}

/// The patch that takes the condition off a chaperon, wherever it stands; none where somebody was faster.
fn without_refusal(chaperon: &Value) -> Option<Patch> {
    let conditions = chaperon["status"]["conditions"].as_array()?;
    let index = conditions
        .iter()
        .position(|condition| condition["type"] == CONDITION)?;
    Some(without_condition(index))
}

/// The patch that takes the condition off that stands at a place, if it does.
fn without_condition(index: usize) -> Patch {
    let path = format!("/status/conditions/{index}");
    Patch::Json(vec![
        json!({"op": "test", "path": format!("{path}/type"), "value": CONDITION}),
        json!({"op": "remove", "path": path}),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_changed_beside_the_taints_of_others() {
        let node = json!({
            "metadata": {"resourceVersion": "7"},
            "spec": {"taints": [{"key": "other"}, {"key": GATE, "value": "a", "effect": "NoSchedule"}]},
        });
        assert_eq!(gated(&node, Some("a")), None);
        let opened = Patch::Json(vec![
            test_version(&json!("7")),
            json!({"op": "add", "path": "/spec/taints", "value": [{"key": "other"}]}),
        ]);
        assert_eq!(gated(&node, None), Some(opened));
        let without = json!({"metadata": {"resourceVersion": "7"}, "spec": {}});
        assert_eq!(gated(&without, None), None);
        assert!(gated(&without, Some("drained.a")).is_some());
    }

    #[test]
    fn a_refusal_is_taken_off_wherever_it_stands() {
        let chaperon = json!({"status": {"conditions": [{"type": "Ready"}, {"type": CONDITION}]}});
        assert_eq!(without_refusal(&chaperon), Some(without_condition(1)));
        assert_eq!(without_refusal(&json!({"status": {}})), None);
    }
}
