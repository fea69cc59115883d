//! Whose turn it is: the next pod's, when the scheduler has nothing to do, and that of a cluster of a tier,
//! as far as the budget lets it grow.

use super::super::decision::{Outcome, Period};
use super::super::observation::JobPod;
use super::super::room;
use super::{AHEAD, Choice, Deciding, IN_FLUX, NO_PAUSE, ON_THEIR_WAY, STUCK_AFTER, TRY, after};

impl Deciding<'_> {
    /// Notes whether the scheduler is at work on a pod, as far as its candidates show, and whether places come
    /// free meanwhile.
    pub(super) fn look_at_scheduler(&mut self) {
        let clusters = self.observation.clusters.iter().enumerate();
        let freed = clusters.filter(|(index, _)| self.tier(*index) == 0);
        let freed = freed.filter_map(|(_, state)| state.freed).max();
        self.is_in_flux = freed.is_some_and(|freed| self.now < after(freed, IN_FLUX));
        let tries = self.memory.tried_since.iter();
        let tries = tries.filter(|((_, index), _)| self.is_in_flux || self.tier(*index) > 0);
        let began = tries.map(|(_, began)| began).max();
        let done = began.map(|began| after(*began, TRY));
        if let Some(done) = done.filter(|done| self.now < *done) {
            self.is_busy = true;
            self.look_again_at(done);
        }
    }

    /// Whether a pod may be let go to a later tier now: when it is the scheduler's next.
    pub(super) fn may_let_go(&self, tier: usize) -> bool {
        let turn = self.memory.turn;
        let no_pause = turn.is_some_and(|turn| self.now >= after(turn, NO_PAUSE));
        !self.is_arrival && (self.is_idle(tier) || (no_pause && self.ahead[tier] < AHEAD))
    }

    /// Whether the scheduler would try a pod of this tier next, as far as that is to be waited for.
    fn is_idle(&self, tier: usize) -> bool {
        let mut ahead = self.ahead.iter().enumerate();
        let is_ahead =
            |(of, ahead): (usize, &usize)| *ahead >= AHEAD && (of == tier || self.is_in_flux);
        !self.is_busy && !ahead.any(is_ahead)
    }

    /// Notes that a pod could have been let go, where none was.
    pub(super) fn note_turn(&mut self) {
        if self.decision.turn.is_some() {
            return;
        }
        if (1..self.config.tiers.len()).any(|tier| self.is_idle(tier)) {
            self.decision.turn = Some(self.now);
        } else if let Some(turn) = self.memory.turn {
            self.look_again_at(after(turn, NO_PAUSE));
        }
    }

    /// The cluster of a tier whose turn it is, among those that can take the pod in.
    pub(super) fn best_of(&mut self, tier: usize, pod: &JobPod) -> Choice {
        let mut held_back = None;
        let mut able = Vec::new();
        for index in self.eligible(tier, pod).collect::<Vec<_>>() {
            let cluster = &self.config.clusters[index];
            if pod.released.contains_key(&cluster.name) || cluster.weight == 0 {
                continue;
            }
            let (coming, first) = self.coming[index];
            if coming >= ON_THEIR_WAY && self.now >= after(first, STUCK_AFTER) {
                held_back = held_back.or(Some(Outcome::Next(self.config.tiers[tier].clone())));
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
        let credit = |index: usize| self.decision.credits[index] + weight(index);
        let next = able.iter().copied().reduce(|best, other| {
            if credit(other.0) > credit(best.0) {
                other
            } else {
                best
            }
        });
        let Some((index, way)) = next else {
            return Choice::None(held_back);
        };
        // Its turn is not given to another, or the shares would be those of how fast nodes come.
        let (coming, first) = self.coming[index];
        if coming >= ON_THEIR_WAY {
            self.look_again_at(after(first, STUCK_AFTER));
            return Choice::ItsTurn;
        }
        let total: f64 = able.iter().map(|(index, _)| weight(*index)).sum();
        for (index, _) in &able {
            self.decision.credits[*index] += self.decision.weights[*index].weight;
        }
        self.decision.credits[index] -= total;
        Choice::Cluster(index, way)
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

    pub(super) fn hourly_cost(&self) -> f64 {
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
}
