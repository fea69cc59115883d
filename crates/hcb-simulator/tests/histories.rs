//! The reconciler's promises, over whole histories with faults at any step.

use hcb_simulator::faults::Counts;
use hcb_simulator::{Scenario, World};
use std::io::Write;

/// How many seeds are played; `HCB_SIMULATOR_SEEDS` names another number, or one seed as `=SEED`. Twelve make more than 200,000 events.
fn seeds() -> Vec<u64> {
    match std::env::var("HCB_SIMULATOR_SEEDS") {
        Ok(text) => match text.strip_prefix('=') {
            Some(seed) => vec![seed.parse().expect("a seed")],
            None => (0..text.parse().expect("a number")).collect(),
        },
        Err(_) => (0..12).collect(),
    }
}

#[test]
fn no_fault_at_any_step_breaks_a_promise() {
    let mut counts = Counts::default();
    let (mut events, mut ended, mut released, mut broken) = (0, 0, 0, Vec::new());
    for seed in seeds() {
        let outcome = World::new(Scenario::of_seed(seed)).play();
        events += outcome.events;
        ended += outcome.ended;
        released += outcome.released;
        counts.add(&outcome.counts);
        broken.extend(
            outcome
                .broken
                .map(|broken| format!("seed {seed}: {broken}")),
        );
    }
    // Past the harness, so that a run says what it played.
    let _ = writeln!(
        std::io::stdout(),
        "{events} events, {} faults, {ended} jobs ended, {released} releases\n{counts}",
        counts.total()
    );
    assert!(
        broken.is_empty(),
        "{} broken\n{}",
        broken.len(),
        broken.join("\n")
    );
    assert!(released > 0 && ended > 0);
}
