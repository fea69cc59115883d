//! Admiralty: a virtual node in the source stands for each cluster, and a candidate pod is made in each cluster that
//! its scheduler tries.
//!
//! A gate is a taint of a virtual node, and a pod is released by a toleration for it, which cannot be taken back.
//! Facts of Admiralty 0.17 are noted where they are used.

mod changes;
mod chaperons;
mod context;
mod manifest;
mod nodes;
mod pacing;
mod pods;

use super::Engine;
use super::change::Change;
use super::kubernetes::{Jobs, Quotas};
use super::watch::Watch;
use crate::core::demand::Demand;
use crate::core::pacing::Pacing;
use chaperons::Chaperons;
use context::ClusterContext;
use hcb_api::config::{Cluster, ReconcilerConfig};
use hcb_api::explanation::Explanation;
use hcb_api::gate::Gate;
use jiff::Timestamp;
use nodes::Nodes;
pub use pacing::PACING;
use pods::Pods;

/// Pods that are over hold no room any more, and are not looked at.
const UNFINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// The engine Admiralty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Admiralty;

impl Engine for Admiralty {
    fn pacing(&self) -> Pacing {
        PACING
    }

    fn watches(&self, config: &ReconcilerConfig, cluster: usize) -> Vec<Watch> {
        let context = || ClusterContext::new(config, cluster);
        let jobs = (cluster == config.source()).then(|| Watch::new::<Jobs>(cluster, cluster));
        let watches = [
            Watch::new::<Nodes>(cluster, context()),
            Watch::new::<Pods>(cluster, context()).of_fields(UNFINISHED),
            Watch::new::<Chaperons>(cluster, cluster),
            Watch::new::<Quotas>(cluster, cluster),
        ];
        watches.into_iter().chain(jobs).collect()
    }

    fn admit(
        &self,
        demand: &Demand,
        clusters: &[&Cluster],
        why: Option<&Explanation>,
        now: Timestamp,
    ) -> Change {
        changes::admit(demand, clusters, why, now)
    }

    fn set_gate(&self, cluster: &Cluster, gate: Gate) -> Option<Change> {
        Some(changes::set_gate(cluster, gate))
    }

    fn nudge(&self, demand: &Demand, now: Timestamp) -> Option<Change> {
        Some(changes::nudge(demand, now))
    }

    fn unstick(&self, candidate: &(String, String)) -> Vec<Change> {
        changes::unstick(candidate)
    }
}
