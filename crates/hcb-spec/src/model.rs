//! The spec understood: defaults filled in, references resolved, quantities read.
//!
//! [`validate`](crate::validate()) turns a [`Spec`](crate::spec::Spec) into a [`Model`] and reports everything
//! that is wrong with it. A model without error findings can be planned; later stages do not check again.

pub use crate::provider::Provider;
pub use hcb_kubernetes::{Quantity, Seconds};

use crate::spec;
use hcb_kubernetes::schema::KubernetesVersion;
use hcb_source::source::Location;
use std::collections::BTreeMap;

/// Index of a cluster in [`Model::clusters`].
pub type ClusterIndex = usize;

/// A hybrid cloud, ready to be planned.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its name.
    pub name: String,
    /// Where it is named.
    pub location: Location,
    /// How the manifests reach the clusters.
    pub gitops: GitOps,
    /// The tiers in the order in which they are filled.
    pub tiers: Vec<String>,
    /// The clusters, in the order of the spec.
    pub clusters: Vec<Cluster>,
    /// The cluster that jobs are created in.
    pub source: ClusterIndex,
    /// The mesh, unless there is none.
    pub mesh: Option<Mesh>,
    /// How jobs are distributed.
    pub scheduling: Scheduling,
    /// The object store for data.
    pub object_store: Option<ObjectStore>,
    /// Where secrets come from.
    pub secrets: Secrets,
    /// Every namespace of workloads, by name.
    pub namespaces: Vec<Namespace>,
    /// The workloads, in the order of the spec.
    pub workloads: Vec<Workload>,
    /// The add-ons to install.
    pub addons: spec::Addons,
}

/// How the manifests reach the clusters.
#[derive(Debug, Clone)]
pub struct GitOps {
    /// The engine.
    pub engine: spec::GitOpsEngine,
    /// The URL of the repository.
    pub repository: String,
    /// The branch, tag or commit.
    pub revision: String,
    /// The folder of the tree in the repository, without slashes at the ends.
    pub path: String,
    /// One engine for all clusters, or one each.
    pub delivery: spec::Delivery,
    /// The cluster of the hub.
    pub hub: ClusterIndex,
    /// The namespace of the engine.
    pub namespace: String,
    /// How often Flux looks.
    pub interval: Seconds,
    /// The Secret with the repository's credentials, for Flux.
    pub credentials_secret: Option<String>,
    /// Its place in the spec.
    pub location: Location,
}

/// A cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Its name, in mesh, scheduler and engine.
    pub name: String,
    /// Index in [`Model::tiers`].
    pub tier: usize,
    /// Its share within the tier.
    pub weight: u32,
    /// Its version.
    pub kubernetes: KubernetesVersion,
    /// Its region.
    pub region: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
    /// Its network.
    pub network: String,
    /// The version of Istio's charts, where that is not the mesh's.
    pub mesh_version: Option<String>,
    /// Whether no further job goes there.
    pub drain: bool,
    /// The labels that placement can require.
    pub labels: BTreeMap<String, String>,
    /// The URL of its API server for other clusters. It is there if another cluster needs it.
    pub api_server: Option<String>,
    /// Its nodes.
    pub pools: Vec<NodePool>,
    /// What adds and removes nodes.
    pub autoscaler: Option<Autoscaler>,
    /// Its place in the spec.
    pub location: Location,
}

/// Nodes of one kind.
#[derive(Debug, Clone)]
pub struct NodePool {
    /// Its name.
    pub name: String,
    /// The fewest nodes. The same as `max` where the number is fixed.
    pub min: u32,
    /// The most nodes.
    pub max: u32,
    /// Whether an autoscaler sets the number, even where both bounds are the same.
    pub is_scaled: bool,
    /// CPUs of a node.
    pub cpu: Quantity,
    /// Memory of a node.
    pub memory: Quantity,
    /// GPUs of a node.
    pub gpu: Option<spec::Gpu>,
    /// The machine type.
    pub instance_type: Option<String>,
    /// Whether the provider can take nodes back.
    pub spot: bool,
    /// What a node costs an hour.
    pub price_per_hour: Option<f64>,
    /// Labels of its nodes.
    pub labels: BTreeMap<String, String>,
    /// Taints of its nodes.
    pub taints: Vec<spec::Taint>,
    /// Its place in the spec.
    pub location: Location,
}

/// What adds and removes nodes.
#[derive(Debug, Clone)]
pub struct Autoscaler {
    /// The most nodes.
    pub max_nodes: u32,
    /// The most CPUs.
    pub max_cpu: Quantity,
    /// The most memory.
    pub max_memory: Quantity,
    /// The most GPUs.
    pub max_gpus: u32,
    /// How long a node must be empty.
    pub scale_down_after: Seconds,
    /// The provider.
    pub provider: Provider,
    /// The cluster that holds the provider's objects.
    pub management: ClusterIndex,
    /// Its place in the spec.
    pub location: Location,
}

/// The mesh.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// Its settings.
    pub settings: spec::Mesh,
    /// Its id.
    pub id: String,
    /// Its place in the spec.
    pub location: Location,
}

/// How jobs are distributed.
#[derive(Debug, Clone)]
pub struct Scheduling {
    /// What sends pods to other clusters.
    pub engine: spec::SchedulingEngine,
    /// The version of Admiralty's chart.
    pub version: String,
    /// How long a pod waits before the next tier opens.
    pub burst_after: Seconds,
    /// How long no pod must have waited before a tier closes.
    pub fall_back_after: Seconds,
    /// What happens without a reconciler.
    pub when_reconciler_down: spec::WhenReconcilerDown,
    /// The most that bursting may cost.
    pub budget: Option<spec::Budget>,
    /// How weights may change.
    pub weights: spec::WeightAdjustment,
    /// Priorities by name.
    pub priorities: BTreeMap<String, i32>,
    /// The reconciler.
    pub reconciler: spec::Reconciler,
    /// Its place in the spec.
    pub location: Location,
}

/// The object store for data.
#[derive(Debug, Clone)]
pub struct ObjectStore {
    /// Where an object store is.
    pub kind: ObjectStoreKind,
    /// The S3 region.
    pub region: String,
    /// Where requests have the name of a bucket.
    pub addressing: spec::Addressing,
    /// The key of the credentials in the secret store, with the prefix.
    pub credentials_key: String,
    /// Its place in the spec.
    pub location: Location,
}

/// Where an object store is.
#[derive(Debug, Clone)]
pub enum ObjectStoreKind {
    /// A Service in a cluster.
    InCluster {
        /// The cluster.
        cluster: ClusterIndex,
        /// The namespace, the Service, its port and the labels of its pods.
        service: spec::StoreInCluster,
    },
    /// A URL.
    External(url::Url),
}

/// Where secrets come from.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// The `ClusterSecretStore`.
    pub store: String,
    /// What keys start with.
    pub prefix: String,
    /// The separator of the parts of a key.
    pub separator: spec::Separator,
    /// How often they are read again.
    pub refresh_interval: Seconds,
    /// How credentials of one cluster reach the others.
    pub exchange: spec::Exchange,
    /// Its place in the spec.
    pub location: Location,
}

impl Secrets {
    /// A key in the store, with the prefix. The parts of `name` are separated by slashes.
    pub fn key(&self, name: &str) -> String {
        let key = format!("{}/{name}", self.prefix);
        match self.separator {
            spec::Separator::Slash => key,
            spec::Separator::Dash => key.replace('/', "-"),
        }
    }
}

/// A namespace of workloads.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// What its pods may request at once in each cluster.
    pub quota: BTreeMap<String, Quantity>,
    /// Where it is listed or first used.
    pub location: Location,
}

/// A workload.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The document, for what needs no resolving.
    pub spec: spec::Workload,
    /// What a pod requests: CPU, memory, disk and GPUs, by the name of the resource.
    pub requests: BTreeMap<String, Quantity>,
    /// The name of its priority, where there is one.
    pub priority: Option<String>,
    /// The longest that a job may take.
    pub deadline: Seconds,
    /// The clusters it may run in, in the order of the spec.
    pub clusters: Vec<ClusterIndex>,
    /// Whether those are not all clusters.
    pub restricted: bool,
    /// Its place in the spec.
    pub location: Location,
}

impl Model {
    /// The cluster that jobs are created in.
    pub fn source(&self) -> &Cluster {
        &self.clusters[self.source]
    }

    /// The clusters other than `index`.
    pub fn peers(&self, index: ClusterIndex) -> impl Iterator<Item = &Cluster> {
        self.clusters
            .iter()
            .enumerate()
            .filter(move |(other, _)| *other != index)
            .map(|(_, cluster)| cluster)
    }

    /// The clusters in the order in which they are filled: by tier, then as in the spec.
    pub fn by_tier(&self) -> Vec<&Cluster> {
        let mut clusters: Vec<_> = self.clusters.iter().collect();
        clusters.sort_by_key(|cluster| cluster.tier);
        clusters
    }
}

impl Cluster {
    /// Whether the cluster is in a tier that is closed until the tiers before it are full.
    pub fn is_gated(&self) -> bool {
        self.tier > 0
    }
}

impl NodePool {
    /// The resources of a node by name.
    pub fn allocatable(&self) -> BTreeMap<String, Quantity> {
        let mut resources = BTreeMap::from([
            ("cpu".to_owned(), self.cpu),
            ("memory".to_owned(), self.memory),
        ]);
        if let Some(gpu) = &self.gpu {
            resources.insert(gpu.resource.clone(), Quantity::whole(gpu.count.into()));
        }
        resources
    }
}
