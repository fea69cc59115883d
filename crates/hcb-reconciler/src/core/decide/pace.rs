//! When the next demand may be released: when the engine's scheduler is free for it.

use super::{Deciding, after};

impl Deciding<'_> {
    /// Notes whether the scheduler is at work on a demand, as far as its candidates show, and whether places come
    /// free meanwhile.
    pub(super) fn look_at_scheduler(&mut self) {
        let clusters = self.observation.clusters.iter().enumerate();
        let freed = clusters.filter(|(index, _)| self.tier(*index) == 0);
        let freed = freed.filter_map(|(_, state)| state.freed).max();
        self.is_in_flux = freed.is_some_and(|freed| self.now < after(freed, self.pacing.flux));
        let tries = self.memory.tried_since.iter();
        let tries = tries.filter(|((_, index), _)| self.is_in_flux || self.tier(*index) > 0);
        let began = tries.map(|(_, began)| began).max();
        let done = began.map(|began| after(*began, self.pacing.attempt));
        if let Some(done) = done.filter(|done| self.now < *done) {
            self.is_busy = true;
            self.look_again_at(done);
        }
    }

    /// Whether a demand may be released to a later tier now: when it is the scheduler's next.
    pub(super) fn may_release(&self, tier: usize) -> bool {
        let free = self.memory.scheduler_free;
        let no_pause = free.is_some_and(|free| self.now >= after(free, self.pacing.no_pause));
        !self.is_arrival
            && (self.is_idle(tier) || (no_pause && self.ahead[tier] < self.pacing.ahead))
    }

    /// Whether the scheduler would try a demand of this tier next, as far as that is to be waited for.
    fn is_idle(&self, tier: usize) -> bool {
        let mut ahead = self.ahead.iter().enumerate();
        let is_ahead = |(of, ahead): (usize, &usize)| {
            *ahead >= self.pacing.ahead && (of == tier || self.is_in_flux)
        };
        !self.is_busy && !ahead.any(is_ahead)
    }

    /// Notes that a demand could have been released, where none was.
    pub(super) fn note_scheduler_free(&mut self) {
        if self.decision.scheduler_free.is_some() {
            return;
        }
        if (1..self.config.tiers.len()).any(|tier| self.is_idle(tier)) {
            self.decision.scheduler_free = Some(self.now);
        } else if let Some(free) = self.memory.scheduler_free {
            self.look_again_at(after(free, self.pacing.no_pause));
        }
    }
}
