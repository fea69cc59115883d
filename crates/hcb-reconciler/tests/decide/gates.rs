//! The gates of the first tier: closed while a crowd waits for a full cluster, open otherwise.

use super::*;
use hcb_api::gate::Gate;
use hcb_reconciler::core::gates::GateChange;

/// With so many, the gate closes.
const CROWD: usize = match PACING.crowd {
    Some(crowd) => crowd.close_at,
    None => panic!("Admiralty has crowds"),
};

const CLOSE: GateChange = GateChange {
    cluster: PRIVATE,
    gate: Gate::Closed,
};
const OPEN: GateChange = GateChange {
    cluster: PRIVATE,
    gate: Gate::Open,
};

fn pods(count: usize, cpu: i128) -> Vec<Demand> {
    let names = (0..count).map(|index| format!("p{index:02}"));
    names.map(|name| pod(&name, cpu)).collect()
}

fn decided(seen: &Observation) -> Decision {
    decide(seen, &plain(), &Memory::default(), START)
}

/// Private full but for so much on its second node, with its gate closed.
fn closed(free: i128, pods: Vec<Demand>) -> Observation {
    let mut seen = observation([4, 4 - free], pods);
    seen.clusters[PRIVATE].gate = Gate::Closed;
    seen
}

#[test]
fn a_gate_closes_when_a_crowd_waits_for_a_full_cluster() {
    assert_eq!(decided(&observation([4, 4], pods(CROWD - 1, 1))).gates, []);
    assert_eq!(decided(&observation([4, 4], pods(CROWD, 1))).gates, [CLOSE]);
}

/// A pod that was let go is tried in every cluster whose gate is open, and so is one that has a place.
#[test]
fn released_pods_count_in_the_crowd() {
    for is_reserved in [false, true] {
        let mut seen = observation([4, 4], pods(CROWD, 1));
        for pod in seen.demands.values_mut() {
            pod.released.insert("public".into(), START);
            candidate(&mut seen.clusters[PUBLIC], &pod.uid, 1);
            seen.clusters[PUBLIC].set_reservation(key(&pod.uid), is_reserved, false);
        }
        assert_eq!(decided(&seen).gates, [CLOSE]);
    }
}

#[test]
fn a_pod_that_has_a_candidate_in_the_cluster_does_not_count_in_the_crowd() {
    let mut seen = observation([4, 4], pods(CROWD, 1));
    candidate(&mut seen.clusters[PRIVATE], "p00", 1);
    assert_eq!(decided(&seen).gates, []);
}

#[test]
fn pods_that_fit_do_not_count_in_the_crowd() {
    assert_eq!(decided(&observation([4, 0], pods(4, 1))).gates, []);
}

#[test]
fn a_gate_opens_only_when_the_crowd_is_gone() {
    for (left, gates) in [
        (CROWD, vec![]),
        (2, vec![]),
        (1, vec![OPEN]),
        (0, vec![OPEN]),
    ] {
        assert_eq!(decided(&closed(0, pods(left, 1))).gates, gates, "{left}");
    }
}

#[test]
fn the_gate_of_an_unreachable_cluster_is_not_changed() {
    let mut seen = closed(0, Vec::new());
    seen.clusters[PRIVATE].is_seen = false;
    assert_eq!(decided(&seen).gates, []);
}

#[test]
fn pods_that_fit_are_released_through_a_closed_gate_one_by_one() {
    let decision = decided(&closed(4, pods(5, 1)));
    assert_eq!(push_release(&decision), [("p00", "private")]);
    let outcomes: Vec<_> = decision
        .verdicts
        .into_iter()
        .map(|verdict| verdict.outcome)
        .collect();
    let fits = Outcome::FitsFirstTier("private".into());
    let next = Outcome::QueuedForBurst("private".into());
    assert_eq!(
        outcomes,
        [fits, next.clone(), next.clone(), next.clone(), next]
    );
}

#[test]
fn no_more_pods_are_released_through_a_closed_gate_than_fit() {
    let decision = decided(&closed(1, pods(3, 1)));
    assert_eq!(decision.releases.len(), 1);
}

#[test]
fn a_pod_with_a_reserved_place_is_released_through_a_closed_gate() {
    let mut seen = closed(0, vec![pod("a", 1)]);
    keep(&mut seen.clusters[PRIVATE], "a", 1);
    let decision = decided(&seen);
    let released: Vec<_> = decision
        .releases
        .iter()
        .map(|release| release.cluster.as_str())
        .collect();
    assert_eq!((released, decision.nudges), (vec!["private"], vec![]));
}

#[test]
fn a_pod_that_passed_the_first_gate_and_found_no_room_may_burst() {
    let mut seen = closed(0, pods(1, 1));
    let released = &mut seen.demands.get_mut("p00").expect("a pod").released;
    released.insert("private".into(), START);
    candidate(&mut seen.clusters[PRIVATE], "p00", 1);
    let found = outcomes(&seen, &plain());
    assert_eq!(found, [Outcome::Released("public".into())]);
}

#[test]
fn a_released_pod_is_recalled_when_room_comes_free_in_the_first_tier() {
    let mut seen = closed(1, vec![released_to_public("a", 1)]);
    candidate(&mut seen.clusters[PUBLIC], "a", 1);
    let released = |seen: &Observation| -> Vec<String> {
        let releases = decided(seen).releases.into_iter();
        releases.map(|release| release.cluster).collect()
    };
    assert_eq!(released(&seen), ["private"]);
    // Whatever is kept for it elsewhere by now.
    keep(&mut seen.clusters[PUBLIC], "a", 1);
    assert_eq!(released(&seen), ["private"]);
}

/// The plain cloud with clusters drained.
fn drained(names: &[&str]) -> ReconcilerConfig {
    let mut config = plain();
    for cluster in &mut config.clusters {
        cluster.drain = names.contains(&cluster.name.as_str());
    }
    config
}

#[test]
fn the_gate_of_a_drained_cluster_lets_no_pod_pass() {
    let (private, public) = (drained(&["private"]), drained(&["public"]));
    for (config, cluster, before, after) in [
        (&private, PRIVATE, Gate::Open, Gate::Drained),
        (&private, PRIVATE, Gate::Closed, Gate::Drained),
        (&public, PUBLIC, Gate::Closed, Gate::Drained),
        (&plain(), PRIVATE, Gate::Drained, Gate::Open),
        (&plain(), PUBLIC, Gate::Drained, Gate::Closed),
    ] {
        let mut seen = observation([0, 0], vec![]);
        for state in &mut seen.clusters[1..] {
            state.gate = Gate::Closed;
        }
        seen.clusters[cluster].gate = before;
        // Whether it answers is no matter: its gate is in the source cluster.
        seen.clusters[cluster].is_seen = false;
        let decision = decide(&seen, config, &Memory::default(), START);
        let expected = [GateChange {
            cluster,
            gate: after,
        }];
        assert_eq!(decision.gates, expected, "{before:?}");
    }
    assert_eq!(
        Gate::Drained.value("public"),
        Some("drained.public".to_owned())
    );
    assert_eq!(Gate::of_value("drained.public"), Gate::Drained);
    assert_eq!(Gate::of_value("public"), Gate::Closed);
}

#[test]
fn no_pod_is_released_to_a_drained_cluster() {
    let go = |config: &ReconcilerConfig, pod: Demand| {
        let seen = observation([4, 4], vec![pod]);
        let decision = decide(&seen, config, &Memory::default(), START);
        let releases = decision.releases.into_iter();
        releases.map(|release| release.cluster).collect::<Vec<_>>()
    };
    let public = drained(&["public"]);
    assert_eq!(go(&public, pod("a", 1)), ["other"]);
    // Who was let go there before goes elsewhere.
    assert_eq!(go(&plain(), released_to_public("a", 1)), [""; 0]);
    assert_eq!(go(&public, released_to_public("a", 1)), ["other"]);
    // Even with room, the first tier is left when it is drained.
    let seen = observation([0, 0], vec![pod("a", 1)]);
    let decision = decide(&seen, &drained(&["private"]), &Memory::default(), START);
    assert_eq!(decision.releases[0].cluster, "public");
}

proptest! {
    #[test]
    fn a_changed_gate_is_not_changed_back_while_nothing_else_changes(
        used in prop::array::uniform2(0i128..=4),
        sizes in prop::collection::vec(1i128..=4, 0..30),
        is_closed: bool,
    ) {
        let pods = sizes.iter().enumerate().map(|(index, size)| pod(&format!("p{index:02}"), *size));
        let mut seen = observation(used, pods.collect());
        seen.clusters[PRIVATE].gate = if is_closed { Gate::Closed } else { Gate::Open };
        for change in decided(&seen).gates {
            seen.clusters[change.cluster].gate = change.gate;
            prop_assert_eq!(decided(&seen).gates, []);
        }
    }

    #[test]
    fn a_closed_gate_of_private_makes_no_pod_burst(
        used in prop::array::uniform2(0i128..=4),
        sizes in prop::collection::vec(1i128..=4, 0..30),
    ) {
        let pods = sizes.iter().enumerate().map(|(index, size)| pod(&format!("p{index:02}"), *size));
        let mut seen = observation(used, pods.collect());
        let away = |seen: &Observation| -> Vec<_> {
            let releases = decided(seen).releases.into_iter();
            releases.filter(|release| release.cluster != "private").collect()
        };
        let before = away(&seen);
        seen.clusters[PRIVATE].gate = Gate::Closed;
        // Some wait until the scheduler has tried whom private has room for.
        prop_assert!(away(&seen).iter().all(|release| before.contains(release)));
    }
}
