//! Which cluster of a tier is next, as far as the budget lets it grow.

use super::super::capacity::{self, Placement};
use super::super::decision::{Outcome, Period};
use super::super::demand::Demand;
use super::super::spending;
use super::{Choice, Deciding, after};
use hcb_api::money::Money;
use jiff::Timestamp;
use std::time::Duration;

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
            match self.over_budget(index, way, pod) {
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

    /// Says no where it would break the budget that a demand takes this way.
    fn over_budget(&mut self, index: usize, way: Placement, pod: &Demand) -> Option<Outcome> {
        let budget = self.config.budget.as_ref()?;
        if self.rooms[index].as_ref()?.is_free(way) {
            return None;
        }
        let over = |cost: Money, period: Period| Outcome::OverBudget {
            cluster: self.config.clusters[index].name.clone(),
            period,
            cost: cost.as_number(),
        };
        if let Some(most) = budget.per_hour {
            let cost = self.hourly_bound() + self.rooms[index].as_ref()?.price(way);
            if cost > Money::of_number(most) {
                return Some(over(cost, Period::Hour));
            }
        }
        let most = Money::of_number(budget.per_month?);
        let bounds = self.month_bounds();
        let room = self.rooms[index].as_ref()?;
        let until = self.end(pod);
        let costs = bounds
            .into_iter()
            .zip(self.months)
            .map(|(bound, month)| (bound, room.price_of_time(way, until, self.now, month)));
        // A month that it costs nothing in is not its to judge, but for the present one.
        let mut costs = costs
            .enumerate()
            .filter(|(ahead, (_, more))| *ahead == 0 || !more.is_zero());
        let broken = costs.find(|(_, (bound, more))| *bound + *more > most);
        broken.map(|(_, (bound, more))| over(bound + more, Period::Month))
    }

    /// What this month and the next ones will have cost if nothing more is released: what is spent, and what each node
    /// costs for as long as what was released to it may run.
    fn month_bounds(&mut self) -> [Money; spending::MONTHS] {
        if let Some(bounds) = self.month_bounds {
            return bounds;
        }
        let mut bounds = self.months.map(|month| self.commitment(month));
        bounds[0] = bounds[0] + spending::spent(&self.memory.spending, self.now);
        self.month_bounds = Some(bounds);
        bounds
    }

    fn commitment(&self, month: (Timestamp, Timestamp)) -> Money {
        let burst = spending::burst_clusters(self.config);
        let committed = burst.map(|(index, cluster)| {
            if let Some(room) = &self.rooms[index] {
                return room.commitment(self.now, month);
            }
            // Of what cannot be seen it is not known what runs where, so all of it is kept by the last of it.
            let demands = self.observation.demands.values();
            let demands = demands.filter(|demand| {
                demand.placed.as_ref() == Some(&cluster.name)
                    || (demand.waits() && demand.released.contains_key(&cluster.name))
            });
            let ends = demands.map(|demand| self.end(demand));
            let hour = after(self.now, Duration::from_secs(3600));
            let until = ends.max().unwrap_or(hour).max(hour).min(month.1);
            self.unseen_cost(index).for_time(month.0, until)
        });
        committed.sum()
    }

    /// What the nodes of later tiers cost an hour, as far as that is known, with those that are coming.
    pub(super) fn hourly_cost(&self) -> Money {
        let burst = spending::burst_clusters(self.config);
        burst
            .map(|(index, _)| match &self.rooms[index] {
                Some(room) => room.hourly_cost(),
                None => self
                    .last_cost(index)
                    .unwrap_or_default()
                    .max(self.listed_cost(index)),
            })
            .sum()
    }

    /// As [`Self::hourly_cost`], where a cluster that no reconciler has seen yet costs what the spec says is there.
    fn hourly_bound(&self) -> Money {
        let burst = spending::burst_clusters(self.config);
        burst
            .map(|(index, _)| match &self.rooms[index] {
                Some(room) => room.hourly_cost(),
                None => self.unseen_cost(index),
            })
            .sum()
    }

    /// What a cluster that cannot be seen costs an hour: as much as when it was seen last, by whichever leader.
    fn unseen_cost(&self, index: usize) -> Money {
        let last = self.last_cost(index);
        let last = last.unwrap_or_else(|| capacity::lowest_cost(&self.config.clusters[index]));
        last.max(self.listed_cost(index))
    }

    /// What nodes of a cluster cost an hour that were listed, although the cluster cannot be seen now or not as a whole.
    fn listed_cost(&self, index: usize) -> Money {
        capacity::hourly_cost(
            &self.config.clusters[index],
            &self.observation.clusters[index],
        )
    }

    /// What a cluster cost an hour when it was last seen, by whichever leader.
    fn last_cost(&self, index: usize) -> Option<Money> {
        let cluster = &self.config.clusters[index];
        let counted = self.memory.spending.clusters.get(&cluster.name);
        counted?.per_hour
    }
}
