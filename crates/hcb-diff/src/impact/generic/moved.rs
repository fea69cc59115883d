//! Objects that another unit delivers.

use crate::context::{Context, Effects, Rule};
use crate::read::Area;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "moved",
    about: "another unit delivers an object, which can delete it and create it again",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.pairs.iter().enumerate() {
        let Some((before, after)) = pair.both().filter(|_| pair.stays()) else {
            continue;
        };
        let is_delivered = |area: Area| area == Area::Cluster;
        if before.unit != after.unit && is_delivered(before.area) && is_delivered(after.area) {
            effects.of_pair(
                index,
                Level::Caution,
                format!(
                    "delivered by {} instead of {}: if the old one is applied first, it is deleted and created again",
                    after.unit, before.unit
                ),
            );
        }
    }
}
