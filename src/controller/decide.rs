//! What to do, given what is seen: which waiting pods may leave for which cluster, and why not the
//! others. No Kubernetes in here, no clock and no randomness, so that a run can be replayed.
//!
//! A pod is released one by one, never a tier as a whole: exactly as many candidates are made elsewhere
//! as jobs must go there, each in the one cluster whose turn it is.

use super::config::Config;
use super::observation::{JobPod, Observation};
use super::room::{Room, Way};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a cluster that a pod was released to has to take it in, before another may.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
/// How long a tier that can add nodes of its own has to do so, before pods leave it.
pub const GROW_WITHIN: Duration = Duration::from_secs(300);

/// How long the scheduler has to see by itself that a place is kept for a pod. It looks once a second.
pub const WAKE_AFTER: Duration = Duration::from_millis(1200);
/// How long until a pod is woken again.
pub const WAKE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What is remembered between decisions.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// When a place was first seen to be kept for a pod, or when it was last woken, and whether it was.
    pub kept_since: BTreeMap<String, (Timestamp, bool)>,
    /// When pods were released, by uid and cluster.
    pub released_at: BTreeMap<(String, String), Timestamp>,
    /// What was spent this month, in the currency of the budget.
    pub spent_this_month: f64,
}

impl Memory {
    /// Notes for which waiting pods a place is kept, and forgets those that wait no more.
    pub fn see_kept(&mut self, observation: &Observation, now: Timestamp) {
        let waiting = observation.pods.iter().filter(|pod| pod.waits());
        let is_kept = |pod: &&JobPod| observation.keeper(pod).is_some();
        let kept: BTreeSet<_> = waiting.filter(is_kept).map(|pod| pod.uid.clone()).collect();
        self.kept_since.retain(|uid, _| kept.contains(uid));
        for uid in kept {
            self.kept_since.entry(uid).or_insert((now, false));
        }
    }
}

/// A pod that may pass a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
    /// The version of the pod that this was decided of.
    pub version: String,
    /// The cluster whose gate it may pass.
    pub cluster: String,
}

/// A pod that the scheduler should look at again: a place is kept for it, which nothing tells the
/// scheduler. By itself it looks a minute later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
}

/// Why a pod waits, or where it may go.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A cluster keeps a place for it; the scheduler takes that.
    Kept(String),
    /// A cluster of the first tier has room; the scheduler places it there.
    Fits(String),
    /// A cluster of the first tier is adding a node for it.
    Grows(String),
    /// It has not waited for as long as the spec asks for; it has until then.
    Waits(Timestamp),
    /// It may go to this cluster.
    Released(String),
    /// A cluster that it may run in cannot be seen; nothing is opened blindly.
    Unseen(String),
    /// There is room to be bought, but not for the budget.
    Budget {
        /// The cluster that would grow.
        cluster: String,
        /// What all nodes would cost an hour then.
        hourly_cost: f64,
    },
    /// No cluster that it may run in has room, or can make any.
    NoRoom,
}

/// What was decided of a waiting pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Index in [`Observation::pods`].
    pub pod: usize,
    /// What was decided.
    pub outcome: Outcome,
}

/// A decision.
#[derive(Debug, Clone, Default)]
pub struct Decision {
    /// What to do.
    pub releases: Vec<Release>,
    /// Whom to wake.
    pub wakes: Vec<Wake>,
    /// One verdict for each pod that waits, in the order in which they are served.
    pub verdicts: Vec<Verdict>,
    /// What the nodes of all clusters cost an hour, with those that were decided on.
    pub hourly_cost: f64,
    /// When time alone changes the decision.
    pub look_again: Option<Timestamp>,
}

/// Decides.
pub fn decide(
    observation: &Observation,
    config: &Config,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    let mut deciding = Deciding::new(observation, config, memory, now);
    let mut waiting: Vec<usize> = (0..observation.pods.len())
        .filter(|index| observation.pods[*index].waits())
        .collect();
    waiting.sort_by_key(|index| {
        let pod = &observation.pods[*index];
        (
            std::cmp::Reverse(pod.priority),
            pod.created,
            &pod.namespace,
            &pod.name,
        )
    });
    // What was released before holds its room before anything else is given away.
    for &index in &waiting {
        deciding.keep_reservation(&observation.pods[index]);
        deciding.wake(&observation.pods[index]);
    }
    for index in waiting {
        let outcome = deciding.outcome(&observation.pods[index]);
        deciding.decision.verdicts.push(Verdict {
            pod: index,
            outcome,
        });
    }
    deciding.decision.hourly_cost = deciding.hourly_cost();
    deciding.decision
}

struct Deciding<'a> {
    observation: &'a Observation,
    config: &'a Config,
    memory: &'a Memory,
    now: Timestamp,
    /// What is left where pods are sent to; in the order of the configuration, `None` where unseen.
    rooms: Vec<Option<Room<'a>>>,
    /// What is seen, without what was promised to others: whether a pod may leave depends on what is
    /// free, not on who might take it.
    seen: Vec<Option<Room<'a>>>,
    /// Pods that were ever sent to each cluster and are still known.
    assigned: Vec<u32>,
    decision: Decision,
}

impl<'a> Deciding<'a> {
    fn new(
        observation: &'a Observation,
        config: &'a Config,
        memory: &'a Memory,
        now: Timestamp,
    ) -> Self {
        let seen: Vec<_> = config
            .clusters
            .iter()
            .map(|cluster| {
                observation
                    .clusters
                    .get(&cluster.name)
                    .map(|state| Room::new(cluster, state))
            })
            .collect();
        let assigned = |name: &String| {
            observation
                .pods
                .iter()
                .filter(|pod| {
                    pod.released.last() == Some(name) || pod.placed.as_ref() == Some(name)
                })
                .count()
        };
        let assigned = config
            .clusters
            .iter()
            .map(|cluster| u32::try_from(assigned(&cluster.name)).unwrap_or(u32::MAX));
        Self {
            observation,
            config,
            memory,
            now,
            rooms: seen.clone(),
            seen,
            assigned: assigned.collect(),
            decision: Decision::default(),
        }
    }

    fn keep_reservation(&mut self, pod: &JobPod) {
        for index in 0..self.config.clusters.len() {
            let name = &self.config.clusters[index].name;
            // A delegate that is bound already holds its room as a pod of its node.
            let state = self.observation.clusters.get(name);
            let is_bound = state.is_some_and(|state| state.delegates.contains(&pod.uid));
            if is_bound || !pod.released.contains(name) {
                continue;
            }
            let room = self.rooms[index].as_mut();
            if let Some((room, way)) =
                room.and_then(|room| room.find(&pod.shape).map(|way| (room, way)))
            {
                room.reserve(&pod.shape, way);
            }
        }
    }

    fn wake(&mut self, pod: &JobPod) {
        if self.observation.keeper(pod).is_none() {
            return;
        }
        let known = self.memory.kept_since.get(&pod.uid).copied();
        let (since, is_woken) = known.unwrap_or((self.now, false));
        let patience = if is_woken {
            WAKE_AGAIN_AFTER
        } else {
            WAKE_AFTER
        };
        let due = since.saturating_add(patience).unwrap_or(Timestamp::MAX);
        if self.now >= due {
            self.decision.wakes.push(Wake {
                namespace: pod.namespace.clone(),
                name: pod.name.clone(),
                uid: pod.uid.clone(),
            });
        } else {
            self.look_again_at(due);
        }
    }

    fn outcome(&mut self, pod: &JobPod) -> Outcome {
        if let Some(cluster) = self.observation.keeper(pod) {
            return Outcome::Kept(cluster.clone());
        }
        if let Some(cluster) = pod
            .released
            .iter()
            .find(|cluster| !self.has_given_up(pod, cluster))
        {
            self.look_again_at(
                self.released_at(pod, cluster)
                    .saturating_add(GIVE_UP_AFTER)
                    .unwrap_or(Timestamp::MAX),
            );
            return Outcome::Released(cluster.clone());
        }
        if let Some(outcome) = self.first_tier(pod) {
            return outcome;
        }
        let may_leave = pod
            .created
            .saturating_add(self.config.burst.after)
            .unwrap_or(Timestamp::MAX);
        if self.now < may_leave {
            self.look_again_at(may_leave);
            return Outcome::Waits(may_leave);
        }
        let mut held_back = None;
        for tier in 1..self.config.tiers.len() {
            match self.best_of(tier, pod) {
                Ok(Some((index, way))) => return self.release(pod, index, way),
                Ok(None) => {}
                Err(outcome) => held_back = held_back.or(Some(outcome)),
            }
        }
        held_back.unwrap_or(Outcome::NoRoom)
    }

    /// Why the pod stays for the first tier, if it does.
    fn first_tier(&mut self, pod: &JobPod) -> Option<Outcome> {
        let first: Vec<_> = self.eligible(0, pod).collect();
        for &index in &first {
            let name = self.config.clusters[index].name.clone();
            match &self.seen[index] {
                None => return Some(Outcome::Unseen(name)),
                Some(room) if room.fits(&pod.shape).is_some() => return Some(Outcome::Fits(name)),
                Some(_) => {}
            }
        }
        let deadline = pod
            .created
            .saturating_add(GROW_WITHIN)
            .unwrap_or(Timestamp::MAX);
        for index in first {
            let room = self.rooms[index].as_mut()?;
            let way = room
                .find(&pod.shape)
                .filter(|way| !matches!(way, Way::Node(_)));
            if let Some(way) = way.filter(|_| self.now < deadline) {
                room.reserve(&pod.shape, way);
                self.look_again_at(deadline);
                return Some(Outcome::Grows(self.config.clusters[index].name.clone()));
            }
        }
        None
    }

    /// The cluster of a tier whose turn it is, among those that can take the pod in.
    fn best_of(&self, tier: usize, pod: &JobPod) -> Result<Option<(usize, Way)>, Outcome> {
        let mut held_back = None;
        let mut best: Option<(usize, Way, f64)> = None;
        for index in self.eligible(tier, pod) {
            let cluster = &self.config.clusters[index];
            if pod.released.contains(&cluster.name) {
                continue;
            }
            let Some(room) = &self.rooms[index] else {
                held_back = held_back.or(Some(Outcome::Unseen(cluster.name.clone())));
                continue;
            };
            let Some(way) = room.find(&pod.shape) else {
                continue;
            };
            if let Some(outcome) = self.over_budget(index, room.price(way)) {
                held_back = held_back.or(Some(outcome));
                continue;
            }
            // The cluster that is furthest behind its share is next.
            let share = f64::from(self.assigned[index] + 1) / f64::from(cluster.weight.max(1));
            if cluster.weight > 0 && best.is_none_or(|(_, _, least)| share < least) {
                best = Some((index, way, share));
            }
        }
        match (best, held_back) {
            (Some((index, way, _)), _) => Ok(Some((index, way))),
            (None, Some(outcome)) => Err(outcome),
            (None, None) => Ok(None),
        }
    }

    fn release(&mut self, pod: &JobPod, index: usize, way: Way) -> Outcome {
        let cluster = self.config.clusters[index].name.clone();
        if let Some(room) = &mut self.rooms[index] {
            room.reserve(&pod.shape, way);
        }
        self.assigned[index] += 1;
        self.decision.releases.push(Release {
            namespace: pod.namespace.clone(),
            name: pod.name.clone(),
            uid: pod.uid.clone(),
            version: pod.version.clone(),
            cluster: cluster.clone(),
        });
        Outcome::Released(cluster)
    }

    /// Says no where one more node at `price` an hour would break the budget.
    fn over_budget(&self, index: usize, price: f64) -> Option<Outcome> {
        let budget = self.config.budget.as_ref().filter(|_| price > 0.0)?;
        let hourly_cost = self.hourly_cost() + price;
        // A node that is bought is paid for an hour at least.
        let month = self.memory.spent_this_month + hourly_cost;
        let is_over = budget.per_hour.is_some_and(|most| hourly_cost > most)
            || budget.per_month.is_some_and(|most| month > most);
        is_over.then(|| Outcome::Budget {
            cluster: self.config.clusters[index].name.clone(),
            hourly_cost,
        })
    }

    fn hourly_cost(&self) -> f64 {
        self.rooms.iter().flatten().map(Room::hourly_cost).sum()
    }

    fn eligible<'b>(&'b self, tier: usize, pod: &'b JobPod) -> impl Iterator<Item = usize> + 'b {
        let clusters = self.config.clusters.iter().enumerate();
        clusters
            .filter(move |(_, cluster)| {
                self.config.tier(cluster) == tier && pod.shape.may_run_in(&cluster.name)
            })
            .map(|(index, _)| index)
    }

    fn released_at(&self, pod: &JobPod, cluster: &str) -> Timestamp {
        let key = (pod.uid.clone(), cluster.to_owned());
        // What a reconciler before this one released counts from now.
        self.memory
            .released_at
            .get(&key)
            .copied()
            .unwrap_or(self.now)
    }

    fn has_given_up(&self, pod: &JobPod, cluster: &str) -> bool {
        let until = self
            .released_at(pod, cluster)
            .saturating_add(GIVE_UP_AFTER)
            .unwrap_or(Timestamp::MAX);
        self.now >= until
    }

    fn look_again_at(&mut self, time: Timestamp) {
        let next = &mut self.decision.look_again;
        *next = Some(next.map_or(time, |known| known.min(time)));
    }
}
