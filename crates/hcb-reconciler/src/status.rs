//! The status: what the reconciler sees and decided last, as one document.

use super::decide::hourly_cost;
use super::decision::Decision;
use super::memory::{Legacy, Memory, TierState};
use super::observation::{ClusterState, JobPod, Observation};
use super::reasons::{Explanation, Reasons, Written, human, word};
use super::weights::LiveWeight;
use hcb_api::amounts::{Amounts, add};
use hcb_api::config::Config;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `ConfigMap` that holds it.
pub const NAME: &str = hcb_api::names::STATUS;
/// The key in it.
pub const KEY: &str = "status.json";
/// The most pods that are listed one by one: the object must stay small.
const LISTED: usize = 100;

/// The status of a hybrid cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The name of the hybrid cloud.
    pub cloud: String,
    /// When this was so.
    pub at: Timestamp,
    /// The replica that says so.
    pub leader: String,
    /// The clusters, in the order in which they are filled.
    pub clusters: Vec<ClusterStatus>,
    /// The tiers after the first.
    pub tiers: Vec<TierStatus>,
    /// How many pods wait, by what was decided of them.
    pub waiting: BTreeMap<String, usize>,
    /// Those that wait longest, one by one.
    pub longest: Vec<WaitingPod>,
    /// What bursting costs.
    pub cost: Cost,
    /// What the next leader goes on from.
    pub legacy: Legacy,
}

/// The status of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Whether it can be seen.
    pub seen: bool,
    /// Whether it is drained: no further pod goes there.
    #[serde(default)]
    pub drain: bool,
    /// Its nodes, without virtual ones.
    pub nodes: usize,
    /// What pods can use of them.
    pub allocatable: Written,
    /// What is left of that.
    pub free: Written,
    /// The share of the CPUs that is in use, from 0 to 1.
    pub used: f64,
    /// Pods of jobs that are placed there.
    pub running: usize,
    /// Pods of jobs that may go there and wait.
    pub coming: usize,
    /// The weight of the spec.
    pub spec_weight: u32,
    /// The weight now.
    pub weight: LiveWeight,
    /// What its nodes cost an hour.
    pub hourly_cost: f64,
}

/// The status of a tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierStatus {
    /// Its name.
    pub name: String,
    /// Whether it is open, and since when.
    #[serde(flatten)]
    pub state: TierState,
}

/// A pod that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Job that made it.
    pub job: Option<String>,
    /// Since when it waits.
    pub since: Timestamp,
    /// What was decided, and why.
    pub explanation: Explanation,
}

/// What bursting costs, in the currency of the budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// The currency, where there is a budget.
    pub currency: Option<String>,
    /// What the nodes of the later tiers cost an hour.
    pub hour: f64,
    /// What was spent this month.
    pub month: f64,
    /// What will have been spent at its end if it goes on as now.
    pub forecast: f64,
    /// The most an hour.
    pub hour_limit: Option<f64>,
    /// The most a month.
    pub month_limit: Option<f64>,
}

/// The status after a decision.
pub fn status(
    observation: &Observation,
    config: &Config,
    memory: &Memory,
    decision: &Decision,
    leader: &str,
    now: Timestamp,
) -> Status {
    let hour = hourly_cost(observation, config);
    let budget = config.budget.as_ref();
    let mut waiting = BTreeMap::new();
    for verdict in &decision.verdicts {
        *waiting
            .entry(word(&verdict.outcome).to_owned())
            .or_default() += 1;
    }
    let mut reasons = Reasons::new(observation, config);
    let known = |uid: &str| observation.pods.get(uid);
    let mut longest: Vec<(&JobPod, _)> = decision
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
            explanation: reasons.explain(pod, outcome, now),
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
            hour,
            month: memory.ledger.spent,
            forecast: memory.ledger.forecast(hour, now),
            hour_limit: budget.and_then(|budget| budget.per_hour),
            month_limit: budget.and_then(|budget| budget.per_month),
        },
        legacy: memory.legacy(config),
    }
}

fn clusters(observation: &Observation, config: &Config, decision: &Decision) -> Vec<ClusterStatus> {
    let mut running: BTreeMap<&str, usize> = BTreeMap::new();
    let mut coming: BTreeMap<&str, usize> = BTreeMap::new();
    for pod in observation.pods.values() {
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
            hourly_cost: super::room::hourly_cost(cluster, state),
        }
    };
    clusters.map(of).collect()
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
