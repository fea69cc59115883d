//! What to do, given what is seen: which waiting pods may leave for which cluster, and why not the
//! others. No Kubernetes in here, no clock and no randomness, so that a run can be replayed.
//!
//! A pod is released one by one, never a tier as a whole: exactly as many candidates are made elsewhere
//! as jobs must go there, each in the one cluster whose turn it is.

use super::config::Config;
use super::ledger::Ledger;
use super::observation::{JobPod, Observation};
use super::room::{self, Room, Way};
use super::weights::{LiveWeight, live_weights};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a cluster that a pod was released to has to take it in, before another may.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(600);
/// How long a tier that can add nodes of its own has to do so, before pods leave it.
pub const GROW_WITHIN: Duration = Duration::from_secs(300);

/// How many pods are released that the scheduler has not tried yet. It tries one after another, about one
/// a second: one that was released long before might leave although there is room again.
pub const AHEAD: usize = 3;
/// A released pod that the scheduler did not try within this counts as tried.
pub const TRIED_WITHIN: Duration = Duration::from_secs(10);

/// How long the scheduler has to see by itself that a place is kept for a pod. It looks once a second.
pub const WAKE_AFTER: Duration = Duration::from_millis(1200);
/// How long until a pod is woken again.
pub const WAKE_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What is remembered between decisions.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// When a place was first seen to be kept for a pod, or when it was last woken, and whether it was.
    pub kept_since: BTreeMap<String, (Timestamp, bool)>,
    /// What was spent this month, in the currency of the budget.
    pub ledger: Ledger,
    /// By how much each cluster is behind its share, in pods times the weights of its tier.
    pub credits: Vec<f64>,
    /// The tiers, as they were left.
    pub tiers: Vec<TierState>,
}

/// Whether pods may leave for a tier at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierState {
    /// Whether they may: otherwise each must have waited as long as the spec says.
    pub is_open: bool,
    /// Since when it is so.
    pub since: Option<Timestamp>,
    /// When a pod last waited for it.
    pub wanted: Option<Timestamp>,
}

impl Memory {
    /// Takes in what is seen before anything is decided of it.
    pub fn see(&mut self, observation: &Observation, config: &Config, now: Timestamp) {
        let waiting = observation.pods.values().filter(|pod| pod.waits());
        let is_kept = |pod: &&JobPod| observation.keeper(&pod.uid).is_some();
        let kept: BTreeSet<_> = waiting.filter(is_kept).map(|pod| pod.uid.clone()).collect();
        self.kept_since.retain(|uid, _| kept.contains(uid));
        for uid in kept {
            self.kept_since.entry(uid).or_insert((now, false));
        }
        self.ledger.count(hourly_cost(observation, config), now);
    }

    /// Takes in what was decided.
    pub fn keep(&mut self, decision: &Decision) {
        self.credits.clone_from(&decision.credits);
        self.tiers.clone_from(&decision.tiers);
    }
}

/// What the nodes of the tiers after the first cost an hour: what bursting costs.
pub fn hourly_cost(observation: &Observation, config: &Config) -> f64 {
    let clusters = config.clusters.iter().zip(&observation.clusters);
    clusters
        .filter(|(cluster, _)| config.tier(cluster) > 0)
        .map(|(cluster, state)| room::hourly_cost(cluster, state))
        .sum()
}

/// A pod that may pass a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
}

/// Why a pod waits, or where it may go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    /// It may go to a cluster of this tier as soon as the scheduler has seen to those before it.
    Next(String),
    /// A cluster that it may run in cannot be seen; nothing is opened blindly.
    Unseen(String),
    /// There is room to be bought, but not for the budget.
    Budget {
        /// The cluster that would grow.
        cluster: String,
        /// The period that the budget is for.
        period: Period,
        /// What all nodes would cost an hour then, or what the month would have cost by then.
        cost: f64,
    },
    /// No cluster that it may run in has room, or can make any.
    NoRoom,
}

/// The period of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Period {
    /// An hour.
    Hour,
    /// A calendar month.
    Month,
}

/// What was decided of a waiting pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The pod's uid.
    pub uid: String,
    /// What was decided.
    pub outcome: Outcome,
}

/// A decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// What to do.
    pub releases: Vec<Release>,
    /// Whom to wake.
    pub wakes: Vec<Wake>,
    /// One verdict for each pod that waits.
    pub verdicts: Vec<Verdict>,
    /// What the nodes of the later tiers cost an hour, with those that were decided on.
    pub hourly_cost: f64,
    /// When time alone changes the decision.
    pub look_again: Option<Timestamp>,
    /// The weights that pods were shared out by.
    pub weights: Vec<LiveWeight>,
    /// By how much each cluster is behind its share after it.
    pub credits: Vec<f64>,
    /// The tiers after it.
    pub tiers: Vec<TierState>,
}

/// Decides.
pub fn decide(
    observation: &Observation,
    config: &Config,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    let mut deciding = Deciding::new(observation, config, memory, now);
    let mut waiting: Vec<&JobPod> = observation
        .pods
        .values()
        .filter(|pod| pod.waits())
        .collect();
    waiting.sort_by_key(|pod| {
        let name = (&pod.namespace, &pod.name);
        (std::cmp::Reverse(pod.priority), pod.created, name)
    });
    // What was released before holds its room before anything else is given away.
    for pod in &waiting {
        deciding.keep_reservation(pod);
        deciding.wake(pod);
    }
    for pod in waiting {
        let outcome = deciding.outcome(pod);
        deciding.decision.verdicts.push(Verdict {
            uid: pod.uid.clone(),
            outcome,
        });
    }
    deciding.close_tiers();
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
    /// Pods that were released to each tier and not tried yet.
    ahead: Vec<usize>,
    decision: Decision,
}

impl<'a> Deciding<'a> {
    fn new(
        observation: &'a Observation,
        config: &'a Config,
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
            decision,
        }
    }

    fn keep_reservation(&mut self, pod: &JobPod) {
        for (index, cluster) in self.config.clusters.iter().enumerate() {
            // A delegate that has a place holds its room as a pod of its node.
            let has_place = self.observation.clusters[index].keeps(&pod.uid);
            if has_place || !pod.released.contains_key(&cluster.name) {
                continue;
            }
            if let Some(room) = &mut self.rooms[index]
                && let Some(way) = room.find(pod)
            {
                room.reserve(pod, way);
            }
            let due = after(pod.released[&cluster.name], TRIED_WITHIN);
            let is_tried = self.observation.clusters[index].has_candidate(&pod.uid);
            if !is_tried && self.now < due {
                self.ahead[self.config.tier(cluster)] += 1;
                self.look_again_at(due);
            }
        }
    }

    fn wake(&mut self, pod: &JobPod) {
        if self.observation.keeper(&pod.uid).is_none() {
            return;
        }
        let known = self.memory.kept_since.get(&pod.uid).copied();
        let (since, is_woken) = known.unwrap_or((self.now, false));
        let patience = if is_woken {
            WAKE_AGAIN_AFTER
        } else {
            WAKE_AFTER
        };
        let due = after(since, patience);
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
        if let Some(cluster) = self.observation.keeper(&pod.uid) {
            return Outcome::Kept(self.config.clusters[cluster].name.clone());
        }
        if let Some(index) = self.standing_release(pod) {
            let cluster = &self.config.clusters[index];
            self.want(self.config.tier(cluster));
            let since = pod.released[&cluster.name];
            self.look_again_at(after(since, GIVE_UP_AFTER));
            return Outcome::Released(cluster.name.clone());
        }
        if let Some(outcome) = self.first_tier(pod) {
            return outcome;
        }
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
            if self.ahead[tier] >= AHEAD {
                // Whether there is room is asked when its turn comes.
                return Outcome::Next(self.config.tiers[tier].clone());
            }
            match self.best_of(tier, pod) {
                Ok(Some((index, way))) => {
                    self.ahead[tier] += 1;
                    return self.release(pod, index, way);
                }
                Ok(None) => {}
                Err(outcome) => held_back = held_back.or(Some(outcome)),
            }
        }
        held_back.unwrap_or(Outcome::NoRoom)
    }

    /// The cluster that a pod was released to and that may still take it in.
    fn standing_release(&self, pod: &JobPod) -> Option<usize> {
        let mut clusters = self.config.clusters.iter();
        clusters.position(|cluster| {
            let since = pod.released.get(&cluster.name);
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
                        if let Some(way) = room.fits(pod) {
                            room.reserve(pod, way);
                        }
                        return Some(Outcome::Fits(name.clone()));
                    }
                }
                _ => return Some(Outcome::Unseen(name.clone())),
            }
        }
        let deadline = after(pod.created, GROW_WITHIN);
        for index in first {
            let room = self.rooms[index].as_mut()?;
            if self.now < deadline
                && let Some(way) = room.grows(pod)
            {
                room.reserve(pod, way);
                self.look_again_at(deadline);
                return Some(Outcome::Grows(self.config.clusters[index].name.clone()));
            }
        }
        None
    }

    /// The cluster of a tier whose turn it is, among those that can take the pod in.
    fn best_of(&mut self, tier: usize, pod: &JobPod) -> Result<Option<(usize, Way)>, Outcome> {
        let mut held_back = None;
        let mut able = Vec::new();
        for index in self.eligible(tier, pod).collect::<Vec<_>>() {
            let cluster = &self.config.clusters[index];
            if pod.released.contains_key(&cluster.name) || cluster.weight == 0 {
                continue;
            }
            let Some(room) = &mut self.rooms[index] else {
                held_back = held_back.or(Some(Outcome::Unseen(cluster.name.clone())));
                continue;
            };
            let Some(way) = room.find(pod) else {
                continue;
            };
            let price = room.price(way);
            match self.over_budget(index, price) {
                Some(outcome) => held_back = held_back.or(Some(outcome)),
                None => able.push((index, way)),
            }
        }
        // Smooth weighted round robin: each gets its weight, the one that is furthest behind is next
        // and pays for all. Over time the shares are the weights, whatever is able at one time.
        let weight = |index: usize| self.decision.weights[index].weight;
        let total: f64 = able.iter().map(|(index, _)| weight(*index)).sum();
        for (index, _) in &able {
            self.decision.credits[*index] += self.decision.weights[*index].weight;
        }
        let credit = |index: usize| self.decision.credits[index];
        let next = able.into_iter().reduce(|best, other| {
            if credit(other.0) > credit(best.0) {
                other
            } else {
                best
            }
        });
        match (next, held_back) {
            (Some((index, way)), _) => {
                self.decision.credits[index] -= total;
                Ok(Some((index, way)))
            }
            (None, Some(outcome)) => Err(outcome),
            (None, None) => Ok(None),
        }
    }

    fn release(&mut self, pod: &JobPod, index: usize, way: Way) -> Outcome {
        let cluster = self.config.clusters[index].name.clone();
        if let Some(room) = &mut self.rooms[index] {
            room.reserve(pod, way);
        }
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
        let hour = self.hourly_cost() + price;
        // A node that is bought is paid for an hour at least.
        let month = self.memory.ledger.spent + hour;
        let over = |most: Option<f64>, cost: f64, period: Period| {
            most.filter(|most| cost > *most).map(|_| Outcome::Budget {
                cluster: self.config.clusters[index].name.clone(),
                period,
                cost,
            })
        };
        over(budget.per_hour, hour, Period::Hour)
            .or_else(|| over(budget.per_month, month, Period::Month))
    }

    fn hourly_cost(&self) -> f64 {
        let burst = self.rooms.iter().enumerate();
        burst
            .filter(|(index, _)| self.config.tier(&self.config.clusters[*index]) > 0)
            .map(|(index, room)| {
                if let Some(room) = room {
                    return room.hourly_cost();
                }
                // What cannot be seen costs what it did when it could.
                let cluster = &self.config.clusters[index];
                let state = &self.observation.clusters[index];
                room::hourly_cost(cluster, state)
            })
            .sum()
    }

    fn eligible<'b>(&'b self, tier: usize, pod: &'b JobPod) -> impl Iterator<Item = usize> + 'b {
        let clusters = self.config.clusters.iter().enumerate();
        clusters
            .filter(move |(_, cluster)| {
                self.config.tier(cluster) == tier && pod.shape.may_run_in(&cluster.name)
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
