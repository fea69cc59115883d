//! What was released, and is recalled because an earlier tier has room by now.
//!
//! A release cannot be taken back. But a candidate that had to wait for a node still says that it was refused, and
//! its place is not taken until the reconciler takes that off. So a demand stays for as long as an earlier tier has
//! room for it: the engine is not nudged to take places in later tiers, and those do not count as its own.

use super::super::decision::Outcome;
use super::super::demand::Demand;
use super::{Deciding, GIVE_UP_AFTER, after};

impl<'a> Deciding<'a> {
    /// Recalls a demand from the tier that it was released to, and those after, where an earlier one has room
    /// for it as it is seen, whatever might take it.
    pub(super) fn recall(&mut self, pod: &'a Demand) {
        let released = (0..self.config.clusters.len()).filter(|index| {
            pod.released
                .contains_key(&self.config.clusters[*index].name)
        });
        let Some(last) = released.map(|index| self.tier(index)).max() else {
            return;
        };
        let Some(index) = (0..last).find_map(|tier| self.first_with_room(tier, pod)) else {
            return;
        };
        self.recalled.insert(&pod.uid, index);
        for (cluster, state) in self.observation.clusters.iter().enumerate() {
            if self.is_recalled(pod, cluster) {
                let candidates = state.candidates(&pod.uid);
                let recalled = candidates.map(|key| (cluster, key.clone()));
                self.decision.recalled.extend(recalled);
            }
        }
    }

    /// Whether a demand is recalled from a cluster.
    pub(super) fn is_recalled(&self, pod: &Demand, cluster: usize) -> bool {
        let stays_for = self.recalled.get(pod.uid.as_str());
        stays_for.is_some_and(|index| self.tier(cluster) > self.tier(*index))
    }

    /// The first cluster of a tier that has room for a demand on nodes that are there.
    fn first_with_room(&mut self, tier: usize, pod: &Demand) -> Option<usize> {
        let eligible: Vec<_> = self.eligible(tier, pod).collect();
        eligible.into_iter().find(|index| {
            let cluster = &self.config.clusters[*index];
            // After the first tier, one that gets no pods or did not take this one in counts for nothing.
            let released = pod.released.get(&cluster.name);
            let is_given_up =
                released.is_some_and(|since| self.now >= after(*since, GIVE_UP_AFTER));
            let is_open_to_it = tier == 0 || (cluster.weight > 0 && !is_given_up);
            let room = self.seen[*index].as_mut().filter(|_| is_open_to_it);
            room.and_then(|room| room.fits(pod)).is_some()
        })
    }

    /// A demand that was recalled stays for a cluster of an earlier tier, which has room for it by now.
    pub(super) fn stay_recalled(&mut self, pod: &Demand, index: usize) -> Outcome {
        let cluster = &self.config.clusters[index];
        let tier = self.tier(index);
        let way = self.rooms[index].as_mut().and_then(|room| room.fits(pod));
        if tier == 0 {
            let fits = Outcome::FitsFirstTier(cluster.name.clone());
            return self.stays(pod, index, fits, way);
        }
        if pod.released.contains_key(&cluster.name) {
            return Outcome::Released(cluster.name.clone());
        }
        match way {
            Some(way) if self.may_release(tier) => self.release_to(pod, index, way),
            _ => Outcome::QueuedForBurst(self.config.tiers[tier].clone()),
        }
    }
}
