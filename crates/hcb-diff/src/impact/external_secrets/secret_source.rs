//! Where secrets come from and go to.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "secret-source",
    about: "a secret is read from elsewhere, or a credential is pushed elsewhere",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[kinds::EXTERNAL_SECRET, kinds::PUSH_SECRET]) {
        let is_pushed = pair.object().group_kind() == kinds::PUSH_SECRET;
        match pair.action {
            Action::Remove if is_pushed => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    "deleted: the credential in the store is no longer kept fresh",
                );
            }
            Action::Remove => {
                effects.of_pair(
                    index,
                    Level::Caution,
                    "deleted, and with it the Secret that it made: what uses it fails",
                );
            }
            Action::Add if is_pushed => {
                effects.of_pair(
                    index,
                    Level::Note,
                    "new: a credential of this cluster is written to the store",
                );
            }
            Action::Add => {
                effects.of_pair(index, Level::Note, "new: its key must be in the store");
            }
            _ => {
                let moved = pair.fields.iter().any(|field| {
                    let path = field.path.to_string();
                    ["remoteRef", "secretStoreRef", "extract", "match"]
                        .iter()
                        .any(|part| path.contains(part))
                        || field.path.begins_with(&["spec", "data"])
                });
                if moved {
                    let effect = effects.of_pair(
                        index,
                        Level::Caution,
                        if is_pushed {
                            "writes to another place in the store"
                        } else {
                            "reads other keys of the store: they must be there first"
                        },
                    );
                    for field in pair
                        .fields
                        .iter()
                        .filter(|field| field.path.last_key() == Some("key"))
                    {
                        if let (Some(before), Some(after)) = (&field.before, &field.after) {
                            effect.detail(format!(
                                "{} becomes {}",
                                crate::fields::plain(before),
                                crate::fields::plain(after)
                            ));
                        }
                    }
                }
            }
        }
    }
}
