//! The pace of Admiralty's schedulers.
//!
//! The scheduler of the source takes a second for each pod that it tries for the first time, one after another: it
//! makes a candidate and asks a second later what became of it (Admiralty 0.17, `pkg/scheduler_plugins/proxy`). A
//! place that a cluster reserves is given up after 30 seconds. So its queue is kept short.

use crate::core::pacing::{CrowdPacing, NudgePacing, Pacing, ReminderPacing};
use std::time::Duration;

/// The pace of Admiralty 0.17.
pub const PACING: Pacing = Pacing {
    // One that was released long before it is tried might leave although there is room again.
    ahead: 1,
    // One that is released earlier stands in the queue for the rest of that, and leaves if room comes free meanwhile, or
    // stands before those for whom a node comes.
    attempt: Duration::from_secs(1),
    // At other times the next is released at once, which is a second earlier.
    flux: Duration::from_secs(5),
    no_pause: Duration::from_secs(5),
    tried_within: Duration::from_secs(10),
    // When their nodes come, all have a place reserved at the same moment, and Admiralty's scheduler there asks once
    // a second for each whether it is taken, with a client that makes 20 requests a second. Beyond that it falls
    // behind, places run out after 30 seconds untaken, and the scheduler of the source waits as long for each.
    // Measured: of 50 pods on their way to one cluster, 2 a minute were placed. (`pkg/scheduler_plugins/candidate`.)
    in_transit: 16,
    stuck_after: Duration::from_secs(120),
    // Each other pod that the scheduler tries for the first time meanwhile takes it a second.
    arrival: Duration::from_secs(4),
    nudge: Some(NudgePacing {
        // It looks once a second. From a pod that was refused it has turned away; that one is nudged at once.
        after: Duration::from_millis(1200),
        again_after: Duration::from_secs(5),
    }),
    // A scheduler whose API server broke while it tried a pod looks at that pod again a minute later, and no place
    // that comes free tells it to.
    reminder: Some(ReminderPacing {
        // It tries a pod a second where it has something to do.
        idle_after: Duration::from_secs(5),
        // As many as it can try until it would be reminded again.
        at_once: 4,
    }),
    // Of 100 pods that wait for a full cluster the last would be tried two minutes later, and who has got a place
    // elsewhere meanwhile would lose it. Behind a closed gate a try takes milliseconds. Four keep the scheduler for
    // four seconds, of the 30 for which a place waits; fewer are there for a moment whenever jobs come and go, and
    // the gate would flap. Four is reasoned and not tuned; the scenario `many` of the experiment was measured with
    // it.
    crowd: Some(CrowdPacing {
        close_at: 4,
        open_at: 1,
    }),
};
