//! What the reconciler of 0.1.0 keeps in the source cluster: its status, with what was spent this month, and its
//! notes on pods. Today's goes on from it, and 0.1.0 goes on from what today's writes.

use super::present::{
    DECISION, Explanation, Fact, GATE, Handover, PACING, ReconcilerConfig, State, Status, status,
};
use super::reader_0_1_0 as reader;
use super::records::{self, RECORDS, facts, play};
use super::{old_json, old_text};
use hcb_api::money::Money;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The status in a `ConfigMap` of 0.1.0.
#[track_caller]
fn old_status(path: &str) -> String {
    let map = old_json(path);
    let (name, key) = reader::STATUS;
    assert_eq!(map["metadata"]["name"], name);
    map["data"][key].as_str().expect("a status").to_owned()
}

/// Reads a status as 0.1.0 does. What it cannot read it forgets, and with it what was spent.
#[track_caller]
fn read_by_0_1_0(status: &str) -> reader::Status {
    let read = serde_json::from_str(status);
    read.unwrap_or_else(|error| panic!("0.1.0 does not read the status: {error}\n{status}"))
}

/// Reads a status as the reconciler of today does.
#[track_caller]
fn read(status: &str) -> Status {
    let read = serde_json::from_str(status);
    read.unwrap_or_else(|error| panic!("the status of 0.1.0 is not read: {error}\n{status}"))
}

const STATUSES: [&str; 2] = ["objects/status.json", "objects/status-second.json"];

#[test]
fn a_status_of_0_1_0_is_read_as_a_whole() {
    for path in STATUSES {
        let text = old_status(path);
        let again = serde_json::to_string(&read(&text)).expect("JSON");
        assert_eq!(read_by_0_1_0(&again), read_by_0_1_0(&text), "{path}");
    }
}

/// A reconciler of today that sees what 0.1.0 saw last, and has counted nothing yet.
fn onlooker(config: &ReconcilerConfig) -> State {
    let mut state = State::new(config, PACING);
    for (at, fact) in facts(RECORDS[1]) {
        if !matches!(fact, Fact::TookOver(_)) {
            state.take(fact, config, at);
        }
    }
    state
}

/// The text of the status that a reconciler of today writes at a time.
fn written(state: &mut State, config: &ReconcilerConfig, now: Timestamp) -> String {
    let decision = state.decide(config, now);
    let (observation, memory) = (&state.observer.observation, &state.memory);
    let status = status(observation, config, memory, &decision, "today", now);
    serde_json::to_string(&status).expect("JSON")
}

#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
}

#[test]
fn what_was_spent_this_month_survives_an_upgrade_and_a_rollback() {
    let config = records::config(RECORDS[0]);
    let text = old_status(STATUSES[1]);
    let before = read_by_0_1_0(&text).legacy;
    assert!(before.ledger.spent > 0.0, "{before:?}");
    let until = before.ledger.until.expect("a time");
    let mut state = onlooker(&config);
    state.take(
        Fact::TookOver(Box::new(read(&text).handover)),
        &config,
        until,
    );

    // Two nodes at 36 an hour are there; while nobody counted they cost as much.
    let half_an_hour = SignedDuration::from_mins(30);
    let upgraded = read_by_0_1_0(&written(&mut state, &config, until + half_an_hour));
    assert_close(upgraded.cost.hour, 72.0);
    assert_close(upgraded.legacy.ledger.spent, before.ledger.spent + 36.0);
    assert_close(upgraded.cost.month, before.ledger.spent + 36.0);
    assert_eq!(upgraded.legacy.ledger.month, before.ledger.month);

    // After a rollback 0.1.0 goes on from there.
    let rolled_back = upgraded
        .legacy
        .ledger
        .spent_at(72.0, until + half_an_hour * 2);
    assert_close(rolled_back, before.ledger.spent + 72.0);
}

#[test]
fn shares_and_tiers_survive_an_upgrade_and_a_rollback() {
    let config = records::config(RECORDS[0]);
    let text = old_status(STATUSES[1]);
    let before = read_by_0_1_0(&text).legacy;
    assert!(
        before.credits.len() == 4 && before.tiers.len() == 3,
        "{before:?}"
    );
    assert!(before.tiers["public"].is_open, "{before:?}");
    let mut state = State::new(&config, PACING);
    let handover: Handover = read(&text).handover;
    let until = before.ledger.until.expect("a time");
    state.take(Fact::TookOver(Box::new(handover)), &config, until);
    let left = state.memory.handover(&config, until);
    let left: reader::Legacy = serde_json::from_value(serde_json::to_value(left).expect("JSON"))
        .expect("what 0.1.0 reads");
    assert_eq!(left, before);
}

#[test]
fn of_the_same_facts_the_same_is_counted_as_0_1_0_counted() {
    for (record, path) in RECORDS.iter().zip(STATUSES) {
        let before = read_by_0_1_0(&old_status(path));
        let mut found = None;
        play(record, |state, config, replayed| {
            if replayed.at == before.at {
                let (observation, memory) = (&state.observer.observation, &state.memory);
                let now = &replayed.now;
                found = Some(status(
                    observation,
                    config,
                    memory,
                    now,
                    "today",
                    replayed.at,
                ));
            }
        });
        let found = found.unwrap_or_else(|| panic!("no decision of {} in {record}", before.at));
        let found = read_by_0_1_0(&serde_json::to_string(&found).expect("JSON"));
        // Money is counted in decimal fractions since, and the seconds between two leaders in full.
        let (spent, spent_before) = (found.legacy.ledger.spent, before.legacy.ledger.spent);
        let of_seconds = before.cost.hour * 10.0 / 3600.0;
        let more = spent - spent_before;
        assert!((-1e-6..of_seconds).contains(&more), "{record}: {more}");
        let mut counted = found.legacy.clone();
        counted.ledger.spent = spent_before;
        assert_eq!(counted, before.legacy, "{record}");
        assert_close(found.cost.hour, before.cost.hour);
        assert_close(found.cost.month, spent);
        assert_close(
            found.cost.forecast - spent,
            before.cost.forecast - spent_before,
        );
        assert_eq!(found.tiers, before.tiers, "{record}");
    }
}

/// The pods of jobs in the source cluster, as 0.1.0 left them.
fn pods() -> Vec<Value> {
    let list = old_json("objects/pods-private.json");
    let pods = list["items"].as_array().expect("pods").clone();
    let is_elected =
        |pod: &Value| pod["metadata"]["annotations"]["multicluster.admiralty.io/elect"].is_string();
    pods.into_iter().filter(is_elected).collect()
}

#[test]
fn the_reasons_that_0_1_0_noted_on_pods_are_read() {
    let mut read = 0;
    for pod in pods() {
        let Some(note) = pod["metadata"]["annotations"][DECISION].as_str() else {
            continue;
        };
        let today: Explanation = serde_json::from_str(note).expect("an explanation");
        let again = serde_json::to_string(&today).expect("JSON");
        let as_before: reader::Explanation =
            serde_json::from_str(&again).expect("what 0.1.0 reads");
        assert_eq!(
            as_before,
            serde_json::from_str(note).expect("as 0.1.0 reads it")
        );
        read += 1;
    }
    assert!(read >= 4, "only {read} notes");
}

#[test]
fn who_was_let_go_by_0_1_0_is_known_as_such() {
    // As a leader that starts anew sees them: the first fact of each.
    let mut seen = BTreeMap::new();
    for (_, fact) in facts(RECORDS[1]) {
        if let Fact::Demand(_, pod) = fact {
            seen.entry(pod.uid.clone()).or_insert(pod);
        }
    }
    let mut let_go = 0;
    for pod in pods() {
        let uid = pod["metadata"]["uid"].as_str().expect("a uid");
        let known = &seen[uid];
        let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
        let gates = tolerations.filter(|toleration| toleration["key"] == GATE);
        let gates: BTreeSet<_> = gates.filter_map(|gate| gate["value"].as_str()).collect();
        let released: BTreeSet<_> = known.released.keys().map(String::as_str).collect();
        assert_eq!(released, gates, "{}", known.name);
        let note = pod["metadata"]["annotations"]["hcb.dev/released"].as_str();
        let noted = reader::released(note.unwrap_or_default());
        assert_eq!(known.released, noted, "{}", known.name);
        let_go += usize::from(!gates.is_empty());
    }
    assert!(let_go >= 4, "only {let_go} pods");
}

#[test]
fn a_status_that_begins_empty_is_no_trouble() {
    // As the tree of 0.1.0 delivers it, before a reconciler wrote it.
    let map = old_text(
        "trees/seed-argocd/clusters/private/reconciler/hcb-system/configmap-hcb-status.yaml",
    );
    let map: Value = yaml_serde::from_str(&map).expect("YAML");
    assert!(map.get("data").is_none(), "{map}");
    let config = records::config(RECORDS[0]);
    let mut state = onlooker(&config);
    let now = read_by_0_1_0(&old_status(STATUSES[1])).at;
    assert_close(
        read_by_0_1_0(&written(&mut state, &config, now))
            .legacy
            .ledger
            .spent,
        0.0,
    );
}

#[test]
fn a_cluster_that_0_1_0_could_not_see_costs_what_0_1_0_said() {
    let mut old: Value = serde_json::from_str(&old_status(STATUSES[1])).expect("JSON");
    let clusters = old["clusters"].as_array_mut().expect("clusters");
    let public = clusters
        .iter_mut()
        .find(|cluster| {
            cluster["hourlyCost"]
                .as_f64()
                .is_some_and(|cost| cost > 0.0)
        })
        .expect("a cluster that costs something");
    public["seen"] = false.into();
    let (name, cost) = (public["name"].clone(), public["hourlyCost"].as_f64());
    let status = read(&old.to_string());
    let handover = Handover::of_saved(Some(&status), None).expect("a handover");
    let spending = handover.spending.expect("what was spent");
    let counted = spending.clusters[name.as_str().expect("a name")];
    assert_eq!(counted.per_hour.map(Money::as_number), cost);
}
