//! Clusters, their nodes and prices.

use crate::provider::Autoscaler;
use crate::quantity::QuantityText;
pub use hcb_kubernetes::{Taint, TaintEffect};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A Kubernetes cluster.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// The name: at most 32 lower-case letters, digits and dashes. Mesh, scheduler and engine all use it.
    pub name: String,
    /// The tier. Tiers are filled strictly in the order of `scheduling.tiers`. Default: `private`.
    #[serde(default = "default_tier")]
    pub tier: String,
    /// The share of the jobs that this cluster gets among the open clusters of its tier. Default: 100.
    #[serde(default = "default_weight")]
    #[schemars(range(min = 0, max = 1000))]
    pub weight: u32,
    /// The Kubernetes version, in quotes: `"1.34"`.
    pub kubernetes: String,
    /// The region, as nodes carry it in `topology.kubernetes.io/region`.
    #[serde(default)]
    pub region: Option<String>,
    /// The zone, where all nodes are in one.
    #[serde(default)]
    pub zone: Option<String>,
    /// The network. Pods of clusters in one network reach each other directly. Default: the cluster's name.
    #[serde(default)]
    pub network: Option<String>,
    /// The version of Istio's charts here, where this cluster is upgraded before or after the others:
    /// at most one minor version apart. Default: `mesh.version`.
    #[serde(default)]
    pub mesh_version: Option<String>,
    /// Whether the cluster is being emptied: no further job goes there, whatever its tier, and those
    /// that run there run to their end. Default: false.
    #[serde(default)]
    pub drain: bool,
    /// What placement rules can ask for, such as `residency: eu`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How the API server is reached from the other clusters.
    #[serde(default)]
    pub api: Option<Api>,
    /// The ranges that pods get addresses from. Needed where clusters share a network.
    #[serde(default, rename = "podCIDRs")]
    pub pod_cidrs: Vec<String>,
    /// The nodes, by pool.
    #[schemars(length(min = 1))]
    pub node_pools: Vec<NodePool>,
    /// What adds and removes nodes. Needed where a pool has `min` and `max`.
    #[serde(default)]
    pub autoscaler: Option<Autoscaler>,
}

/// How an API server is reached from the other clusters.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Api {
    /// The URL, as the other clusters see it: `https://10.0.0.1:6443`.
    pub server: String,
}

/// Nodes of one kind.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodePool {
    /// The name.
    pub name: String,
    /// How many nodes there are, where that is fixed. Else say `min` and `max`.
    #[serde(default)]
    pub nodes: Option<u32>,
    /// The fewest nodes, where the pool is scaled. Default with `max`: 0.
    #[serde(default)]
    pub min: Option<u32>,
    /// The most nodes, where the pool is scaled.
    #[serde(default)]
    pub max: Option<u32>,
    /// CPUs of a node that pods can use.
    pub cpu: QuantityText,
    /// Memory of a node that pods can use, such as `64Gi`.
    pub memory: QuantityText,
    /// GPUs of a node.
    #[serde(default)]
    pub gpu: Option<Gpu>,
    /// The machine type at the cloud provider, such as `g5.2xlarge`.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// Whether nodes are spare capacity that the provider can take back. Default: false.
    #[serde(default)]
    pub spot: bool,
    /// What a node costs an hour, in the currency of the budget. Never guessed; needed for a budget.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub price_per_hour: Option<f64>,
    /// Labels of the nodes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints of the nodes.
    #[serde(default)]
    pub taints: Vec<Taint>,
}

/// GPUs, of a node or for a workload.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gpu {
    /// How many.
    #[schemars(range(min = 1, max = 64))]
    pub count: u32,
    /// The product, such as `nvidia-a100`. A workload that names none takes any.
    #[serde(default)]
    pub product: Option<String>,
    /// The name of the resource. Default: `nvidia.com/gpu`.
    #[serde(default = "default_gpu_resource")]
    pub resource: String,
}

fn default_tier() -> String {
    "private".into()
}
fn default_weight() -> u32 {
    100
}
fn default_gpu_resource() -> String {
    "nvidia.com/gpu".into()
}
