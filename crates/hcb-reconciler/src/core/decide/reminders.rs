//! What the engine overlooked: it does nothing, although demands wait that a cluster has room for.
//!
//! Where nothing happened for a while, it is reminded of a few that have room; after as long again, of the next
//! few. It chooses for itself, as whenever it looks.

use super::super::decision::{Nudge, Outcome};
use super::super::demand::Demand;
use super::{Deciding, after};
use jiff::Timestamp;

impl<'a> Deciding<'a> {
    /// Notes a demand that has room where it may go, so that the engine has only to look.
    pub(super) fn note_overlooked(&mut self, pod: &'a Demand, outcome: &Outcome) {
        let Some(pacing) = self.pacing.reminder else {
            return;
        };
        let (Outcome::FitsFirstTier(name) | Outcome::Released(name)) = outcome else {
            return;
        };
        let Some(cluster) = self.config.index(name) else {
            return;
        };
        let released = pod.released.values().max();
        let is_fresh = released.is_some_and(|since| self.now < after(*since, pacing.idle_after));
        // It might take the place that is reserved for it where it is not to go.
        let is_reserved = self.observation.reserved_in(&pod.uid).next().is_some();
        if is_fresh || is_reserved || self.is_gated(pod, cluster) {
            return;
        }
        let room = self.seen[cluster].as_mut();
        if room.and_then(|room| room.fits(pod)).is_some() {
            self.overlooked.push(pod);
        }
    }

    /// Reminds an engine that has nothing to do of those it was reminded of longest ago.
    pub(super) fn remind(&mut self) {
        let Some(pacing) = self.pacing.reminder.filter(|_| !self.overlooked.is_empty()) else {
            return;
        };
        let due = after(
            self.memory.last_active.unwrap_or(self.now),
            pacing.idle_after,
        );
        if self.now < due {
            self.look_again_at(due);
            return;
        }
        let nudged = |pod: &&Demand| self.memory.nudged.get(&pod.uid).copied();
        let mut overlooked = std::mem::take(&mut self.overlooked);
        overlooked.sort_by_key(|pod| nudged(pod).unwrap_or(Timestamp::MIN));
        let nudges = overlooked.into_iter().take(pacing.at_once).map(Nudge::of);
        self.decision.nudges.extend(nudges);
    }
}
