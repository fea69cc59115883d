//! What is remembered between decisions, and what of it outlives a leader or a configuration.

use super::capacity::burst_cost;
use super::decision::Decision;
use super::demand::Demand;
use super::observation::Observation;
use super::spending;
use hcb_api::config::ReconcilerConfig;
use hcb_api::status::{Handover, Ledger, TierState};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered between decisions.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// When a place was first seen to be reserved for a demand.
    pub reserved_since: BTreeMap<String, Timestamp>,
    /// When the engine was last nudged to look at a demand that waits.
    pub nudged: BTreeMap<String, Timestamp>,
    /// When the engine was last seen at work, was nudged, or a demand came or went.
    pub last_active: Option<Timestamp>,
    /// How many demands waited.
    waited: usize,
    /// When the candidate in a cluster of a demand that waits was first seen: since then it is tried there.
    pub tried_since: BTreeMap<(String, usize), Timestamp>,
    /// When the engine's scheduler was last free for another demand.
    pub scheduler_free: Option<Timestamp>,
    /// What was spent this month, in the currency of the budget.
    pub ledger: Ledger,
    /// By how much each cluster is behind its share, in pods times the weights of its tier.
    pub credits: Vec<f64>,
    /// The tiers, as they were left.
    pub tiers: Vec<TierState>,
}

impl Memory {
    /// Takes in what is seen before anything is decided of it.
    pub fn observe(
        &mut self,
        observation: &Observation,
        config: &ReconcilerConfig,
        now: Timestamp,
    ) {
        let waiting = || observation.demands.values().filter(|pod| pod.waits());
        let is_reserved = |pod: &&Demand| observation.reserved_in(&pod.uid).next().is_some();
        let kept: BTreeSet<_> = waiting().filter(is_reserved).map(|pod| &pod.uid).collect();
        self.reserved_since.retain(|uid, _| kept.contains(uid));
        let is_waiting = |uid: &String| observation.demands.get(uid).is_some_and(Demand::waits);
        self.nudged.retain(|uid, _| is_waiting(uid));
        let mut stirs = std::mem::replace(&mut self.waited, waiting().count()) != self.waited;
        for uid in kept {
            stirs |= note_since(&mut self.reserved_since, uid.clone(), now);
        }
        let clusters = || observation.clusters.iter().enumerate();
        let tried: BTreeSet<_> = waiting()
            .flat_map(|pod| clusters().map(move |(index, state)| (pod, index, state)))
            .filter(|(pod, _, state)| state.has_candidate(&pod.uid))
            .map(|(pod, index, _)| (pod.uid.clone(), index))
            .collect();
        self.tried_since
            .retain(|tried_in, _| tried.contains(tried_in));
        for tried_in in tried {
            stirs |= note_since(&mut self.tried_since, tried_in, now);
        }
        if stirs || self.last_active.is_none() {
            self.last_active = Some(now);
        }
        self.scheduler_free.get_or_insert(now);
        spending::count(&mut self.ledger, burst_cost(observation, config), now);
    }

    /// The engine was nudged to look at a demand.
    pub fn note_nudged(&mut self, uid: String, now: Timestamp) {
        self.nudged.insert(uid, now);
        self.last_active = Some(now);
    }

    /// Takes in what was decided.
    pub fn remember(&mut self, decision: &Decision) {
        self.credits.clone_from(&decision.credits);
        self.tiers.clone_from(&decision.tiers);
        self.scheduler_free = decision.scheduler_free.or(self.scheduler_free);
    }

    /// What the next leader, or the next configuration, goes on from.
    pub fn handover(&self, config: &ReconcilerConfig) -> Handover {
        let clusters = config.clusters.iter().map(|cluster| cluster.name.clone());
        Handover {
            ledger: self.ledger.clone(),
            credits: clusters.zip(self.credits.iter().copied()).collect(),
            tiers: config
                .tiers
                .iter()
                .cloned()
                .zip(self.tiers.iter().copied())
                .collect(),
        }
    }

    /// Goes on from what was left. A cluster or a tier that was not there before begins anew.
    pub fn resume(&mut self, handover: &Handover, config: &ReconcilerConfig) {
        let credit = |name: &String| handover.credits.get(name).copied().unwrap_or_default();
        let tier = |name: &String| handover.tiers.get(name).copied().unwrap_or_default();
        self.ledger = handover.ledger.clone();
        self.credits = config
            .clusters
            .iter()
            .map(|cluster| credit(&cluster.name))
            .collect();
        self.tiers = config.tiers.iter().map(tier).collect();
    }
}

/// Notes since when something is so, where that is new; says whether it is.
fn note_since<K: Ord>(since: &mut BTreeMap<K, Timestamp>, what: K, now: Timestamp) -> bool {
    let before = since.len();
    since.entry(what).or_insert(now);
    since.len() > before
}
