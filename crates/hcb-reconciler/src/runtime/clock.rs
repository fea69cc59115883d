//! The clock that is decided by: it only goes forward, whatever is done to the machine's.

use jiff::Timestamp;
use std::time::Instant;

/// A clock that starts at the machine's time and goes on evenly.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Timestamp,
    running: Instant,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            started: Timestamp::now(),
            running: Instant::now(),
        }
    }
}

impl Clock {
    /// The time.
    pub fn now(&self) -> Timestamp {
        self.started
            .saturating_add(self.running.elapsed())
            .unwrap_or(Timestamp::MAX)
    }

    /// By how many seconds this clock is ahead of another, such as the machine's.
    pub fn ahead_of(&self, other: Timestamp) -> f64 {
        other.duration_until(self.now()).as_secs_f64()
    }
}
