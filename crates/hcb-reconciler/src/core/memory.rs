//! What is remembered between decisions, and what of it outlives a leader or a configuration.

use super::decision::{Decision, NotReleased};
use super::demand::Demand;
use super::observation::Observation;
use super::spending;
use hcb_api::config::ReconcilerConfig;
use hcb_api::spending::Spending;
use hcb_api::status::{Handover, Ledger, TierState};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// For so long a demand that could not be released is not tried again, after the first time.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// For so long at most.
const TRY_AGAIN_WITHIN: Duration = Duration::from_secs(600);
/// For so long what may have been released takes up its room. If it was, its watch has said so by then.
const UNKNOWN_FOR: Duration = Duration::from_secs(60);
/// So often a demand may have changed in between until that counts as a refusal: it changes all the time.
const CHANGES: u32 = 3;

/// A demand whose release failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedRelease {
    /// How often, one time after another.
    pub tries: u32,
    /// When it failed last.
    pub last: Timestamp,
    /// Why, for people.
    pub why: String,
    /// Whether an API server refused it.
    pub is_refused: bool,
    /// The cluster that it may have been released to all the same, since no answer came.
    may_be_in: Option<usize>,
}

impl FailedRelease {
    /// The cluster that it may have been released to, as long as nobody can know better.
    pub fn may_be_in(&self, now: Timestamp) -> Option<usize> {
        let known = self.last.saturating_add(UNKNOWN_FOR);
        let is_unknown = now < known.unwrap_or(Timestamp::MAX) && now < self.again_at();
        self.may_be_in.filter(|_| is_unknown)
    }

    /// When it may be tried again. Until then it takes up no room and nobody's turn.
    pub fn again_at(&self) -> Timestamp {
        let tries = if self.is_refused {
            self.tries
        } else {
            self.tries.saturating_sub(CHANGES)
        };
        let Some(doublings) = tries.checked_sub(1) else {
            return self.last;
        };
        let pause = TRY_AGAIN_AFTER.saturating_mul(1 << doublings.min(10));
        let pause = pause.min(TRY_AGAIN_WITHIN);
        self.last.saturating_add(pause).unwrap_or(Timestamp::MAX)
    }
}

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
    /// What was spent, in the currency of the budget.
    pub spending: Spending,
    /// Demands whose release failed.
    pub failed_releases: BTreeMap<String, FailedRelease>,
    /// Since when a cluster of the first tier has had room for a demand that its scheduler did not place there, by uid
    /// and cluster, without a break.
    pub unplaced_since: BTreeMap<(String, usize), Timestamp>,
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
        self.failed_releases.retain(|uid, _| is_waiting(uid));
        spending::count(&mut self.spending, observation, config, now);
    }

    /// The engine was nudged to look at a demand.
    pub fn note_nudged(&mut self, uid: String, now: Timestamp) {
        self.nudged.insert(uid, now);
        self.last_active = Some(now);
    }

    /// Takes in what was decided.
    pub fn remember(&mut self, decision: &Decision, now: Timestamp) {
        self.unplaced_since
            .retain(|unplaced, _| decision.unplaced.contains(unplaced));
        for unplaced in &decision.unplaced {
            self.unplaced_since.entry(unplaced.clone()).or_insert(now);
        }
        self.credits.clone_from(&decision.credits);
        self.tiers.clone_from(&decision.tiers);
        self.scheduler_free = decision.scheduler_free.or(self.scheduler_free);
    }

    /// A demand was released.
    pub fn note_released(&mut self, uid: &str) {
        self.failed_releases.remove(uid);
    }

    /// A demand was not released to a cluster, as far as is known.
    pub fn note_not_released(
        &mut self,
        uid: &str,
        cluster: usize,
        why: NotReleased,
        now: Timestamp,
    ) {
        let failed = self.failed_releases.entry(uid.to_owned()).or_default();
        failed.tries += 1;
        failed.last = now;
        failed.is_refused |= why != NotReleased::Changed;
        failed.may_be_in = matches!(why, NotReleased::Unknown(_)).then_some(cluster);
        failed.why = match why {
            NotReleased::Changed => "it changes faster than it can be released".to_owned(),
            NotReleased::Refused(why) | NotReleased::Unknown(why) => why,
        };
    }

    /// Goes by another configuration. What was spent, and what is owed, is kept; a cluster that is gone costs nothing
    /// from now on.
    pub fn configure(
        &mut self,
        before: &ReconcilerConfig,
        config: &ReconcilerConfig,
        now: Timestamp,
    ) {
        let mut handover = self.handover(before, now);
        handover.spending = Some(std::mem::take(&mut self.spending));
        self.resume(&handover, config, now);
        spending::close(&mut self.spending, config, now);
        // Clusters go by their index.
        let moved = |index: usize| config.index(&before.clusters.get(index)?.name);
        for failed in self.failed_releases.values_mut() {
            failed.may_be_in = failed.may_be_in.and_then(moved);
        }
        for since in [&mut self.tried_since, &mut self.unplaced_since] {
            *since = std::mem::take(since)
                .into_iter()
                .filter_map(|((uid, index), at)| Some(((uid, moved(index)?), at)))
                .collect();
        }
    }

    /// What was spent, as it is saved.
    pub fn saved_spending(&self, now: Timestamp) -> Spending {
        Spending {
            at: Some(now),
            ..self.spending.clone()
        }
    }

    /// What the next leader, or the next configuration, goes on from.
    pub fn handover(&self, config: &ReconcilerConfig, now: Timestamp) -> Handover {
        let clusters = config.clusters.iter().map(|cluster| cluster.name.clone());
        Handover {
            // With what clusters cost that cannot be seen: 0.1.0 counts from here.
            ledger: Ledger {
                month: spending::month_of(now),
                spent: spending::spent(&self.spending, now).as_number(),
                until: Some(now),
            },
            spending: None,
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
    pub fn resume(&mut self, handover: &Handover, config: &ReconcilerConfig, now: Timestamp) {
        let credit = |name: &String| handover.credits.get(name).copied().unwrap_or_default();
        let tier = |name: &String| handover.tiers.get(name).copied().unwrap_or_default();
        self.spending = handover.spending.clone().unwrap_or_default();
        if handover.spending.is_none() {
            let clusters = spending::burst_clusters(config);
            let clusters = clusters.map(|(_, cluster)| (cluster.name.as_str(), None));
            self.spending.take_over(&handover.ledger, clusters);
        }
        // A clock that was ahead must not stop the counting.
        for cluster in self.spending.clusters.values_mut() {
            cluster.until = cluster.until.min(now);
        }
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
