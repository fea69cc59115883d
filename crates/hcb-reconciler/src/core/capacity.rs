//! What is free: where a demand fits on nodes that are there, or on nodes that an autoscaler would add.

use super::demand::Demand;
use super::observation::{ClusterState, NodeState, Observation};
use hcb_api::amounts::{Amounts, suffices, take};
use hcb_api::config::{Cluster, Pool, ReconcilerConfig};
use hcb_api::node_pool::{admits, whole};
use hcb_api::requirements::PodRequirements;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How a demand would be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// A node has room.
    Node(usize),
    /// A node that is being added for other pods has room.
    Planned(usize),
    /// The autoscaler would add a node of this pool.
    Grow(usize),
}

/// What is left of a cluster while decisions are made: what is seen, less what was given away since.
#[derive(Debug, Clone)]
pub struct Capacity<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    state: &'a ClusterState,
    nodes: Vec<&'a NodeState>,
    /// What is free on nodes that something was given away of.
    taken: HashMap<usize, Amounts>,
    /// Where to go on looking for a node, by what is asked for: what was too little stays so.
    looked: HashMap<*const PodRequirements, usize>,
    planned: Vec<(usize, Amounts)>,
    /// Nodes by pool, planned ones too.
    counts: Vec<u32>,
    /// What is left of quotas that something was given away of.
    quotas: BTreeMap<&'a (String, String), Amounts>,
}

impl<'a> Capacity<'a> {
    /// What is free in a cluster as it is seen.
    pub fn new(cluster: &'a Cluster, state: &'a ClusterState) -> Self {
        let mut capacity = Self {
            cluster,
            state,
            nodes: state.nodes.values().collect(),
            taken: HashMap::new(),
            looked: HashMap::new(),
            planned: Vec::new(),
            counts: node_counts(cluster, state),
            quotas: BTreeMap::new(),
        };
        for requests in state.reserved() {
            let fits = |node: &&NodeState| suffices(&node.free, requests);
            if let Some(index) = capacity.nodes.iter().position(fits) {
                capacity.take(index, requests);
            }
        }
        capacity
    }

    /// A node that is there and has room.
    pub fn fits(&mut self, pod: &Demand) -> Option<Placement> {
        if !self.is_within_quotas(pod) {
            return None;
        }
        let requirements = &pod.requirements;
        let key = Arc::as_ptr(requirements);
        let from = self.looked.get(&key).copied().unwrap_or_default();
        let fits = |(index, node): (usize, &&NodeState)| {
            node.takes_pods
                && requirements.fits(self.taken.get(&index).unwrap_or(&node.free))
                && requirements.is_admitted(&node.labels, &node.taints)
        };
        let mut nodes = self.nodes.iter().enumerate().skip(from);
        let found = nodes.find(|entry| fits(*entry)).map(|(index, _)| index);
        self.looked.insert(key, found.unwrap_or(self.nodes.len()));
        found.map(Placement::Node)
    }

    /// A way to take the pod in: a node that is there, one that is coming, or one more of the cheapest
    /// pool that may still grow.
    pub fn find(&mut self, pod: &Demand) -> Option<Placement> {
        self.fits(pod).or_else(|| self.grows(pod))
    }

    /// A way to take the pod in on a node that is not there yet.
    pub fn grows(&self, pod: &Demand) -> Option<Placement> {
        if !self.is_within_quotas(pod) {
            return None;
        }
        let requirements = &pod.requirements;
        let coming = |(pool, free): &(usize, Amounts)| {
            requirements.fits(free) && admits(&self.cluster.pools[*pool], requirements)
        };
        let planned = self.planned.iter().position(coming).map(Placement::Planned);
        planned.or_else(|| self.growth(requirements).map(Placement::Grow))
    }

    /// Takes the pod in, so that the room is not given away twice.
    pub fn reserve(&mut self, pod: &Demand, placement: Placement) {
        let requests = &pod.requirements.requests;
        match placement {
            Placement::Node(index) => self.take(index, requests),
            Placement::Planned(index) => take(&mut self.planned[index].1, requests),
            Placement::Grow(pool) => {
                let mut free = whole(&self.cluster.pools[pool]);
                take(&mut free, requests);
                self.planned.push((pool, free));
                self.counts[pool] += 1;
            }
        }
        // The API server counted a candidate that is there already.
        if !self.state.has_candidate(&pod.uid) {
            for (key, left) in self.quotas_of(&pod.namespace) {
                take(
                    self.quotas.entry(key).or_insert_with(|| left.clone()),
                    requests,
                );
            }
        }
    }

    /// Whether the quotas of its namespace let a candidate of the pod be made.
    pub fn is_within_quotas(&self, pod: &Demand) -> bool {
        let leaves_enough = |(key, left): (&'a (String, String), &'a Amounts)| {
            let left = self.quotas.get(key).unwrap_or(left);
            left.iter().all(|(resource, left)| {
                let requested = pod.requirements.requests.get(resource).copied();
                requested.is_none_or(|requested| requested <= *left)
            })
        };
        self.state.has_candidate(&pod.uid) || self.quotas_of(&pod.namespace).all(leaves_enough)
    }

    fn quotas_of(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = (&'a (String, String), &'a Amounts)> + use<'a> {
        let from = (namespace.to_owned(), String::new());
        let namespace = namespace.to_owned();
        let quotas = self.state.quotas.range(from..);
        quotas.take_while(move |((of, _), _)| *of == namespace)
    }

    fn take(&mut self, index: usize, requests: &Amounts) {
        let node = self.nodes[index];
        let free = self.taken.entry(index);
        take(free.or_insert_with(|| node.free.clone()), requests);
    }

    /// What the nodes cost an hour, those that are coming too.
    pub fn hourly_cost(&self) -> f64 {
        cost(self.cluster, &self.counts)
    }

    /// What a way costs an hour more.
    pub fn price(&self, placement: Placement) -> f64 {
        match placement {
            Placement::Grow(pool) => self.cluster.pools[pool].price_per_hour.unwrap_or_default(),
            Placement::Node(_) | Placement::Planned(_) => 0.0,
        }
    }

    fn growth(&self, requirements: &PodRequirements) -> Option<usize> {
        let pools = self.cluster.pools.iter().enumerate();
        let able = pools.filter(|(index, pool)| {
            self.counts[*index] < pool.max
                && pool.max > pool.min
                && requirements.fits(&whole(pool))
                && admits(pool, requirements)
                && self.is_within_limits(pool)
        });
        let price = |pool: &Pool| pool.price_per_hour.unwrap_or_default();
        able.min_by(|(_, left), (_, right)| price(left).total_cmp(&price(right)))
            .map(|(index, _)| index)
    }

    fn is_within_limits(&self, more: &Pool) -> bool {
        let Some(limits) = &self.cluster.limits else {
            return true;
        };
        let nodes: u32 = self.counts.iter().sum::<u32>() + 1;
        let sum = |is_counted: &dyn Fn(&str) -> bool| -> i128 {
            let of = |pool: &Pool| {
                pool.allocatable
                    .iter()
                    .filter(|(name, _)| is_counted(name))
                    .map(|(_, amount)| amount.milli())
                    .sum::<i128>()
            };
            let counted = self
                .cluster
                .pools
                .iter()
                .zip(&self.counts)
                .map(|(pool, count)| of(pool) * i128::from(*count));
            counted.sum::<i128>() + of(more)
        };
        nodes <= limits.nodes
            && sum(&|name| name == "cpu") <= limits.cpu.milli()
            && sum(&|name| name == "memory") <= limits.memory.milli()
            && sum(&|name| name.contains("gpu")) <= i128::from(limits.gpus) * 1000
    }
}

/// Nodes of a cluster by pool, in the order of the configuration.
pub fn node_counts(cluster: &Cluster, state: &ClusterState) -> Vec<u32> {
    let mut counts = vec![0; cluster.pools.len()];
    for node in state.nodes.values() {
        let pool = match node.labels.get(hcb_api::labels::POOL) {
            Some(name) => cluster.pools.iter().position(|pool| pool.name == *name),
            // Nodes that were there before hcb carry no label of its; where there is one pool, they
            // are its.
            None => (cluster.pools.len() == 1).then_some(0),
        };
        if let Some(pool) = pool {
            counts[pool] += 1;
        }
    }
    counts
}

/// What the nodes of a cluster cost an hour, as they are seen.
pub fn hourly_cost(cluster: &Cluster, state: &ClusterState) -> f64 {
    cost(cluster, &node_counts(cluster, state))
}

/// What the nodes of the tiers after the first cost an hour: what bursting costs.
pub fn burst_cost(observation: &Observation, config: &ReconcilerConfig) -> f64 {
    let clusters = config.clusters.iter().zip(&observation.clusters);
    clusters
        .filter(|(cluster, _)| config.tier(cluster) > 0)
        .map(|(cluster, state)| hourly_cost(cluster, state))
        .sum()
}

/// What so many nodes cost an hour.
fn cost(cluster: &Cluster, counts: &[u32]) -> f64 {
    let pools = cluster.pools.iter().zip(counts);
    pools
        .map(|(pool, count)| f64::from(*count) * pool.price_per_hour.unwrap_or_default())
        .sum()
}
