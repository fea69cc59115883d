//! Namespaces that go, with all that is in them.

use crate::context::{Context, Effects, Rule};
use crate::impact::gitops::is_kept;
use crate::kinds;
use crate::pair::Action;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "namespace-pruned",
    about: "a namespace is deleted with everything in it, or no longer takes part in the scheduling across clusters",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds(&[kinds::NAMESPACE]) {
        let object = pair.object();
        if pair.action == Action::Remove && !context.is_gone(&object.cluster) && !is_kept(object) {
            effects.of_pair(
                index,
                Level::Danger,
                "deleted with everything in it, also what is not in Git: running jobs, results, volumes",
            );
        }
    }
}
