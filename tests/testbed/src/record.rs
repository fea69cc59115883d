//! What happened, as the API servers recorded it: every pod of every cluster from its creation to its
//! end, and every node. Nothing in here comes from hcb.

use crate::cluster::SYSTEM_TAINT;
use anyhow::{Context, Result};
use hcb_spec::model::Quantity;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The annotation by which Admiralty says that a place is kept.
const RESERVED: &str = "multicluster.admiralty.io/is-reserved";
/// The annotation by which Admiralty says that a place is taken.
const ALLOWED: &str = "multicluster.admiralty.io/is-allowed";

/// Amounts by resource, in thousandths of the resource's unit.
pub type Amounts = BTreeMap<String, i128>;

/// A pod's life.
#[derive(Debug, Clone)]
pub struct PodRecord {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels when it was created.
    pub labels: BTreeMap<String, String>,
    /// Its annotations when it was created.
    pub annotations: BTreeMap<String, String>,
    /// Who schedules it.
    pub scheduler: String,
    /// What it asks for.
    pub requests: Amounts,
    /// The keys of the taints that it tolerates.
    pub tolerates: Vec<Toleration>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// When the scheduler of its cluster kept a place for it, which Admiralty then takes or not.
    pub reserved: Option<Timestamp>,
    /// When the source cluster took the place, from where on nothing stops the pod.
    pub allowed: Option<Timestamp>,
    /// When it was bound, and to which node.
    pub bound: Option<(Timestamp, String)>,
    /// When it ended: succeeded, failed or gone.
    pub ended: Option<Timestamp>,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// What a pod says it tolerates.
#[derive(Debug, Clone)]
pub struct Toleration {
    /// The key; empty for all.
    pub key: String,
    /// The effect; empty for all.
    pub effect: String,
}

impl PodRecord {
    /// Whether it holds its requests on its node at a time: from the moment at which its place is kept.
    pub fn holds_at(&self, time: Timestamp) -> bool {
        let bound = self.bound.as_ref().map(|(bound, _)| *bound);
        let from = bound.map(|bound| self.reserved.map_or(bound, |reserved| reserved.min(bound)));
        from.is_some_and(|from| from <= time) && self.ended.is_none_or(|ended| time < ended)
    }

    /// Its node, once bound.
    pub fn node(&self) -> Option<&str> {
        self.bound.as_ref().map(|(_, node)| node.as_str())
    }
}

/// A node's life.
#[derive(Debug, Clone)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Its labels when it was created.
    pub labels: BTreeMap<String, String>,
    /// What pods can use of it.
    pub allocatable: Amounts,
    /// Taints of the pool that keep pods away: key and effect.
    pub taints: Vec<(String, String)>,
    /// When it was created.
    pub created: Timestamp,
    /// When it first took pods: ready, and without the taints of a node's first moments.
    pub ready: Option<Timestamp>,
    /// When it was removed.
    pub removed: Option<Timestamp>,
    /// Whether it stands for a cluster.
    pub is_virtual: bool,
}

impl NodeRecord {
    /// Whether jobs may run on it.
    pub fn is_for_jobs(&self) -> bool {
        let mut taints = self.taints.iter();
        !self.is_virtual && !taints.any(|(key, _)| key == SYSTEM_TAINT)
    }

    /// Whether it was there at a time.
    pub fn exists_at(&self, time: Timestamp) -> bool {
        self.created <= time && self.removed.is_none_or(|removed| time < removed)
    }

    /// Whether it was there at a time and had begun to take pods.
    pub fn takes_pods_at(&self, time: Timestamp) -> bool {
        self.exists_at(time) && self.ready.is_some_and(|ready| ready <= time)
    }
}

/// A cluster's record.
#[derive(Debug, Clone, Default)]
pub struct ClusterRecord {
    /// Its pods, in the order of their creation.
    pub pods: Vec<PodRecord>,
    /// Its nodes, in the order of their creation.
    pub nodes: Vec<NodeRecord>,
    /// When each Job was created, by namespace and name.
    pub jobs: BTreeMap<(String, String), Timestamp>,
    /// When the last thing happened.
    pub last: Option<Timestamp>,
}

impl ClusterRecord {
    /// Reads the audit log of an API server.
    ///
    /// # Errors
    /// Where it cannot be read. A last line that is being written is left out.
    pub fn read(path: &Path) -> Result<Self> {
        let mut reader = Reader::default();
        for line in
            BufReader::new(File::open(path).with_context(|| path.display().to_string())?).lines()
        {
            let Ok(event) = serde_json::from_str::<Value>(&line?) else {
                break;
            };
            reader
                .take(&event)
                .with_context(|| format!("an event of {}", path.display()))?;
        }
        Ok(reader.record)
    }

    /// What is free on each real node that takes pods at a time.
    pub fn free_at(&self, time: Timestamp) -> Vec<(&NodeRecord, Amounts)> {
        let nodes = self
            .nodes
            .iter()
            .filter(|node| !node.is_virtual && node.takes_pods_at(time));
        let mut free: Vec<_> = nodes.map(|node| (node, node.allocatable.clone())).collect();
        for pod in self.pods.iter().filter(|pod| pod.holds_at(time)) {
            let Some((_, amounts)) = free
                .iter_mut()
                .find(|(node, _)| Some(node.name.as_str()) == pod.node())
            else {
                continue;
            };
            for (resource, amount) in &pod.requests {
                *amounts.entry(resource.clone()).or_default() -= amount;
            }
        }
        free
    }

    /// Whether a node has room for a pod like `pod` at a time.
    pub fn has_room_at(&self, pod: &PodRecord, time: Timestamp) -> bool {
        has_room(&self.free_at(time), pod)
    }
}

/// Whether one of some nodes, of which so much is free, has room for a pod.
pub fn has_room(free: &[(&NodeRecord, Amounts)], pod: &PodRecord) -> bool {
    free.iter().any(|(node, free)| {
        let fits = pod
            .requests
            .iter()
            .all(|(resource, amount)| free.get(resource).copied().unwrap_or_default() >= *amount);
        fits && admits(node, pod)
    })
}

/// Whether labels and taints of a node let a pod in.
pub fn admits(node: &NodeRecord, pod: &PodRecord) -> bool {
    let is_tolerated = |key: &str, effect: &str| {
        pod.tolerates.iter().any(|toleration| {
            (toleration.key.is_empty() || toleration.key == key)
                && (toleration.effect.is_empty() || toleration.effect == effect)
        })
    };
    pod.node_selector
        .iter()
        .all(|(key, value)| node.labels.get(key) == Some(value))
        && node
            .taints
            .iter()
            .all(|(key, effect)| is_tolerated(key, effect))
}

#[derive(Default)]
struct Reader {
    record: ClusterRecord,
    /// The newest pod of a name, and the newest node.
    pods: BTreeMap<(String, String), usize>,
    nodes: BTreeMap<String, usize>,
}

impl Reader {
    fn take(&mut self, event: &Value) -> Result<()> {
        let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
        if !(200..300).contains(&code)
            || event["requestURI"]
                .as_str()
                .is_some_and(|uri| uri.contains("dryRun=All"))
        {
            return Ok(());
        }
        let time: Timestamp = text(&event["stageTimestamp"]).parse()?;
        self.record.last = Some(time);
        let reference = &event["objectRef"];
        let response = &event["responseObject"];
        match (
            text(&reference["resource"]),
            text(&reference["subresource"]),
            text(&event["verb"]),
        ) {
            ("jobs", "", "create") => {
                self.record.jobs.insert(key(response), time);
            }
            ("pods", "", "create") => self.create_pod(response, time),
            ("pods", "binding", "create") => {
                let key = (
                    text(&reference["namespace"]).to_owned(),
                    text(&reference["name"]).to_owned(),
                );
                let node = text(&event["requestObject"]["target"]["name"]).to_owned();
                if let Some(pod) = self.pod(&key) {
                    pod.bound = Some((time, node));
                }
            }
            ("pods", "" | "status", "update" | "patch") => {
                let phase = text(&response["status"]["phase"]);
                let Some(pod) = self.pod(&key(response)) else {
                    return Ok(());
                };
                // An API server that is killed may have bound a pod without having said so.
                if let (None, Some(node)) = (&pod.bound, response["spec"]["nodeName"].as_str()) {
                    pod.bound = Some((time, node.to_owned()));
                }
                if matches!(phase, "Succeeded" | "Failed") && pod.ended.is_none() {
                    pod.ended = Some(time);
                    pod.succeeded = phase == "Succeeded";
                }
            }
            ("pods", "", "delete") => {
                // With a grace period the pod is still there; the deletion that ends it comes later.
                let is_gone = response["kind"] == "Status"
                    || response["metadata"]["deletionGracePeriodSeconds"]
                        .as_i64()
                        .unwrap_or_default()
                        == 0;
                let key = (
                    text(&reference["namespace"]).to_owned(),
                    text(&reference["name"]).to_owned(),
                );
                if let Some(pod) = self.pod(&key).filter(|_| is_gone) {
                    pod.ended.get_or_insert(time);
                }
            }
            // A chaperon is called as the pod that it stands for.
            ("podchaperons", _, "update" | "patch") => {
                let annotations = &response["metadata"]["annotations"];
                if let Some(pod) = self.pod(&key(response)) {
                    if annotations.get(RESERVED).is_some() {
                        pod.reserved.get_or_insert(time);
                    }
                    if annotations.get(ALLOWED).is_some() {
                        pod.allowed.get_or_insert(time);
                    }
                }
            }
            ("nodes", "", "create") => self.create_node(response, time),
            // Server-side apply creates with a patch.
            ("nodes", "", "patch") if code == 201 => self.create_node(response, time),
            ("nodes", "", "delete") => {
                if let Some(index) = self.nodes.get(text(&reference["name"])) {
                    self.record.nodes[*index].removed = Some(time);
                }
            }
            ("nodes", "" | "status", "patch" | "update") => {
                if let Some(index) = self.nodes.get(text(&reference["name"])) {
                    let node = &mut self.record.nodes[*index];
                    if takes_pods(response) {
                        node.ready.get_or_insert(time);
                    }
                    // A finalizer keeps a node that is being deleted; what matters is that it takes no pods.
                    if response["metadata"]["deletionTimestamp"].is_string() {
                        node.removed.get_or_insert(time);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn pod(&mut self, key: &(String, String)) -> Option<&mut PodRecord> {
        self.pods
            .get(key)
            .map(|index| &mut self.record.pods[*index])
    }

    fn create_pod(&mut self, pod: &Value, created: Timestamp) {
        let key = key(pod);
        let spec = &pod["spec"];
        let tolerations = spec["tolerations"].as_array().into_iter().flatten();
        self.pods.insert(key.clone(), self.record.pods.len());
        self.record.pods.push(PodRecord {
            namespace: key.0,
            name: key.1,
            labels: texts(&pod["metadata"]["labels"]),
            annotations: texts(&pod["metadata"]["annotations"]),
            scheduler: text(&spec["schedulerName"]).to_owned(),
            requests: requests(spec),
            tolerates: tolerations
                .map(|toleration| Toleration {
                    key: text(&toleration["key"]).to_owned(),
                    effect: text(&toleration["effect"]).to_owned(),
                })
                .collect(),
            node_selector: texts(&spec["nodeSelector"]),
            created,
            reserved: None,
            allowed: None,
            bound: spec["nodeName"]
                .as_str()
                .map(|node| (created, node.to_owned())),
            ended: None,
            succeeded: false,
        });
    }

    fn create_node(&mut self, node: &Value, created: Timestamp) {
        let name = text(&node["metadata"]["name"]).to_owned();
        let labels = texts(&node["metadata"]["labels"]);
        // Taints of the node's first moments go by themselves; those of the pool stay.
        let lasting = taints(node).filter(|taint| {
            !is_of_first_moments(taint) && text(&taint["effect"]) != "PreferNoSchedule"
        });
        self.nodes.insert(name.clone(), self.record.nodes.len());
        self.record.nodes.push(NodeRecord {
            name,
            allocatable: amounts(&node["status"]["allocatable"]),
            taints: lasting
                .map(|taint| {
                    (
                        text(&taint["key"]).to_owned(),
                        text(&taint["effect"]).to_owned(),
                    )
                })
                .collect(),
            created,
            ready: takes_pods(node).then_some(created),
            removed: None,
            is_virtual: labels
                .get("type")
                .is_some_and(|kind| kind == "virtual-kubelet"),
            labels,
        });
    }
}

fn taints(node: &Value) -> impl Iterator<Item = &Value> {
    node["spec"]["taints"].as_array().into_iter().flatten()
}

fn is_of_first_moments(taint: &Value) -> bool {
    let key = text(&taint["key"]);
    key.starts_with("node.kubernetes.io/") || key == "karpenter.sh/unregistered"
}

/// Whether a taint keeps pods from a node that has just come. API servers have every pod tolerate for five
/// minutes that a node is not ready, so that it is not driven off one that fails for a moment.
fn keeps_pods_out(taint: &Value) -> bool {
    let is_tolerated = text(&taint["key"]) == "node.kubernetes.io/not-ready"
        && text(&taint["effect"]) == "NoExecute";
    is_of_first_moments(taint) && !is_tolerated
}

/// Whether a node is ready and has no taint by which it keeps pods out in its first moments.
fn takes_pods(node: &Value) -> bool {
    let mut conditions = node["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        && !taints(node).any(keeps_pods_out)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn key(object: &Value) -> (String, String) {
    (
        text(&object["metadata"]["namespace"]).to_owned(),
        text(&object["metadata"]["name"]).to_owned(),
    )
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), text(value).to_owned()))
        .collect()
}

/// The requests of a pod's containers; sidecars are containers that start first.
fn requests(spec: &Value) -> Amounts {
    let mut total = Amounts::from([("pods".to_owned(), 1000)]);
    let sidecars = spec["initContainers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|container| container["restartPolicy"] == "Always");
    for container in spec["containers"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(sidecars)
    {
        for (resource, amount) in amounts(&container["resources"]["requests"]) {
            *total.entry(resource).or_default() += amount;
        }
    }
    total
}

fn amounts(value: &Value) -> Amounts {
    let entries = value.as_object().into_iter().flatten();
    entries
        .filter_map(|(resource, amount)| {
            Some((resource.clone(), Quantity::parse(text(amount))?.milli()))
        })
        .collect()
}
