//! Fields that the API server refuses to change.

use crate::context::{Context, Effects, Rule};
use crate::fields::plain;
use crate::impact::projects::PROJECTS;
use crate::kinds;
use crate::read::Area;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "immutable-field",
    about: "a field changes that the API server refuses to change, so that the delivery fails",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context
        .pairs
        .iter()
        .enumerate()
        .filter(|(_, pair)| pair.stays() && pair.object().area != Area::Submit)
    {
        let kind = pair.object().group_kind();
        let is_sealed = matches!(kind, kinds::CONFIG_MAP | kinds::SECRET)
            && pair
                .before
                .as_ref()
                .is_some_and(|object| object.value["immutable"] == true);
        let mut refused: Vec<_> = PROJECTS
            .iter()
            .flat_map(|project| project.immutable)
            .filter(|(known, _)| *known == kind)
            .flat_map(|(_, fields)| *fields)
            .flat_map(|keys| pair.fields_at(keys))
            .collect();
        if is_sealed {
            refused.extend(pair.fields.iter().filter(|field| {
                ["data", "binaryData", "stringData", "immutable"]
                    .iter()
                    .any(|key| field.path.begins_with(&[key]))
            }));
        }
        if refused.is_empty() {
            continue;
        }
        let effect = effects.of_pair(
            index,
            Level::Danger,
            "the API server refuses this change: the delivery fails until the object is deleted by hand and created again",
        );
        for field in refused {
            let show = |value: &Option<Value>| match value {
                // Of a Secret, only the type is shown.
                Some(_) if kind == kinds::SECRET && !field.path.begins_with(&["type"]) => {
                    "…".to_owned()
                }
                None => "nothing".to_owned(),
                Some(Value::Object(_) | Value::Array(_)) => "…".to_owned(),
                Some(value) => plain(value),
            };
            let (before, after) = (show(&field.before), show(&field.after));
            effect.detail(if before == after {
                format!("{} cannot change", field.path)
            } else {
                format!("{} cannot change from {before} to {after}", field.path)
            });
        }
    }
}
