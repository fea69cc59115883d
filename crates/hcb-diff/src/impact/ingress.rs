//! Ways into a cluster, whatever kind opens them.

use crate::context::Effects;
use crate::pair::{Action, Pair};
use crate::report::Level;

/// Says what becomes of a way in.
pub(super) fn changed(effects: &mut Effects, index: usize, pair: &Pair) {
    match pair.action {
        Action::Remove => {
            effects.of_pair(
                index,
                Level::Danger,
                "deleted: nothing comes in by it any more",
            );
        }
        Action::Add => {
            effects.of_pair(index, Level::Caution, "new: opens a way in");
        }
        _ => {
            if pair.touches(&["spec"]) {
                effects.of_pair(index, Level::Caution, "lets other traffic in than before");
            }
        }
    }
}
