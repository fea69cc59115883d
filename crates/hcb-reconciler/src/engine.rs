//! How the reconciler reads a scheduling engine and tells it what was decided.
//!
//! An engine is a folder beside this file: what it watches and which facts its objects make, its pace, and the
//! changes that release, nudge and so on. [`registry`] names it.

pub mod admiralty;
pub mod change;
pub mod kubernetes;
pub mod object;
pub mod registry;
pub mod watch;

use crate::core::demand::Demand;
use crate::core::pacing::Pacing;
use change::Change;
use hcb_api::config::{Cluster, ReconcilerConfig};
use hcb_api::explanation::Explanation;
use hcb_api::gate::Gate;
use jiff::Timestamp;
use std::fmt::Debug;
use watch::Watch;

/// A scheduling engine, as the reconciler sees it.
///
/// Invariants that the core and the runtime count on:
/// - **All state is in the clusters.** An engine keeps nothing between calls, so that any replica goes on from what
///   is watched. What was admitted is seen as [`Demand::released`] once its change is watched, and at once by the
///   [`Fact::Released`](crate::core::facts::Fact::Released) that the runtime adds.
/// - **Changes are data.** An engine asks no cluster; the runtime makes its changes, each of one object.
/// - **A change holds for what was seen.** [`Engine::admit`] must fail where the demand changed since
///   [`Demand::version`]: another replica may have admitted it elsewhere.
/// - **Admitting is one way.** What was admitted to a cluster may be placed there until it ends; the core counts its
///   room there and admits it to another cluster only after
///   [`GIVE_UP_AFTER`](crate::core::decide::GIVE_UP_AFTER).
/// - **Every change may be made twice**, and made when it is not needed any more, without harm.
pub trait Engine: Debug + Send + Sync {
    /// How fast its scheduler can be fed. It must not change while a reconciler runs.
    fn pacing(&self) -> Pacing;

    /// What is watched in a cluster, by its index in the configuration. Nodes and pods must be among it: what is
    /// free is counted from them. In the source cluster one of these also makes
    /// [`Fact::Demand`](crate::core::facts::Fact::Demand).
    fn watches(&self, config: &ReconcilerConfig, cluster: usize) -> Vec<Watch>;

    /// Lets a demand be placed in clusters, beside those that it was released to before, and notes why where it is
    /// given. The object must then carry all that [`Demand::released`] is read from. In the source cluster.
    fn admit(
        &self,
        demand: &Demand,
        clusters: &[&Cluster],
        why: Option<&Explanation>,
        now: Timestamp,
    ) -> Change;

    /// Makes the gate of a cluster what it is to be; none where the engine has no gates. In the source cluster.
    fn set_gate(&self, cluster: &Cluster, gate: Gate) -> Option<Change>;

    /// Makes the engine look at a demand again; none where it looks by itself. In the source cluster.
    fn nudge(&self, demand: &Demand, now: Timestamp) -> Option<Change>;

    /// Takes the stale refusal off a candidate, by namespace and name, that a place is reserved for: one change after
    /// another, in the candidate's cluster. None where candidates have no such condition.
    fn unstick(&self, candidate: &(String, String)) -> Vec<Change>;
}
