//! What the reconciler sees: of each cluster what is free, of each pod of a job what it asks for. Only
//! the few fields that decisions need, so that memory stays bounded, and kept up to date fact by fact,
//! so that a decision copies nothing.

use super::weights::REMEMBERED_FOR;
use hcb_api::amounts::{Amounts, add, take};
use hcb_api::gate::Gate;
use hcb_api::requirements::{PodRequirements, Taint};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// For so long after a node came or became ready, the pods that wait for it are about to get their places.
pub const ARRIVES_WITHIN: Duration = Duration::from_secs(4);

/// What is seen at one time.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The clusters, in the order of the configuration.
    pub clusters: Vec<ClusterState>,
    /// Pods of jobs in the source cluster, by uid.
    pub pods: BTreeMap<String, JobPod>,
}

impl Observation {
    /// The clusters, by their index, that keep a place for a pod.
    pub fn keepers(&self, uid: &str) -> impl Iterator<Item = usize> {
        let clusters = self.clusters.iter().enumerate();
        clusters
            .filter(|(_, state)| state.keeps(uid))
            .map(|(index, _)| index)
    }

    /// Whether the scheduler has tried a pod, which makes candidates for it.
    pub fn is_tried(&self, uid: &str) -> bool {
        self.clusters.iter().any(|state| state.has_candidate(uid))
    }
}

/// What is seen of a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterState {
    /// Whether it can be seen now. What it last said is not acted on otherwise.
    pub is_seen: bool,
    /// Its gate: the taint of the node that stands for it.
    pub gate: Gate,
    /// Its nodes by name, without virtual ones.
    pub nodes: BTreeMap<String, NodeState>,
    /// What is left of each quota, by namespace and name.
    pub quotas: BTreeMap<(String, String), Amounts>,
    pods: HashMap<String, HeldPod>,
    /// What pods on a node asked for, whether or not the node itself was seen yet.
    used: HashMap<String, Amounts>,
    /// Pods without a node, by uid.
    unbound: BTreeSet<String>,
    /// The pods that stand for a source pod here, by its uid.
    children: HashMap<String, BTreeSet<String>>,
    /// Pods that Admiralty says a place is kept for, by namespace and name.
    kept: BTreeMap<(String, String), Kept>,
    /// When pods of jobs were lost with their nodes.
    failed: Vec<Timestamp>,
    /// When a pod that was on a node last ended or went.
    pub freed: Option<Timestamp>,
    /// When nodes came, or became ready, of late.
    arrived: BTreeMap<String, Timestamp>,
}

impl ClusterState {
    /// A pod that holds room was seen.
    pub fn hold(&mut self, uid: &str, pod: HeldPod) {
        self.release(uid);
        if let Some(node) = &pod.node {
            let used = self.used.entry(node.clone()).or_default();
            add(used, &pod.requests);
            if let Some(node) = self.nodes.get_mut(node) {
                node.use_up(used);
            }
        } else {
            self.unbound.insert(uid.to_owned());
        }
        if let Some(parent) = &pod.parent {
            let children = self.children.entry(parent.clone()).or_default();
            children.insert(uid.to_owned());
        }
        self.pods.insert(uid.to_owned(), pod);
    }

    /// A pod is gone, or ended.
    pub fn let_end(&mut self, uid: &str, now: Timestamp) {
        if self.pods.get(uid).is_some_and(|pod| pod.node.is_some()) {
            self.freed = Some(now);
        }
        self.release(uid);
    }

    /// A pod holds room no more.
    pub fn release(&mut self, uid: &str) {
        let Some(pod) = self.pods.remove(uid) else {
            return;
        };
        self.unbound.remove(uid);
        if let Some(name) = &pod.node
            && let Some(used) = self.used.get_mut(name)
        {
            take(used, &pod.requests);
            if let Some(node) = self.nodes.get_mut(name) {
                node.use_up(used);
            }
            used.retain(|_, amount| *amount != 0);
            if used.is_empty() {
                self.used.remove(name);
            }
        }
        if let Some(parent) = &pod.parent
            && let Some(children) = self.children.get_mut(parent)
        {
            children.remove(uid);
            if children.is_empty() {
                self.children.remove(parent);
            }
        }
    }

    /// A node was seen.
    pub fn put_node(&mut self, name: &str, mut node: NodeState) {
        node.use_up(self.used.get(name).unwrap_or(&Amounts::new()));
        self.nodes.insert(name.to_owned(), node);
    }

    /// A node was not there before, or was not ready: pods that wait for it will have places in a moment.
    pub fn note_arrival(&mut self, name: &str, node: &NodeState, now: Timestamp) {
        let known = self.nodes.get(name);
        if known.is_none_or(|known| node.takes_pods && !known.takes_pods) {
            self.arrived
                .retain(|_, arrived| arrived.duration_until(now).unsigned_abs() < ARRIVES_WITHIN);
            self.arrived.insert(name.to_owned(), now);
        }
    }

    /// When the last node came of those that have room for a pod of this shape, if one did of late. Its taints
    /// are not looked at: providers take theirs off while it gets ready.
    pub fn arrival_for(&self, shape: &PodRequirements, now: Timestamp) -> Option<Timestamp> {
        let arrived = self.arrived.iter();
        arrived
            .filter(|(_, arrived)| arrived.duration_until(now).unsigned_abs() < ARRIVES_WITHIN)
            .filter(|(name, _)| {
                let node = self.nodes.get(*name);
                node.is_some_and(|node| shape.fits(&node.free))
            })
            .map(|(_, arrived)| *arrived)
            .max()
    }

    /// A node is gone, and pods of jobs with it.
    pub fn lose_node(&mut self, name: &str, now: Timestamp) {
        self.nodes.remove(name);
        self.arrived.remove(name);
        let children = self
            .children
            .values()
            .flatten()
            .filter_map(|uid| self.pods.get(uid));
        let lost = children
            .filter(|pod| pod.node.as_deref() == Some(name))
            .count();
        self.fail(lost, now);
    }

    /// So many pods of jobs were lost here with their nodes.
    pub fn fail(&mut self, count: usize, now: Timestamp) {
        self.failed
            .retain(|failed| failed.duration_until(now).unsigned_abs() < REMEMBERED_FOR);
        self.failed.extend(std::iter::repeat_n(now, count));
    }

    /// How many pods of jobs were lost here of late with their nodes.
    pub fn failures(&self, now: Timestamp) -> usize {
        let failed = self.failed.iter();
        failed
            .filter(|failed| failed.duration_until(now).unsigned_abs() < REMEMBERED_FOR)
            .count()
    }

    /// A place is kept for a pod, or is not any more. It may still say that it fits nowhere.
    pub fn keep(&mut self, key: (String, String), is_kept: bool, is_refused: bool) {
        if is_kept {
            let kept = self.kept.entry(key).or_default();
            kept.was_refused |= is_refused;
            kept.is_refused = is_refused;
        } else {
            self.kept.remove(&key);
        }
    }

    /// Whether a place is kept here for a source pod that fitted nowhere when it was tried. The scheduler
    /// has turned away from such a pod, and would take the place if it looked again now.
    pub fn keeps_unnoticed(&self, uid: &str) -> bool {
        let mut places = self
            .children_of(uid)
            .filter_map(|pod| self.kept.get(&pod.key));
        places.any(|kept| kept.was_refused && !kept.is_refused)
    }

    /// Keeps the pods that `is_there` says are still there.
    pub fn retain_pods(&mut self, is_there: impl Fn(&str) -> bool) {
        let gone: Vec<_> = self
            .pods
            .keys()
            .filter(|uid| !is_there(uid))
            .cloned()
            .collect();
        for uid in gone {
            self.release(&uid);
        }
    }

    /// Keeps the places that `is_there` says are still there.
    pub fn retain_kept(&mut self, is_there: impl Fn(&(String, String)) -> bool) {
        self.kept.retain(|key, _| is_there(key));
    }

    /// Whether a pod that stands for this source pod has a place here.
    pub fn keeps(&self, uid: &str) -> bool {
        self.children_of(uid)
            .any(|pod| pod.node.is_some() || self.kept.contains_key(&pod.key))
    }

    /// Whether a pod that stands for this source pod is here, with a place or without.
    pub fn has_candidate(&self, uid: &str) -> bool {
        self.children.contains_key(uid)
    }

    /// The pods that stand for a source pod here and have no node yet, by namespace and name.
    pub fn candidates(&self, uid: &str) -> impl Iterator<Item = &(String, String)> {
        let candidates = self.children_of(uid).filter(|pod| pod.node.is_none());
        candidates.map(|pod| &pod.key)
    }

    /// Requests of pods that a place is kept for, on which node is not known yet.
    pub fn reserved(&self) -> impl Iterator<Item = &Arc<Amounts>> {
        let unbound = self.unbound.iter().filter_map(|uid| self.pods.get(uid));
        unbound
            .filter(|pod| self.kept.contains_key(&pod.key))
            .map(|pod| &pod.requests)
    }

    /// How many pods stand for source pods here.
    pub fn job_pods(&self) -> usize {
        self.children.len()
    }

    fn children_of(&self, uid: &str) -> impl Iterator<Item = &HeldPod> {
        let children = self.children.get(uid).into_iter().flatten();
        children.filter_map(|child| self.pods.get(child))
    }
}

/// A place that is kept for a pod.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// Whether the pod said that it fits nowhere when a place was kept for it already.
    was_refused: bool,
    /// Whether it still says so.
    is_refused: bool,
}

/// A pod that holds room, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldPod {
    /// Its namespace and name.
    pub key: (String, String),
    /// The node that it is bound to.
    pub node: Option<String>,
    /// What it asks for, shared by all pods that ask for the same.
    pub requests: Arc<Amounts>,
    /// The uid of the source pod that it stands for.
    pub parent: Option<String>,
}

/// What is seen of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Taints that keep pods away: key, value, effect.
    pub taints: Vec<Taint>,
    /// Whether it is ready and takes pods.
    pub takes_pods: bool,
    /// What pods can use of it.
    pub allocatable: Amounts,
    /// What is left of that.
    #[serde(skip)]
    pub free: Amounts,
}

impl NodeState {
    fn use_up(&mut self, used: &Amounts) {
        self.free.clone_from(&self.allocatable);
        take(&mut self.free, used);
    }
}

/// A pod of a job, in the source cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of it that was seen: what is done to it holds for no other.
    pub version: String,
    /// The Job that made it.
    pub job: Option<JobName>,
    /// When it was created.
    pub created: Timestamp,
    /// Higher goes first.
    pub priority: i32,
    /// What it asks for, shared by all pods that ask for the same.
    pub shape: Arc<PodRequirements>,
    /// The clusters whose gates it may pass, with the time since when.
    pub released: BTreeMap<String, Timestamp>,
    /// The cluster that it was bound to.
    pub placed: Option<String>,
    /// Whether it ended.
    pub ended: bool,
}

/// The Job that made a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobName {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl JobPod {
    /// Whether it waits to be placed.
    pub fn waits(&self) -> bool {
        self.placed.is_none() && !self.ended
    }
}
