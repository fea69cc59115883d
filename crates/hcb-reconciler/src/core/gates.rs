//! The gates that the reconciler changes: those of clusters that are drained, and those of the first tier.
//!
//! Who is drained has a gate that no pod is let through, not even one that was let go before. The gates of
//! the first tier stand open, so that jobs run there whether or not a reconciler is
//! there; one is closed only while a crowd waits that the cluster has no room for.
//!
//! Admiralty's scheduler takes a second for each pod that it tries for the first time, one after another
//! (it makes a candidate and asks a second later what became of it; Admiralty 0.17,
//! `pkg/scheduler_plugins/proxy`). Of 100 pods that wait for a full cluster the last would be tried two
//! minutes later, and who has got a place elsewhere meanwhile would lose it after 30 seconds, because the
//! scheduler does not come back in time. Behind a closed gate a try takes milliseconds; who fits is let
//! through one by one, as everywhere else.

use super::observation::Observation;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::Gate;
use serde::{Deserialize, Serialize};

/// So many pods that were not tried there yet, and would be for nothing, are a crowd.
///
/// The scheduler tries about one a second, so that three keep it for three seconds: a tenth of the 30 for
/// which a place that is kept elsewhere waits for it. Each more is a second more, and a gate costs two changes
/// of a node, so it is closed long before a place is at stake. It stays open for fewer, since one or two are
/// there for a moment whenever jobs come and go, and it would flap. Four is reasoned and not tuned; the
/// scenario `many` of the experiment was measured with it.
pub const CROWD: usize = 4;
/// With no more than so many left, the gate opens. Less than [`CROWD`], so that it does not flap.
const REST: usize = 1;

/// A gate that is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GateChange {
    /// The cluster, by its index in the configuration.
    pub cluster: usize,
    /// What it becomes.
    pub gate: Gate,
}

/// The gates to change, where `crowd` counts for each cluster the pods that would be tried there for
/// nothing. Of a cluster that cannot be seen, it changes only whether it is drained.
pub fn changes(
    observation: &Observation,
    config: &ReconcilerConfig,
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
            // Those of later tiers are closed by GitOps, from the start.
            (false, gate) if !is_first || !state.is_seen => gate,
            (false, Gate::Closed) if crowd[cluster] <= REST => Gate::Open,
            (false, Gate::Open) if crowd[cluster] >= CROWD => Gate::Closed,
            (false, gate) => gate,
        };
        (gate != state.gate).then_some(GateChange { cluster, gate })
    });
    changes.collect()
}
