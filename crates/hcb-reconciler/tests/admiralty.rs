//! What is read of objects that a real run of 0.1.0 left in its source cluster, and what is written to them.

use hcb_api::config::ReconcilerConfig;
use hcb_api::explanation::DECISION;
use hcb_reconciler::core::demand::Demand;
use hcb_reconciler::core::facts::Fact;
use hcb_reconciler::core::record::Line;
use hcb_reconciler::engine::Engine;
use hcb_reconciler::engine::admiralty::Admiralty;
use hcb_reconciler::engine::change::{Change, Edit, Patch};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn old(path: &str) -> String {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.join("../../tests/upgrade/0.1.0").join(path);
    fs::read_to_string(path).expect("a file of 0.1.0")
}

fn lines(record: &str) -> Vec<Line> {
    let read = |line: &str| serde_json::from_str(line).expect("a line");
    old(record).lines().map(read).collect()
}

fn config() -> ReconcilerConfig {
    match lines("records/second.jsonl").swap_remove(0) {
        Line::Config(config) => *config,
        other => panic!("{other:?}"),
    }
}

/// The pods of the source cluster, between the two leaders.
fn pods() -> Vec<Value> {
    let list: Value = serde_json::from_str(&old("objects/pods-private.json")).expect("JSON");
    list["items"].as_array().expect("pods").clone()
}

/// The demand that a pod of the source cluster is, if it is one.
fn demand(config: &ReconcilerConfig, pod: &Value) -> Option<Demand> {
    let mut watches = Admiralty.watches(config, config.source());
    let watch = watches.iter_mut().find(|watch| watch.makes_demands());
    let fact = watch.expect("a watch").fact(pod.clone(), false);
    match fact.expect("a pod") {
        Some(Fact::Demand(_, demand)) => Some(*demand),
        _ => None,
    }
}

#[test]
fn a_pod_is_read_as_the_demand_that_0_1_0_recorded_of_it() {
    let config = config();
    let mut first_seen = BTreeMap::new();
    for line in lines("records/second.jsonl") {
        if let Line::Fact(_, Fact::Demand(_, demand)) = line {
            first_seen.entry(demand.uid.clone()).or_insert(*demand);
        }
    }
    let mut read = 0;
    for demand in pods().iter().filter_map(|pod| demand(&config, pod)) {
        let Some(mut recorded) = first_seen.remove(&demand.uid) else {
            continue;
        };
        recorded.version.clone_from(&demand.version);
        assert_eq!(demand, recorded);
        read += 1;
    }
    assert!(read >= 4, "only {read} pods");
}

#[test]
fn an_admitted_pod_is_read_as_released() {
    let config = config();
    let at: Timestamp = "2026-11-30T12:00:00Z".parse().expect("a time");
    let mut admitted = 0;
    for mut pod in pods() {
        let Some(demand_before) = demand(&config, &pod).filter(Demand::waits) else {
            continue;
        };
        let mut clusters = config.clusters.iter();
        let cluster = clusters.find(|cluster| {
            cluster.kubeconfig.is_some() && !demand_before.released.contains_key(&cluster.name)
        });
        let Some(cluster) = cluster else {
            continue;
        };
        let Change { object, edit, .. } = Admiralty.admit(&demand_before, &[cluster], None, at);
        assert_eq!(object.name, demand_before.name);
        let Edit::Patch(Patch::Json(operations)) = edit else {
            panic!("{edit:?}");
        };
        let patch: json_patch::Patch = serde_json::from_value(operations.into()).expect("a patch");
        let mut changed = pod.clone();
        json_patch::patch(&mut changed, &patch).expect("a patch of the pod as it was seen");
        let mut expected = demand_before.released.clone();
        expected.insert(cluster.name.clone(), at);
        let after = demand(&config, &changed).expect("a demand");
        assert_eq!(after.released, expected);
        assert_eq!(
            changed["metadata"]["annotations"][DECISION],
            pod["metadata"]["annotations"][DECISION]
        );
        // It is refused where somebody changed the pod meanwhile.
        pod["metadata"]["resourceVersion"] = json!("another");
        assert!(json_patch::patch(&mut pod, &patch).is_err());
        admitted += 1;
    }
    assert!(admitted >= 1, "no pod waits");
}

#[test]
fn a_pod_whose_manifest_is_not_understood_may_go_nowhere_and_asks_for_what_its_proxy_does() {
    let config = config();
    let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nspec: {containers: *b}\n";
    let mut read = 0;
    for mut pod in pods() {
        let Some(before) = demand(&config, &pod) else {
            continue;
        };
        for text in [bomb, "spec: {containers: []", "", "[]"] {
            pod["metadata"]["annotations"]["multicluster.admiralty.io/sourcepod-manifest"] =
                text.into();
            let after = demand(&config, &pod).expect("a demand");
            assert!(!after.requirements.requests.is_empty());
            assert_eq!(after.requirements.requests, before.requirements.requests);
            for cluster in &config.clusters {
                assert!(!after.requirements.may_run_in(&cluster.name), "{text}");
            }
        }
        read += 1;
    }
    assert!(read >= 4, "only {read} pods");
}
