//! How fast an engine can be fed: what decisions know of the habits of its scheduler.

use std::time::Duration;

/// The pace of an engine. Decisions release no faster, wait no shorter, and remind no more often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// The most demands that are released and not tried yet, of each tier.
    pub ahead: usize,
    /// How long the scheduler is at work on a demand from when it began to try it.
    pub attempt: Duration,
    /// So long after a place came free in the first tier, no demand is released while the scheduler tries one
    /// there: more places may come free.
    pub flux: Duration,
    /// A scheduler that was at work for so long without a pause is not waited for.
    pub no_pause: Duration,
    /// A released demand that was not tried within this counts as tried.
    pub tried_within: Duration,
    /// The most demands that are on their way to a cluster at once.
    pub in_transit: usize,
    /// A cluster that has had as many on their way for so long is not waited for: others take its place.
    pub stuck_after: Duration,
    /// For so long after a node came or became ready, those that wait for it are about to get their places, and
    /// nothing else is released.
    pub arrival: Duration,
    /// When the engine is nudged to take a place that is reserved; never where it takes it by itself.
    pub nudge: Option<NudgePacing>,
    /// When the engine is reminded of demands that it overlooked; never where it overlooks none.
    pub reminder: Option<ReminderPacing>,
    /// When a gate of the first tier is closed; never where trying a full cluster costs the engine nothing.
    pub crowd: Option<CrowdPacing>,
}

/// When an engine is nudged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NudgePacing {
    /// How long it has to notice by itself that a place is reserved.
    pub after: Duration,
    /// How long until it is nudged again.
    pub again_after: Duration,
}

/// When an engine is reminded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReminderPacing {
    /// An engine that was not seen at work for so long has nothing to do.
    pub idle_after: Duration,
    /// Of how many demands it is reminded at once.
    pub at_once: usize,
}

/// When a gate of the first tier is closed to a crowd that the cluster has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrowdPacing {
    /// With so many that would be tried in vain, it closes.
    pub close_at: usize,
    /// With no more than so many left, it opens. Less than `close_at`, so that it does not flap.
    pub open_at: usize,
}

impl Pacing {
    /// An engine that places whatever is released at once, and needs no help.
    pub const UNLIMITED: Self = Self {
        ahead: usize::MAX,
        attempt: Duration::ZERO,
        flux: Duration::ZERO,
        no_pause: Duration::ZERO,
        tried_within: Duration::ZERO,
        in_transit: usize::MAX,
        stuck_after: Duration::MAX,
        arrival: Duration::ZERO,
        nudge: None,
        reminder: None,
        crowd: None,
    };

    /// Whether so many that would be tried in vain are a crowd, for a gate that is closed or not.
    pub fn is_crowd(&self, count: usize, is_closed: bool) -> bool {
        self.crowd.is_some_and(|crowd| {
            if is_closed {
                count > crowd.open_at
            } else {
                count >= crowd.close_at
            }
        })
    }
}
