//! The few fields of Kubernetes' objects that decisions need, and the facts that they make. Only these
//! fields are read at all: the rest of an object is skipped as it comes in.

use super::facts::{Fact, Watched};
use hcb_api::amounts::Amounts;
use hcb_api::gate::{GATE, Gate};
use hcb_api::labels::TARGET;
use hcb_api::requirements::{Shape, Taint};
use hcb_api::shape::{PodSpec, affinity, amounts, requests, shape};

use super::observation::{HeldPod, JobName, JobPod, NodeState};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    NodeCondition, ResourceQuotaSpec, ResourceQuotaStatus, Taint as NodeTaint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubernetesQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::core::DynamicResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

/// The annotation with which Admiralty marks what it schedules.
const ELECT: &str = hcb_api::labels::ELECT;
/// The annotation in which Admiralty keeps the pod as it was asked for.
const MANIFEST: &str = "multicluster.admiralty.io/sourcepod-manifest";
/// The label by which a delegate names the uid of its source pod.
const PARENT: &str = "multicluster.admiralty.io/parent-uid";
/// The annotation by which Admiralty says that a cluster keeps a place for a pod.
const RESERVED: &str = "multicluster.admiralty.io/is-reserved";
/// The annotation that says to which clusters a pod was released, and when.
pub(super) const RELEASED: &str = hcb_api::labels::RELEASED;

/// A kind of object, as it is read here.
pub(super) trait Kind: Clone + Debug + Send + Sync + 'static {
    const WATCHED: Watched;
    const GROUP: &'static str;
    const VERSION: &'static str;
    const NAME: &'static str;
    const PLURAL: &'static str;
    type Spec: Clone + Debug + Default + DeserializeOwned + Send + Sync + 'static;
    type Status: Clone + Debug + Default + DeserializeOwned + Send + Sync + 'static;
    /// The fact that one that is there makes; none where it is of no interest.
    fn seen(reader: &mut Reader, object: &Seen<Self>) -> Option<Fact>;
    /// The fact that one that is gone makes.
    fn gone(reader: &mut Reader, object: &Seen<Self>) -> Fact;
}

/// An object, as it is read here.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = ""))]
pub(super) struct Seen<K: Kind> {
    #[serde(deserialize_with = "metadata")]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: K::Spec,
    #[serde(default)]
    status: K::Status,
}

impl<K: Kind> Resource for Seen<K> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::NAME.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
}

/// Metadata without `managedFields`, which are larger than all the rest.
fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        labels: read.labels,
        annotations: read.annotations,
        owner_references: read.owner_references,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        ..ObjectMeta::default()
    })
}

/// Reads the objects of one cluster.
#[derive(Debug)]
pub(super) struct Reader {
    /// The cluster's index in the configuration.
    pub(super) cluster: usize,
    /// Whether jobs are created in it.
    pub(super) is_source: bool,
    /// The clusters' names.
    pub(super) names: Vec<String>,
    /// The clusters' names by those of their virtual nodes.
    pub(super) virtual_nodes: HashMap<String, String>,
    /// What pods ask for, by their uids: it never changes, and is costly to read.
    pub(super) shapes: HashMap<String, Arc<Shape>>,
}

/// Nodes.
#[derive(Clone, Debug)]
pub(super) enum Nodes {}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct NodeSpec {
    #[serde(default)]
    unschedulable: bool,
    #[serde(default)]
    taints: Vec<NodeTaint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct NodeStatus {
    #[serde(default)]
    conditions: Vec<NodeCondition>,
    #[serde(default)]
    allocatable: BTreeMap<String, KubernetesQuantity>,
}

impl Kind for Nodes {
    const WATCHED: Watched = Watched::Nodes;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "Node";
    const PLURAL: &'static str = "nodes";
    type Spec = NodeSpec;
    type Status = NodeStatus;

    fn seen(reader: &mut Reader, node: &Seen<Self>) -> Option<Fact> {
        let name = node.metadata.name.clone().unwrap_or_default();
        let labels = node.metadata.labels.clone().unwrap_or_default();
        if labels.contains_key(TARGET) || reader.virtual_nodes.contains_key(&name) {
            let stands_for = reader.virtual_nodes.get(&name);
            let cluster = stands_for.and_then(|cluster| reader.index(cluster));
            let mut taints = node.spec.taints.iter();
            let gate = taints
                .find(|taint| taint.key == GATE)
                .map(|taint| Gate::of_value(taint.value.as_deref().unwrap_or_default()))
                .unwrap_or_default();
            return cluster
                .filter(|_| reader.is_source)
                .map(|cluster| Fact::Gate(cluster, gate));
        }
        let is_ready = node
            .status
            .conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let is_open = !node.spec.unschedulable && node.metadata.deletion_timestamp.is_none();
        let taints = node.spec.taints.iter().map(|taint| Taint {
            key: taint.key.clone(),
            value: taint.value.clone().unwrap_or_default(),
            effect: taint.effect.clone(),
        });
        let state = NodeState {
            labels,
            taints: taints.collect(),
            takes_pods: is_ready && is_open,
            allocatable: amounts(&node.status.allocatable),
            free: Amounts::new(),
        };
        Some(Fact::Node(reader.cluster, name, state))
    }

    fn gone(reader: &mut Reader, node: &Seen<Self>) -> Fact {
        Fact::NodeGone(
            reader.cluster,
            node.metadata.name.clone().unwrap_or_default(),
        )
    }
}

/// Pods.
#[derive(Clone, Debug)]
pub(super) enum Pods {}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PodStatus {
    phase: Option<String>,
}

impl Kind for Pods {
    const WATCHED: Watched = Watched::Pods;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "Pod";
    const PLURAL: &'static str = "pods";
    type Spec = PodSpec;
    type Status = PodStatus;

    fn seen(reader: &mut Reader, pod: &Seen<Self>) -> Option<Fact> {
        if matches!(pod.status.phase.as_deref(), Some("Succeeded" | "Failed")) {
            return Some(Self::gone(reader, pod));
        }
        let metadata = &pod.metadata;
        let uid = metadata.uid.clone().unwrap_or_default();
        let is_elected = pod.annotations().contains_key(ELECT);
        if reader.is_source && is_elected {
            return Some(Fact::Job(
                reader.cluster,
                Box::new(reader.job_pod(uid, pod)),
            ));
        }
        let labels = metadata.labels.as_ref();
        let held = HeldPod {
            key: key(metadata),
            node: pod.spec.node_name.clone(),
            requests: Arc::new(requests(&pod.spec, pod.annotations())),
            parent: labels.and_then(|labels| labels.get(PARENT)).cloned(),
        };
        Some(Fact::Held(reader.cluster, uid, held))
    }

    fn gone(reader: &mut Reader, pod: &Seen<Self>) -> Fact {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        reader.shapes.remove(&uid);
        Fact::PodGone(reader.cluster, uid)
    }
}

impl Reader {
    fn index(&self, cluster: &str) -> Option<usize> {
        self.names.iter().position(|name| name == cluster)
    }

    fn job_pod(&mut self, uid: String, pod: &Seen<Pods>) -> JobPod {
        let metadata = &pod.metadata;
        let known = self.shapes.get(&uid).cloned();
        let shape = known.unwrap_or_else(|| Arc::new(self.shape(pod)));
        self.shapes.insert(uid.clone(), Arc::clone(&shape));
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let created = created.unwrap_or_default();
        let notes = pod.annotations().get(RELEASED);
        let notes = notes.map(|note| released(note)).unwrap_or_default();
        let gates = pod.spec.tolerations.iter();
        let gates = gates.filter(|toleration| toleration.key.as_deref() == Some(GATE));
        let gates = gates.filter_map(|toleration| toleration.value.clone());
        // Without a note it is as if it had been released from the start.
        let since = |cluster: &String| notes.get(cluster).copied().unwrap_or(created);
        let mut owners = metadata.owner_references.iter().flatten();
        let job = owners
            .find(|owner| owner.kind == "Job")
            .map(|owner| JobName {
                name: owner.name.clone(),
                uid: owner.uid.clone(),
            });
        let node = pod.spec.node_name.as_ref();
        JobPod {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
            uid,
            version: metadata.resource_version.clone().unwrap_or_default(),
            job,
            created,
            priority: pod.spec.priority,
            shape,
            released: gates
                .map(|cluster| (cluster.clone(), since(&cluster)))
                .collect(),
            placed: node.and_then(|node| self.virtual_nodes.get(node)).cloned(),
            ended: metadata.deletion_timestamp.is_some(),
        }
    }

    /// What the pod asks of a cluster, from the pod as it was before Admiralty made it a proxy; where it
    /// may go, from the proxy, which carries the spec's rules of placement.
    fn shape(&self, proxy: &Seen<Pods>) -> Shape {
        #[derive(Deserialize)]
        struct Original {
            spec: PodSpec,
        }
        let annotations = proxy.annotations();
        let manifest = annotations.get(MANIFEST);
        let original: Option<Original> =
            manifest.and_then(|manifest| serde_saphyr::from_str(manifest).ok());
        let spec = original
            .as_ref()
            .map_or(&proxy.spec, |original| &original.spec);
        shape(spec, annotations, &affinity(&proxy.spec), &self.names)
    }
}

/// What stands for a pod that Admiralty made.
#[derive(Clone, Debug)]
pub(super) enum Chaperons {}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct ChaperonStatus {
    #[serde(default)]
    conditions: Vec<Value>,
}

impl Kind for Chaperons {
    const WATCHED: Watched = Watched::Chaperons;
    const GROUP: &'static str = "multicluster.admiralty.io";
    const VERSION: &'static str = "v1alpha1";
    const NAME: &'static str = "PodChaperon";
    const PLURAL: &'static str = "podchaperons";
    type Spec = serde::de::IgnoredAny;
    type Status = ChaperonStatus;

    fn seen(reader: &mut Reader, chaperon: &Seen<Self>) -> Option<Fact> {
        let is_refused = |condition: &Value| {
            condition["type"] == "PodScheduled" && condition["reason"] == "Unschedulable"
        };
        Some(Fact::Place {
            cluster: reader.cluster,
            key: key(&chaperon.metadata),
            is_kept: chaperon.annotations().contains_key(RESERVED),
            is_outdated: chaperon.status.conditions.iter().any(is_refused),
        })
    }

    fn gone(reader: &mut Reader, chaperon: &Seen<Self>) -> Fact {
        Fact::Place {
            cluster: reader.cluster,
            key: key(&chaperon.metadata),
            is_kept: false,
            is_outdated: false,
        }
    }
}

/// Resource quotas.
#[derive(Clone, Debug)]
pub(super) enum Quotas {}

impl Kind for Quotas {
    const WATCHED: Watched = Watched::Quotas;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "ResourceQuota";
    const PLURAL: &'static str = "resourcequotas";
    type Spec = ResourceQuotaSpec;
    type Status = ResourceQuotaStatus;

    fn seen(reader: &mut Reader, quota: &Seen<Self>) -> Option<Fact> {
        let has_scopes = quota
            .spec
            .scopes
            .as_ref()
            .is_some_and(|scopes| !scopes.is_empty());
        if has_scopes || quota.spec.scope_selector.is_some() {
            // It holds for some pods only; which ones is the API server's to say.
            return None;
        }
        let mut left = BTreeMap::new();
        let used = amounts(quota.status.used.as_ref().unwrap_or(&BTreeMap::new()));
        for (resource, hard) in amounts(quota.status.hard.as_ref().unwrap_or(&BTreeMap::new())) {
            // `cpu` is short for `requests.cpu`, and so on. Limits are not looked at here.
            let name = resource.strip_prefix("requests.").unwrap_or(&resource);
            if name.starts_with("limits.") || name.starts_with("count/") {
                continue;
            }
            left.insert(
                name.to_owned(),
                hard - used.get(&resource).copied().unwrap_or_default(),
            );
        }
        Some(Fact::Quota(reader.cluster, key(&quota.metadata), left))
    }

    fn gone(reader: &mut Reader, quota: &Seen<Self>) -> Fact {
        Fact::QuotaGone(reader.cluster, key(&quota.metadata))
    }
}

fn key(metadata: &ObjectMeta) -> (String, String) {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

/// Reads the note of releases: `CLUSTER at TIME`, one after another.
fn released(note: &str) -> BTreeMap<String, Timestamp> {
    let notes = note.split(", ").filter_map(|note| note.split_once(" at "));
    notes
        .filter_map(|(cluster, time)| Some((cluster.to_owned(), time.parse().ok()?)))
        .collect()
}

/// Writes the note of releases.
pub(super) fn release_note(releases: &BTreeMap<String, Timestamp>) -> String {
    let notes: Vec<_> = releases
        .iter()
        .map(|(cluster, time)| format!("{cluster} at {time:.3}"))
        .collect();
    notes.join(", ")
}
