//! What people submit.

use crate::context::{Context, Effects, Rule};
use crate::pair::Action;
use crate::read::Area;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "submitted",
    about: "what `hcb submit` runs comes, goes or changes; running jobs are left alone",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.pairs.iter().enumerate() {
        if pair.object().area != Area::Submit {
            continue;
        }
        let effect = match pair.action {
            Action::Add => "new: people can submit it",
            Action::Remove => "deleted: it can no longer be submitted; running jobs are left alone",
            Action::Change | Action::Replace | Action::Move => {
                "the next submission runs the new version; running jobs are left alone"
            }
        };
        effects.of_pair(index, Level::Note, effect);
    }
}
