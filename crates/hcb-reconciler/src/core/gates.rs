//! The gates that the reconciler changes: those of clusters that are drained, and those of the first tier.
//!
//! Nothing passes the gate of a cluster that is drained, not even what was released to it before. The gates of the
//! first tier stand open, so that jobs run there whether or not a reconciler is there; one is closed only while a
//! crowd waits that the cluster has no room for, where trying it in vain costs the engine time.
//!
//! What fits is then released to the cluster one by one, as everywhere else.

use super::observation::Observation;
use super::pacing::Pacing;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::Gate;
use serde::{Deserialize, Serialize};

/// A gate that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateChange {
    /// The cluster, by its index in the configuration.
    pub cluster: usize,
    /// What it becomes.
    pub gate: Gate,
}

/// The gates to change, where `crowd` counts for each cluster the demands that would be tried there in
/// vain. Of a cluster that cannot be seen, it changes only whether it is drained.
pub fn changes(
    observation: &Observation,
    config: &ReconcilerConfig,
    pacing: &Pacing,
    crowd: &[usize],
) -> Vec<GateChange> {
    let clusters = config.clusters.iter().enumerate();
    let changes = clusters.filter_map(|(cluster, of)| {
        let state = &observation.clusters[cluster];
        let is_first = config.tier(of) == 0;
        let gate = match (of.drain, state.gate) {
            (true, _) => Gate::Drained,
            (false, Gate::Drained) if !is_first => Gate::Closed,
            (false, Gate::Drained) => Gate::Open,
            // Those of later tiers are closed by GitOps, from the start. A virtual node that was made anew has none.
            (false, Gate::Open) if !is_first && state.has_gate => Gate::Closed,
            (false, gate) if !is_first || !state.is_seen => gate,
            (false, Gate::Closed) if !pacing.is_crowd(crowd[cluster], true) => Gate::Open,
            (false, Gate::Open) if pacing.is_crowd(crowd[cluster], false) => Gate::Closed,
            (false, gate) => gate,
        };
        (gate != state.gate).then_some(GateChange { cluster, gate })
    });
    changes.collect()
}
