//! Watches of nodes and pods of every cluster, kept as the few fields that decisions need.

use super::GATE;
use super::config::{Amounts, Config};
use super::fields::{affinity, node_state, requests, toleration};
use super::observation::{ClusterState, JobPod, NodeState, Observation, Requirement, Shape};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;

/// The annotation with which Admiralty marks what it schedules.
const ELECT: &str = "multicluster.admiralty.io/elect";
/// The annotation in which Admiralty keeps the pod as it was asked for.
const MANIFEST: &str = "multicluster.admiralty.io/sourcepod-manifest";
/// The label by which a delegate names the uid of its source pod.
const PARENT: &str = "multicluster.admiralty.io/parent-uid";
/// The annotation by which Admiralty says that a cluster keeps a place for a pod.
const RESERVED: &str = "multicluster.admiralty.io/is-reserved";
/// The label by which a virtual node names its cluster.
const TARGET: &str = "multicluster.admiralty.io/cluster-target-name";
/// How often a cluster is asked whether it is there.
const PING: Duration = Duration::from_secs(5);
/// Unseen for so long, a cluster counts as gone. What it last said is not acted on then.
const UNSEEN_AFTER: Duration = Duration::from_secs(15);

/// Something that was seen.
pub(super) enum Change {
    /// Of a node of the cluster with this index.
    Node(usize, Box<Event<Node>>),
    /// Of a pod.
    Pod(usize, Box<Event<Pod>>),
    /// Of what stands for a pod that Admiralty made.
    Chaperon(usize, Box<Event<DynamicObject>>),
    /// The cluster answered.
    Alive(usize),
}

/// Starts the watches of one cluster. They end when the receiver is dropped.
pub(super) fn start(index: usize, client: &kube::Client, changes: &Sender<Change>) {
    let unfinished = "status.phase!=Succeeded,status.phase!=Failed";
    let nodes = watcher::watcher(
        Api::<Node>::all(client.clone()),
        watcher::Config::default().page_size(500),
    );
    let pods = watcher::watcher(
        Api::<Pod>::all(client.clone()),
        watcher::Config::default().page_size(500).fields(unfinished),
    );
    tokio::spawn(forward(nodes, changes.clone(), move |event| {
        Change::Node(index, Box::new(event))
    }));
    tokio::spawn(forward(pods, changes.clone(), move |event| {
        Change::Pod(index, Box::new(event))
    }));
    let chaperons = Api::<DynamicObject>::all_with(client.clone(), &chaperon());
    let chaperons = watcher::watcher(chaperons, watcher::Config::default().page_size(500));
    tokio::spawn(forward(chaperons, changes.clone(), move |event| {
        Change::Chaperon(index, Box::new(event))
    }));
    let (client, changes) = (client.clone(), changes.clone());
    tokio::spawn(async move {
        while !changes.is_closed() {
            let answer = tokio::time::timeout(PING, client.apiserver_version()).await;
            match answer {
                Ok(Ok(_)) => {
                    let _ = changes.send(Change::Alive(index)).await;
                }
                Ok(Err(error)) => {
                    tracing::warn!(cluster = index, %error, "a cluster does not answer");
                }
                Err(_) => tracing::warn!(cluster = index, "a cluster does not answer in time"),
            }
            tokio::time::sleep(PING).await;
        }
    });
}

/// The kind of object by which Admiralty has a pod made in a target cluster.
fn chaperon() -> ApiResource {
    let kind = GroupVersionKind::gvk("multicluster.admiralty.io", "v1alpha1", "PodChaperon");
    ApiResource::from_gvk_with_plural(&kind, "podchaperons")
}

async fn forward<K>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>>,
    changes: Sender<Change>,
    wrap: impl Fn(Event<K>) -> Change,
) {
    let events = events.default_backoff();
    tokio::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if changes.send(wrap(event)).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "a watch broke; it is taken up again"),
        }
    }
}

/// Everything that is known.
pub(super) struct Known {
    virtual_nodes: HashMap<String, String>,
    source: usize,
    clusters: Vec<KnownCluster>,
    shapes: HashSet<Arc<Shape>>,
    jobs: HashMap<String, JobPod>,
}

#[derive(Default)]
struct KnownCluster {
    name: String,
    nodes: HashMap<String, NodeState>,
    pods: HashMap<String, Held>,
    /// What is being listed anew, until the list is whole.
    listed: [Option<BTreeSet<String>>; 2],
    is_whole: [bool; 2],
    alive: Option<Timestamp>,
    /// Pods that a place is kept for, by namespace and name.
    reserved: BTreeSet<(String, String)>,
    reserved_anew: Option<BTreeSet<(String, String)>>,
    /// Of those, the ones that still say they fit nowhere.
    outdated: BTreeSet<(String, String)>,
}

/// A pod that holds room.
struct Held {
    key: (String, String),
    node: Option<String>,
    requests: Amounts,
    parent: Option<String>,
}

impl Known {
    pub(super) fn new(config: &Config) -> Self {
        let clusters = config.clusters.iter();
        Self {
            virtual_nodes: clusters
                .clone()
                .map(|cluster| (cluster.virtual_node.clone(), cluster.name.clone()))
                .collect(),
            source: clusters
                .clone()
                .position(|cluster| cluster.kubeconfig.is_none())
                .unwrap_or_default(),
            clusters: clusters
                .map(|cluster| KnownCluster {
                    name: cluster.name.clone(),
                    ..KnownCluster::default()
                })
                .collect(),
            shapes: HashSet::new(),
            jobs: HashMap::new(),
        }
    }

    /// Takes in what was seen.
    pub(super) fn take(&mut self, change: Change, now: Timestamp) {
        match change {
            Change::Alive(index) => self.clusters[index].alive = Some(now),
            Change::Node(index, event) => match *event {
                Event::Apply(node) | Event::InitApply(node) => self.node(index, &node),
                Event::Delete(node) => {
                    self.clusters[index]
                        .nodes
                        .remove(node.metadata.name.as_deref().unwrap_or_default());
                }
                Event::Init => self.clusters[index].listed[0] = Some(BTreeSet::new()),
                Event::InitDone => {
                    let cluster = &mut self.clusters[index];
                    if let Some(listed) = cluster.listed[0].take() {
                        cluster.nodes.retain(|name, _| listed.contains(name));
                    }
                    cluster.is_whole[0] = true;
                    cluster.alive = Some(now);
                }
            },
            Change::Chaperon(index, event) => self.clusters[index].chaperon(*event),
            Change::Pod(index, event) => match *event {
                Event::Apply(pod) | Event::InitApply(pod) => self.pod(index, &pod),
                Event::Delete(pod) => {
                    self.forget(index, pod.metadata.uid.as_deref().unwrap_or_default());
                }
                Event::Init => self.clusters[index].listed[1] = Some(BTreeSet::new()),
                Event::InitDone => {
                    let listed = self.clusters[index].listed[1].take().unwrap_or_default();
                    let gone: Vec<_> = self.clusters[index]
                        .pods
                        .keys()
                        .filter(|uid| !listed.contains(*uid))
                        .cloned()
                        .collect();
                    for uid in gone {
                        self.forget(index, &uid);
                    }
                    if index == self.source {
                        self.jobs.retain(|uid, _| listed.contains(uid));
                    }
                    self.clusters[index].is_whole[1] = true;
                    self.clusters[index].alive = Some(now);
                }
            },
        }
    }

    /// Notes a release before it is seen.
    pub(super) fn released(&mut self, uid: &str, cluster: &str) {
        if let Some(pod) = self.jobs.get_mut(uid) {
            pod.released.insert(cluster.to_owned());
        }
    }

    /// Pods of clusters (index, namespace, name) that a place is kept for and that still say they fit
    /// nowhere. Each is told once.
    pub(super) fn outdated(&mut self) -> Vec<(usize, String, String)> {
        let clusters = self.clusters.iter_mut().enumerate();
        let taken = clusters.flat_map(|(index, cluster)| {
            let outdated = std::mem::take(&mut cluster.outdated);
            outdated
                .into_iter()
                .map(move |(namespace, name)| (index, namespace, name))
        });
        taken.collect()
    }

    /// The index of the cluster that the reconciler runs in.
    pub(super) fn source(&self) -> usize {
        self.source
    }

    /// Whether the source cluster is known well enough to decide anything.
    pub(super) fn is_ready(&self) -> bool {
        self.clusters[self.source].is_whole == [true, true]
    }

    /// What is known now, as decisions take it.
    pub(super) fn observation(&self, now: Timestamp) -> Observation {
        let is_seen = |cluster: &&KnownCluster| {
            let is_recent =
                |alive: Timestamp| alive.duration_until(now).unsigned_abs() < UNSEEN_AFTER;
            cluster.is_whole == [true, true] && cluster.alive.is_some_and(is_recent)
        };
        Observation {
            clusters: self
                .clusters
                .iter()
                .filter(is_seen)
                .map(|cluster| (cluster.name.clone(), cluster.state()))
                .collect(),
            pods: self.jobs.values().cloned().collect(),
        }
    }

    fn node(&mut self, index: usize, node: &Node) {
        let name = node.metadata.name.clone().unwrap_or_default();
        if let Some(listed) = &mut self.clusters[index].listed[0] {
            listed.insert(name.clone());
        }
        let labels = node.metadata.labels.clone().unwrap_or_default();
        if labels.contains_key(TARGET) || self.virtual_nodes.contains_key(&name) {
            return;
        }
        self.clusters[index]
            .nodes
            .insert(name, node_state(node, labels));
    }

    fn pod(&mut self, index: usize, pod: &Pod) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        if let Some(listed) = &mut self.clusters[index].listed[1] {
            listed.insert(uid.clone());
        }
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            self.forget(index, &uid);
            return;
        }
        let Some(spec) = &pod.spec else { return };
        let is_elected = pod
            .metadata
            .annotations
            .as_ref()
            .is_some_and(|annotations| annotations.contains_key(ELECT));
        if index == self.source && is_elected {
            self.job_pod(&uid, pod, spec);
            return;
        }
        let parent = pod
            .metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get(PARENT))
            .cloned();
        let key = key(&pod.metadata);
        let held = Held {
            key,
            node: spec.node_name.clone(),
            requests: requests(spec),
            parent,
        };
        self.clusters[index].pods.insert(uid, held);
    }

    fn job_pod(&mut self, uid: &str, pod: &Pod, spec: &PodSpec) {
        let shape = match self.jobs.get(uid) {
            Some(known) => Arc::clone(&known.shape),
            None => self.shape(pod, spec),
        };
        let gates = spec
            .tolerations
            .iter()
            .flatten()
            .filter(|toleration| toleration.key.as_deref() == Some(GATE));
        let mut released: BTreeSet<_> = gates
            .filter_map(|toleration| toleration.value.clone())
            .collect();
        if let Some(known) = self.jobs.get(uid) {
            // What was released a moment ago may not be in this event yet.
            released.extend(known.released.iter().cloned());
        }
        let metadata = &pod.metadata;
        let job = metadata
            .labels
            .as_ref()
            .and_then(|labels| labels.get("batch.kubernetes.io/job-name"))
            .cloned();
        self.jobs.insert(
            uid.to_owned(),
            JobPod {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone().unwrap_or_default(),
                uid: uid.to_owned(),
                version: metadata.resource_version.clone().unwrap_or_default(),
                job,
                created: metadata
                    .creation_timestamp
                    .as_ref()
                    .map(|time| time.0)
                    .unwrap_or_default(),
                priority: spec.priority.unwrap_or_default(),
                shape,
                released,
                placed: spec
                    .node_name
                    .as_ref()
                    .and_then(|node| self.virtual_nodes.get(node))
                    .cloned(),
                ended: metadata.deletion_timestamp.is_some(),
            },
        );
    }

    fn forget(&mut self, index: usize, uid: &str) {
        self.clusters[index].pods.remove(uid);
        if index == self.source {
            self.jobs.remove(uid);
        }
    }

    /// What the pod asks of a cluster, from the pod as it was before Admiralty made it a proxy; where it
    /// may go, from the proxy, which carries the spec's rules of placement.
    fn shape(&mut self, pod: &Pod, proxy: &PodSpec) -> Arc<Shape> {
        let manifest = pod
            .metadata
            .annotations
            .as_ref()
            .and_then(|annotations| annotations.get(MANIFEST));
        let original: Option<Pod> =
            manifest.and_then(|manifest| serde_saphyr::from_str(manifest).ok());
        let spec = original.and_then(|original| original.spec);
        let spec = spec.as_ref().unwrap_or(proxy);
        let rules = affinity(proxy);
        let clusters = self.clusters.iter().map(|cluster| &cluster.name);
        let is_allowed = |name: &&String| {
            let labels = BTreeMap::from([(TARGET.to_owned(), (*name).clone())]);
            let is_about_clusters = |group: &Vec<Requirement>| {
                group
                    .iter()
                    .all(|requirement| requirement.key != TARGET || requirement.holds(&labels))
            };
            rules.is_empty() || rules.iter().any(is_about_clusters)
        };
        let shape = Shape {
            requests: requests(spec),
            tolerations: spec.tolerations.iter().flatten().map(toleration).collect(),
            node_selector: spec.node_selector.clone().unwrap_or_default(),
            affinity: affinity(spec),
            clusters: clusters.filter(is_allowed).cloned().collect(),
        };
        if let Some(known) = self.shapes.get(&shape) {
            return Arc::clone(known);
        }
        let shape = Arc::new(shape);
        self.shapes.insert(Arc::clone(&shape));
        shape
    }
}

impl KnownCluster {
    fn chaperon(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Init => self.reserved_anew = Some(BTreeSet::new()),
            Event::InitDone => self.reserved = self.reserved_anew.take().unwrap_or_default(),
            Event::Delete(chaperon) => drop(self.reserved.remove(&key(&chaperon.metadata))),
            Event::Apply(chaperon) | Event::InitApply(chaperon) => {
                let annotations = chaperon.metadata.annotations.as_ref();
                let is_reserved =
                    annotations.is_some_and(|annotations| annotations.contains_key(RESERVED));
                let reserved = self.reserved_anew.as_mut().unwrap_or(&mut self.reserved);
                if is_reserved && says_it_fits_nowhere(&chaperon) {
                    self.outdated.insert(key(&chaperon.metadata));
                }
                if is_reserved {
                    reserved.insert(key(&chaperon.metadata));
                } else {
                    reserved.remove(&key(&chaperon.metadata));
                }
            }
        }
    }

    fn state(&self) -> ClusterState {
        let mut nodes: BTreeMap<_, _> = self
            .nodes
            .iter()
            .map(|(name, node)| (name.clone(), node.clone()))
            .collect();
        let mut delegates = BTreeSet::new();
        let mut reserved = Vec::new();
        // By uid, so that the same is decided of the same.
        let held: BTreeMap<_, _> = self.pods.iter().collect();
        for held in held.into_values() {
            if held.node.is_some() || self.reserved.contains(&held.key) {
                delegates.extend(held.parent.clone());
            }
            match &held.node {
                Some(node) => {
                    if let Some(node) = nodes.get_mut(node) {
                        for (resource, amount) in &held.requests {
                            *node.used.entry(resource.clone()).or_default() += amount;
                        }
                    }
                }
                None if self.reserved.contains(&held.key) => reserved.push(held.requests.clone()),
                None => {}
            }
        }
        ClusterState {
            nodes: nodes.into_values().collect(),
            reserved,
            delegates,
        }
    }
}

/// Whether a pod's status still has the condition of a try that failed.
fn says_it_fits_nowhere(chaperon: &DynamicObject) -> bool {
    let conditions = chaperon.data["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|condition| {
        condition["type"] == "PodScheduled" && condition["reason"] == "Unschedulable"
    })
}

fn key(metadata: &ObjectMeta) -> (String, String) {
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}
