//! What the reconciler sees: of each cluster what is free, of each demand what it asks for. It holds only the
//! few fields that decisions need, so that memory stays bounded, and is kept up to date fact by fact, so that a
//! decision copies nothing.

use super::demand::Demand;
use super::pacing::Pacing;
use hcb_api::amounts::{Amounts, add, take};
use hcb_api::config::Pool;
use hcb_api::gate::Gate;
use hcb_api::labels::POOL;
use hcb_api::node_pool::whole;
use hcb_api::requirements::{PodRequirements, Taint};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How long a failure is held against a cluster.
pub const REMEMBERED_FOR: Duration = Duration::from_secs(900);

/// What nodes offer is looked at this often at the most: there may be many.
const LEARNED_EVERY: Duration = Duration::from_secs(10);

/// What is seen at one time.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The clusters, in the order of the configuration.
    pub clusters: Vec<ClusterState>,
    /// What waits or runs in the source cluster, by uid.
    pub demands: BTreeMap<String, Demand>,
    /// How long Jobs of the source cluster may take, by uid.
    pub jobs: BTreeMap<String, JobDeadline>,
}

/// How long a Job may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDeadline {
    /// When it began, where it has.
    pub started: Option<Timestamp>,
    /// After how many seconds Kubernetes ends it; never where there is none.
    pub seconds: Option<i64>,
}

impl JobDeadline {
    /// When Kubernetes ends the Job at the latest, if it begins now where it has not begun yet.
    pub fn end(&self, now: Timestamp) -> Timestamp {
        let begin = self.started.unwrap_or(now);
        self.seconds.map_or(Timestamp::MAX, |seconds| {
            let time = SignedDuration::from_secs(seconds.max(0));
            begin.saturating_add(time).unwrap_or(Timestamp::MAX)
        })
    }
}

impl Observation {
    /// The clusters, by their index, in which a demand has a place.
    pub fn reserved_in(&self, uid: &str) -> impl Iterator<Item = usize> {
        let clusters = self.clusters.iter().enumerate();
        clusters
            .filter(|(_, state)| state.has_place(uid))
            .map(|(index, _)| index)
    }

    /// When a demand ends at the latest. One whose Job is not known, or has no deadline, may run for ever.
    pub fn end(&self, demand: &Demand, now: Timestamp) -> Timestamp {
        let job = demand.job.as_ref().and_then(|job| self.jobs.get(&job.uid));
        job.map_or(Timestamp::MAX, |job| job.end(now))
    }

    /// Whether the engine has tried to place a demand, which makes candidates of it.
    pub fn is_tried(&self, uid: &str) -> bool {
        self.clusters.iter().any(|state| state.has_candidate(uid))
    }
}

/// What is seen of a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterState {
    /// Whether it can be seen now. What it last said is not acted on otherwise.
    pub is_seen: bool,
    /// Its gate.
    pub gate: Gate,
    /// Whether the node was seen that carries the gate.
    pub has_gate: bool,
    /// Its nodes by name, without virtual ones.
    pub nodes: BTreeMap<String, NodeState>,
    /// What is left of each quota, by namespace and name.
    pub quotas: BTreeMap<(String, String), Amounts>,
    pods: HashMap<String, ClusterPod>,
    /// What pods on a node asked for, whether or not the node itself was seen yet.
    used: HashMap<String, Amounts>,
    /// What pods of `DaemonSets` on a node asked for.
    daemons: HashMap<String, Amounts>,
    /// What nodes of a pool were last seen to offer to other pods, by the pool's name.
    sizes: BTreeMap<String, Amounts>,
    /// Whether nodes or pods of `DaemonSets` changed since the sizes were learned.
    is_size_stale: bool,
    /// When the sizes were learned.
    learned: Option<Timestamp>,
    /// Pods without a node, by uid.
    unbound: BTreeSet<String>,
    /// The candidates of a demand here, by its uid.
    children: HashMap<String, BTreeSet<String>>,
    /// Candidates that a place is reserved for, by namespace and name.
    reservations: BTreeMap<(String, String), Reservation>,
    /// When pods of jobs were lost with their nodes.
    failed: Vec<Timestamp>,
    /// When a pod that was on a node last ended or went.
    pub freed: Option<Timestamp>,
    /// When nodes came, or became ready, of late.
    arrived: BTreeMap<String, Timestamp>,
}

impl ClusterState {
    /// A pod was seen.
    pub fn put_pod(&mut self, uid: &str, pod: ClusterPod) {
        self.remove_pod(uid);
        if let Some(node) = &pod.node {
            let used = self.used.entry(node.clone()).or_default();
            add(used, &pod.requests);
            if let Some(node) = self.nodes.get_mut(node) {
                node.use_up(used);
            }
            if pod.is_daemon {
                add(self.daemons.entry(node.clone()).or_default(), &pod.requests);
                self.is_size_stale = true;
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
    pub fn end_pod(&mut self, uid: &str, now: Timestamp) {
        if self.pods.get(uid).is_some_and(|pod| pod.node.is_some()) {
            self.freed = Some(now);
        }
        self.remove_pod(uid);
    }

    /// A pod takes up nothing any more.
    pub fn remove_pod(&mut self, uid: &str) {
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
            if pod.is_daemon
                && let Some(daemons) = self.daemons.get_mut(name)
            {
                take(daemons, &pod.requests);
                self.is_size_stale = true;
            }
            used.retain(|_, amount| *amount != 0);
            if used.is_empty() {
                self.used.remove(name);
                self.daemons.remove(name);
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
        self.is_size_stale = true;
    }

    /// Learns what a node of each pool offers, from those that are there. What was learned of a pool stays when its
    /// last node goes.
    pub fn learn_sizes(&mut self, now: Timestamp) {
        let is_recent = |learned| is_within(learned, LEARNED_EVERY, now);
        if !self.is_size_stale || self.learned.is_some_and(is_recent) {
            return;
        }
        self.is_size_stale = false;
        self.learned = Some(now);
        let mut sizes: BTreeMap<&str, Amounts> = BTreeMap::new();
        for (name, node) in self.nodes.iter().filter(|(_, node)| node.takes_pods) {
            let Some(pool) = node.labels.get(POOL) else {
                continue;
            };
            let daemons = self.daemons.get(name);
            let size = sizes.entry(pool).or_default();
            for (resource, amount) in &node.allocatable {
                let taken = daemons.and_then(|daemons| daemons.get(resource));
                let offered = amount - taken.copied().unwrap_or_default();
                match size.get_mut(resource) {
                    Some(known) => *known = offered.max(*known),
                    None => drop(size.insert(resource.clone(), offered)),
                }
            }
        }
        for (pool, size) in sizes {
            self.sizes.insert(pool.to_owned(), size);
        }
    }

    /// What a new node of a pool will offer: what the spec says, or less where nodes of the pool were seen to offer
    /// less. A node with less than half of a resource is a smaller machine, of which nothing follows for others.
    pub fn size(&self, pool: &Pool) -> Amounts {
        let mut size = whole(pool);
        if let Some(seen) = self.sizes.get(&pool.name) {
            for (resource, amount) in &mut size {
                let seen = seen.get(resource).copied().unwrap_or_default();
                let is_of_that_size = resource == "pods" || seen.saturating_mul(2) >= *amount;
                if seen > 0 && is_of_that_size {
                    *amount = (*amount).min(seen);
                }
            }
        }
        size
    }

    /// A node was not there before, or was not ready: pods that wait for it will have places in a moment.
    pub fn note_arrival(&mut self, name: &str, node: &NodeState, pacing: &Pacing, now: Timestamp) {
        let known = self.nodes.get(name);
        if known.is_none_or(|known| node.takes_pods && !known.takes_pods) {
            self.arrived
                .retain(|_, arrived| is_within(*arrived, pacing.arrival, now));
            self.arrived.insert(name.to_owned(), now);
        }
    }

    /// When the last node came of those that have room for such a pod, if one did of late. Its taints
    /// are not looked at: providers take theirs off while it gets ready.
    pub fn arrival_for(
        &self,
        requirements: &PodRequirements,
        pacing: &Pacing,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let arrived = self.arrived.iter();
        arrived
            .filter(|(_, arrived)| is_within(**arrived, pacing.arrival, now))
            .filter(|(name, _)| {
                let node = self.nodes.get(*name);
                node.is_some_and(|node| requirements.fits(&node.free))
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
            .retain(|failed| is_within(*failed, REMEMBERED_FOR, now));
        self.failed.extend(std::iter::repeat_n(now, count));
    }

    /// How many pods of jobs were lost here of late with their nodes.
    pub fn failures(&self, now: Timestamp) -> usize {
        let failed = self.failed.iter();
        failed
            .filter(|failed| is_within(**failed, REMEMBERED_FOR, now))
            .count()
    }

    /// A place is reserved for a candidate, or is not any more. It may still say that it was refused.
    pub fn set_reservation(&mut self, key: (String, String), is_reserved: bool, is_refused: bool) {
        if is_reserved {
            let reservation = self.reservations.entry(key).or_default();
            reservation.was_refused |= is_refused;
            reservation.is_refused = is_refused;
        } else {
            self.reservations.remove(&key);
        }
    }

    /// Whether a place is reserved here for a demand that was refused when it was tried. The engine has turned
    /// away from it, and would take the place if it looked again now.
    pub fn has_unnoticed_place(&self, uid: &str) -> bool {
        let mut places = self
            .children_of(uid)
            .filter_map(|pod| self.reservations.get(&pod.key));
        places.any(|place| place.was_refused && !place.is_refused)
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
            self.remove_pod(&uid);
        }
    }

    /// Keeps the reservations that `is_there` says are still there.
    pub fn retain_reservations(&mut self, is_there: impl Fn(&(String, String)) -> bool) {
        self.reservations.retain(|key, _| is_there(key));
    }

    /// Whether a candidate of this demand has a place here.
    pub fn has_place(&self, uid: &str) -> bool {
        self.children_of(uid)
            .any(|pod| pod.node.is_some() || self.reservations.contains_key(&pod.key))
    }

    /// The nodes that candidates of a demand were bound to.
    pub fn candidate_nodes(&self, uid: &str) -> impl Iterator<Item = &str> {
        self.children_of(uid).filter_map(|pod| pod.node.as_deref())
    }

    /// Whether a candidate of this demand is here, with a place or without.
    pub fn has_candidate(&self, uid: &str) -> bool {
        self.children.contains_key(uid)
    }

    /// The candidates of a demand that have no node yet, by namespace and name.
    pub fn candidates(&self, uid: &str) -> impl Iterator<Item = &(String, String)> {
        let candidates = self.children_of(uid).filter(|pod| pod.node.is_none());
        candidates.map(|pod| &pod.key)
    }

    /// Requests of candidates that a place is reserved for, on which node is not known yet.
    pub fn reserved(&self) -> impl Iterator<Item = &Arc<Amounts>> {
        let unbound = self.unbound.iter().filter_map(|uid| self.pods.get(uid));
        unbound
            .filter(|pod| self.reservations.contains_key(&pod.key))
            .map(|pod| &pod.requests)
    }

    /// How many demands have candidates here.
    pub fn job_pods(&self) -> usize {
        self.children.len()
    }

    fn children_of(&self, uid: &str) -> impl Iterator<Item = &ClusterPod> {
        let children = self.children.get(uid).into_iter().flatten();
        children.filter_map(|child| self.pods.get(child))
    }
}

/// A place that is reserved for a candidate.
#[derive(Debug, Clone, Copy, Default)]
struct Reservation {
    /// Whether the candidate said that it was refused when the place was reserved already.
    was_refused: bool,
    /// Whether it still says so.
    is_refused: bool,
}

/// A pod of a cluster, which takes up room once it has a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPod {
    /// Its namespace and name.
    pub key: (String, String),
    /// The node that it is bound to.
    pub node: Option<String>,
    /// What it asks for, shared by all pods that ask for the same.
    pub requests: Arc<Amounts>,
    /// The uid of the demand that it is a candidate of.
    pub parent: Option<String>,
    /// Whether it is of a `DaemonSet`, and so on every new node too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_daemon: bool,
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

/// Whether a time is no longer ago than so.
fn is_within(time: Timestamp, duration: Duration, now: Timestamp) -> bool {
    time.duration_until(now).unsigned_abs() < duration
}
