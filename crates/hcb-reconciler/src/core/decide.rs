//! What to do, given what is seen: which waiting pods may leave for which cluster, and why not the
//! others. No Kubernetes in here, no clock and no randomness, so that a run can be replayed.
//!
//! A pod is released one by one, never a tier as a whole: exactly as many candidates are made elsewhere
//! as jobs must go there, each in the one cluster whose turn it is.

mod held;
mod reminders;
mod turns;

use super::decision::{Decision, Outcome, Release, Verdict, Wake};
use super::gates::{self};
use super::memory::{Memory, TierState};
use super::observation::{ARRIVES_WITHIN, JobPod, Observation};
use super::room::{self, Room, Way};
use super::weights::live_weights;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::Gate;
use jiff::Timestamp;
pub use reminders::{AT_ONCE, IDLE_AFTER};
use std::collections::HashMap;
use std::time::Duration;

/// How long a cluster that a pod was released to has to take it in, before another may.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
/// How long a tier that can add nodes of its own has to do so, before pods leave it.
pub const GROW_WITHIN: Duration = Duration::from_secs(300);

/// How many pods are released that the scheduler has not tried yet. It tries one after another, about one
/// a second: one that was released long before might leave although there is room again.
pub const AHEAD: usize = 1;
/// How long the scheduler is at work on a pod from when it began to try it. The next is let go when it is
/// done: who is let go earlier stands in its queue for the rest of that, and leaves if room comes free
/// meanwhile, or stands before those for whom a node comes.
pub const TRY: Duration = Duration::from_secs(1);
/// So long after a place came free in the first tier more may. Then nobody is let go while the scheduler tries
/// a pod there; at other times the next is let go at once, which is a second earlier.
pub const IN_FLUX: Duration = Duration::from_secs(5);
/// A scheduler that is at work for so long without a pause is not waited for.
pub const NO_PAUSE: Duration = Duration::from_secs(5);
/// A released pod that the scheduler did not try within this counts as tried.
pub const TRIED_WITHIN: Duration = Duration::from_secs(10);

/// How many pods may be on their way to a cluster at once. When their nodes come, all have a place kept at
/// the same moment, and Admiralty's scheduler there asks once a second for each whether it is taken, with a
/// client that makes 20 requests a second. Beyond that it falls behind, places run out after 30 seconds
/// untaken, and the scheduler of the source waits as long for each. Measured: of 50 pods on their way to one
/// cluster, 2 a minute were placed. (Admiralty 0.17, `pkg/scheduler_plugins/candidate`.)
pub const ON_THEIR_WAY: usize = 16;
/// A cluster that has had as many on their way for so long is not waited for: others take its turns.
pub const STUCK_AFTER: Duration = Duration::from_secs(120);

/// How long the scheduler has to see by itself that a place is kept for a pod that it is trying. It looks
/// once a second. From a pod that fitted nowhere it has turned away; that one is woken at once.
pub const WAKE_AFTER: Duration = Duration::from_millis(1200);
/// How long until a pod is woken again.
pub const WAKE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What the nodes of the tiers after the first cost an hour: what bursting costs.
pub fn hourly_cost(observation: &Observation, config: &ReconcilerConfig) -> f64 {
    let clusters = config.clusters.iter().zip(&observation.clusters);
    clusters
        .filter(|(cluster, _)| config.tier(cluster) > 0)
        .map(|(cluster, state)| room::hourly_cost(cluster, state))
        .sum()
}

/// Decides.
pub fn decide(
    observation: &Observation,
    config: &ReconcilerConfig,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    let mut deciding = Deciding::new(observation, config, memory, now);
    deciding.look_at_scheduler();
    let mut waiting: Vec<&JobPod> = observation
        .pods
        .values()
        .filter(|pod| pod.waits())
        .collect();
    // Who was not tried yet is next in the scheduler's queue; who was tried is behind all of those, and
    // would have to wait for a second or so for each.
    waiting.sort_by_cached_key(|pod| {
        let name = (&pod.namespace, &pod.name);
        let is_tried = observation.is_tried(&pod.uid);
        (std::cmp::Reverse(pod.priority), is_tried, pod.created, name)
    });
    // What was released before holds its room before anything else is given away.
    for pod in &waiting {
        deciding.hold(pod);
        deciding.keep_reservation(pod);
        deciding.wake(pod);
        deciding.note_arrival(pod);
    }
    for pod in waiting {
        let outcome = deciding.outcome(pod);
        deciding.note_forgotten(pod, &outcome);
        deciding.decision.verdicts.push(Verdict {
            uid: pod.uid.clone(),
            outcome,
        });
    }
    deciding.remind();
    deciding.note_turn();
    deciding.close_tiers();
    deciding.decision.gates = gates::changes(observation, config, &deciding.crowd);
    deciding.decision.hourly_cost = deciding.hourly_cost();
    deciding.decision
}

/// What a tier can do for a pod.
enum Choice {
    /// It goes to this cluster.
    Cluster(usize, Way),
    /// The cluster whose turn it is has as many on their way as it can take.
    ItsTurn,
    /// Nothing, and why where that is more than want of room.
    None(Option<Outcome>),
}

struct Deciding<'a> {
    observation: &'a Observation,
    config: &'a ReconcilerConfig,
    memory: &'a Memory,
    now: Timestamp,
    /// What is left where pods are sent to; in the order of the configuration, `None` where unseen.
    rooms: Vec<Option<Room<'a>>>,
    /// What is seen, without what was promised to others: whether a pod may leave depends on what is
    /// free, not on who might take it.
    seen: Vec<Option<Room<'a>>>,
    /// Pods that were released to each tier and not tried yet.
    ahead: Vec<usize>,
    /// Pods that are on their way to each cluster: how many, and since when the first of them.
    coming: Vec<(usize, Timestamp)>,
    /// Pods that each cluster of the first tier has no room for and was not asked for yet; a crowd where
    /// even one that has room is to wait for a moment.
    crowd: Vec<usize>,
    /// Whether places come free in the first tier.
    is_in_flux: bool,
    /// Whether the scheduler is at work on a pod that is to be waited for.
    is_busy: bool,
    /// Whether nodes have come that pods were let go for: those are next, and nobody else.
    is_arrival: bool,
    /// Of pods that were let go, by uid, the first cluster that has room for them in an earlier tier.
    called_back: HashMap<&'a str, usize>,
    /// Pods that the scheduler would place if it looked at them.
    forgotten: Vec<&'a JobPod>,
    decision: Decision,
}

impl<'a> Deciding<'a> {
    fn new(
        observation: &'a Observation,
        config: &'a ReconcilerConfig,
        memory: &'a Memory,
        now: Timestamp,
    ) -> Self {
        let clusters = config.clusters.iter().zip(&observation.clusters);
        let seen: Vec<_> = clusters
            .map(|(cluster, state)| state.is_seen.then(|| Room::new(cluster, state)))
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
            memory,
            now,
            rooms: seen.clone(),
            seen,
            ahead: vec![0; config.tiers.len()],
            coming: vec![(0, now); config.clusters.len()],
            crowd: vec![0; config.clusters.len()],
            is_in_flux: false,
            is_busy: false,
            is_arrival: false,
            called_back: HashMap::new(),
            forgotten: Vec::new(),
            decision,
        }
    }

    fn keep_reservation(&mut self, pod: &JobPod) {
        for (index, cluster) in self.config.clusters.iter().enumerate() {
            let Some(since) = pod.released.get(&cluster.name).copied() else {
                continue;
            };
            if cluster.drain {
                continue;
            }
            let is_first = self.config.tier(cluster) == 0;
            if !is_first && self.now < after(since, GIVE_UP_AFTER) {
                let (count, first) = &mut self.coming[index];
                *count += 1;
                *first = since.min(*first);
            }
            // A delegate that has a place holds its room as a pod of its node.
            if self.observation.clusters[index].keeps(&pod.uid) {
                continue;
            }
            let due = after(since, TRIED_WITHIN);
            let is_tried = self.observation.clusters[index].has_candidate(&pod.uid);
            let is_ahead = !is_tried && self.now < due;
            // Who was tried in the first tier and has no place there is as who was never let through.
            if (is_ahead || !is_first)
                && let Some(room) = &mut self.rooms[index]
                && let Some(way) = room.find(pod)
            {
                room.reserve(pod, way);
            }
            if is_ahead {
                self.ahead[self.config.tier(cluster)] += 1;
                self.look_again_at(due);
            }
        }
    }

    /// Whether a node has come that a pod was let go for. Its place is kept in a moment, and the scheduler
    /// should be free for it then: each other pod that it tries for the first time takes it a second.
    fn note_arrival(&mut self, pod: &JobPod) {
        let Some(cluster) = self.standing_release(pod) else {
            return;
        };
        if self.is_held(pod, cluster) {
            return;
        }
        let state = &self.observation.clusters[cluster];
        if let Some(arrival) = state.arrival_for(&pod.shape, self.now) {
            self.is_arrival = true;
            self.look_again_at(after(arrival, ARRIVES_WITHIN));
        }
    }

    fn wake(&mut self, pod: &JobPod) {
        let Some(keeper) = self.keeper(pod) else {
            return;
        };
        if self.is_shut_out(pod, keeper) {
            self.let_through(pod, keeper);
            return;
        }
        let kept = self.memory.kept_since.get(&pod.uid).copied();
        let kept = kept.unwrap_or(self.now);
        let woken = self.memory.woken.get(&pod.uid).copied();
        let due = if let Some(woken) = woken.filter(|woken| *woken >= kept) {
            after(woken, WAKE_AGAIN_AFTER)
        } else if self.observation.clusters[keeper].keeps_unnoticed(&pod.uid) {
            kept
        } else {
            after(kept, WAKE_AFTER)
        };
        if self.now >= due {
            self.decision.wakes.push(Wake::of(pod));
        } else {
            self.look_again_at(due);
        }
    }

    /// The cluster that keeps a place for a pod, which it can take, and may. One that is drained keeps it in
    /// vain.
    fn keeper(&self, pod: &JobPod) -> Option<usize> {
        let keepers = self
            .observation
            .keepers(&pod.uid)
            .filter(|index| !self.config.clusters[*index].drain && !self.is_held(pod, *index));
        keepers.min_by_key(|index| self.tier(*index))
    }

    fn outcome(&mut self, pod: &JobPod) -> Outcome {
        if self.is_arrival {
            self.count_in_crowd(pod, gates::CROWD);
        }
        if let Some(index) = self.keeper(pod) {
            let cluster = &self.config.clusters[index];
            if self.config.tier(cluster) > 0 {
                self.count_in_crowd(pod, 1);
            }
            return Outcome::Kept(cluster.name.clone());
        }
        if let Some(index) = self.called_back.get(pod.uid.as_str()) {
            return self.call_back(pod, *index);
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
        let mut held_back = None;
        for tier in 1..self.config.tiers.len() {
            if self.eligible(tier, pod).next().is_none() {
                continue;
            }
            let may_leave = after(pod.created, self.config.burst.after);
            if !self.decision.tiers[tier].is_open && self.now < may_leave {
                self.look_again_at(may_leave);
                return Outcome::Waits(may_leave);
            }
            self.want(tier);
            if !self.may_let_go(tier) {
                // Whether there is room is asked when its turn comes.
                return Outcome::Next(self.config.tiers[tier].clone());
            }
            match self.best_of(tier, pod) {
                Choice::Cluster(index, way) => return self.release(pod, index, way),
                Choice::ItsTurn => return Outcome::Next(self.config.tiers[tier].clone()),
                Choice::None(outcome) => held_back = held_back.or(outcome),
            }
        }
        held_back.unwrap_or(Outcome::NoRoom)
    }

    /// The cluster that a pod was released to and that may still take it in.
    fn standing_release(&self, pod: &JobPod) -> Option<usize> {
        let mut clusters = self.config.clusters.iter();
        clusters.position(|cluster| {
            let since = pod.released.get(&cluster.name);
            let since = since.filter(|_| self.config.tier(cluster) > 0 && !cluster.drain);
            since.is_some_and(|since| self.now < after(*since, GIVE_UP_AFTER))
        })
    }

    /// Why the pod stays for the first tier, if it does.
    fn first_tier(&mut self, pod: &JobPod) -> Option<Outcome> {
        let first: Vec<_> = self.eligible(0, pod).collect();
        for &index in &first {
            let name = &self.config.clusters[index].name;
            match (&mut self.seen[index], &mut self.rooms[index]) {
                (Some(seen), Some(room)) => {
                    if seen.fits(pod).is_some() {
                        let way = room.fits(pod);
                        let fits = Outcome::Fits(name.clone());
                        return Some(self.stays(pod, index, fits, way));
                    }
                }
                _ => return Some(Outcome::Unseen(name.clone())),
            }
        }
        let deadline = after(pod.created, GROW_WITHIN);
        for &index in &first {
            let room = self.rooms[index].as_ref()?;
            if self.now < deadline
                && let Some(way) = room.grows(pod)
            {
                self.look_again_at(deadline);
                let grows = Outcome::Grows(self.config.clusters[index].name.clone());
                return Some(self.stays(pod, index, grows, Some(way)));
            }
        }
        None
    }

    /// Counts a pod that the first tier would be asked for in vain.
    fn count_in_crowd(&mut self, pod: &JobPod, count: usize) {
        for index in self.eligible(0, pod).collect::<Vec<_>>() {
            if !self.observation.clusters[index].has_candidate(&pod.uid) {
                self.crowd[index] += count;
            }
        }
    }

    /// A pod stays for a cluster of the first tier, which has room for it in this way, if any is left;
    /// where its gate is closed, it is let through once it is its turn and there is.
    fn stays(&mut self, pod: &JobPod, index: usize, outcome: Outcome, way: Option<Way>) -> Outcome {
        if let Some(way) = way {
            self.reserve(pod, index, way);
        }
        if self.is_shut_out(pod, index) {
            if self.is_arrival || self.ahead[0] >= AHEAD || way.is_none() {
                return Outcome::Next(self.config.tiers[0].clone());
            }
            self.let_ahead(pod, index);
        }
        outcome
    }

    /// Whether the gate of a cluster of the first tier is closed to a pod.
    fn is_shut_out(&self, pod: &JobPod, index: usize) -> bool {
        let cluster = &self.config.clusters[index];
        self.observation.clusters[index].gate != Gate::Open
            && self.config.tier(cluster) == 0
            && !pod.released.contains_key(&cluster.name)
    }

    fn release(&mut self, pod: &JobPod, index: usize, way: Way) -> Outcome {
        self.reserve(pod, index, way);
        self.coming[index].0 += 1;
        self.decision.turn = Some(self.now);
        self.let_ahead(pod, index);
        Outcome::Released(self.config.clusters[index].name.clone())
    }

    /// Keeps the room that a pod will take in a cluster from all others.
    fn reserve(&mut self, pod: &JobPod, index: usize, way: Way) {
        if let Some(room) = &mut self.rooms[index] {
            room.reserve(pod, way);
        }
    }

    /// Lets a pod through that the scheduler has yet to try.
    fn let_ahead(&mut self, pod: &JobPod, index: usize) {
        let tier = self.tier(index);
        self.ahead[tier] += 1;
        self.let_through(pod, index);
    }

    fn let_through(&mut self, pod: &JobPod, index: usize) {
        self.decision.releases.push(Release {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            version: pod.version.clone(),
            cluster: self.config.clusters[index].name.clone(),
        });
    }

    /// The tier of a cluster.
    fn tier(&self, cluster: usize) -> usize {
        self.config.tier(&self.config.clusters[cluster])
    }

    fn eligible<'b>(&'b self, tier: usize, pod: &'b JobPod) -> impl Iterator<Item = usize> + 'b {
        let clusters = self.config.clusters.iter().enumerate();
        clusters
            .filter(move |(_, cluster)| {
                self.config.tier(cluster) == tier
                    && !cluster.drain
                    && pod.shape.may_run_in(&cluster.name)
            })
            .map(|(index, _)| index)
    }

    /// Notes that a pod waits for a tier, which opens it.
    fn want(&mut self, tier: usize) {
        let state = &mut self.decision.tiers[tier];
        state.wanted = Some(self.now);
        if !state.is_open {
            state.is_open = true;
            state.since = Some(self.now);
        }
    }

    /// Closes tiers that no pod waited for of late.
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
