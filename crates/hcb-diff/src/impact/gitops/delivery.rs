//! What the engine delivers, from where, and what a person applies.

use super::ENGINES;
use super::engine::Engine;
use crate::context::{Context, Effects, Rule};
use crate::fields::plain;
use crate::pair::Action;
use crate::pair::Pair;
use crate::read::Area;
use crate::report::Level;
use hcb_kubernetes::Object;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "delivery",
    about: "the engine, what it delivers or how it does so changes; something must be applied by hand",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    if let Some((old, new, pairs)) = switched(context) {
        effects
            .of(
                "the GitOps engine",
                Level::Danger,
                format!("changes from {} to {}", old.facts.name, new.facts.name),
                pairs,
            )
            .detail("switch the old engine's pruning off before it sees this, or it deletes what it delivered")
            .detail("somebody applies bootstrap/ again");
        return;
    }
    for (index, pair) in context.pairs.iter().enumerate() {
        let object = pair.object();
        let target = object.target.as_deref().unwrap_or(&object.cluster);
        if context.is_gone(target) || context.is_new(target) {
            continue;
        }
        if object.area == Area::Bootstrap {
            by_hand(effects, index, pair);
        }
        for engine in ENGINES {
            if object.area != Area::Bootstrap && engine.deliverers.contains(&object.group_kind()) {
                delivered(effects, index, pair, engine);
            }
            if engine.sources.contains(&object.group_kind())
                && pair.stays()
                && object.value.pointer("/spec/source/chart").is_none()
            {
                source(effects, index, pair, engine);
            }
        }
    }
}

/// The engine that goes, the one that comes, and their units.
fn switched(context: &Context<'_>) -> Option<(&'static Engine, &'static Engine, Vec<usize>)> {
    let units = |engine: &Engine, action: Action| -> Vec<usize> {
        context
            .of_kinds(&[engine.unit])
            .filter(|(_, pair)| pair.action == action)
            .map(|(index, _)| index)
            .collect()
    };
    let with_units = |action: Action| {
        let found = ENGINES
            .iter()
            .map(move |engine| (*engine, units(engine, action)));
        found
            .filter(|(_, units)| !units.is_empty())
            .collect::<Vec<_>>()
    };
    let added = with_units(Action::Add);
    with_units(Action::Remove)
        .into_iter()
        .find_map(|(old, removed)| {
            let (new, added) = added.iter().find(|(new, _)| new.unit != old.unit)?;
            Some((old, *new, [removed.as_slice(), added].concat()))
        })
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

fn delivered(effects: &mut Effects, index: usize, pair: &Pair, engine: &Engine) {
    let value = &pair.object().value;
    if pair.action == Action::Remove {
        let is_true = |pointer: &str| value.pointer(pointer) == Some(&Value::Bool(true));
        let finalizers = Object(value).metadata("finalizers");
        let mut finalizers = finalizers.and_then(Value::as_array).into_iter().flatten();
        let has_finalizer = engine.cascading_finalizer.is_some_and(|prefix| {
            finalizers.any(|one| one.as_str().is_some_and(|one| one.starts_with(prefix)))
        });
        let chart = super::chart_kind(pair.object().group_kind());
        let uninstalls = chart.is_some_and(|chart| chart.uninstalls);
        let is_chart = chart.is_some_and(|chart| value.pointer(chart.installs).is_some());
        // Where a finalizer decides, pruning does not.
        let prunes = engine.cascading_finalizer.is_none() && is_true(engine.prune);
        let cascades = has_finalizer || prunes || uninstalls;
        if cascades && is_chart {
            effects.of_pair(
                index,
                Level::Danger,
                "deleted, and with it everything that the chart installed",
            );
        } else if cascades {
            // What it delivered is in the tree, so what goes with it is reported too.
            effects.of_pair(
                index,
                Level::Note,
                "deleted with the last of what it delivered",
            );
        } else {
            effects.of_pair(
                index,
                Level::Caution,
                "deleted; what it delivered stays unmanaged",
            );
        }
        return;
    }
    let is = |value: &Value, pointer: &str| value.pointer(pointer) == Some(&Value::Bool(true));
    let Some((before, after)) = pair.both() else {
        return;
    };
    let stops = |pointer: &str| is(&before.value, pointer) && !is(&after.value, pointer);
    let begins = |pointer: &str| !is(&before.value, pointer) && is(&after.value, pointer);
    let mut say = |condition: bool, text: &str| {
        if condition {
            effects.of_pair(index, Level::Caution, text);
        }
    };
    say(stops(engine.prune), "what leaves Git is no longer deleted");
    say(
        begins(engine.prune),
        "what is not in Git is deleted from now on",
    );
    say(
        engine.self_heal.is_some_and(stops),
        "changes made by hand in the cluster are no longer undone",
    );
    say(
        engine.suspend.is_some_and(begins),
        "suspended: nothing more is delivered",
    );
}

fn source(effects: &mut Effects, index: usize, pair: &Pair, engine: &Engine) {
    for keys in engine.source_fields {
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
