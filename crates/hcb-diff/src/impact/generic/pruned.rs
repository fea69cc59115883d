//! Objects that the engine deletes.

use crate::context::{Context, Effects, Rule};
use crate::impact::gitops::is_kept;
use crate::impact::projects::PROJECTS;
use crate::pair::Action;
use crate::read::Area;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "pruned",
    about: "an object is deleted because it is no longer in the tree",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    let mentioned = effects.mentioned();
    for (index, pair) in context.pairs.iter().enumerate() {
        let Some(object) = pair
            .before
            .as_ref()
            .filter(|_| pair.action == Action::Remove)
        else {
            continue;
        };
        if mentioned.contains(&index) || object.area == Area::Bootstrap {
            continue;
        }
        if is_kept(object) {
            effects.of_pair(
                index,
                Level::Note,
                "leaves Git, but its annotation keeps it in the cluster",
            );
            continue;
        }
        let mut known = PROJECTS.iter().flat_map(|project| project.deleted);
        match known.find(|(kind, _)| *kind == object.group_kind()) {
            Some((_, text)) => {
                effects.of_pair(index, Level::Danger, *text);
            }
            None => {
                effects.of_pair(index, Level::Note, "deleted");
            }
        }
    }
}
