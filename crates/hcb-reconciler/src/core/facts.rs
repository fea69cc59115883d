//! What is known, kept up to date fact by fact. Facts are all that reaches decisions from outside, so
//! that a run that noted its facts can be played again.

use super::decide::decide;
use super::decision::{Decision, NotReleased};
use super::demand::Demand;
use hcb_api::amounts::Amounts;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::Gate;
use hcb_api::requirements::PodRequirements;

use super::memory::Memory;
use super::observation::{ClusterPod, ClusterState, JobDeadline, NodeState, Observation};
use super::pacing::Pacing;
use hcb_api::status::Handover;
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
    /// What says that a place is reserved for a candidate.
    #[serde(rename = "chaperons")]
    Reservations,
    /// Resource quotas.
    Quotas,
    /// Jobs of the source cluster.
    Jobs,
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
    /// The node that carries the gate of a cluster is gone, and the gate with it.
    GateGone(usize),
    /// How long a Job of the source cluster may take, by its uid.
    JobDeadline(usize, String, JobDeadline),
    /// A Job that is gone, by its uid.
    JobGone(usize, String),
    /// A demand, by its uid, was not released to a cluster, as far as is known.
    NotReleased(String, usize, NotReleased),
    /// A node that is gone.
    NodeGone(usize, String),
    /// A pod of a cluster, by its uid.
    #[serde(rename = "held")]
    Pod(usize, String, ClusterPod),
    /// What waits or runs in the source cluster.
    #[serde(rename = "job")]
    Demand(usize, Box<Demand>),
    /// A pod or a demand that ended or is gone, by its uid.
    PodGone(usize, String),
    /// Whether a place is reserved for a candidate, by its namespace and name.
    #[serde(rename = "place")]
    Reservation {
        /// The cluster.
        cluster: usize,
        /// Namespace and name.
        key: (String, String),
        /// Whether one is.
        #[serde(rename = "is_kept")]
        is_reserved: bool,
        /// Whether the candidate still says that it was refused.
        #[serde(rename = "is_outdated")]
        is_stale: bool,
    },
    /// What is left of a quota, by its namespace and name.
    Quota(usize, (String, String), Amounts),
    /// A quota that is gone.
    QuotaGone(usize, (String, String)),
    /// A demand was released to a cluster.
    Released(String, usize),
    /// The engine was told to look at a demand again.
    #[serde(rename = "woken")]
    Nudged(String),
    /// What the leader before left.
    TookOver(Box<Handover>),
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
            | Self::GateGone(cluster)
            | Self::JobDeadline(cluster, ..)
            | Self::JobGone(cluster, _)
            | Self::NodeGone(cluster, _)
            | Self::Pod(cluster, ..)
            | Self::Demand(cluster, _)
            | Self::PodGone(cluster, _)
            | Self::Reservation { cluster, .. }
            | Self::Quota(cluster, ..)
            | Self::QuotaGone(cluster, _)
            | Self::Released(_, cluster)
            | Self::NotReleased(_, cluster, _) => Some(*cluster),
            Self::Nudged(_) | Self::TookOver(_) => None,
        }
    }
}

/// Takes facts in and has the observation that they make, with what is listed and which clusters answer.
#[derive(Debug)]
pub struct Observer {
    /// What decisions are made of.
    pub observation: Observation,
    source: usize,
    names: Vec<String>,
    pacing: Pacing,
    requirements: HashSet<Arc<PodRequirements>>,
    requests: HashSet<Arc<Amounts>>,
    listings: Vec<[Listing; 5]>,
    alive: Vec<Option<Timestamp>>,
}

#[derive(Debug, Default)]
struct Listing {
    is_whole: bool,
    /// What was seen while all is listed anew.
    seen: Option<HashSet<String>>,
}

impl Observer {
    /// Nothing, yet.
    pub fn new(config: &ReconcilerConfig, pacing: Pacing) -> Self {
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
            pacing,
            requirements: HashSet::new(),
            requests: HashSet::new(),
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
                    state.note_arrival(&name, &node, &self.pacing, now);
                }
                state.put_node(&name, node);
            }
            Fact::Gate(cluster, gate) => {
                let state = &mut self.observation.clusters[cluster];
                (state.gate, state.has_gate) = (gate, true);
            }
            Fact::GateGone(cluster) => {
                let state = &mut self.observation.clusters[cluster];
                (state.gate, state.has_gate) = (Gate::Open, false);
            }
            Fact::JobDeadline(cluster, uid, deadline) => {
                self.note(cluster, Watched::Jobs, || uid.clone());
                self.observation.jobs.insert(uid, deadline);
            }
            Fact::JobGone(_, uid) => {
                self.observation.jobs.remove(&uid);
            }
            Fact::NodeGone(cluster, name) => {
                self.observation.clusters[cluster].lose_node(&name, now);
            }
            Fact::Pod(cluster, uid, mut pod) => {
                self.note(cluster, Watched::Pods, || uid.clone());
                pod.requests = shared(&mut self.requests, pod.requests);
                self.observation.clusters[cluster].put_pod(&uid, pod);
            }
            Fact::Demand(cluster, mut demand) => {
                self.note(cluster, Watched::Pods, || demand.uid.clone());
                demand.requirements = shared(&mut self.requirements, demand.requirements);
                // Clocks of other machines may be ahead; nothing waits for their time to come.
                demand.created = demand.created.min(now);
                for since in demand.released.values_mut() {
                    *since = (*since).min(now);
                }
                if let Some(known) = self.observation.demands.get(&demand.uid) {
                    // What was released a moment ago may not be in this event yet.
                    for (cluster, since) in &known.released {
                        demand.released.entry(cluster.clone()).or_insert(*since);
                    }
                }
                self.use_node(cluster, &demand);
                self.observation.demands.insert(demand.uid.clone(), *demand);
            }
            Fact::PodGone(cluster, uid) => {
                self.observation.clusters[cluster].end_pod(&uid, now);
                if cluster == self.source {
                    self.observation.demands.remove(&uid);
                }
            }
            Fact::Reservation {
                cluster,
                key,
                is_reserved,
                is_stale,
            } => {
                self.note(cluster, Watched::Reservations, || joined(&key));
                self.observation.clusters[cluster].set_reservation(key, is_reserved, is_stale);
            }
            Fact::Quota(cluster, key, left) => {
                self.note(cluster, Watched::Quotas, || joined(&key));
                self.observation.clusters[cluster].quotas.insert(key, left);
            }
            Fact::QuotaGone(cluster, key) => {
                self.observation.clusters[cluster].quotas.remove(&key);
            }
            Fact::Released(uid, cluster) => {
                if let Some(pod) = self.observation.demands.get_mut(&uid) {
                    pod.released.insert(self.names[cluster].clone(), now);
                }
            }
            Fact::Nudged(_) | Fact::NotReleased(..) | Fact::TookOver(_) => {}
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
            let state = &mut self.observation.clusters[index];
            state.is_seen = is_seen;
            state.learn_sizes(now);
        }
    }

    /// What is bound to a node of the source itself takes up room there.
    fn use_node(&mut self, cluster: usize, demand: &Demand) {
        let state = &mut self.observation.clusters[cluster];
        if demand.node.is_none() || demand.ended {
            state.remove_pod(&demand.uid);
            return;
        }
        let requests = Arc::new(demand.requirements.requests.clone());
        let pod = ClusterPod {
            key: (demand.namespace.clone(), demand.name.clone()),
            node: demand.node.clone(),
            requests: shared(&mut self.requests, requests),
            parent: None,
            is_daemon: false,
        };
        state.put_pod(&demand.uid, pod);
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
                    self.observation.demands.retain(|uid, _| seen.contains(uid));
                }
            }
            Watched::Reservations => state.retain_reservations(|key| seen.contains(&joined(key))),
            Watched::Quotas => state.quotas.retain(|key, _| seen.contains(&joined(key))),
            Watched::Jobs => self.observation.jobs.retain(|uid, _| seen.contains(uid)),
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
    /// What is seen.
    pub observer: Observer,
    /// What is remembered.
    pub memory: Memory,
    pacing: Pacing,
    /// The time of what was taken in or decided last.
    last: Timestamp,
}

impl State {
    /// Nothing, yet. Decisions go by the pace of an engine.
    pub fn new(config: &ReconcilerConfig, pacing: Pacing) -> Self {
        Self {
            observer: Observer::new(config, pacing),
            pacing,
            memory: Memory::default(),
            last: Timestamp::UNIX_EPOCH,
        }
    }

    /// Goes by another configuration. What was seen is seen anew: it may be of other clusters.
    pub fn configure(&mut self, before: &ReconcilerConfig, config: &ReconcilerConfig) {
        self.memory.configure(before, config, self.last);
        self.observer = Observer::new(config, self.pacing);
    }

    /// Takes in what was seen or done.
    pub fn take(&mut self, fact: Fact, config: &ReconcilerConfig, now: Timestamp) {
        self.last = self.last.max(now);
        match &fact {
            Fact::Nudged(uid) => self.memory.note_nudged(uid.clone(), now),
            Fact::Released(uid, _) => self.memory.note_released(uid),
            Fact::NotReleased(uid, cluster, why) => {
                self.memory
                    .note_not_released(uid, *cluster, why.clone(), now);
            }
            Fact::TookOver(handover) => self.memory.resume(handover, config, now),
            _ => {}
        }
        self.observer.take(fact, now);
    }

    /// Decides, and remembers it.
    pub fn decide(&mut self, config: &ReconcilerConfig, now: Timestamp) -> Decision {
        self.last = self.last.max(now);
        self.observer.look(now);
        let observation = &self.observer.observation;
        self.memory.observe(observation, config, now);
        let mut decision = decide(observation, config, &self.pacing, &self.memory, now);
        self.memory.remember(&decision, now);
        // For the memory alone.
        decision.unplaced.clear();
        decision
    }
}
