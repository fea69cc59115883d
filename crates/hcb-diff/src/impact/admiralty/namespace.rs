//! Namespaces that leave the scheduling across clusters.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::report::Level;
use hcb_api::labels::SCHEDULED_NAMESPACE;

pub(crate) const RULE: Rule = Rule {
    id: "namespace-pruned",
    about: "a namespace is deleted with everything in it, or no longer takes part in the scheduling across clusters",
    check,
};

/// The label by which Admiralty takes a namespace's pods.
const SCHEDULED: &[&str] = &["metadata", "labels", SCHEDULED_NAMESPACE];

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&[kinds::NAMESPACE]) {
        if pair.fields_at(SCHEDULED).any(|field| field.after.is_none()) {
            effects.of_pair(
                index,
                Level::Danger,
                "its jobs are no longer scheduled across clusters: they stay in the source cluster",
            );
        }
    }
}
