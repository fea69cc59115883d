//! New nodes: when one comes that a pod was released for, nothing else is released for a moment.

use super::*;
use hcb_api::gate::Gate;
use hcb_reconciler::core::gates::GateChange;

const CLOSE: GateChange = GateChange {
    cluster: PRIVATE,
    gate: Gate::Closed,
};

/// A node of 4 CPUs as it registers: not ready yet.
fn new_node() -> NodeState {
    NodeState {
        allocatable: cpus(4),
        ..NodeState::default()
    }
}

/// `a` was let go to public and tried there, `b` was not tried yet and fits in private.
fn waiting() -> Observation {
    let mut seen = observation([4, 2], vec![released_to_public("a", 3), pod("b", 1)]);
    candidate(&mut seen.clusters[PUBLIC], "a", 3);
    seen
}

fn arrive(seen: &mut Observation, node: &NodeState, now: Timestamp) {
    seen.clusters[PUBLIC].note_arrival("new", node, &PACING, now);
    seen.clusters[PUBLIC].put_node("new", node.clone());
}

fn decided_at(seen: &Observation, now: Timestamp) -> Decision {
    decide(seen, &plain(), &Memory::default(), now)
}

#[test]
fn the_gate_of_the_first_tier_closes_while_a_released_pod_gets_its_new_node() {
    let mut seen = waiting();
    assert_eq!(decided_at(&seen, START).gates, []);
    arrive(&mut seen, &new_node(), START);
    let decision = decided_at(&seen, START);
    assert_eq!(decision.gates, [CLOSE]);
    assert_eq!(decision.look_again, START.checked_add(PACING.arrival).ok());
    // Not for long, whatever becomes of the node.
    let later = at(i64::try_from(PACING.arrival.as_secs()).expect("a few seconds"));
    assert_eq!(decided_at(&seen, later).gates, []);
    // When it is ready, once more.
    let ready = NodeState {
        takes_pods: true,
        ..new_node()
    };
    arrive(&mut seen, &ready, later);
    assert_eq!(decided_at(&seen, later).gates, [CLOSE]);
    arrive(&mut seen, &ready, at(60));
    assert_eq!(decided_at(&seen, at(60)).gates, []);
}

#[test]
fn no_pod_is_released_while_another_gets_its_new_node() {
    let mut seen = waiting();
    seen.clusters[PRIVATE].gate = Gate::Closed;
    let more = pod("c", 4);
    seen.demands.insert(more.uid.clone(), more);
    let released = |seen: &Observation| -> Vec<_> {
        let releases = decided_at(seen, START).releases.into_iter();
        releases
            .map(|release| (release.uid, release.cluster))
            .collect()
    };
    let pair = |pod: &str, cluster: &str| (pod.to_owned(), cluster.to_owned());
    let mut without_b = seen.clone();
    without_b.demands.remove("b");
    assert_eq!(released(&seen), [pair("b", "private"), pair("c", "public")]);
    assert_eq!(released(&without_b), [pair("c", "public")]);
    for mut seen in [seen, without_b] {
        arrive(&mut seen, &new_node(), START);
        assert_eq!(released(&seen), []);
    }
}

#[test]
fn a_new_node_that_no_released_pod_fits_on_delays_no_release() {
    let mut seen = waiting();
    let small = NodeState {
        allocatable: cpus(2),
        ..NodeState::default()
    };
    arrive(&mut seen, &small, START);
    assert_eq!(decided_at(&seen, START).gates, []);
    // Nor does one that comes where nobody was let go to.
    let mut seen = waiting();
    seen.clusters[OTHER].note_arrival("new", &new_node(), &PACING, START);
    seen.clusters[OTHER].put_node("new", new_node());
    assert_eq!(decided_at(&seen, START).gates, []);
}

#[test]
fn a_gate_stays_open_when_no_pod_would_be_tried_behind_it() {
    let mut seen = waiting();
    seen.demands.remove("b");
    candidate(&mut seen.clusters[PRIVATE], "a", 3);
    arrive(&mut seen, &new_node(), START);
    assert_eq!(decided_at(&seen, START).gates, []);
}

#[test]
fn a_node_of_the_first_list_does_not_count_as_new() {
    use hcb_reconciler::core::facts::Watched;
    let config = plain();
    let mut state = State::new(&config, PACING);
    let node = || Fact::Node(PUBLIC, "new".into(), new_node());
    let asked = pod("a", 3).requirements;
    state.take(Fact::Listing(PUBLIC, Watched::Nodes), &config, START);
    state.take(node(), &config, START);
    state.take(Fact::Listed(PUBLIC, Watched::Nodes), &config, START);
    let arrival = |state: &State| {
        let public = &state.observer.observation.clusters[PUBLIC];
        public.arrival_for(&asked, &PACING, START)
    };
    assert_eq!(arrival(&state), None);
    state.take(Fact::NodeGone(PUBLIC, "new".into()), &config, START);
    state.take(node(), &config, START);
    assert_eq!(arrival(&state), Some(START));
}

/// A try takes the scheduler a second. Who is let go meanwhile stands in its queue for as long, before those
/// for whom a node comes, and leaves if room comes free.
#[test]
fn the_next_pod_is_released_when_the_scheduler_is_done_with_the_one_before() {
    // One in private is waited for only while places come free there.
    for (cluster, freed, is_waited_for) in [
        (PUBLIC, None, true),
        (PRIVATE, Some(START), true),
        (PRIVATE, None, false),
        (PRIVATE, START.checked_sub(PACING.flux).ok(), false),
    ] {
        let name = plain().clusters[cluster].name.clone();
        let mut tried = pod("a", 3);
        tried.released.insert(name, START);
        let mut seen = observation([4, 2], vec![tried, pod("b", 4)]);
        candidate(&mut seen.clusters[cluster], "a", 3);
        seen.clusters[PRIVATE].freed = freed;
        let mut memory = Memory::default();
        memory.observe(&seen, &plain(), START);
        let decided = |now: Timestamp| {
            let decision = decide(&seen, &plain(), &memory, now);
            let names = decision.releases.into_iter().map(|release| release.name);
            (names.collect::<Vec<_>>(), decision.look_again)
        };
        let due = START.checked_add(PACING.attempt).expect("a time");
        let (names, again) = decided(START);
        assert_eq!(names.is_empty(), is_waited_for);
        assert_eq!(again == Some(due), is_waited_for);
        assert_eq!(decided(due).0.len(), 1);
    }
}

/// Jobs may come in so fast that the scheduler always has one to try for the first time.
#[test]
fn a_scheduler_that_never_pauses_does_not_stop_releases() {
    let mut memory = Memory::default();
    let mut released = Vec::new();
    let longest = i64::try_from(PACING.no_pause.as_secs()).expect("a few seconds");
    for second in 0..=2 * longest {
        let mut seen = observation([4, 4], vec![pod("a", 1), pod("b", 1)]);
        // Another one is tried each second, as one ends.
        seen.clusters[PRIVATE].freed = Some(at(second));
        let new = pod(&format!("new-{second}"), 1);
        candidate(&mut seen.clusters[PRIVATE], &new.uid, 1);
        seen.demands.insert(new.uid.clone(), new);
        memory.observe(&seen, &plain(), at(second));
        let decision = decide(&seen, &plain(), &memory, at(second));
        memory.remember(&decision, START);
        released.extend(decision.releases.iter().map(|_| second));
    }
    assert_eq!(released, [longest, 2 * longest]);
}
