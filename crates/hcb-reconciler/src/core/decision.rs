//! What is decided: the core says it, the runtime has the engine do it.

use super::demand::Demand;
use super::gates::GateChange;
use hcb_api::status::{LiveWeight, TierState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A demand that may leave for a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of it that this was decided of.
    pub version: String,
    /// The cluster that it is released to.
    pub cluster: String,
}

/// A demand that the engine should look at again: a place is reserved for it, or is free, which nothing else
/// tells the engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nudge {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Nudge {
    /// Of this demand.
    pub fn of(pod: &Demand) -> Self {
        Self {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
        }
    }
}

/// Why a demand was not released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NotReleased {
    /// It was not what it had been.
    Changed,
    /// The API server refused, for this reason.
    Refused(String),
    /// No answer came, for this reason: it may have been released.
    Unknown(String),
}

/// A pod that an engine made of a demand in a cluster: the index of the cluster, its namespace and its name.
pub type Candidate = (usize, (String, String));

/// Why a demand waits, or where it may go. Aliases are what 0.1.0 wrote into records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// A cluster has reserved a place for it; the engine binds it there.
    #[serde(alias = "kept")]
    PlaceReserved(String),
    /// A cluster of the first tier has room; the engine places it there.
    #[serde(alias = "fits")]
    FitsFirstTier(String),
    /// A cluster of the first tier is adding a node for it.
    #[serde(alias = "grows")]
    AwaitingScaleUp(String),
    /// It has not waited for as long as the spec asks for; it has until then.
    #[serde(alias = "waits")]
    BurstDelayed(Timestamp),
    /// It may go to this cluster.
    Released(String),
    /// It could not be released, for this reason, and is tried again at this time.
    ReleaseFailed {
        /// Why.
        why: String,
        /// When it is tried again.
        again_at: Timestamp,
    },
    /// It is released to a cluster of this tier as soon as the engine is done with those before it.
    #[serde(alias = "next")]
    QueuedForBurst(String),
    /// A cluster that it may run in cannot be reached; nothing is opened blindly.
    #[serde(alias = "unseen")]
    ClusterUnreachable(String),
    /// There is room to be bought, but not for the budget.
    #[serde(alias = "budget")]
    OverBudget {
        /// The cluster that would grow.
        cluster: String,
        /// The period that the budget is for.
        period: Period,
        /// What all nodes would cost an hour then, or what a month could cost until all that was released has ended.
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

/// What was decided of a demand that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Its uid.
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
    /// What the engine should look at again.
    #[serde(rename = "wakes")]
    pub nudges: Vec<Nudge>,
    /// Candidates of demands that were recalled to an earlier tier, which has room for them by now: they must not
    /// take the places that are reserved for them.
    #[serde(rename = "held", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub recalled: BTreeSet<Candidate>,
    /// Demands that a cluster of the first tier has room for, as far as is counted, and whose candidates there have no
    /// place: by uid and cluster.
    #[serde(skip)]
    pub unplaced: BTreeSet<(String, usize)>,
    /// Those of them that it has had room for so long that its scheduler must have a reason that is not counted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub passed_over: BTreeSet<(String, usize)>,
    /// One verdict for each demand that waits.
    pub verdicts: Vec<Verdict>,
    /// What the nodes of the later tiers cost an hour, with those that were decided on.
    pub hourly_cost: f64,
    /// When time alone changes the decision.
    pub look_again: Option<Timestamp>,
    /// The weights that demands were shared out by.
    pub weights: Vec<LiveWeight>,
    /// By how much each cluster is behind its share after it.
    pub credits: Vec<f64>,
    /// The tiers after it.
    pub tiers: Vec<TierState>,
    /// When it was made, where the engine's scheduler was free for another demand.
    #[serde(rename = "turn", default)]
    pub scheduler_free: Option<Timestamp>,
}
