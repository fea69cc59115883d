//! The platform team's document: `kind: HybridCloud`.

use super::cluster::Cluster;
use super::metadata::{ApiVersion, Metadata};
use super::platform::{Addons, ObjectStore, Scheduling};
use super::policies::Policies;
use crate::gitops::GitOps;
use crate::mesh::Mesh;
use crate::quantity::QuantityText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A hybrid cloud: its clusters, how they are joined, and how jobs are spread over them.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HybridCloudDocument {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: HybridCloudKind,
    /// The name of the hybrid cloud.
    pub metadata: Metadata,
    /// What it consists of.
    pub spec: HybridCloud,
}

/// `HybridCloud`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum HybridCloudKind {
    /// The platform team's document.
    HybridCloud,
}

/// What a hybrid cloud consists of.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HybridCloud {
    /// How the manifests reach the clusters.
    pub gitops: GitOps,
    /// The clusters. The first tier is filled first; at least one cluster must be in it.
    #[schemars(length(min = 1))]
    pub clusters: Vec<Cluster>,
    /// The service mesh that joins the clusters.
    #[serde(default)]
    pub mesh: Mesh,
    /// How jobs are spread over the clusters.
    #[serde(default)]
    pub scheduling: Scheduling,
    /// Where jobs read their data and write their results. Needed by workloads with `data`.
    #[serde(default)]
    pub object_store: Option<ObjectStore>,
    /// Where secrets come from. No secret value is ever written to Git.
    #[serde(default)]
    pub secrets: Secrets,
    /// The namespaces of workloads, with what is particular to them. A workload's namespace need
    /// not be listed here.
    #[serde(default)]
    pub namespaces: Vec<WorkloadNamespace>,
    /// What else is installed because the rest needs it.
    #[serde(default)]
    pub addons: Addons,
    /// What is done about policies: actions, parameters, exceptions. The built-in ones are in force
    /// without it.
    #[serde(default)]
    pub policies: Policies,
}

/// Where secrets come from: an External Secrets store.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Secrets {
    /// Name of the `ClusterSecretStore` that exists in every cluster. Default: `hcb`.
    #[serde(default = "default_store")]
    pub store: String,
    /// What the keys in the store start with. Default: the name of the hybrid cloud.
    #[serde(default)]
    pub prefix: Option<String>,
    /// What stands between the parts of a key. Stores whose names have no slashes, such as Google's,
    /// Azure's and Kubernetes' own, need `-`. Default: `/`.
    #[serde(default)]
    pub separator: Separator,
    /// How often secrets are read again. Default: `1h`.
    #[serde(default = "default_refresh")]
    pub refresh_interval: String,
    /// How credentials of one cluster reach the others. Default: `push`.
    #[serde(default)]
    pub exchange: Exchange,
}

/// What stands between the parts of a key in the secret store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
pub enum Separator {
    /// As in a path.
    #[default]
    #[serde(rename = "/")]
    Slash,
    /// A name without slashes.
    #[serde(rename = "-")]
    Dash,
}

/// How credentials of one cluster (tokens of service accounts) reach the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exchange {
    /// Each cluster pushes its own to the store, by a `PushSecret`; the store must allow writing.
    #[default]
    Push,
    /// A person or another tool puts them into the store.
    Manual,
}

/// A namespace of workloads.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadNamespace {
    /// The name.
    pub name: String,
    /// The most that its pods may request at once in each cluster.
    #[serde(default)]
    pub quota: Option<Quota>,
}

/// The most that the pods of a namespace may request at once in one cluster.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Quota {
    /// CPUs, such as `64` or `500m`.
    #[serde(default)]
    pub cpu: Option<QuantityText>,
    /// Memory, such as `256Gi`.
    #[serde(default)]
    pub memory: Option<QuantityText>,
    /// GPUs, of each kind.
    #[serde(default)]
    pub gpus: Option<u32>,
    /// Pods, running or waiting.
    #[serde(default)]
    pub pods: Option<u32>,
}

fn default_store() -> String {
    "hcb".into()
}
fn default_refresh() -> String {
    "1h".into()
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            store: default_store(),
            prefix: None,
            separator: Separator::default(),
            refresh_interval: default_refresh(),
            exchange: Exchange::default(),
        }
    }
}
