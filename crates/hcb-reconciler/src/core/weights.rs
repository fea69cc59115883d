//! Live weights: the spec's, adjusted by price, load and failures, within the bounds that it sets.

use super::capacity::node_counts;
use super::observation::{ClusterState, Observation};
use hcb_api::config::{Cluster, ReconcilerConfig};
use hcb_api::status::LiveWeight;
use jiff::Timestamp;

/// A cluster with less than this share of its limits left counts as loaded.
const SPARE: f64 = 0.25;

/// The weights of all clusters, in the order of the configuration.
pub fn live_weights(
    config: &ReconcilerConfig,
    observation: &Observation,
    now: Timestamp,
) -> Vec<LiveWeight> {
    let prices: Vec<_> = config.clusters.iter().map(price).collect();
    let of = |(index, cluster): (usize, &Cluster)| {
        let state = &observation.clusters[index];
        let tier = config.clusters.iter().zip(&prices);
        let tier: Vec<_> = tier
            .filter(|(other, _)| other.tier == cluster.tier && other.weight > 0)
            .filter_map(|(_, price)| *price)
            .collect();
        let mean = tier.iter().sum::<f64>() / tier.len().max(1) as f64;
        let price = match prices[index] {
            Some(price) if price > 0.0 && mean > 0.0 => mean / price,
            _ => 1.0,
        };
        let load = (spare(cluster, state) / SPARE).min(1.0);
        let failures = 1.0 / (1.0 + state.failures(now) as f64);
        let bounds = &config.weights;
        let factor = (price * load * failures).clamp(bounds.min_factor, bounds.max_factor);
        LiveWeight {
            weight: f64::from(cluster.weight) * factor,
            price,
            load,
            failures,
        }
    };
    config.clusters.iter().enumerate().map(of).collect()
}

/// What a CPU of the cheapest pool costs an hour.
fn price(cluster: &Cluster) -> Option<f64> {
    let pools = cluster.pools.iter().filter_map(|pool| {
        let cpus = pool.amount("cpu") as f64 / 1000.0;
        Some(pool.price_per_hour? / cpus.max(0.001))
    });
    pools.min_by(f64::total_cmp)
}

/// The share of what a cluster may grow to, in CPUs, that is not in use.
fn spare(cluster: &Cluster, state: &ClusterState) -> f64 {
    let cpus = |amounts: &hcb_api::amounts::Amounts| {
        amounts.get("cpu").copied().unwrap_or_default() as f64
    };
    let there = node_counts(cluster, state).pools;
    let pools = cluster.pools.iter().zip(there);
    let most: f64 = pools
        .map(|(pool, there)| f64::from(pool.max.max(there)) * pool.amount("cpu") as f64)
        .sum();
    let limit = cluster
        .limits
        .as_ref()
        .map_or(f64::INFINITY, |limits| limits.cpu.milli() as f64);
    let most = most.min(limit);
    let used: f64 = state
        .nodes
        .values()
        .map(|node| cpus(&node.allocatable) - cpus(&node.free))
        .sum();
    if most > 0.0 {
        (1.0 - used / most).max(0.0)
    } else {
        1.0
    }
}
