//! Images.

use crate::context::{Context, Effects, Rule};
use crate::pods::containers;
use crate::report::Level;

pub(crate) const RULE: Rule = Rule {
    id: "image-changed",
    about: "containers run another image",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, template, before, after) in context.pod_templates() {
        let old = containers(before, template);
        for (name, container) in containers(after, template) {
            let image = container["image"].as_str().unwrap_or_default();
            let was = old.iter().find(|(other, _)| *other == name);
            let was = was.and_then(|(_, container)| container["image"].as_str());
            let Some(was) = was.filter(|was| *was != image) else {
                continue;
            };
            let (level, detail) = judge(was, image);
            let effect = effects.of_pair(
                index,
                level,
                format!("container {name} runs {image}, not {was}"),
            );
            if let Some(detail) = detail {
                effect.detail(detail);
            }
        }
    }
}

/// Repository, and whether it names one content only.
fn parts(image: &str) -> (&str, bool) {
    if let Some((name, _)) = image.split_once('@') {
        return (parts(name).0, true);
    }
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, false),
        _ => (image, false),
    }
}

fn judge(was: &str, is: &str) -> (Level, Option<&'static str>) {
    let ((old, was_fixed), (new, is_fixed)) = (parts(was), parts(is));
    if was_fixed && !is_fixed {
        return (
            Level::Caution,
            Some("it had a digest and has none: what runs may change without a change here"),
        );
    }
    if old != new {
        return (Level::Caution, Some("it comes from another repository"));
    }
    (Level::Note, None)
}
