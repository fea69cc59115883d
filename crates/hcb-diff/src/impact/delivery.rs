//! What the engine delivers, from where, and what a person applies.

use super::super::fields::plain;
use super::super::pair::Pair;
use super::super::read::Area;
use super::super::{Action, Level};
use super::{Context, Effects, Rule, stays};
use serde_json::Value;

pub(super) const RULE: Rule = Rule {
    id: "delivery",
    about: "the engine, what it delivers or how it does so changes; something must be applied by hand",
    check,
};

const KINDS: &[&str] = &[
    "Application",
    "ApplicationSet",
    "Kustomization",
    "HelmRelease",
];

/// Fields that say where manifests come from.
const SOURCES: [&[&str]; 6] = [
    &["spec", "source", "repoURL"],
    &["spec", "source", "targetRevision"],
    &["spec", "source", "path"],
    &["spec", "path"],
    &["spec", "url"],
    &["spec", "ref"],
];

fn check(context: &Context<'_>, effects: &mut Effects) {
    let all: Vec<_> = context.of_kinds(KINDS).collect();
    let with = |kind: &str, action: Action| -> Vec<usize> {
        all.iter()
            .filter(|(_, pair)| pair.object().kind() == kind && pair.action == action)
            .map(|(index, _)| *index)
            .collect()
    };
    for (gone, come, text) in [
        (
            "Application",
            "Kustomization",
            "changes from Argo CD to Flux",
        ),
        (
            "Kustomization",
            "Application",
            "changes from Flux to Argo CD",
        ),
    ] {
        let (removed, added) = (with(gone, Action::Remove), with(come, Action::Add));
        if !removed.is_empty() && !added.is_empty() {
            let pairs = removed.into_iter().chain(added).collect();
            effects
                .of("the GitOps engine", Level::Danger, text, pairs)
                .detail("switch the old engine's pruning off before it sees this, or it deletes what it delivered")
                .detail("somebody applies bootstrap/ again");
            return;
        }
    }
    for (index, pair) in context.pairs.iter().enumerate() {
        let object = pair.object();
        let target = object.target.as_deref().unwrap_or(&object.cluster);
        if context.is_gone(target) || context.is_new(target) {
            continue;
        }
        if object.area == Area::Bootstrap {
            by_hand(effects, index, pair);
        } else if KINDS.contains(&object.kind()) {
            delivered(effects, index, pair);
        }
        if matches!(
            object.kind(),
            "Application" | "Kustomization" | "GitRepository"
        ) && stays(pair)
            && object.value.pointer("/spec/source/chart").is_none()
        {
            source(effects, index, pair);
        }
    }
}

fn by_hand(effects: &mut Effects, index: usize, pair: &Pair) {
    match pair.action {
        Action::Remove => effects.of_pair(
            index,
            Level::Note,
            "stays: it was applied by hand, and nobody but a person deletes it",
        ),
        _ => effects.of_pair(
            index,
            Level::Caution,
            "takes effect only when somebody applies it by hand: kubectl apply --server-side --field-manager=hcb",
        ),
    };
}

fn delivered(effects: &mut Effects, index: usize, pair: &Pair) {
    let value = &pair.object().value;
    if pair.action == Action::Remove {
        let finalizers = value
            .pointer("/metadata/finalizers")
            .and_then(Value::as_array);
        let cascades = finalizers.is_some_and(|all| {
            all.iter().any(|one| {
                one.as_str()
                    .is_some_and(|one| one.starts_with("resources-finalizer"))
            })
        }) || value.pointer("/spec/prune") == Some(&Value::Bool(true))
            || pair.object().kind() == "HelmRelease";
        let is_chart =
            pair.object().kind() == "HelmRelease" || value.pointer("/spec/source/chart").is_some();
        if cascades && is_chart {
            effects.of_pair(
                index,
                Level::Danger,
                "deleted, and with it everything that the chart installed",
            );
        } else if cascades {
            // What it delivered is in the tree, so what goes with it is told too.
            effects.of_pair(
                index,
                Level::Note,
                "deleted with the last of what it delivered",
            );
        } else {
            effects.of_pair(
                index,
                Level::Caution,
                "deleted; what it delivered stays, and nobody looks after it",
            );
        }
        return;
    }
    let is = |value: &Value, pointer: &str| value.pointer(pointer) == Some(&Value::Bool(true));
    let Some((before, after)) = pair.both() else {
        return;
    };
    for (pointer, what) in [
        (
            "/spec/syncPolicy/automated/prune",
            "what leaves Git is no longer deleted",
        ),
        ("/spec/prune", "what leaves Git is no longer deleted"),
        (
            "/spec/syncPolicy/automated/selfHeal",
            "changes made by hand in the cluster are no longer undone",
        ),
    ] {
        if is(&before.value, pointer) && !is(&after.value, pointer) {
            effects.of_pair(index, Level::Caution, what);
        }
        if !is(&before.value, pointer) && is(&after.value, pointer) && pointer.ends_with("prune") {
            effects.of_pair(
                index,
                Level::Caution,
                "what is not in Git is deleted from now on",
            );
        }
    }
    if !is(&before.value, "/spec/suspend") && is(&after.value, "/spec/suspend") {
        effects.of_pair(
            index,
            Level::Caution,
            "suspended: nothing more is delivered",
        );
    }
}

fn source(effects: &mut Effects, index: usize, pair: &Pair) {
    for keys in SOURCES {
        for field in pair.fields_at(keys) {
            let show = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), plain);
            effects
                .of_pair(index, Level::Caution, "delivers from elsewhere")
                .detail(format!(
                    "{}: {} becomes {}",
                    field.path,
                    show(&field.before),
                    show(&field.after)
                ));
        }
    }
}
