//! The status: what the reconciler sees and decided last, as one document.

use super::capacity::{CountedAs, counted_as};
use super::decision::Decision;
use super::demand::Demand;
use super::explain::{Explainer, human, reason};
use super::memory::Memory;
use super::observation::{ClusterState, Observation};
use super::spending;
use hcb_api::amounts::{Amounts, add};
use hcb_api::config::ReconcilerConfig;
use hcb_api::money::Money;
use hcb_api::status::{ClusterStatus, Cost, Status, TierStatus, WaitingPod};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// The most pods that are listed one by one: the object must stay small.
const LISTED: usize = 100;

/// The most nodes of no known pool that are listed by name, of each cluster.
const UNKNOWN_LISTED: usize = 5;

/// The status after a decision.
pub fn status(
    observation: &Observation,
    config: &ReconcilerConfig,
    memory: &Memory,
    decision: &Decision,
    leader: &str,
    now: Timestamp,
) -> Status {
    let hour = Money::of_number(decision.hourly_cost);
    let budget = config.budget.as_ref();
    let mut waiting = BTreeMap::new();
    for verdict in &decision.verdicts {
        *waiting
            .entry(reason(&verdict.outcome).to_owned())
            .or_default() += 1;
    }
    let mut explainer = Explainer::new(observation, config).of(decision);
    let known = |uid: &str| observation.demands.get(uid);
    let mut longest: Vec<(&Demand, _)> = decision
        .verdicts
        .iter()
        .filter_map(|verdict| Some((known(&verdict.uid)?, &verdict.outcome)))
        .collect();
    longest.sort_by_key(|(pod, _)| (pod.created, &pod.namespace, &pod.name));
    let longest = longest
        .into_iter()
        .take(LISTED)
        .map(|(pod, outcome)| WaitingPod {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            job: pod.job.as_ref().map(|job| job.name.clone()),
            since: pod.created,
            explanation: explainer.explain(pod, outcome, now),
        });
    let longest = longest.collect();
    Status {
        cloud: config.cloud.clone(),
        at: now,
        leader: leader.to_owned(),
        clusters: clusters(observation, config, decision),
        tiers: config
            .tiers
            .iter()
            .zip(&decision.tiers)
            .skip(1)
            .map(|(name, state)| TierStatus {
                name: name.clone(),
                state: *state,
            })
            .collect(),
        waiting,
        longest,
        cost: Cost {
            currency: budget.map(|budget| budget.currency.clone()),
            hour: hour.as_number(),
            month: spending::spent(&memory.spending, now).as_number(),
            forecast: spending::forecast(&memory.spending, hour, now).as_number(),
            hour_limit: budget.and_then(|budget| budget.per_hour),
            month_limit: budget.and_then(|budget| budget.per_month),
        },
        handover: memory.handover(config, now),
    }
}

fn clusters(
    observation: &Observation,
    config: &ReconcilerConfig,
    decision: &Decision,
) -> Vec<ClusterStatus> {
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    let mut coming: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in observation.demands.values() {
        if let Some(cluster) = &pod.placed {
            *running.entry(cluster).or_default() += 1;
        } else if pod.waits() {
            let is_drained = |name: &str| {
                let mut clusters = config.clusters.iter();
                clusters.any(|cluster| cluster.drain && cluster.name == name)
            };
            for cluster in pod.released.keys().filter(|name| !is_drained(name)) {
                *coming.entry(cluster).or_default() += 1;
            }
        }
    }
    let clusters = config
        .clusters
        .iter()
        .zip(&observation.clusters)
        .enumerate();
    let of = |(index, (cluster, state)): (usize, (&hcb_api::config::Cluster, &ClusterState))| {
        let totals = totals(state);
        let written = |pick: fn(&(i128, i128)) -> i128| {
            let totals = totals.iter();
            totals
                .map(|(resource, pair)| (resource.clone(), human(resource, pick(pair))))
                .collect()
        };
        let (all, free) = totals.get("cpu").copied().unwrap_or_default();
        ClusterStatus {
            name: cluster.name.clone(),
            tier: cluster.tier.clone(),
            seen: state.is_seen,
            drain: cluster.drain,
            nodes: state.nodes.len(),
            unknown_nodes: unknown_nodes(config, cluster, state),
            allocatable: written(|(all, _)| *all),
            free: written(|(_, free)| *free),
            used: if all > 0 {
                1.0 - free as f64 / all as f64
            } else {
                0.0
            },
            running: running
                .get(cluster.name.as_str())
                .copied()
                .unwrap_or_default(),
            coming: coming
                .get(cluster.name.as_str())
                .copied()
                .unwrap_or_default(),
            spec_weight: cluster.weight,
            weight: decision.weights.get(index).copied().unwrap_or_default(),
            hourly_cost: super::capacity::hourly_cost(cluster, state).as_number(),
        }
    };
    clusters.map(of).collect()
}

/// Nodes of a later tier that are of no known pool and cost money, by name, the first few.
fn unknown_nodes(
    config: &ReconcilerConfig,
    cluster: &hcb_api::config::Cluster,
    state: &ClusterState,
) -> Vec<String> {
    if config.tier(cluster) == 0 {
        return Vec::new();
    }
    let nodes = state.nodes.iter();
    let nodes = nodes.filter(|(_, node)| counted_as(cluster, node) == CountedAs::Other);
    nodes
        .take(UNKNOWN_LISTED)
        .map(|(name, _)| name.clone())
        .collect()
}

/// What pods can use of all nodes that take pods, and what is left of it, by resource. Only what jobs
/// ask for: CPUs, memory, and devices.
pub fn totals(state: &ClusterState) -> BTreeMap<String, (i128, i128)> {
    let (mut all, mut free) = (Amounts::new(), Amounts::new());
    for node in state.nodes.values().filter(|node| node.takes_pods) {
        add(&mut all, &node.allocatable);
        add(&mut free, &node.free);
    }
    let is_shown =
        |resource: &str| resource == "cpu" || resource == "memory" || resource.contains('/');
    let all = all.into_iter().filter(|(resource, _)| is_shown(resource));
    all.map(|(resource, amount)| {
        let free = free.get(&resource).copied().unwrap_or_default();
        (resource, (amount, free))
    })
    .collect()
}
