//! Who was let go, and is held back because an earlier tier has room by now.
//!
//! The toleration that lets a pod go cannot be taken off it. But a candidate that had to wait for a node says
//! so, and Admiralty's scheduler does not take the place that is kept for it until the reconciler takes that
//! off (`forget.rs`). So a pod stays for as long as an earlier tier has room for it: it is not told of places
//! in later tiers, and those do not count as its own.

use super::super::decision::Outcome;
use super::super::observation::JobPod;
use super::{Deciding, GIVE_UP_AFTER, after};

impl<'a> Deciding<'a> {
    /// Holds a pod back from the tier that it was let go to, and those after, where an earlier one has room
    /// for it as it is seen, whoever might take it.
    pub(super) fn hold(&mut self, pod: &'a JobPod) {
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
        self.called_back.insert(&pod.uid, index);
        for (cluster, state) in self.observation.clusters.iter().enumerate() {
            if self.is_held(pod, cluster) {
                let candidates = state.candidates(&pod.uid);
                let held = candidates.map(|key| (cluster, key.clone()));
                self.decision.held.extend(held);
            }
        }
    }

    /// Whether a pod is held back from a cluster.
    pub(super) fn is_held(&self, pod: &JobPod, cluster: usize) -> bool {
        let stays_for = self.called_back.get(pod.uid.as_str());
        stays_for.is_some_and(|index| self.tier(cluster) > self.tier(*index))
    }

    /// The first cluster of a tier that has room for a pod on nodes that are there.
    fn first_with_room(&mut self, tier: usize, pod: &JobPod) -> Option<usize> {
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

    /// A pod that was let go stays for a cluster of an earlier tier, which has room for it by now.
    pub(super) fn call_back(&mut self, pod: &JobPod, index: usize) -> Outcome {
        let cluster = &self.config.clusters[index];
        let tier = self.tier(index);
        let way = self.rooms[index].as_mut().and_then(|room| room.fits(pod));
        if tier == 0 {
            let fits = Outcome::Fits(cluster.name.clone());
            return self.stays(pod, index, fits, way);
        }
        if pod.released.contains_key(&cluster.name) {
            return Outcome::Released(cluster.name.clone());
        }
        match way {
            Some(way) if self.may_let_go(tier) => self.release(pod, index, way),
            _ => Outcome::Next(self.config.tiers[tier].clone()),
        }
    }
}
