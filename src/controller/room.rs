//! Where a pod fits: on nodes that are there, or on nodes that an autoscaler would add.

use super::config::{Amounts, Cluster, Pool};
use super::observation::{ClusterState, NodeState, Shape, Taint, free, suffices, take};
use std::collections::BTreeMap;

/// The label that hcb gives the nodes of a pool.
const POOL_LABEL: &str = "hcb.dev/pool";

/// How a pod would be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A node has room.
    Node(usize),
    /// A node that is being added for other pods has room.
    Planned(usize),
    /// The autoscaler would add a node of this pool.
    Grow(usize),
}

/// What is left of a cluster while decisions are made.
#[derive(Debug, Clone)]
pub struct Room<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    nodes: Vec<(&'a NodeState, Amounts)>,
    planned: Vec<(usize, Amounts)>,
    /// Nodes by pool, planned ones too.
    counts: Vec<u32>,
}

impl<'a> Room<'a> {
    /// What is free in a cluster as it is seen.
    pub fn new(cluster: &'a Cluster, state: &'a ClusterState) -> Self {
        let count = |pool: &Pool| {
            let nodes = state
                .nodes
                .iter()
                .filter(|node| is_of(node, pool, cluster))
                .count();
            u32::try_from(nodes).unwrap_or(u32::MAX)
        };
        let mut nodes: Vec<_> = state
            .nodes
            .iter()
            .map(|node| (node, free(&node.allocatable, &node.used)))
            .collect();
        for requests in &state.reserved {
            if let Some((_, free)) = nodes.iter_mut().find(|(_, free)| suffices(free, requests)) {
                take(free, requests);
            }
        }
        Self {
            cluster,
            nodes,
            planned: Vec::new(),
            counts: cluster.pools.iter().map(count).collect(),
        }
    }

    /// A node that is there and has room.
    pub fn fits(&self, shape: &Shape) -> Option<Way> {
        let fits = |(node, free): &(&NodeState, Amounts)| {
            node.takes_pods && shape.fits(free) && shape.is_admitted(&node.labels, &node.taints)
        };
        self.nodes.iter().position(fits).map(Way::Node)
    }

    /// A way to take the pod in: a node that is there, one that is coming, or one more of the cheapest
    /// pool that may still grow.
    pub fn find(&self, shape: &Shape) -> Option<Way> {
        let coming = |(pool, free): &(usize, Amounts)| {
            shape.fits(free) && admits(&self.cluster.pools[*pool], shape)
        };
        self.fits(shape)
            .or_else(|| self.planned.iter().position(coming).map(Way::Planned))
            .or_else(|| self.growth(shape).map(Way::Grow))
    }

    /// Takes the pod in, so that the room is not given away twice.
    pub fn reserve(&mut self, shape: &Shape, way: Way) {
        match way {
            Way::Node(index) => take(&mut self.nodes[index].1, &shape.requests),
            Way::Planned(index) => take(&mut self.planned[index].1, &shape.requests),
            Way::Grow(pool) => {
                let mut free = whole(&self.cluster.pools[pool]);
                take(&mut free, &shape.requests);
                self.planned.push((pool, free));
                self.counts[pool] += 1;
            }
        }
    }

    /// What the nodes cost an hour, those that are coming too.
    pub fn hourly_cost(&self) -> f64 {
        let costs = self.cluster.pools.iter().zip(&self.counts);
        costs
            .map(|(pool, count)| f64::from(*count) * pool.price_per_hour.unwrap_or_default())
            .sum()
    }

    /// What a way costs an hour more.
    pub fn price(&self, way: Way) -> f64 {
        match way {
            Way::Grow(pool) => self.cluster.pools[pool].price_per_hour.unwrap_or_default(),
            Way::Node(_) | Way::Planned(_) => 0.0,
        }
    }

    fn growth(&self, shape: &Shape) -> Option<usize> {
        let pools = self.cluster.pools.iter().enumerate();
        let able = pools.filter(|(index, pool)| {
            self.counts[*index] < pool.max
                && pool.max > pool.min
                && shape.fits(&whole(pool))
                && admits(pool, shape)
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
                    .map(|(_, amount)| *amount)
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
            && sum(&|name| name == "cpu") <= limits.cpu
            && sum(&|name| name == "memory") <= limits.memory
            && sum(&|name| name.contains("gpu")) <= i128::from(limits.gpus) * 1000
    }
}

/// What a node of a pool has; its number of pods is what Kubernetes has as default.
fn whole(pool: &Pool) -> Amounts {
    let mut amounts = pool.allocatable.clone();
    amounts.entry("pods".into()).or_insert(110_000);
    // Disks are not in the spec; the provider's are large enough for what it lets pods ask for.
    amounts
        .entry("ephemeral-storage".into())
        .or_insert(i128::from(i64::MAX));
    amounts
}

fn is_of(node: &NodeState, pool: &Pool, cluster: &Cluster) -> bool {
    match node.labels.get(POOL_LABEL) {
        Some(name) => *name == pool.name,
        // Nodes that were there before hcb carry no label of its; where there is one pool, they are its.
        None => cluster.pools.len() == 1,
    }
}

fn admits(pool: &Pool, shape: &Shape) -> bool {
    let mut labels: BTreeMap<String, String> = pool.labels.clone();
    labels.insert(POOL_LABEL.into(), pool.name.clone());
    if let Some(product) = &pool.gpu_product {
        labels.insert("nvidia.com/gpu.product".into(), product.clone());
    }
    let taints: Vec<_> = pool
        .taints
        .iter()
        .map(|taint| Taint {
            key: taint.key.clone(),
            value: taint.value.clone().unwrap_or_default(),
            effect: format!("{:?}", taint.effect),
        })
        .collect();
    shape.is_admitted(&labels, &taints)
}
