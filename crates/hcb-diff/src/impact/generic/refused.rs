//! What an API server refused when it was asked.

use crate::context::{Context, Effects, Rule};
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "refused",
    about: "the API server of a cluster refuses the object (with --live)",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.pairs.iter().enumerate() {
        let path = pair.after.as_ref().map(|object| &object.path);
        if let Some(why) = path.and_then(|path| context.refusals.get(path)) {
            effects
                .of_pair(
                    index,
                    Level::Danger,
                    "the API server refuses it: the delivery fails",
                )
                .detail(why.clone());
        }
    }
}
