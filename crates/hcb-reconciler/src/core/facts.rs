//! What is known, kept up to date fact by fact. Facts are all that reaches decisions from outside, so
//! that a run that noted its facts can be played again.

use super::decide::decide;
use super::decision::Decision;
use hcb_api::amounts::Amounts;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::Gate;
use hcb_api::requirements::PodRequirements;

use super::memory::{Legacy, Memory};
use super::observation::{ClusterState, HeldPod, JobPod, NodeState, Observation};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Unseen for so long, a cluster counts as gone. What it last said is not acted on then.
pub const UNSEEN_AFTER: Duration = Duration::from_secs(15);

/// A kind of object that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Watched {
    /// Nodes.
    Nodes,
    /// Pods.
    Pods,
    /// What Admiralty has pods made by.
    Chaperons,
    /// Resource quotas.
    Quotas,
}

/// Something that was seen or done. Clusters go by their index in the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// The cluster answered.
    Alive(usize),
    /// The cluster answers no more, or its connection broke: what was seen of it may be wrong.
    Lost(usize),
    /// All objects of a kind are being listed anew.
    Listing(usize, Watched),
    /// They are listed: what was not among them is gone.
    Listed(usize, Watched),
    /// A node, by its name.
    Node(usize, String, NodeState),
    /// The gate of a cluster.
    Gate(usize, Gate),
    /// A node that is gone.
    NodeGone(usize, String),
    /// A pod that holds room, by its uid.
    Held(usize, String, HeldPod),
    /// A pod of a job in the source cluster.
    Job(usize, Box<JobPod>),
    /// A pod that ended or is gone, by its uid.
    PodGone(usize, String),
    /// Whether a place is kept for a pod, by its namespace and name.
    Place {
        /// The cluster.
        cluster: usize,
        /// Namespace and name.
        key: (String, String),
        /// Whether one is.
        is_kept: bool,
        /// Whether the pod still says that it fits nowhere.
        is_outdated: bool,
    },
    /// What is left of a quota, by its namespace and name.
    Quota(usize, (String, String), Amounts),
    /// A quota that is gone.
    QuotaGone(usize, (String, String)),
    /// A pod was released to a cluster.
    Released(String, usize),
    /// A pod was told to be looked at again.
    Woken(String),
    /// What the leader before left.
    TookOver(Box<Legacy>),
}

impl Fact {
    /// The cluster that it is about, where it is about one.
    pub fn cluster(&self) -> Option<usize> {
        match self {
            Self::Alive(cluster)
            | Self::Lost(cluster)
            | Self::Listing(cluster, _)
            | Self::Listed(cluster, _)
            | Self::Node(cluster, ..)
            | Self::Gate(cluster, _)
            | Self::NodeGone(cluster, _)
            | Self::Held(cluster, ..)
            | Self::Job(cluster, _)
            | Self::PodGone(cluster, _)
            | Self::Place { cluster, .. }
            | Self::Quota(cluster, ..)
            | Self::QuotaGone(cluster, _)
            | Self::Released(_, cluster) => Some(*cluster),
            Self::Woken(_) | Self::TookOver(_) => None,
        }
    }
}

/// Everything that is known of the clusters.
#[derive(Debug, Default)]
pub struct Known {
    /// What decisions are made of.
    pub observation: Observation,
    source: usize,
    names: Vec<String>,
    shapes: HashSet<Arc<PodRequirements>>,
    requests: HashSet<Arc<Amounts>>,
    listings: Vec<[Listing; 4]>,
    alive: Vec<Option<Timestamp>>,
}

#[derive(Debug, Default)]
struct Listing {
    is_whole: bool,
    /// What was seen while all is listed anew.
    seen: Option<HashSet<String>>,
}

impl Known {
    /// Nothing, yet.
    pub fn new(config: &ReconcilerConfig) -> Self {
        let count = config.clusters.len();
        Self {
            observation: Observation {
                clusters: vec![ClusterState::default(); count],
                ..Observation::default()
            },
            source: config.source(),
            names: config
                .clusters
                .iter()
                .map(|cluster| cluster.name.clone())
                .collect(),
            listings: (0..count).map(|_| Default::default()).collect(),
            alive: vec![None; count],
            ..Self::default()
        }
    }

    /// Takes in what was seen, at the time at which it was.
    pub fn take(&mut self, fact: Fact, now: Timestamp) {
        match fact {
            Fact::Alive(cluster) => self.alive[cluster] = Some(now),
            Fact::Lost(cluster) => {
                self.alive[cluster] = None;
                for listing in &mut self.listings[cluster] {
                    *listing = Listing::default();
                }
            }
            Fact::Listing(cluster, kind) => {
                self.listings[cluster][kind as usize].seen = Some(HashSet::new());
            }
            Fact::Listed(cluster, kind) => {
                self.listed(cluster, kind);
                self.alive[cluster] = Some(now);
            }
            Fact::Node(cluster, name, node) => {
                self.note(cluster, Watched::Nodes, || name.clone());
                let is_known = self.listings[cluster][Watched::Nodes as usize].is_whole;
                let state = &mut self.observation.clusters[cluster];
                // What is listed for the first time was there before.
                if is_known {
                    state.note_arrival(&name, &node, now);
                }
                state.put_node(&name, node);
            }
            Fact::Gate(cluster, gate) => {
                self.observation.clusters[cluster].gate = gate;
            }
            Fact::NodeGone(cluster, name) => {
                self.observation.clusters[cluster].lose_node(&name, now);
            }
            Fact::Held(cluster, uid, mut pod) => {
                self.note(cluster, Watched::Pods, || uid.clone());
                pod.requests = shared(&mut self.requests, pod.requests);
                self.observation.clusters[cluster].hold(&uid, pod);
            }
            Fact::Job(cluster, mut pod) => {
                self.note(cluster, Watched::Pods, || pod.uid.clone());
                pod.shape = shared(&mut self.shapes, pod.shape);
                // Clocks of other machines may be ahead; nothing waits for their time to come.
                pod.created = pod.created.min(now);
                for since in pod.released.values_mut() {
                    *since = (*since).min(now);
                }
                if let Some(known) = self.observation.pods.get(&pod.uid) {
                    // What was released a moment ago may not be in this event yet.
                    for (cluster, since) in &known.released {
                        pod.released.entry(cluster.clone()).or_insert(*since);
                    }
                }
                self.observation.pods.insert(pod.uid.clone(), *pod);
            }
            Fact::PodGone(cluster, uid) => {
                self.observation.clusters[cluster].let_end(&uid, now);
                if cluster == self.source {
                    self.observation.pods.remove(&uid);
                }
            }
            Fact::Place {
                cluster,
                key,
                is_kept,
                is_outdated,
            } => {
                self.note(cluster, Watched::Chaperons, || joined(&key));
                self.observation.clusters[cluster].keep(key, is_kept, is_outdated);
            }
            Fact::Quota(cluster, key, left) => {
                self.note(cluster, Watched::Quotas, || joined(&key));
                self.observation.clusters[cluster].quotas.insert(key, left);
            }
            Fact::QuotaGone(cluster, key) => {
                self.observation.clusters[cluster].quotas.remove(&key);
            }
            Fact::Released(uid, cluster) => {
                if let Some(pod) = self.observation.pods.get_mut(&uid) {
                    pod.released.insert(self.names[cluster].clone(), now);
                }
            }
            Fact::Woken(_) | Fact::TookOver(_) => {}
        }
    }

    /// Whether the source cluster is known well enough to decide anything.
    pub fn is_ready(&self) -> bool {
        self.is_whole(self.source)
    }

    /// Notes which clusters can be seen at this time.
    pub fn look(&mut self, now: Timestamp) {
        for index in 0..self.names.len() {
            let is_recent =
                |alive: Timestamp| alive.duration_until(now).unsigned_abs() < UNSEEN_AFTER;
            let is_seen = self.is_whole(index) && self.alive[index].is_some_and(is_recent);
            self.observation.clusters[index].is_seen = is_seen;
        }
    }

    fn is_whole(&self, cluster: usize) -> bool {
        let is_whole = |kind: Watched| self.listings[cluster][kind as usize].is_whole;
        is_whole(Watched::Nodes) && is_whole(Watched::Pods)
    }

    fn note(&mut self, cluster: usize, kind: Watched, name: impl Fn() -> String) {
        if let Some(seen) = &mut self.listings[cluster][kind as usize].seen {
            seen.insert(name());
        }
    }

    fn listed(&mut self, cluster: usize, kind: Watched) {
        let listing = &mut self.listings[cluster][kind as usize];
        listing.is_whole = true;
        let Some(seen) = listing.seen.take() else {
            return;
        };
        let state = &mut self.observation.clusters[cluster];
        match kind {
            Watched::Nodes => state.nodes.retain(|name, _| seen.contains(name)),
            Watched::Pods => {
                state.retain_pods(|uid| seen.contains(uid));
                if cluster == self.source {
                    self.observation.pods.retain(|uid, _| seen.contains(uid));
                }
            }
            Watched::Chaperons => state.retain_kept(|key| seen.contains(&joined(key))),
            Watched::Quotas => state.quotas.retain(|key, _| seen.contains(&joined(key))),
        }
    }
}

/// The one that is known already, where it is: many pods ask for the same.
fn shared<T: Eq + std::hash::Hash>(known: &mut HashSet<Arc<T>>, new: Arc<T>) -> Arc<T> {
    if let Some(known) = known.get(&new) {
        return Arc::clone(known);
    }
    // Nobody asks for the others any more.
    if known.len() >= 1024 {
        known.retain(|shape| Arc::strong_count(shape) > 1);
    }
    known.insert(Arc::clone(&new));
    new
}

fn joined((namespace, name): &(String, String)) -> String {
    format!("{namespace}/{name}")
}

/// All that decisions go by: what is known, and what is remembered of earlier ones.
#[derive(Debug)]
pub struct State {
    /// What is known.
    pub known: Known,
    /// What is remembered.
    pub memory: Memory,
}

impl State {
    /// Nothing, yet.
    pub fn new(config: &ReconcilerConfig) -> Self {
        Self {
            known: Known::new(config),
            memory: Memory::default(),
        }
    }

    /// Goes by another configuration. What was seen is seen anew: it may be of other clusters.
    pub fn configure(&mut self, before: &ReconcilerConfig, config: &ReconcilerConfig) {
        let legacy = self.memory.legacy(before);
        self.memory.go_on_from(&legacy, config);
        self.known = Known::new(config);
    }

    /// Takes in what was seen or done.
    pub fn take(&mut self, fact: Fact, config: &ReconcilerConfig, now: Timestamp) {
        match &fact {
            Fact::Woken(uid) => self.memory.note_woken(uid.clone(), now),
            Fact::TookOver(legacy) => self.memory.go_on_from(legacy, config),
            _ => {}
        }
        self.known.take(fact, now);
    }

    /// Decides, and remembers it.
    pub fn decide(&mut self, config: &ReconcilerConfig, now: Timestamp) -> Decision {
        self.known.look(now);
        self.memory.see(&self.known.observation, config, now);
        let decision = decide(&self.known.observation, config, &self.memory, now);
        self.memory.keep(&decision);
        decision
    }
}
