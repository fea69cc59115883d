//! Which cluster of a tier is next, as far as the budget lets it grow.

use super::super::capacity;
use super::super::decision::{Outcome, Period};
use super::super::demand::Demand;
use super::{Choice, Deciding, after};

impl Deciding<'_> {
    /// The cluster of a tier that is next, among those that can take the demand in.
    pub(super) fn best_of(&mut self, tier: usize, pod: &Demand) -> Choice {
        let mut refusal = None;
        let mut able = Vec::new();
        for index in self.eligible(tier, pod).collect::<Vec<_>>() {
            let cluster = &self.config.clusters[index];
            if pod.released.contains_key(&cluster.name) || cluster.weight == 0 {
                continue;
            }
            let (count, first) = self.in_transit[index];
            if count >= self.pacing.in_transit && self.now >= after(first, self.pacing.stuck_after)
            {
                refusal = refusal.or(Some(Outcome::QueuedForBurst(
                    self.config.tiers[tier].clone(),
                )));
                continue;
            }
            let Some(room) = &mut self.rooms[index] else {
                refusal = refusal.or(Some(Outcome::ClusterUnreachable(cluster.name.clone())));
                continue;
            };
            let Some(way) = room.find(pod) else {
                continue;
            };
            let price = room.price(way);
            match self.over_budget(index, price) {
                Some(outcome) => refusal = refusal.or(Some(outcome)),
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
            return Choice::None(refusal);
        };
        // Its place is not given to another, or the shares would be those of how fast nodes come.
        let (count, first) = self.in_transit[index];
        if count >= self.pacing.in_transit {
            self.look_again_at(after(first, self.pacing.stuck_after));
            return Choice::Saturated;
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
            most.filter(|most| cost > *most)
                .map(|_| Outcome::OverBudget {
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
                capacity::hourly_cost(cluster, state)
            })
            .sum()
    }
}
