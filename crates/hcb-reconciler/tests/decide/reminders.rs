//! Reminders: an idle scheduler is told of pods that it overlooked.

use super::*;
use hcb_reconciler::core::pacing::ReminderPacing;

const REMINDER: ReminderPacing = match PACING.reminder {
    Some(reminder) => reminder,
    None => panic!("Admiralty is reminded"),
};

/// What is decided, time after time, with a scheduler that never looks.
struct Rounds {
    seen: Observation,
    memory: Memory,
}

impl Rounds {
    fn new(seen: Observation) -> Self {
        let mut rounds = Self {
            seen,
            memory: Memory::default(),
        };
        rounds.decide(0);
        rounds
    }

    fn decide(&mut self, seconds: i64) -> Decision {
        self.memory.observe(&self.seen, &plain(), at(seconds));
        let decision = decide(&self.seen, &plain(), &self.memory, at(seconds));
        self.memory.remember(&decision, START);
        decision
    }

    /// Whom the scheduler is told of at a time, and is.
    fn wake(&mut self, seconds: i64) -> Vec<String> {
        let wakes = self.decide(seconds).nudges;
        for wake in &wakes {
            self.memory.note_nudged(wake.uid.clone(), at(seconds));
        }
        wakes.into_iter().map(|wake| wake.name).collect()
    }
}

fn idle() -> i64 {
    i64::try_from(REMINDER.idle_after.as_secs()).expect("seconds")
}

#[test]
fn an_idle_scheduler_is_reminded_of_pods_that_have_room() {
    let mut rounds = Rounds::new(observation([4, 3], vec![pod("a", 1), pod("b", 2)]));
    // Only one of them fits.
    let decision = rounds.decide(idle() - 1);
    assert_eq!(decision.nudges, []);
    assert!(decision.look_again.is_some_and(|time| time <= at(idle())));
    assert_eq!(rounds.wake(idle()), ["a"]);
    assert_eq!(rounds.wake(idle()), [""; 0]);
    assert_eq!(rounds.wake(2 * idle()), ["a"]);
}

#[test]
fn a_busy_scheduler_is_not_reminded() {
    for what in [
        "a candidate",
        "a place",
        "a pod that comes",
        "a pod that goes",
    ] {
        let pods = vec![pod("a", 1), pod("b", 4), pod("c", 4)];
        let mut rounds = Rounds::new(observation([4, 3], pods));
        let pods = &mut rounds.seen.demands;
        match what {
            "a pod that comes" => drop(pods.insert("d".into(), pod("d", 4))),
            "a pod that goes" => pods.get_mut("b").expect("a pod").placed = Some("private".into()),
            _ => candidate(&mut rounds.seen.clusters[PRIVATE], "b", 4),
        }
        if what == "a place" {
            rounds.seen.clusters[PRIVATE].set_reservation(key("b"), true, false);
        }
        rounds.decide(idle() - 1);
        let wakes = rounds.decide(idle()).nudges;
        assert!(wakes.iter().all(|wake| wake.name != "a"), "{what}");
        let wakes = rounds.decide(2 * idle()).nudges;
        assert!(wakes.iter().any(|wake| wake.name == "a"), "{what}");
    }
}

#[test]
fn reminders_go_round_all_pods_a_few_at_a_time() {
    let names: Vec<_> = (0..REMINDER.at_once + 2)
        .map(|number| format!("p{number}"))
        .collect();
    let pods = names.iter().map(|name| pod(name, 1)).collect();
    let mut rounds = Rounds::new(observation([4, 3], pods));
    assert_eq!(rounds.wake(idle()), names[..REMINDER.at_once]);
    let mut next = names[REMINDER.at_once..].to_vec();
    next.extend_from_slice(&names[..REMINDER.at_once - 2]);
    assert_eq!(rounds.wake(2 * idle()), next);
}

#[test]
fn an_idle_scheduler_is_reminded_of_a_released_pod_that_has_a_node() {
    let mut rounds = Rounds::new(observation([4, 4], vec![released_to_public("a", 1)]));
    assert_eq!(rounds.wake(2 * idle()), [""; 0]);
    add_node(&mut rounds.seen.clusters[PUBLIC], "new", 0);
    assert_eq!(rounds.wake(3 * idle()), ["a"]);
}

#[test]
fn no_reminder_is_for_a_pod_behind_a_closed_gate_or_without_a_node() {
    let mut seen = observation([4, 3], vec![pod("a", 1), pod("b", 1)]);
    seen.clusters[PRIVATE].gate = hcb_api::gate::Gate::Closed;
    let mut rounds = Rounds::new(seen);
    let decision = rounds.decide(2 * idle());
    assert_eq!(push_release(&decision), [("a", "private")]);
    assert_eq!(decision.nudges, []);
    let mut rounds = Rounds::new(observation([4, 4], vec![pod("a", 1)]));
    assert_eq!(rounds.wake(2 * idle()), [""; 0]);
}

#[test]
fn a_reminder_does_not_delay_the_nudge_to_a_reserved_place() {
    let mut rounds = Rounds::new(observation([4, 3], vec![pod("a", 1)]));
    assert_eq!(rounds.wake(idle()), ["a"]);
    keep(&mut rounds.seen.clusters[PRIVATE], "a", 1);
    rounds.seen.clusters[PRIVATE].set_reservation(key("a"), true, true);
    rounds.seen.clusters[PRIVATE].set_reservation(key("a"), true, false);
    assert_eq!(rounds.wake(idle() + 1), ["a"]);
}
