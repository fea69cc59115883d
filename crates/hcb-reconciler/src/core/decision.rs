//! What is decided: the words between the core, which chooses them, and the shell, which acts on them.

use super::gates::GateChange;
use super::memory::TierState;
use super::observation::JobPod;
use super::weights::LiveWeight;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A pod that may pass a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
    /// The version of the pod that this was decided of.
    pub version: String,
    /// The cluster whose gate it may pass.
    pub cluster: String,
}

/// A pod that the scheduler should look at again: a place is kept for it, or is free, which nothing tells
/// the scheduler. By itself it looks a minute later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
}

impl Wake {
    /// Of this pod.
    pub fn of(pod: &JobPod) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        }
    }
}

/// A pod that stands for one of the source: the index of its cluster, its namespace and its name.
pub type Candidate = (usize, (String, String));

/// Why a pod waits, or where it may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// A cluster keeps a place for it; the scheduler takes that.
    Kept(String),
    /// A cluster of the first tier has room; the scheduler places it there.
    Fits(String),
    /// A cluster of the first tier is adding a node for it.
    Grows(String),
    /// It has not waited for as long as the spec asks for; it has until then.
    Waits(Timestamp),
    /// It may go to this cluster.
    Released(String),
    /// It may go to a cluster of this tier as soon as the scheduler has seen to those before it.
    Next(String),
    /// A cluster that it may run in cannot be seen; nothing is opened blindly.
    Unseen(String),
    /// There is room to be bought, but not for the budget.
    Budget {
        /// The cluster that would grow.
        cluster: String,
        /// The period that the budget is for.
        period: Period,
        /// What all nodes would cost an hour then, or what the month would have cost by then.
        cost: f64,
    },
    /// No cluster that it may run in has room, or can make any.
    NoRoom,
}

/// The period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Period {
    /// An hour.
    Hour,
    /// A calendar month.
    Month,
}

/// What was decided of a waiting pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The pod's uid.
    pub uid: String,
    /// What was decided.
    pub outcome: Outcome,
}

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// What to do.
    pub releases: Vec<Release>,
    /// Gates to change.
    #[serde(default)]
    pub gates: Vec<GateChange>,
    /// Whom to wake.
    pub wakes: Vec<Wake>,
    /// Candidates of pods that an earlier tier has room for: what is kept for them is not theirs to take.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub held: BTreeSet<Candidate>,
    /// One verdict for each pod that waits.
    pub verdicts: Vec<Verdict>,
    /// What the nodes of the later tiers cost an hour, with those that were decided on.
    pub hourly_cost: f64,
    /// When time alone changes the decision.
    pub look_again: Option<Timestamp>,
    /// The weights that pods were shared out by.
    pub weights: Vec<LiveWeight>,
    /// By how much each cluster is behind its share after it.
    pub credits: Vec<f64>,
    /// The tiers after it.
    pub tiers: Vec<TierState>,
    /// When it was made, where a pod was let go or could have been since the scheduler has nothing to do.
    #[serde(default)]
    pub turn: Option<Timestamp>,
}
