//! Namespaces that go, with all that is in them.

use super::super::{Action, Level};
use super::{Context, Effects, Rule};

pub(super) const RULE: Rule = Rule {
    id: "namespace-pruned",
    about: "a namespace is deleted with everything in it, or no longer takes part in the scheduling across clusters",
    check,
};

/// The label by which Admiralty takes a namespace's pods. Source: Admiralty 0.17.0,
/// `pkg/common/constants.go`.
const SCHEDULED: &[&str] = &["metadata", "labels", hcb_api::labels::SCHEDULED];

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&["Namespace"]) {
        let is_kept = pair
            .object()
            .annotation("argocd.argoproj.io/sync-options")
            .contains("Prune=false")
            || pair
                .object()
                .annotation("kustomize.toolkit.fluxcd.io/prune")
                == "disabled";
        if pair.action == Action::Remove && !context.is_gone(&pair.object().cluster) && !is_kept {
            effects.of_pair(
                index,
                Level::Danger,
                "deleted with everything in it, also what is not in Git: running jobs, results, volumes",
            );
        }
        if pair.fields_at(SCHEDULED).any(|field| field.after.is_none()) {
            effects.of_pair(
                index,
                Level::Danger,
                "its jobs are no longer scheduled across clusters: they stay in the source cluster",
            );
        }
    }
}
