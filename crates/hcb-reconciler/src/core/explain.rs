//! Explains decisions: for each cluster whether it was considered and chosen, and what was free against what was
//! asked for.

use super::capacity::{Capacity, Placement};
use super::decide::PLACED_WITHIN;
use super::decision::{Decision, Outcome, Period};
use super::demand::Demand;
use super::observation::{ClusterState, NodeState, Observation};
use hcb_api::amounts::Amounts;
use hcb_api::config::ReconcilerConfig;
use hcb_api::explanation::{Considered, Explanation, Written};
use hcb_api::requirements::PodRequirements;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Explains decisions of one observation.
#[derive(Debug)]
pub struct Explainer<'a> {
    observation: &'a Observation,
    config: &'a ReconcilerConfig,
    /// Clusters whose scheduler does not place a demand although there is room, by uid and cluster.
    passed_over: Option<&'a BTreeSet<(String, usize)>>,
    /// Made when first asked for: of most decisions there is nothing new to tell.
    rooms: Vec<Option<Capacity<'a>>>,
    /// The roomiest nodes, by cluster and what is asked for.
    roomiest: HashMap<(usize, *const PodRequirements), Option<Written>>,
}

impl<'a> Explainer<'a> {
    /// Of what is seen.
    pub fn new(observation: &'a Observation, config: &'a ReconcilerConfig) -> Self {
        Self {
            observation,
            config,
            passed_over: None,
            rooms: vec![None; config.clusters.len()],
            roomiest: HashMap::new(),
        }
    }

    /// With what a decision says of schedulers that do not place what they have room for.
    #[must_use]
    pub fn of(mut self, decision: &'a Decision) -> Self {
        self.passed_over = Some(&decision.passed_over);
        self
    }

    /// Why this was decided of a demand.
    pub fn explain(&mut self, pod: &Demand, outcome: &Outcome, now: Timestamp) -> Explanation {
        let clusters =
            (0..self.config.clusters.len()).map(|index| self.considered(index, pod, outcome));
        Explanation {
            clusters: clusters.collect(),
            at: now,
            outcome: reason(outcome).to_owned(),
            why: described(outcome),
            requested: written(&pod.requirements.requests, &pod.requirements.requests),
        }
    }

    fn considered(&mut self, index: usize, pod: &Demand, outcome: &Outcome) -> Considered {
        let cluster = &self.config.clusters[index];
        let chosen = chosen(outcome) == Some(&cluster.name);
        let state = &self.observation.clusters[index];
        let free = self.roomiest(index, &pod.requirements);
        Considered {
            cluster: cluster.name.clone(),
            tier: cluster.tier.clone(),
            chosen,
            why: self.why(index, state, pod, outcome, chosen, free.as_ref()),
            free: free.unwrap_or_default(),
        }
    }

    fn why(
        &mut self,
        index: usize,
        state: &'a ClusterState,
        pod: &Demand,
        outcome: &Outcome,
        chosen: bool,
        free: Option<&Written>,
    ) -> String {
        let cluster = &self.config.clusters[index];
        let room = self.rooms[index].get_or_insert_with(|| Capacity::new(cluster, state));
        if !pod.requirements.may_run_in(&cluster.name) {
            return "the workload may not run there".to_owned();
        }
        if !state.is_seen {
            return "cannot be seen".to_owned();
        }
        let passed_over = (pod.uid.clone(), index);
        if self
            .passed_over
            .is_some_and(|all| all.contains(&passed_over))
        {
            return format!(
                "has room as far as is counted, but its scheduler has not placed the pod for {} minutes: see the events of the pod there",
                PLACED_WITHIN.as_secs() / 60
            );
        }
        if let Outcome::PlaceReserved(_) = outcome
            && chosen
        {
            return "has reserved a place for it".to_owned();
        }
        if !room.is_within_quotas(pod) {
            return format!("the quotas of namespace {} leave too little", pod.namespace);
        }
        if cluster.weight == 0 && !chosen {
            return "its weight is 0".to_owned();
        }
        let way = room.find(pod);
        let grows = |pool: usize| {
            let pool = &cluster.pools[pool];
            match (pool.price_per_hour, &self.config.budget) {
                (Some(price), Some(budget)) => {
                    format!(
                        "can add a node of {} for {price} {} an hour",
                        pool.name, budget.currency
                    )
                }
                _ => format!("can add a node of {}", pool.name),
            }
        };
        let full = match free {
            None if state.nodes.is_empty() => "has no node".to_owned(),
            None => "no node lets it in".to_owned(),
            Some(free) => {
                let lacking = free.iter().filter_map(|(resource, free)| {
                    let asked = pod.requirements.requests.get(resource)?;
                    Some(format!("{free} of {} {resource}", human(resource, *asked)))
                });
                let lacking: Vec<_> = lacking.collect();
                format!("no node has room: the roomiest has {}", lacking.join(", "))
            }
        };
        let tier = self.config.tier(cluster);
        let goes = self::chosen(outcome);
        let goes = self
            .config
            .clusters
            .iter()
            .find(|cluster| Some(&cluster.name) == goes);
        if !chosen
            && let Some(goes) = goes
            && self.config.tier(goes) < tier
        {
            return format!("not needed: {} comes before it", goes.name);
        }
        match (way, chosen) {
            (Some(Placement::Node(_)), true) => "has a node with room".to_owned(),
            (Some(Placement::Grow(pool)), true) => format!("{full}; it {}", grows(pool)),
            (Some(Placement::Node(_)), false) => match outcome {
                Outcome::Released(_) => "has room; another cluster is next".to_owned(),
                Outcome::BurstDelayed(_) => "has room; it has not waited long enough".to_owned(),
                _ => "has room, and is not needed".to_owned(),
            },
            (Some(Placement::Grow(pool)), false) => match outcome {
                Outcome::OverBudget { .. } => format!("{}, over the budget", grows(pool)),
                Outcome::Released(_) if tier > 0 => {
                    format!("{full}; it {}; another cluster is next", grows(pool))
                }
                _ => format!("{full}; it {}", grows(pool)),
            },
            (_, true) => "had room when it was decided".to_owned(),
            (_, false) if cluster.pools.iter().any(|pool| pool.max > pool.min) => {
                format!("{full}; it may not add one for it")
            }
            (_, false) => full,
        }
    }

    fn roomiest(&mut self, index: usize, requirements: &Arc<PodRequirements>) -> Option<Written> {
        let state = &self.observation.clusters[index];
        let found = self.roomiest.entry((index, Arc::as_ptr(requirements)));
        found
            .or_insert_with(|| roomiest(state, requirements))
            .clone()
    }
}

/// What is free of the requests on the node that comes closest to them.
fn roomiest(state: &ClusterState, requirements: &PodRequirements) -> Option<Written> {
    let admits =
        |node: &&NodeState| node.takes_pods && requirements.is_admitted(&node.labels, &node.taints);
    let closeness = |node: &NodeState| {
        let parts = requirements
            .requests
            .iter()
            .filter(|(_, asked)| **asked > 0);
        let parts = parts.map(|(resource, asked)| {
            node.free.get(resource).copied().unwrap_or_default() as f64 / *asked as f64
        });
        parts.fold(f64::INFINITY, f64::min)
    };
    let nodes = state.nodes.values().filter(admits);
    let node = nodes.max_by(|left, right| closeness(left).total_cmp(&closeness(right)))?;
    Some(written(&node.free, &requirements.requests))
}

/// Amounts of the resources that are asked for, without the number of pods.
fn written(amounts: &Amounts, asked: &Amounts) -> Written {
    let asked = asked
        .iter()
        .filter(|(resource, asked)| *resource != "pods" && **asked > 0);
    asked
        .map(|(resource, _)| {
            let amount = amounts.get(resource).copied().unwrap_or_default();
            (resource.clone(), human(resource, amount))
        })
        .collect()
}

/// An amount as people read it: bytes by two's powers with one digit, all else as a number.
pub fn human(resource: &str, milli: i128) -> String {
    let units = milli as f64 / 1000.0;
    let rounded = |value: f64| {
        let text = format!("{value:.1}");
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    if resource != "memory" && !resource.contains("storage") {
        return rounded(units);
    }
    let steps = [("Ti", 40), ("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let step = steps
        .iter()
        .find(|(_, bits)| units.abs() >= f64::from(*bits).exp2());
    step.map_or_else(
        || rounded(units),
        |(name, bits)| format!("{}{name}", rounded(units / f64::from(*bits).exp2())),
    )
}

/// The cluster that an outcome is for, where it lets the demand go to one.
pub fn chosen(outcome: &Outcome) -> Option<&String> {
    match outcome {
        Outcome::PlaceReserved(cluster)
        | Outcome::FitsFirstTier(cluster)
        | Outcome::AwaitingScaleUp(cluster)
        | Outcome::Released(cluster) => Some(cluster),
        Outcome::BurstDelayed(_)
        | Outcome::ReleaseFailed { .. }
        | Outcome::QueuedForBurst(_)
        | Outcome::ClusterUnreachable(_)
        | Outcome::OverBudget { .. }
        | Outcome::NoRoom => None,
    }
}

/// An outcome in one word, as reasons of Events are written. Alerts know `OverBudget` and `NoRoom`.
pub fn reason(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::PlaceReserved(_) => "PlaceReserved",
        Outcome::FitsFirstTier(_) => "FitsFirstTier",
        Outcome::AwaitingScaleUp(_) => "AwaitingScaleUp",
        Outcome::BurstDelayed(_) => "BurstDelayed",
        Outcome::Released(_) => "Released",
        Outcome::ReleaseFailed { .. } => "ReleaseFailed",
        Outcome::QueuedForBurst(_) => "QueuedForBurst",
        Outcome::ClusterUnreachable(_) => "ClusterUnreachable",
        Outcome::OverBudget { .. } => "OverBudget",
        Outcome::NoRoom => "NoRoom",
    }
}

/// An outcome in words.
pub fn described(outcome: &Outcome) -> String {
    match outcome {
        Outcome::PlaceReserved(cluster) => {
            format!("goes to {cluster}, which has reserved a place for it")
        }
        Outcome::FitsFirstTier(cluster) => format!("stays: {cluster} has room for it"),
        Outcome::AwaitingScaleUp(cluster) => format!("stays: {cluster} can add a node for it"),
        Outcome::BurstDelayed(until) => format!("waits until {until:.0} before it may leave"),
        Outcome::Released(cluster) => format!("may go to {cluster}: nothing before it has room"),
        Outcome::ReleaseFailed { why, again_at } => {
            format!("waits: it could not be released, and is tried again at {again_at:.0}: {why}")
        }
        Outcome::QueuedForBurst(tier) => {
            format!("waits until those before it are released to {tier}")
        }
        Outcome::ClusterUnreachable(cluster) => format!("waits: {cluster} cannot be seen"),
        Outcome::OverBudget {
            cluster,
            period: Period::Hour,
            cost,
        } => format!(
            "waits: with it in {cluster}, bursting would cost {cost:.2} an hour, over the budget"
        ),
        Outcome::OverBudget {
            cluster,
            period: Period::Month,
            cost,
        } => format!("waits: with it in {cluster}, a month could cost {cost:.2}, over the budget"),
        Outcome::NoRoom => {
            "waits: no cluster that it may run in has room, or can make any".to_owned()
        }
    }
}
