//! Clusters, their nodes, prices and autoscalers.

use super::QuantityText;
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

/// What adds and removes nodes of a cluster.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscaler {
    /// Who does it.
    pub provider: AutoscalerProvider,
    /// The most that the cluster may have, over all pools.
    #[serde(default)]
    pub limits: AutoscalerLimits,
    /// How long a node must be empty before it is removed. Default: `10m`.
    #[serde(default = "default_scale_down_after")]
    pub scale_down_after: String,
    /// Settings of `cluster-api`.
    #[serde(default)]
    pub cluster_api: Option<ClusterApi>,
    /// Settings of `karpenter`.
    #[serde(default)]
    pub karpenter: Option<Karpenter>,
    /// Settings of `gke`.
    #[serde(default)]
    pub gke: Option<Gke>,
    /// Settings of `eks`.
    #[serde(default)]
    pub eks: Option<Eks>,
    /// Settings of `aks`.
    #[serde(default)]
    pub aks: Option<Aks>,
    /// Settings of `cluster-autoscaler`.
    #[serde(default)]
    pub cluster_autoscaler: Option<ClusterAutoscaler>,
}

/// Who adds and removes nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoscalerProvider {
    /// Cluster API `MachineDeployments`, scaled by the cluster-autoscaler.
    ClusterApi,
    /// Karpenter `NodePools`.
    Karpenter,
    /// GKE node pools, by Config Connector.
    Gke,
    /// EKS managed node groups, by AWS Controllers for Kubernetes, scaled by the cluster-autoscaler.
    Eks,
    /// AKS agent pools, by Azure Service Operator.
    Aks,
    /// The cluster-autoscaler on node groups that exist already.
    ClusterAutoscaler,
}

/// The most that a cluster may have, over all its pools.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoscalerLimits {
    /// Nodes.
    #[serde(default)]
    pub nodes: Option<u32>,
    /// CPUs.
    #[serde(default)]
    pub cpu: Option<QuantityText>,
    /// Memory.
    #[serde(default)]
    pub memory: Option<QuantityText>,
    /// GPUs.
    #[serde(default)]
    pub gpus: Option<u32>,
}

/// Settings of Cluster API: `cluster.x-k8s.io/v1beta2`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterApi {
    /// The cluster that holds the Cluster API objects. Default: the source cluster.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `default`.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Name of the `Cluster` object. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The full Kubernetes version of the machines, such as `v1.34.4`.
    pub version: String,
    /// The template that machines are bootstrapped from, the same for every pool.
    pub bootstrap: TemplateReference,
    /// The template that machines are made from; `{pool}` in its name is the pool's name.
    pub infrastructure: TemplateReference,
}

/// A template object of Cluster API.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateReference {
    /// The API group, such as `bootstrap.cluster.x-k8s.io`.
    pub api_group: String,
    /// The kind, such as `KubeadmConfigTemplate`.
    pub kind: String,
    /// The name; `{pool}` in it is the pool's name.
    pub name: String,
}

/// Settings of Karpenter: `karpenter.sh/v1`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Karpenter {
    /// The name of the cluster at the provider. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The node class that exists in the cluster and says how machines are made.
    pub node_class: NodeClassReference,
    /// Installs Karpenter. Without it, Karpenter is expected to be there.
    #[serde(default)]
    pub install: Option<KarpenterInstall>,
}

/// An install of Karpenter by hcb.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KarpenterInstall {
    /// Version of the Helm chart.
    pub version: String,
    /// The IAM role that Karpenter runs as.
    pub role_arn: String,
    /// The SQS queue that announces interruptions of spot nodes.
    #[serde(default)]
    pub interruption_queue: Option<String>,
}

/// A node class of Karpenter.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeClassReference {
    /// The API group. Default: `karpenter.k8s.aws`.
    #[serde(default = "default_node_class_group")]
    pub group: String,
    /// The kind. Default: `EC2NodeClass`.
    #[serde(default = "default_node_class_kind")]
    pub kind: String,
    /// The name.
    pub name: String,
}

/// Settings of GKE node pools: `container.cnrm.cloud.google.com/v1beta1`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gke {
    /// The Google Cloud project.
    pub project: String,
    /// The region or zone of the cluster.
    pub location: String,
    /// The name of the cluster at Google. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The cluster that Config Connector runs in. Default: the cluster itself.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `config-connector`.
    #[serde(default = "default_gke_namespace")]
    pub namespace: String,
    /// The zones of the nodes. Default: those of the cluster.
    #[serde(default)]
    pub node_locations: Vec<String>,
    /// The service account of the nodes.
    #[serde(default)]
    pub service_account: Option<String>,
}

/// Settings of EKS managed node groups: `eks.services.k8s.aws/v1alpha1`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Eks {
    /// The AWS region.
    pub region: String,
    /// The name of the cluster at AWS. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The cluster that the ACK controller runs in. Default: the cluster itself.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `ack-system`.
    #[serde(default = "default_eks_namespace")]
    pub namespace: String,
    /// The IAM role of the nodes.
    pub node_role_arn: String,
    /// The subnets of the nodes.
    #[schemars(length(min = 1))]
    pub subnets: Vec<String>,
    /// The IAM role that the cluster-autoscaler runs as.
    pub autoscaler_role_arn: String,
}

/// Settings of AKS agent pools: `containerservice.azure.com`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aks {
    /// The ARM id of the managed cluster.
    pub cluster_arm_id: String,
    /// The cluster that Azure Service Operator runs in. Default: the cluster itself.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `azure`.
    #[serde(default = "default_aks_namespace")]
    pub namespace: String,
    /// The ARM id of the subnet of the nodes.
    #[serde(default)]
    pub subnet_arm_id: Option<String>,
}

/// Settings of the cluster-autoscaler on node groups that exist already.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterAutoscaler {
    /// The cloud provider as the cluster-autoscaler calls it, such as `aws`, `azure`, `gce`, `hetzner`.
    pub cloud_provider: String,
    /// Further environment variables of the cluster-autoscaler, such as a region.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Annotations of its service account, such as the cloud role it runs as.
    #[serde(default)]
    pub service_account_annotations: BTreeMap<String, String>,
    /// The name of the provider's node group of a pool; `{pool}` is the pool's name. Default: `{pool}`.
    #[serde(default = "default_node_group")]
    pub node_group: String,
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
fn default_scale_down_after() -> String {
    "10m".into()
}
fn default_namespace() -> String {
    "default".into()
}
fn default_node_class_group() -> String {
    "karpenter.k8s.aws".into()
}
fn default_node_class_kind() -> String {
    "EC2NodeClass".into()
}
fn default_gke_namespace() -> String {
    "config-connector".into()
}
fn default_eks_namespace() -> String {
    "ack-system".into()
}
fn default_aks_namespace() -> String {
    "azure".into()
}
fn default_node_group() -> String {
    "{pool}".into()
}
