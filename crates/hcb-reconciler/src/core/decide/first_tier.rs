//! What stays in the first tier, as long as that has room, and what its gates are for.

use super::super::capacity::Placement;
use super::super::decision::Outcome;
use super::super::demand::Demand;
use super::{Deciding, GROW_WITHIN, PLACED_WITHIN, after};
use hcb_api::gate::Gate;

impl Deciding<'_> {
    /// Why a demand stays for the first tier, if it does.
    pub(super) fn first_tier(&mut self, pod: &Demand) -> Option<Outcome> {
        let first: Vec<_> = self.eligible(0, pod).collect();
        for &index in &first {
            let name = &self.config.clusters[index].name;
            if self.has_room_in_vain(pod, index) {
                continue;
            }
            match (&mut self.seen[index], &mut self.rooms[index]) {
                (Some(seen), Some(room)) => {
                    if seen.fits(pod).is_some() {
                        let way = room.fits(pod);
                        let fits = Outcome::FitsFirstTier(name.clone());
                        return Some(self.stays(pod, index, fits, way));
                    }
                }
                _ => return Some(Outcome::ClusterUnreachable(name.clone())),
            }
        }
        let deadline = after(pod.created, GROW_WITHIN);
        for &index in &first {
            let room = self.rooms[index].as_ref()?;
            if self.now < deadline
                && let Some(way) = room.grows(pod)
            {
                self.look_again_at(deadline);
                let grows = Outcome::AwaitingScaleUp(self.config.clusters[index].name.clone());
                return Some(self.stays(pod, index, grows, Some(way)));
            }
        }
        None
    }

    /// Whether a cluster of the first tier has had room for a demand for so long, without placing its candidate, that
    /// the demand need not wait for it. Notes where that may become so.
    pub(super) fn has_room_in_vain(&mut self, pod: &Demand, index: usize) -> bool {
        let state = &self.observation.clusters[index];
        let is_tried = state.has_candidate(&pod.uid) && !state.has_place(&pod.uid);
        let room = self.seen[index].as_mut().filter(|_| is_tried);
        if room.and_then(|room| room.fits(pod)).is_none() {
            return false;
        }
        let unplaced = (pod.uid.clone(), index);
        let since = self.memory.unplaced_since.get(&unplaced).copied();
        self.decision.unplaced.insert(unplaced.clone());
        let passes = after(since.unwrap_or(self.now), PLACED_WITHIN);
        if self.now < passes {
            self.look_again_at(passes);
            return false;
        }
        self.decision.passed_over.insert(unplaced);
        true
    }

    /// Counts a demand that the first tier would be tried for in vain.
    pub(super) fn count_in_crowd(&mut self, pod: &Demand, count: usize) {
        for index in self.eligible(0, pod).collect::<Vec<_>>() {
            if !self.observation.clusters[index].has_candidate(&pod.uid) {
                self.crowd[index] += count;
            }
        }
    }

    /// A demand stays for a cluster of the first tier, which has this room for it, if any is left; where its gate
    /// is closed, it is released to it once it is next and there is.
    pub(super) fn stays(
        &mut self,
        pod: &Demand,
        index: usize,
        outcome: Outcome,
        way: Option<Placement>,
    ) -> Outcome {
        if let Some(way) = way {
            self.reserve(pod, index, way);
        }
        if self.is_gated(pod, index) {
            if let Some(failed) = self.release_failed(pod) {
                return failed;
            }
            if self.is_arrival || self.ahead[0] >= self.pacing.ahead || way.is_none() {
                return Outcome::QueuedForBurst(self.config.tiers[0].clone());
            }
            self.release_ahead(pod, index);
        }
        outcome
    }

    /// Whether the gate of a cluster of the first tier is closed to a demand.
    pub(super) fn is_gated(&self, pod: &Demand, index: usize) -> bool {
        let cluster = &self.config.clusters[index];
        self.observation.clusters[index].gate != Gate::Open
            && self.config.tier(cluster) == 0
            && !pod.released.contains_key(&cluster.name)
    }
}
