//! Nodes: real ones, and the virtual ones by which Admiralty shows clusters to the scheduler of the source.

use super::context::ClusterContext;
use crate::core::facts::{Fact, Watched};
use crate::engine::kubernetes::{NodeSpec, NodeStatus, node_state};
use crate::engine::object::{Object, WatchedKind};
use hcb_api::gate::{GATE, Gate};
use hcb_api::labels::TARGET;

/// Nodes. Those of Admiralty stand for clusters, and carry their gates as taints.
#[derive(Clone, Debug)]
pub(super) enum Nodes {}

impl WatchedKind for Nodes {
    const WATCHED: Watched = Watched::Nodes;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "Node";
    const PLURAL: &'static str = "nodes";
    type Spec = NodeSpec;
    type Status = NodeStatus;
    type Context = ClusterContext;

    fn observed(context: &mut Self::Context, node: &Object<Self>) -> Option<Fact> {
        let name = node.metadata.name.clone().unwrap_or_default();
        let labels = node.metadata.labels.as_ref();
        let is_virtual = labels.is_some_and(|labels| labels.contains_key(TARGET));
        if is_virtual || context.virtual_nodes.contains_key(&name) {
            let stands_for = context.virtual_nodes.get(&name);
            let cluster = stands_for.and_then(|cluster| context.index(cluster));
            let mut taints = node.spec.taints.iter();
            let gate = taints
                .find(|taint| taint.key == GATE)
                .map(|taint| Gate::of_value(taint.value.as_deref().unwrap_or_default()))
                .unwrap_or_default();
            return cluster
                .filter(|_| context.is_source)
                .map(|cluster| Fact::Gate(cluster, gate));
        }
        Some(Fact::Node(context.cluster, name, node_state(node)))
    }

    fn gone(context: &mut Self::Context, node: &Object<Self>) -> Fact {
        let name = node.metadata.name.clone().unwrap_or_default();
        let stands_for = context.virtual_nodes.get(&name);
        let cluster = stands_for.and_then(|cluster| context.index(cluster));
        match cluster.filter(|_| context.is_source) {
            Some(cluster) => Fact::GateGone(cluster),
            None => Fact::NodeGone(context.cluster, name),
        }
    }
}
