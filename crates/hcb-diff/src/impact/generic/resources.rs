//! What containers request and are limited to.

use crate::context::{Context, Effects, Rule};
use crate::fields::plain;
use crate::pods::containers;
use crate::report::Level;
use hcb_spec::model::Quantity;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "resources",
    about: "containers request more or are limited to less",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, template, before, after) in context.pod_templates() {
        let old = containers(before, template);
        for (name, container) in containers(after, template) {
            let Some((_, was)) = old.iter().find(|(other, _)| *other == name) else {
                continue;
            };
            for (list, up, down) in [
                ("requests", "it needs a node with that much free", ""),
                (
                    "limits",
                    "",
                    "it is killed if it uses more memory, and throttled if it uses more CPU",
                ),
            ] {
                let of = |container: &Value| {
                    container
                        .pointer(&format!("/resources/{list}"))
                        .and_then(Value::as_object)
                        .cloned()
                        .unwrap_or_default()
                };
                let (was, is) = (of(was), of(&container));
                for (resource, value) in &is {
                    let Some(old) = was.get(resource) else {
                        continue;
                    };
                    let amount =
                        |value: &Value| Quantity::parse(&plain(value)).map(Quantity::milli);
                    let (Some(before), Some(after)) = (amount(old), amount(value)) else {
                        continue;
                    };
                    if before == after {
                        continue;
                    }
                    let level = if list == "limits" && after < before {
                        Level::Caution
                    } else {
                        Level::Note
                    };
                    let word = list.trim_end_matches('s');
                    let effect = effects.of_pair(
                        index,
                        level,
                        format!(
                            "container {name}: {word} of {resource} is {}, not {}",
                            plain(value),
                            plain(old)
                        ),
                    );
                    let detail = if after > before { up } else { down };
                    if !detail.is_empty() {
                        effect.detail(detail);
                    }
                }
            }
        }
    }
}
