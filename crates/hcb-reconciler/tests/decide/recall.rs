//! Recall: a released pod that was not placed yet stays where an earlier tier has room for it by now.

use super::*;
use hcb_api::gate::Gate;

const SPARE: usize = 3;

/// Of 4 CPUs of each private node so many in use, and a pod of one that was let go to public, where it had
/// to wait for a node; a place is kept for it by now, of which it was not told yet.
fn kept_in_public(used: [i128; 2]) -> Observation {
    let mut seen = observation(used, vec![released_to_public("a", 1)]);
    candidate(&mut seen.clusters[PUBLIC], "a", 1);
    seen.clusters[PUBLIC].set_reservation(key("a"), true, true);
    seen
}

fn decided_at(seen: &Observation, now: Timestamp) -> Decision {
    let mut memory = Memory::default();
    memory.observe(seen, &plain(), START);
    decide(seen, &plain(), &memory, now)
}

#[test]
fn a_reserved_place_in_a_later_tier_is_not_taken_while_an_earlier_tier_has_room() {
    let seen = kept_in_public([4, 3]);
    let decision = decided_at(&seen, at(10));
    assert_eq!(decision.recalled, BTreeSet::from([(PUBLIC, key("a"))]));
    assert_eq!(decision.nudges, []);
    assert_eq!(decision.releases, []);
    let fits = Outcome::FitsFirstTier("private".into());
    assert_eq!(decision.verdicts[0].outcome, fits);
}

#[test]
fn a_reserved_place_in_a_later_tier_is_taken_when_the_earlier_tiers_are_full() {
    let mut seen = kept_in_public([4, 4]);
    let decision = decided_at(&seen, START);
    assert_eq!(decision.recalled, BTreeSet::new());
    let kept = Outcome::PlaceReserved("public".into());
    assert_eq!(decision.verdicts[0].outcome, kept);
    // The scheduler would not look by itself.
    seen.clusters[PUBLIC].set_reservation(key("a"), true, false);
    assert_eq!(decided_at(&seen, START).nudges.len(), 1);
}

#[test]
fn a_reserved_place_in_the_earlier_tier_is_taken_at_once() {
    let mut seen = kept_in_public([4, 3]);
    // Private's own candidate has taken the last room that it had.
    candidate(&mut seen.clusters[PRIVATE], "a", 1);
    seen.clusters[PRIVATE].set_reservation(key("a"), true, true);
    seen.clusters[PRIVATE].set_reservation(key("a"), true, false);
    let decision = decided_at(&seen, START);
    let kept = Outcome::PlaceReserved("private".into());
    assert_eq!(decision.verdicts[0].outcome, kept);
    assert_eq!(decision.nudges.len(), 1);
}

#[test]
fn a_pod_is_not_recalled_to_an_unreachable_cluster() {
    let mut seen = kept_in_public([0, 0]);
    seen.clusters[PRIVATE].is_seen = false;
    assert_eq!(decided_at(&seen, at(10)).recalled, BTreeSet::new());
}

#[test]
fn no_gate_closes_for_the_new_node_of_a_recalled_pod() {
    let node = NodeState {
        allocatable: cpus(4),
        ..NodeState::default()
    };
    for (used, gates) in [([4, 4], 1), ([4, 3], 0)] {
        let mut seen = kept_in_public(used);
        let other = pod("b", 1);
        seen.demands.insert(other.uid.clone(), other);
        seen.clusters[PUBLIC].note_arrival("new", &node, &PACING, START);
        seen.clusters[PUBLIC].put_node("new", node.clone());
        assert_eq!(decided_at(&seen, START).gates.len(), gates, "{used:?}");
        let later = START.checked_add(PACING.arrival).expect("a time");
        assert_eq!(decided_at(&seen, later).gates.len(), 0, "{used:?}");
    }
}

#[test]
fn pods_are_recalled_through_a_closed_gate_one_by_one() {
    let names = ["a", "b"];
    let pods = names.map(|name| released_to_public(name, 1)).into();
    let mut seen = observation([4, 2], pods);
    for name in names {
        candidate(&mut seen.clusters[PUBLIC], name, 1);
    }
    seen.clusters[PRIVATE].gate = Gate::Closed;
    let decision = decided_at(&seen, at(10));
    assert_eq!(push_release(&decision), [("a", "private")]);
    assert_eq!(decision.recalled.len(), 2);
}

#[test]
fn a_pod_is_recalled_between_later_tiers_too() {
    let mut gone = pod("a", 1);
    gone.released.insert("spare".into(), START);
    let mut seen = observation([4, 4], vec![gone]);
    candidate(&mut seen.clusters[SPARE], "a", 1);
    // A node that public would have to buy is no reason to come back.
    assert_eq!(decided_at(&seen, at(10)).recalled, BTreeSet::new());
    add_node(&mut seen.clusters[PUBLIC], "new", 0);
    let decision = decided_at(&seen, at(10));
    assert_eq!(decision.recalled, BTreeSet::from([(SPARE, key("a"))]));
    assert_eq!(decision.releases[0].cluster, "public");
    // Public had ten minutes to take it in, and did not.
    let pod = seen.demands.get_mut("a").expect("the pod");
    pod.released.insert("public".into(), START);
    pod.released.insert("spare".into(), at(500));
    assert_eq!(decided_at(&seen, at(599)).recalled.len(), 1);
    assert_eq!(decided_at(&seen, at(600)).recalled.len(), 0);
}

proptest! {
    #[test]
    fn no_pod_is_nudged_to_a_place_while_an_earlier_tier_has_room(
        used in prop::array::uniform2(0i128..=4),
        pods in prop::collection::vec((1i128..=4, 0usize..3, prop::bool::ANY), 0..20),
    ) {
        let mut seen = observation(used, Vec::new());
        for (index, (size, cluster, is_reserved)) in pods.iter().enumerate() {
            let mut pod = pod(&format!("p{index:02}"), *size);
            let cluster = cluster + PUBLIC;
            pod.released.insert(plain().clusters[cluster].name.clone(), START);
            candidate(&mut seen.clusters[cluster], &pod.uid, *size);
            seen.clusters[cluster].set_reservation(key(&pod.uid), *is_reserved, false);
            seen.demands.insert(pod.uid.clone(), pod);
        }
        let decision = decided_at(&seen, at(10));
        let free = used.map(|used| 4 - used);
        for (index, (size, cluster, is_reserved)) in pods.iter().enumerate() {
            let name = format!("p{index:02}");
            let fits = free.iter().any(|free| free >= size);
            let is_recalled = decision.recalled.contains(&(cluster + PUBLIC, key(&name)));
            prop_assert!(is_recalled || !fits, "{name} may leave {free:?}");
            // Public has no nodes here, so that private alone calls anybody back.
            prop_assert!(!is_recalled || fits, "{name} is held back for nothing");
            let is_woken = decision.nudges.iter().any(|wake| wake.name == name);
            // That it has room in an earlier tier it may be told, without a place elsewhere.
            prop_assert!(!is_woken || *is_reserved != fits, "{name}");
            prop_assert!(is_woken || !is_reserved || fits, "{name}");
        }
    }
}
