//! What is remembered between decisions, and what of it outlives a leader or a configuration.

use super::decide::hourly_cost;
use super::decision::Decision;
use super::ledger::Ledger;
use super::observation::{JobPod, Observation};
use hcb_api::config::ReconcilerConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is remembered between decisions.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// When a place was first seen to be kept for a pod.
    pub kept_since: BTreeMap<String, Timestamp>,
    /// When the scheduler was last told to look at a pod that waits.
    pub woken: BTreeMap<String, Timestamp>,
    /// When the scheduler was last seen at work, was told of a pod, or a pod came or went.
    pub stirred: Option<Timestamp>,
    /// How many pods waited.
    waited: usize,
    /// When the candidate in a cluster of a pod that waits was first seen: since then it is tried there.
    pub tried_since: BTreeMap<(String, usize), Timestamp>,
    /// When a pod could last be let go because the scheduler had nothing to do, or was.
    pub turn: Option<Timestamp>,
    /// What was spent this month, in the currency of the budget.
    pub ledger: Ledger,
    /// By how much each cluster is behind its share, in pods times the weights of its tier.
    pub credits: Vec<f64>,
    /// The tiers, as they were left.
    pub tiers: Vec<TierState>,
}

impl Memory {
    /// Takes in what is seen before anything is decided of it.
    pub fn see(&mut self, observation: &Observation, config: &ReconcilerConfig, now: Timestamp) {
        let waiting = || observation.pods.values().filter(|pod| pod.waits());
        let is_kept = |pod: &&JobPod| observation.keepers(&pod.uid).next().is_some();
        let kept: BTreeSet<_> = waiting().filter(is_kept).map(|pod| &pod.uid).collect();
        self.kept_since.retain(|uid, _| kept.contains(uid));
        let is_waiting = |uid: &String| observation.pods.get(uid).is_some_and(JobPod::waits);
        self.woken.retain(|uid, _| is_waiting(uid));
        let mut stirs = std::mem::replace(&mut self.waited, waiting().count()) != self.waited;
        for uid in kept {
            stirs |= remember(&mut self.kept_since, uid.clone(), now);
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
            stirs |= remember(&mut self.tried_since, tried_in, now);
        }
        if stirs || self.stirred.is_none() {
            self.stirred = Some(now);
        }
        self.turn.get_or_insert(now);
        self.ledger.count(hourly_cost(observation, config), now);
    }

    /// The scheduler was told to look at a pod.
    pub fn note_woken(&mut self, uid: String, now: Timestamp) {
        self.woken.insert(uid, now);
        self.stirred = Some(now);
    }

    /// Takes in what was decided.
    pub fn keep(&mut self, decision: &Decision) {
        self.credits.clone_from(&decision.credits);
        self.tiers.clone_from(&decision.tiers);
        self.turn = decision.turn.or(self.turn);
    }

    /// What the next leader, or the next configuration, goes on from.
    pub fn legacy(&self, config: &ReconcilerConfig) -> Legacy {
        let clusters = config.clusters.iter().map(|cluster| cluster.name.clone());
        Legacy {
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
    pub fn go_on_from(&mut self, legacy: &Legacy, config: &ReconcilerConfig) {
        let credit = |name: &String| legacy.credits.get(name).copied().unwrap_or_default();
        let tier = |name: &String| legacy.tiers.get(name).copied().unwrap_or_default();
        self.ledger = legacy.ledger.clone();
        self.credits = config
            .clusters
            .iter()
            .map(|cluster| credit(&cluster.name))
            .collect();
        self.tiers = config.tiers.iter().map(tier).collect();
    }
}

/// Notes since when something is so, where that is new; says whether it is.
fn remember<K: Ord>(since: &mut BTreeMap<K, Timestamp>, what: K, now: Timestamp) -> bool {
    let before = since.len();
    since.entry(what).or_insert(now);
    since.len() > before
}
