//! What is free: where a demand fits on nodes that are there, or on nodes that an autoscaler would add.

use super::demand::Demand;
use super::observation::{ClusterState, NodeState};
use hcb_api::amounts::{Amounts, suffices, take};
use hcb_api::config::{Cluster, Pool};
use hcb_api::money::Money;
use hcb_api::node_pool::admits;
use hcb_api::requirements::PodRequirements;
use jiff::{SignedDuration, Timestamp};
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

/// A node that is being added.
#[derive(Debug, Clone)]
struct PlannedNode {
    pool: usize,
    free: Amounts,
    paid_until: Timestamp,
}

/// Nodes of a cluster, by what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// Those of each pool, in the order of the configuration.
    pub pools: Vec<u32>,
    /// Those of no known pool that Workloads could use. Each costs as much as the cluster's dearest.
    pub others: u32,
}

/// What a node is counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountedAs {
    /// A node of this pool.
    Pool(usize),
    /// A node of no known pool.
    Other,
    /// A node that no Workload can use, such as one of the control plane: it costs nothing.
    Unusable,
}

/// A node that is bought is paid for so long at least.
const PAID_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Taints that come and go with the state of a node, by prefix of their keys: they keep nobody away for good.
const PASSING_TAINTS: [&str; 6] = [
    "node.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/",
    "node.cilium.io/",
    "karpenter.sh/",
    "ToBeDeletedByClusterAutoscaler",
    "DeletionCandidateOfClusterAutoscaler",
];

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
    planned: Vec<PlannedNode>,
    /// Nodes by pool, planned ones too, and others.
    counts: NodeCounts,
    /// What a new node of each pool will offer.
    sizes: Vec<Amounts>,
    /// Until when nodes that are there are paid for, where something was or will be placed on them.
    paid_until: HashMap<usize, Timestamp>,
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
            sizes: cluster.pools.iter().map(|pool| state.size(pool)).collect(),
            paid_until: HashMap::new(),
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
        let coming = |node: &PlannedNode| {
            requirements.fits(&node.free) && admits(&self.cluster.pools[node.pool], requirements)
        };
        let planned = self.planned.iter().position(coming).map(Placement::Planned);
        planned.or_else(|| self.growth(requirements).map(Placement::Grow))
    }

    /// Takes the pod in, so that the room is not given away twice. It runs `until` then at the latest.
    pub fn reserve(&mut self, pod: &Demand, placement: Placement, until: Timestamp) {
        let requests = &pod.requirements.requests;
        match placement {
            Placement::Node(index) => {
                self.take(index, requests);
                self.keep(index, until);
            }
            Placement::Planned(index) => {
                let node = &mut self.planned[index];
                take(&mut node.free, requests);
                node.paid_until = node.paid_until.max(until);
            }
            Placement::Grow(pool) => {
                let mut free = self.sizes[pool].clone();
                take(&mut free, requests);
                self.planned.push(PlannedNode {
                    pool,
                    free,
                    paid_until: until,
                });
                self.counts.pools[pool] += 1;
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

    /// What runs on a node that is there keeps it, and its cost, until then.
    pub fn keep(&mut self, index: usize, until: Timestamp) {
        let known = self.paid_until.entry(index).or_insert(until);
        *known = (*known).max(until);
    }

    /// What the nodes cost an hour, those that are coming too.
    pub fn hourly_cost(&self) -> Money {
        cost(self.cluster, &self.counts)
    }

    /// What the nodes will have cost in a time that begins at `now` or later, each for as long as what was released to it
    /// may run, and for an hour from now at least.
    pub fn commitment(&self, now: Timestamp, (from, to): (Timestamp, Timestamp)) -> Money {
        let least = now.saturating_add(PAID_FOR).unwrap_or(Timestamp::MAX);
        let until = |paid: Option<Timestamp>| paid.unwrap_or(least).max(least).min(to);
        let there = self.nodes.iter().enumerate().map(|(index, node)| {
            let paid = self.paid_until.get(&index).copied();
            node_price(self.cluster, node).for_time(from, until(paid))
        });
        let planned = self.planned.iter().map(|node| {
            let price = pool_price(&self.cluster.pools[node.pool]);
            price.for_time(from, until(Some(node.paid_until)))
        });
        there.chain(planned).sum()
    }

    /// What a way costs an hour more.
    pub fn price(&self, placement: Placement) -> Money {
        match placement {
            Placement::Grow(pool) => pool_price(&self.cluster.pools[pool]),
            Placement::Node(_) | Placement::Planned(_) => Money::ZERO,
        }
    }

    /// What a way costs in a time that begins at `now` or later more, for a pod that may run `until` then.
    pub fn price_of_time(
        &self,
        placement: Placement,
        until: Timestamp,
        now: Timestamp,
        (from, to): (Timestamp, Timestamp),
    ) -> Money {
        let least = now.saturating_add(PAID_FOR).unwrap_or(Timestamp::MAX);
        let (price, before) = match placement {
            Placement::Grow(pool) => (pool_price(&self.cluster.pools[pool]), now),
            Placement::Planned(index) => {
                let node = &self.planned[index];
                let price = pool_price(&self.cluster.pools[node.pool]);
                (price, node.paid_until.max(least))
            }
            Placement::Node(index) => {
                let paid = self.paid_until.get(&index).copied();
                let price = node_price(self.cluster, self.nodes[index]);
                (price, paid.unwrap_or(least).max(least))
            }
        };
        price.for_time(before.max(from), until.max(least).min(to))
    }

    /// Whether a way costs nothing at all: a node that has no price.
    pub fn is_free(&self, placement: Placement) -> bool {
        match placement {
            Placement::Grow(pool) => pool_price(&self.cluster.pools[pool]).is_zero(),
            Placement::Planned(index) => {
                pool_price(&self.cluster.pools[self.planned[index].pool]).is_zero()
            }
            Placement::Node(index) => node_price(self.cluster, self.nodes[index]).is_zero(),
        }
    }

    fn growth(&self, requirements: &PodRequirements) -> Option<usize> {
        let pools = self.cluster.pools.iter().enumerate();
        let able = pools.filter(|(index, pool)| {
            self.counts.pools[*index] < pool.max
                && pool.max > pool.min
                && requirements.fits(&self.sizes[*index])
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
        let nodes: u32 = self.counts.pools.iter().sum::<u32>() + self.counts.others + 1;
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
                .zip(&self.counts.pools)
                .map(|(pool, count)| of(pool) * i128::from(*count));
            counted.sum::<i128>() + of(more)
        };
        nodes <= limits.nodes
            && sum(&|name| name == "cpu") <= limits.cpu.milli()
            && sum(&|name| name == "memory") <= limits.memory.milli()
            && sum(&|name| name.contains("gpu")) <= i128::from(limits.gpus) * 1000
    }
}

/// What a node of a cluster is counted as.
pub fn counted_as(cluster: &Cluster, node: &NodeState) -> CountedAs {
    let pools = &cluster.pools;
    let label = node.labels.get(hcb_api::labels::POOL);
    if let Some(name) = label
        && let Some(pool) = pools.iter().position(|pool| pool.name == *name)
    {
        return CountedAs::Pool(pool);
    }
    // Workloads tolerate the taints of pools, and no others.
    let is_known = |key: &str| {
        let mut taints = pools.iter().flat_map(|pool| &pool.taints);
        taints.any(|taint| taint.key == key)
            || PASSING_TAINTS.iter().any(|prefix| key.starts_with(prefix))
    };
    let mut taints = node.taints.iter();
    if taints.any(|taint| taint.effect != "PreferNoSchedule" && !is_known(&taint.key)) {
        return CountedAs::Unusable;
    }
    // Nodes that were there before hcb carry no label of its; where there is one pool, they are its.
    if label.is_none() && pools.len() == 1 {
        return CountedAs::Pool(0);
    }
    CountedAs::Other
}

/// Nodes of a cluster by what they cost.
pub fn node_counts(cluster: &Cluster, state: &ClusterState) -> NodeCounts {
    let mut counts = NodeCounts {
        pools: vec![0; cluster.pools.len()],
        others: 0,
    };
    for node in state.nodes.values() {
        match counted_as(cluster, node) {
            CountedAs::Pool(pool) => counts.pools[pool] += 1,
            CountedAs::Other => counts.others += 1,
            CountedAs::Unusable => {}
        }
    }
    counts
}

/// What the nodes of a cluster cost an hour, as they are seen.
pub fn hourly_cost(cluster: &Cluster, state: &ClusterState) -> Money {
    cost(cluster, &node_counts(cluster, state))
}

/// What the nodes of a cluster cost an hour at the least: those that the spec says are always there.
pub fn lowest_cost(cluster: &Cluster) -> Money {
    let pools = cluster.pools.iter();
    pools.map(|pool| pool_price(pool).times(pool.min)).sum()
}

/// What so many nodes cost an hour.
fn cost(cluster: &Cluster, counts: &NodeCounts) -> Money {
    let pools = cluster.pools.iter().zip(&counts.pools);
    let pools: Money = pools
        .map(|(pool, count)| pool_price(pool).times(*count))
        .sum();
    pools + price_of_others(cluster).times(counts.others)
}

fn pool_price(pool: &Pool) -> Money {
    pool.price_per_hour.map_or(Money::ZERO, Money::of_number)
}

/// What a node of no known pool costs an hour: as much as the cluster's dearest.
fn price_of_others(cluster: &Cluster) -> Money {
    let prices = cluster.pools.iter().map(pool_price);
    prices.max().unwrap_or_default()
}

fn node_price(cluster: &Cluster, node: &NodeState) -> Money {
    match counted_as(cluster, node) {
        CountedAs::Pool(pool) => pool_price(&cluster.pools[pool]),
        CountedAs::Other => price_of_others(cluster),
        CountedAs::Unusable => Money::ZERO,
    }
}
