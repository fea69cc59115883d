//! Whom the scheduler forgot: it does nothing, although pods wait that a cluster has room for.
//!
//! A scheduler whose API server broke while it tried a pod looks at that pod again a minute later, and no
//! place that comes free tells it to. So where nothing happened for a while, a few who have room are called
//! to its mind; after as long again, the next few. It chooses for itself, as whenever it looks.

use super::super::decision::{Outcome, Wake};
use super::super::observation::JobPod;
use super::{Deciding, after};
use jiff::Timestamp;
use std::time::Duration;

/// A scheduler that was not seen at work for so long has nothing to do. One that has tries a pod a second.
pub const IDLE_AFTER: Duration = Duration::from_secs(5);
/// How many pods it is reminded of at once: as many as it can try until it would be reminded again.
pub const AT_ONCE: usize = 4;

impl<'a> Deciding<'a> {
    /// Notes a pod that has room where it may go, so that the scheduler has only to look.
    pub(super) fn note_forgotten(&mut self, pod: &'a JobPod, outcome: &Outcome) {
        let (Outcome::Fits(name) | Outcome::Released(name)) = outcome else {
            return;
        };
        let Some(cluster) = self.config.index(name) else {
            return;
        };
        let let_go = pod.released.values().max();
        let is_fresh = let_go.is_some_and(|since| self.now < after(*since, IDLE_AFTER));
        // It might take the place that is kept for it where it is not to go.
        let is_kept = self.observation.keepers(&pod.uid).next().is_some();
        if is_fresh || is_kept || self.is_shut_out(pod, cluster) {
            return;
        }
        let room = self.seen[cluster].as_mut();
        if room.and_then(|room| room.fits(pod)).is_some() {
            self.forgotten.push(pod);
        }
    }

    /// Reminds a scheduler that has nothing to do of those it was reminded of longest ago.
    pub(super) fn remind(&mut self) {
        if self.forgotten.is_empty() {
            return;
        }
        let due = after(self.memory.stirred.unwrap_or(self.now), IDLE_AFTER);
        if self.now < due {
            self.look_again_at(due);
            return;
        }
        let woken = |pod: &&JobPod| self.memory.woken.get(&pod.uid).copied();
        let mut forgotten = std::mem::take(&mut self.forgotten);
        forgotten.sort_by_key(|pod| woken(pod).unwrap_or(Timestamp::MIN));
        let wakes = forgotten.into_iter().take(AT_ONCE).map(Wake::of);
        self.decision.wakes.extend(wakes);
    }
}
