//! Whatever keeps failing for one demand holds no other back.

use super::*;
use hcb_reconciler::core::decide::PLACED_WITHIN;
use hcb_reconciler::core::decision::NotReleased;

fn refused() -> NotReleased {
    NotReleased::Refused("a webhook answers 403".into())
}

#[test]
fn a_pod_that_cannot_be_released_holds_no_other_back() {
    let config = plain();
    let seen = observation([4, 4], vec![pod("a", 1), pod("b", 1)]);
    let mut memory = Memory::default();
    let released = |memory: &Memory, now: i64| -> Vec<String> {
        let decision = decide(&seen, &config, memory, at(now));
        let releases = decision.releases.iter();
        releases.map(|release| release.name.clone()).collect()
    };
    assert_eq!(released(&memory, 0), ["a"]);
    memory.note_not_released("a", PUBLIC, refused(), at(0));
    assert_eq!(released(&memory, 1), ["b"]);
    let found = outcomes_after(&seen, &config, &memory, at(1));
    let failed = Outcome::ReleaseFailed {
        why: "a webhook answers 403".into(),
        again_at: at(10),
    };
    assert_eq!(found[0], failed);
    // It is tried again after ten seconds, then after twenty, and after ten minutes at most.
    assert_eq!(released(&memory, 10), ["a"]);
    memory.note_not_released("a", PUBLIC, refused(), at(10));
    assert_eq!(released(&memory, 29), ["b"]);
    assert_eq!(released(&memory, 30), ["a"]);
    for _ in 0..50 {
        memory.note_not_released("a", PUBLIC, refused(), at(30));
    }
    assert_eq!(released(&memory, 629), ["b"]);
    assert_eq!(released(&memory, 630), ["a"]);
    memory.note_released("a");
    assert!(memory.failed_releases.is_empty());
}

#[test]
fn a_pod_that_changes_all_the_time_holds_no_other_back() {
    let config = plain();
    let seen = observation([4, 4], vec![pod("a", 1), pod("b", 1)]);
    let mut memory = Memory::default();
    let first = |memory: &Memory| {
        let decision = decide(&seen, &config, memory, at(1));
        decision.releases[0].name.clone()
    };
    // That it changed once or twice meanwhile is no trouble.
    for _ in 0..3 {
        memory.note_not_released("a", PUBLIC, NotReleased::Changed, at(1));
        assert_eq!(first(&memory), "a");
    }
    memory.note_not_released("a", PUBLIC, NotReleased::Changed, at(1));
    assert_eq!(first(&memory), "b");
}

#[test]
fn a_pod_leaves_a_cluster_whose_scheduler_does_not_place_it_although_there_is_room() {
    let config = plain();
    let mut seen = observation([0, 0], vec![pod("a", 1)]);
    candidate(&mut seen.clusters[PRIVATE], "a", 1);
    let mut memory = Memory::default();
    let within = i64::try_from(PLACED_WITHIN.as_secs()).expect("a number");
    for (now, expected) in [
        (0, Outcome::FitsFirstTier("private".into())),
        (within - 1, Outcome::FitsFirstTier("private".into())),
        (within, Outcome::Released("public".into())),
    ] {
        let decision = decide(&seen, &config, &memory, at(now));
        assert_eq!(decision.verdicts[0].outcome, expected, "{now}");
        memory.remember(&decision, at(now));
    }
    // It says why.
    let decision = decide(&seen, &config, &memory, at(within));
    let mut explainer = Explainer::new(&seen, &config).of(&decision);
    let outcome = &decision.verdicts[0].outcome;
    let told = explainer.explain(&seen.demands["a"], outcome, at(within));
    assert!(
        told.clusters[0]
            .why
            .contains("has not placed the pod for 2 minutes"),
        "{told:?}"
    );
    // Where there was no room meanwhile, it waits anew.
    let mut memory = Memory::default();
    let full = observation([4, 4], vec![pod("a", 1)]);
    for (seen, now) in [(&seen, 0), (&full, 60), (&seen, 61)] {
        let decision = decide(seen, &config, &memory, at(now));
        memory.remember(&decision, at(now));
    }
    let decision = decide(&seen, &config, &memory, at(within + 30));
    assert_eq!(
        decision.verdicts[0].outcome,
        Outcome::FitsFirstTier("private".into())
    );
}

#[test]
fn a_pod_with_a_scheduling_gate_of_others_is_not_released() {
    let gated = Demand {
        is_gated: true,
        ..pod("a", 1)
    };
    let seen = observation([4, 4], vec![gated]);
    let decision = decide(&seen, &plain(), &Memory::default(), START);
    assert!(decision.verdicts.is_empty() && decision.releases.is_empty());
}

#[test]
fn a_demand_on_a_node_of_the_source_uses_that_node() {
    let config = plain();
    let mut state = State::new(&config, PACING);
    let demand = Demand {
        placed: Some("a".into()),
        node: Some("a".into()),
        ..pod("here", 3)
    };
    let node = NodeState {
        takes_pods: true,
        allocatable: cpus(4),
        ..NodeState::default()
    };
    state.take(Fact::Node(PRIVATE, "a".into(), node), &config, START);
    let free = |state: &State| state.observer.observation.clusters[PRIVATE].nodes["a"].free["cpu"];
    state.take(
        Fact::Demand(PRIVATE, Box::new(demand.clone())),
        &config,
        START,
    );
    assert_eq!(free(&state), 1000);
    state.take(Fact::Demand(PRIVATE, Box::new(demand)), &config, START);
    assert_eq!(free(&state), 1000);
    state.take(Fact::PodGone(PRIVATE, "here".into()), &config, START);
    assert_eq!(free(&state), 4000);
}

#[test]
fn a_gate_that_is_found_open_is_closed() {
    use hcb_api::gate::Gate;
    let mut seen = observation([0, 0], Vec::new());
    seen.clusters[PUBLIC].has_gate = true;
    seen.clusters[OTHER].gate = Gate::Closed;
    let decision = decide(&seen, &plain(), &Memory::default(), START);
    let gates: Vec<_> = decision
        .gates
        .iter()
        .map(|change| (change.cluster, change.gate))
        .collect();
    // Of a cluster whose node was not seen it is not known.
    assert_eq!(gates, [(PUBLIC, Gate::Closed)]);
}

#[test]
fn a_place_behind_a_gate_that_a_pod_was_not_released_through_is_not_waited_for() {
    use hcb_api::gate::Gate;
    // The candidate got there while the gate was lost.
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    keep(&mut seen.clusters[OTHER], "a", 1);
    for cluster in &mut seen.clusters[PUBLIC..] {
        (cluster.gate, cluster.has_gate) = (Gate::Closed, true);
    }
    let decision = decide(&seen, &plain(), &Memory::default(), at(60));
    assert_eq!(
        decision.verdicts[0].outcome,
        Outcome::Released("public".into())
    );
    assert_eq!(push_release(&decision), [("a", "public")]);
}

#[test]
fn what_may_have_been_released_takes_up_its_room_for_a_minute_at_most() {
    let config =
        config("burst: {after: 0s}\nbudget: {currency: EUR, perHour: 1, perMonth: null}\n");
    let seen = observation([4, 4], vec![pod("a", 4), pod("b", 4)]);
    let mut memory = Memory::default();
    let unknown = NotReleased::Unknown("no answer in time".into());
    memory.note_not_released("a", PUBLIC, unknown, at(0));
    let found = outcomes_after(&seen, &config, &memory, at(1));
    assert!(matches!(found[0], Outcome::ReleaseFailed { .. }));
    assert!(matches!(found[1], Outcome::OverBudget { .. }), "{found:?}");
    // Tries that are never answered hold nobody back for longer.
    for _ in 0..9 {
        let unknown = NotReleased::Unknown("no answer in time".into());
        memory.note_not_released("a", PUBLIC, unknown, at(0));
    }
    let found = |now| outcomes_after(&seen, &config, &memory, at(now))[1].clone();
    assert!(matches!(found(59), Outcome::OverBudget { .. }));
    assert_eq!(found(60), Outcome::Released("public".into()));
    // What was refused has no node.
    memory.note_not_released("a", PUBLIC, refused(), at(0));
    let found = outcomes_after(&seen, &config, &memory, at(1));
    assert_eq!(found[1], Outcome::Released("public".into()));
}
