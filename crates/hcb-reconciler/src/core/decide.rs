//! What to do, given what is seen: which waiting demands may leave for which cluster, and why not the
//! others. No Kubernetes in here, no clock and no randomness, so that a run can be replayed.
//!
//! Demands are released one by one, never a tier as a whole: exactly as many go elsewhere as must, each to the one
//! cluster that is next.

mod choice;
mod first_tier;
mod pace;
mod recall;
mod reminders;

use super::capacity::{Capacity, Placement};
use super::decision::{Decision, Nudge, Outcome, Release, Verdict};
use super::demand::Demand;
use super::gates;
use super::memory::Memory;
use super::observation::Observation;
use super::pacing::Pacing;
use super::spending;
use super::weights::live_weights;
use hcb_api::config::{Budget, ReconcilerConfig};
use hcb_api::gate::Gate;
use hcb_api::money::Money;
use hcb_api::status::TierState;
use jiff::Timestamp;
use std::collections::HashMap;
use std::time::Duration;

/// How long a cluster that a demand was released to has to take it in, before another may.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
/// How long a tier that can add nodes of its own has to do so, before demands leave it.
pub const GROW_WITHIN: Duration = Duration::from_secs(300);

/// For so long a cluster of the first tier has room for a demand, as far as is counted, and its scheduler does not place
/// it, until the demand may leave: the scheduler has a reason that is not counted, such as an anti-affinity.
pub const PLACED_WITHIN: Duration = Duration::from_secs(120);

/// Decides, at the pace of an engine.
pub fn decide(
    observation: &Observation,
    config: &ReconcilerConfig,
    pacing: &Pacing,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    let mut deciding = Deciding::new(observation, config, pacing, memory, now);
    deciding.keep_nodes();
    deciding.look_at_scheduler();
    let mut waiting: Vec<&Demand> = observation
        .demands
        .values()
        .filter(|pod| pod.waits())
        .collect();
    // What was not tried yet is next in the scheduler's queue; what was tried is behind all of those.
    waiting.sort_by_cached_key(|pod| {
        let name = (&pod.namespace, &pod.name);
        let is_tried = observation.is_tried(&pod.uid);
        (std::cmp::Reverse(pod.priority), is_tried, pod.created, name)
    });
    // What was released before has its room reserved before anything else is given away.
    for pod in &waiting {
        deciding.recall(pod);
        deciding.reserve_released(pod);
        deciding.nudge(pod);
        deciding.note_arrival(pod);
    }
    for pod in waiting {
        let outcome = deciding.outcome(pod);
        deciding.note_overlooked(pod, &outcome);
        deciding.decision.verdicts.push(Verdict {
            uid: pod.uid.clone(),
            outcome,
        });
    }
    deciding.remind();
    deciding.note_scheduler_free();
    deciding.close_tiers();
    deciding.decision.gates = gates::changes(observation, config, pacing, &deciding.crowd);
    deciding.decision.hourly_cost = deciding.hourly_cost().as_number();
    deciding.decision
}

/// What a tier can do for a demand.
enum Choice {
    /// It goes to this cluster.
    Cluster(usize, Placement),
    /// The cluster that is next has as many on their way as it can take.
    Saturated,
    /// Nothing, and why where that is more than want of room.
    None(Option<Outcome>),
}

struct Deciding<'a> {
    observation: &'a Observation,
    config: &'a ReconcilerConfig,
    pacing: &'a Pacing,
    memory: &'a Memory,
    now: Timestamp,
    /// What is left where demands are sent to; in the order of the configuration, `None` where unseen.
    rooms: Vec<Option<Capacity<'a>>>,
    /// What is seen, without what was promised to others: whether a demand may leave depends on what is
    /// free, not on who might take it.
    seen: Vec<Option<Capacity<'a>>>,
    /// Demands that were released to each tier and not tried yet.
    ahead: Vec<usize>,
    /// Demands that are on their way to each cluster: how many, and since when the first of them.
    in_transit: Vec<(usize, Timestamp)>,
    /// Demands that each cluster of the first tier has no room for and was not asked for yet; a crowd where
    /// even one that has room is to wait for a moment.
    crowd: Vec<usize>,
    /// Whether places come free in the first tier.
    is_in_flux: bool,
    /// Whether the scheduler is at work on a demand that is to be waited for.
    is_busy: bool,
    /// Whether nodes have come that demands were released for: those are next, and nothing else.
    is_arrival: bool,
    /// Of demands that were released, by uid, the first cluster that has room for them in an earlier tier.
    recalled: HashMap<&'a str, usize>,
    /// The months that releases are paid in.
    months: [(Timestamp, Timestamp); spending::MONTHS],
    /// What each of them will have cost if nothing more is released; none where it is to be reckoned anew.
    month_bounds: Option<[Money; spending::MONTHS]>,
    /// Demands that the engine would place if it looked at them.
    overlooked: Vec<&'a Demand>,
    decision: Decision,
}

impl<'a> Deciding<'a> {
    fn new(
        observation: &'a Observation,
        config: &'a ReconcilerConfig,
        pacing: &'a Pacing,
        memory: &'a Memory,
        now: Timestamp,
    ) -> Self {
        let clusters = config.clusters.iter().zip(&observation.clusters);
        let seen: Vec<_> = clusters
            .map(|(cluster, state)| state.is_seen.then(|| Capacity::new(cluster, state)))
            .collect();
        let mut decision = Decision {
            weights: live_weights(config, observation, now),
            credits: memory.credits.clone(),
            tiers: memory.tiers.clone(),
            ..Decision::default()
        };
        decision.credits.resize(config.clusters.len(), 0.0);
        decision
            .tiers
            .resize(config.tiers.len(), TierState::default());
        Self {
            observation,
            config,
            pacing,
            memory,
            now,
            rooms: seen.clone(),
            seen,
            ahead: vec![0; config.tiers.len()],
            in_transit: vec![(0, now); config.clusters.len()],
            crowd: vec![0; config.clusters.len()],
            is_in_flux: false,
            is_busy: false,
            is_arrival: false,
            recalled: HashMap::new(),
            overlooked: Vec::new(),
            months: spending::months(now),
            month_bounds: None,
            decision,
        }
    }

    /// Notes for the budget of the month until when nodes of later tiers are kept by what runs on them.
    fn keep_nodes(&mut self) {
        let has_budget = |budget: &Budget| budget.per_month.is_some();
        if !self.config.budget.as_ref().is_some_and(has_budget) {
            return;
        }
        for (index, _) in spending::burst_clusters(self.config) {
            let state = &self.observation.clusters[index];
            let names = state.nodes.keys().enumerate();
            let nodes: HashMap<&str, usize> =
                names.map(|(node, name)| (name.as_str(), node)).collect();
            for demand in self.observation.demands.values() {
                let end = self.end(demand);
                let Some(room) = &mut self.rooms[index] else {
                    break;
                };
                for node in state.candidate_nodes(&demand.uid) {
                    if let Some(node) = nodes.get(node) {
                        room.keep(*node, end);
                    }
                }
            }
        }
    }

    fn reserve_released(&mut self, pod: &Demand) {
        self.reserve_unanswered(pod);
        for (index, cluster) in self.config.clusters.iter().enumerate() {
            let Some(since) = pod.released.get(&cluster.name).copied() else {
                continue;
            };
            if cluster.drain {
                continue;
            }
            let is_first = self.config.tier(cluster) == 0;
            if !is_first && self.now < after(since, GIVE_UP_AFTER) {
                let (count, first) = &mut self.in_transit[index];
                *count += 1;
                *first = since.min(*first);
            }
            // A candidate that has a place takes up its room as a pod of its node.
            if self.observation.clusters[index].has_place(&pod.uid) {
                continue;
            }
            let due = after(since, self.pacing.tried_within);
            let is_tried = self.observation.clusters[index].has_candidate(&pod.uid);
            let is_ahead = !is_tried && self.now < due;
            let end = self.end(pod);
            // What was tried in the first tier and has no place there is as if it had never been released.
            if (is_ahead || !is_first)
                && let Some(room) = &mut self.rooms[index]
                && let Some(way) = room.find(pod)
            {
                room.reserve(pod, way, end);
                self.month_bounds = None;
            }
            if is_ahead {
                self.ahead[self.config.tier(cluster)] += 1;
                self.look_again_at(due);
            }
        }
    }

    /// What may have been released, since no answer came, takes up its room for a while.
    fn reserve_unanswered(&mut self, pod: &Demand) {
        let failed = self.memory.failed_releases.get(&pod.uid);
        let Some(index) = failed.and_then(|failed| failed.may_be_in(self.now)) else {
            return;
        };
        let is_seen = pod.released.contains_key(&self.config.clusters[index].name);
        let end = self.end(pod);
        if !is_seen
            && let Some(room) = &mut self.rooms[index]
            && let Some(way) = room.find(pod)
        {
            room.reserve(pod, way, end);
            self.month_bounds = None;
        }
    }

    /// Whether a node has come that a demand was released for. Its place is reserved in a moment, and the scheduler
    /// should be free for it then.
    fn note_arrival(&mut self, pod: &Demand) {
        let Some(cluster) = self.standing_release(pod) else {
            return;
        };
        if self.is_recalled(pod, cluster) {
            return;
        }
        let state = &self.observation.clusters[cluster];
        if let Some(arrival) = state.arrival_for(&pod.requirements, self.pacing, self.now) {
            self.is_arrival = true;
            self.look_again_at(after(arrival, self.pacing.arrival));
        }
    }

    fn nudge(&mut self, pod: &Demand) {
        let Some(reserving_cluster) = self.reserving_cluster(pod) else {
            return;
        };
        if self.is_gated(pod, reserving_cluster) {
            if self.release_failed(pod).is_none() {
                self.push_release(pod, reserving_cluster);
            }
            return;
        }
        let Some(pacing) = &self.pacing.nudge else {
            return;
        };
        let reserved = self.memory.reserved_since.get(&pod.uid).copied();
        let reserved = reserved.unwrap_or(self.now);
        let nudged = self.memory.nudged.get(&pod.uid).copied();
        let due = if let Some(nudged) = nudged.filter(|nudged| *nudged >= reserved) {
            after(nudged, pacing.again_after)
        } else if self.observation.clusters[reserving_cluster].has_unnoticed_place(&pod.uid) {
            reserved
        } else {
            after(reserved, pacing.after)
        };
        if self.now >= due {
            self.decision.nudges.push(Nudge::of(pod));
        } else {
            self.look_again_at(due);
        }
    }

    /// The cluster that has reserved a place for a demand, which it can take, and may. One that is drained
    /// reserves it in vain, and so does one of a later tier that the demand was not released to: a candidate got there
    /// while a gate was lost, and cannot be bound.
    fn reserving_cluster(&self, pod: &Demand) -> Option<usize> {
        let reserved_in = self.observation.reserved_in(&pod.uid).filter(|index| {
            let cluster = &self.config.clusters[*index];
            let is_shut = self.config.tier(cluster) > 0
                && self.observation.clusters[*index].gate != Gate::Open
                && !pod.released.contains_key(&cluster.name);
            !cluster.drain && !is_shut && !self.is_recalled(pod, *index)
        });
        reserved_in.min_by_key(|index| self.tier(*index))
    }

    fn outcome(&mut self, pod: &Demand) -> Outcome {
        if self.is_arrival
            && let Some(crowd) = &self.pacing.crowd
        {
            self.count_in_crowd(pod, crowd.close_at);
        }
        if let Some(index) = self.reserving_cluster(pod) {
            let cluster = &self.config.clusters[index];
            if self.config.tier(cluster) > 0 {
                self.count_in_crowd(pod, 1);
            }
            return Outcome::PlaceReserved(cluster.name.clone());
        }
        if let Some(index) = self.recalled.get(pod.uid.as_str()) {
            return self.stay_recalled(pod, *index);
        }
        if let Some(index) = self.standing_release(pod) {
            self.count_in_crowd(pod, 1);
            let cluster = &self.config.clusters[index];
            self.want(self.config.tier(cluster));
            let since = pod.released[&cluster.name];
            self.look_again_at(after(since, GIVE_UP_AFTER));
            return Outcome::Released(cluster.name.clone());
        }
        if let Some(outcome) = self.first_tier(pod) {
            return outcome;
        }
        self.count_in_crowd(pod, 1);
        if let Some(failed) = self.release_failed(pod) {
            return failed;
        }
        let mut refusal = None;
        for tier in 1..self.config.tiers.len() {
            if self.eligible(tier, pod).next().is_none() {
                continue;
            }
            let may_leave = after(pod.created, self.config.burst.after);
            if !self.decision.tiers[tier].is_open && self.now < may_leave {
                self.look_again_at(may_leave);
                return Outcome::BurstDelayed(may_leave);
            }
            self.want(tier);
            if !self.may_release(tier) {
                // Whether there is room is asked when it is next.
                return Outcome::QueuedForBurst(self.config.tiers[tier].clone());
            }
            match self.best_of(tier, pod) {
                Choice::Cluster(index, way) => return self.release_to(pod, index, way),
                Choice::Saturated => {
                    return Outcome::QueuedForBurst(self.config.tiers[tier].clone());
                }
                Choice::None(outcome) => refusal = refusal.or(outcome),
            }
        }
        refusal.unwrap_or(Outcome::NoRoom)
    }

    /// The cluster that a demand was released to and that may still take it in.
    fn standing_release(&self, pod: &Demand) -> Option<usize> {
        let mut clusters = self.config.clusters.iter();
        clusters.position(|cluster| {
            let since = pod.released.get(&cluster.name);
            let since = since.filter(|_| self.config.tier(cluster) > 0 && !cluster.drain);
            since.is_some_and(|since| self.now < after(*since, GIVE_UP_AFTER))
        })
    }

    /// Why a demand is not released for a while, where its last release failed.
    fn release_failed(&mut self, pod: &Demand) -> Option<Outcome> {
        let failed = self.memory.failed_releases.get(&pod.uid)?;
        let again_at = failed.again_at();
        if self.now >= again_at {
            return None;
        }
        self.look_again_at(again_at);
        Some(Outcome::ReleaseFailed {
            why: failed.why.clone(),
            again_at,
        })
    }

    fn release_to(&mut self, pod: &Demand, index: usize, way: Placement) -> Outcome {
        self.reserve(pod, index, way);
        self.in_transit[index].0 += 1;
        self.decision.scheduler_free = Some(self.now);
        self.release_ahead(pod, index);
        Outcome::Released(self.config.clusters[index].name.clone())
    }

    /// Keeps the room that a demand will take in a cluster from all others.
    fn reserve(&mut self, pod: &Demand, index: usize, way: Placement) {
        self.month_bounds = None;
        let end = self.end(pod);
        if let Some(room) = &mut self.rooms[index] {
            room.reserve(pod, way, end);
        }
    }

    /// Releases a demand that the scheduler has yet to try.
    fn release_ahead(&mut self, pod: &Demand, index: usize) {
        let tier = self.tier(index);
        self.ahead[tier] += 1;
        self.push_release(pod, index);
    }

    fn push_release(&mut self, pod: &Demand, index: usize) {
        self.decision.releases.push(Release {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            version: pod.version.clone(),
            cluster: self.config.clusters[index].name.clone(),
        });
    }

    /// When a demand ends at the latest. One that may run for ever is paid to the end of the present month.
    fn end(&self, demand: &Demand) -> Timestamp {
        let end = self.observation.end(demand, self.now);
        if end == Timestamp::MAX {
            self.months[0].1
        } else {
            end
        }
    }

    /// The tier of a cluster.
    fn tier(&self, cluster: usize) -> usize {
        self.config.tier(&self.config.clusters[cluster])
    }

    fn eligible<'b>(&'b self, tier: usize, pod: &'b Demand) -> impl Iterator<Item = usize> + 'b {
        let clusters = self.config.clusters.iter().enumerate();
        clusters
            .filter(move |(_, cluster)| {
                self.config.tier(cluster) == tier
                    && !cluster.drain
                    && pod.requirements.may_run_in(&cluster.name)
            })
            .map(|(index, _)| index)
    }

    /// Notes that a demand waits for a tier, which opens it.
    fn want(&mut self, tier: usize) {
        let state = &mut self.decision.tiers[tier];
        state.wanted = Some(self.now);
        if !state.is_open {
            state.is_open = true;
            state.since = Some(self.now);
        }
    }

    /// Closes tiers that no demand waited for of late.
    fn close_tiers(&mut self) {
        for tier in 1..self.decision.tiers.len() {
            let state = &mut self.decision.tiers[tier];
            let Some(wanted) = state.wanted.filter(|_| state.is_open) else {
                continue;
            };
            let closes = after(wanted, self.config.fall_back.after);
            if self.now >= closes && wanted != self.now {
                state.is_open = false;
                state.since = Some(self.now);
            } else {
                self.look_again_at(closes);
            }
        }
    }

    fn look_again_at(&mut self, time: Timestamp) {
        let next = &mut self.decision.look_again;
        *next = Some(next.map_or(time, |known| known.min(time)));
    }
}

fn after(time: Timestamp, duration: Duration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
