//! What must hold after each step, and at the end.

use super::World;
use crate::api_server::Kind;
use crate::cluster::name;
use crate::reconciler::Reconciler;
use hcb_api::gate::GATE;
use hcb_reconciler::core::spending;
use jiff::SignedDuration;

/// How long a gate that was lost may be open once the reconciler works again.
const CLOSED_WITHIN: SignedDuration = SignedDuration::from_secs(40);

impl World {
    /// Since when the first tier has had room, by its size.
    pub(super) fn note_room(&mut self) {
        let free = self.clusters[0].free();
        let most = free.values().copied().max().unwrap_or_default();
        self.room_since.retain(|room, _| *room <= most);
        self.room_since.entry(most).or_insert(self.now);
    }

    /// After a release all nodes that are there, and those that released pods still need, are within the budget of the
    /// hour. Nodes that others made do not count against the release, since it may not have seen them.
    pub(super) fn check_budget(&mut self, pod: &str, cluster: usize) {
        let Some(most) = self
            .config
            .budget
            .as_ref()
            .and_then(|budget| budget.per_hour)
        else {
            return;
        };
        if self.now < self.disturbed + SignedDuration::from_secs(30) {
            return;
        }
        let mut cost = 0.0;
        for index in 1..self.clusters.len() {
            cost += self.clusters[index].own_nodes() as f64 * self.clusters[index].price();
        }
        // The release itself needs a node more at the most, where none has room.
        let asked = self.job_of(pod).map_or(0, |job| self.jobs[job].plan.cpu);
        let has_room = self.clusters[cluster]
            .free()
            .values()
            .any(|free| *free >= asked);
        if !has_room {
            cost += self.clusters[cluster].price();
        }
        if cost > most + 1e-9 && cost - self.clusters[cluster].price() > most + 1e-9 {
            self.breaks(format!(
                "{pod} is released to {} at {cost} an hour, with a budget of {most}",
                self.names[cluster]
            ));
        }
    }

    pub(super) fn check(&mut self) {
        // Candidates in later tiers are of pods that were released, but where a gate was lost.
        for index in 1..self.clusters.len() {
            let pods = self.clusters[index].api.list(Kind::Pod);
            let strange = pods
                .map(|pod| name(pod).trim_end_matches("-c").to_owned())
                .find(|pod| {
                    !self
                        .released
                        .get(pod)
                        .is_some_and(|clusters| clusters.contains(&index))
                });
            if let Some(pod) = strange
                && !self.open_since.contains_key(&index)
            {
                self.breaks(format!(
                    "{pod} has a candidate in {}, which it was not released to",
                    self.names[index]
                ));
            }
        }
        // A gate that was lost is closed again. What passed it meanwhile counts as released.
        for (index, since) in self.open_since.clone() {
            let node = self.clusters[0]
                .api
                .get(Kind::Node, &format!("admiralty-{}", self.names[index]));
            let is_closed = node.is_some_and(|node| node["spec"]["taints"][0]["key"] == GATE);
            let pods = self.clusters[index].api.list(Kind::Pod);
            let passed: Vec<_> = pods
                .map(|pod| name(pod).trim_end_matches("-c").to_owned())
                .collect();
            for pod in passed {
                self.released.entry(pod).or_default().insert(index);
            }
            let since = since.max(self.disturbed);
            if is_closed {
                self.open_since.remove(&index);
            } else if self.reconciler.is_some()
                && self.clusters[0].answers
                && self.now > since + CLOSED_WITHIN
            {
                self.breaks(format!("the gate of {} stays open", self.names[index]));
            }
        }
    }

    /// What the ledger has is never less than what the nodes cost that the reconciler could see.
    pub(super) fn check_spending(&mut self, reconciler: &Reconciler) {
        let own = self.now + self.clock;
        let is_seen = reconciler
            .control
            .state
            .observer
            .observation
            .clusters
            .iter()
            .all(|state| state.is_seen);
        if !is_seen || self.had_other_clock {
            return;
        }
        let spending = &reconciler.control.state.memory.spending;
        let spent = spending::spent(spending, own).as_number();
        let months: f64 = spending
            .months
            .values()
            .map(|spent| spent.as_number())
            .sum();
        let cost: f64 = self.clusters[1..].iter().map(|cluster| cluster.cost).sum();
        // Nodes are seen a moment after they come.
        let tolerance = 0.05 + cost * 0.02;
        if months.max(spent) + tolerance < cost {
            self.breaks(format!("{months:.3} are counted, and {cost:.3} were spent"));
        }
    }

    /// Every job ran that could: its pod fits somewhere, nobody refuses it, and no budget holds it back. Pods that are
    /// refused for ever hold no other up.
    pub(super) fn check_end(&mut self) {
        let is_held_back = self.config.budget.as_ref().is_some_and(|budget| {
            budget.per_month.is_some() || budget.per_hour.is_some_and(|most| most < 8.0)
        });
        let private = self.clusters[0].size();
        let left = self.jobs.iter().enumerate().find(|(_, job)| {
            let pod = job.pod.as_deref().unwrap_or_default();
            let is_refused = self.refused_pods.contains(pod);
            let needs_money = job.plan.cpu > private;
            !(job.is_over || is_refused || (needs_money && is_held_back))
        });
        if let Some((index, job)) = left {
            let what = format!(
                "job-{index} waits for ever: {:?} of {:?}, runs {:?}",
                job.pod, job.plan, job.runs
            );
            self.breaks(what);
        }
    }
}
