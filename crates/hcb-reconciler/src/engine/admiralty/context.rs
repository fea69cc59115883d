//! What reading the objects of a cluster takes.

use hcb_api::config::ReconcilerConfig;
use hcb_api::requirements::PodRequirements;
use std::collections::HashMap;
use std::sync::Arc;

/// What reading the objects of one cluster takes.
#[derive(Debug)]
pub(super) struct ClusterContext {
    /// The cluster's index in the configuration.
    pub(super) cluster: usize,
    /// Whether jobs are created in it.
    pub(super) is_source: bool,
    /// The clusters' names.
    pub(super) names: Vec<String>,
    /// The clusters' names by those of their virtual nodes.
    pub(super) virtual_nodes: HashMap<String, String>,
    /// What pods ask for, by their uids: it never changes, and is costly to read.
    pub(super) requirements: HashMap<String, Arc<PodRequirements>>,
}

impl ClusterContext {
    pub(super) fn new(config: &ReconcilerConfig, cluster: usize) -> Self {
        let clusters = || config.clusters.iter();
        Self {
            cluster,
            is_source: cluster == config.source(),
            names: clusters().map(|cluster| cluster.name.clone()).collect(),
            virtual_nodes: clusters()
                .map(|cluster| (cluster.virtual_node.clone(), cluster.name.clone()))
                .collect(),
            requirements: HashMap::new(),
        }
    }

    /// The index of the cluster of a name.
    pub(super) fn index(&self, cluster: &str) -> Option<usize> {
        self.names.iter().position(|name| name == cluster)
    }
}
