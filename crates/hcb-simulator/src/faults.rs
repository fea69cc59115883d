//! Faults: what goes wrong, how often, and in which phases of pods it did.

use std::collections::BTreeMap;
use std::fmt;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A watch brings nothing for some seconds.
    LateWatch,
    /// A watch lists all anew.
    Relist,
    /// An API server does not answer for some seconds or minutes.
    Silence,
    /// A release is refused, for this pod for ever.
    RefusedPod,
    /// Somebody was faster than a change of the reconciler's.
    Conflict,
    /// A change is made and its answer is lost.
    LostAnswer,
    /// A change is refused once.
    Refused,
    /// The leader dies, and the next one goes on from what was saved, at once or minutes later, with another clock.
    Restart,
    /// The budget changes.
    Budget,
    /// A cluster is drained, or is not any more.
    Drain,
    /// A node goes, with what runs on it.
    LostNode,
    /// Somebody makes a node by hand.
    NodeByHand,
    /// A node that was asked for never comes.
    NoNode,
    /// A node that was asked for offers less.
    SmallNode,
    /// A virtual node is made anew without its gate.
    LostGate,
    /// Somebody changes a pod that waits.
    TouchedPod,
}

/// All faults.
pub const ALL: [Fault; 16] = [
    Fault::LateWatch,
    Fault::Relist,
    Fault::Silence,
    Fault::RefusedPod,
    Fault::Conflict,
    Fault::LostAnswer,
    Fault::Refused,
    Fault::Restart,
    Fault::Budget,
    Fault::Drain,
    Fault::LostNode,
    Fault::NodeByHand,
    Fault::NoNode,
    Fault::SmallNode,
    Fault::LostGate,
    Fault::TouchedPod,
];

/// A phase of the life of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It was not tried yet.
    New,
    /// It was tried and waits.
    Waiting,
    /// It was released to a later tier and has no place.
    Released,
    /// A place is reserved for it.
    Reserved,
    /// It runs.
    Running,
}

/// How often faults came while a pod was in a phase.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// By fault and phase.
    pub by_phase: BTreeMap<(Fault, Phase), u64>,
    /// By fault.
    pub faults: BTreeMap<Fault, u64>,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.by_phase {
            *self.by_phase.entry(*key).or_default() += count;
        }
        for (key, count) in &other.faults {
            *self.faults.entry(*key).or_default() += count;
        }
    }

    /// How many faults came.
    pub fn total(&self) -> u64 {
        self.faults.values().sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "fault        times      new  waiting released reserved  running"
        )?;
        let phases = [
            Phase::New,
            Phase::Waiting,
            Phase::Released,
            Phase::Reserved,
            Phase::Running,
        ];
        for (fault, times) in &self.faults {
            write!(formatter, "{:11} {times:6}", format!("{fault:?}"))?;
            for phase in phases {
                let count = self
                    .by_phase
                    .get(&(*fault, phase))
                    .copied()
                    .unwrap_or_default();
                write!(formatter, " {count:8}")?;
            }
            writeln!(formatter)?;
        }
        Ok(())
    }
}
