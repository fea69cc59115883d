//! Helm charts.

use super::super::Level;
use super::super::fields::plain;
use super::super::pair::Pair;
use super::{Context, Effects, Rule, chart_values, stays};
use serde_json::Value;

pub(super) const RULE: Rule = Rule {
    id: "chart-changed",
    about: "a Helm chart gets another version or other values",
    check,
};

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in
        context.of_kinds(&["Application", "HelmRelease", "OCIRepository", "HelmChart"])
    {
        let Some((before, after)) = pair.both().filter(|_| stays(pair)) else {
            continue;
        };
        let (was, is) = (version(&before.value), version(&after.value));
        if let (Some(was), Some(is)) = (&was, &is)
            && was != is
        {
            upgrade(effects, index, pair, was, is);
        }
        if let (Some(old), Some(new)) = (chart_values(&before.value), chart_values(&after.value))
            && old != new
        {
            let values = [&["spec", "source", "helm"][..], &["spec", "values"][..]];
            let paths: Vec<_> = values
                .iter()
                .flat_map(|keys| pair.fields_at(keys))
                .map(|field| {
                    let path = field.path.to_string();
                    let short = path
                        .trim_start_matches("spec.source.helm.valuesObject.")
                        .trim_start_matches("spec.values.");
                    short.to_owned()
                })
                .collect();
            effects
                .of_pair(
                    index,
                    Level::Caution,
                    "other values: what they configure changes, pods may restart",
                )
                .detail(super::super::fold::some(&paths, 6));
        }
    }
}

/// The version of the chart that an object installs.
fn version(object: &Value) -> Option<String> {
    let at = |pointer: &str| object.pointer(pointer).map(plain);
    match object["kind"].as_str()? {
        "Application" => {
            object.pointer("/spec/source/chart")?;
            at("/spec/source/targetRevision")
        }
        "HelmRelease" => at("/spec/chart/spec/version"),
        "OCIRepository" => at("/spec/ref/tag").or_else(|| at("/spec/ref/semver")),
        _ => at("/spec/version"),
    }
}

fn upgrade(effects: &mut Effects, index: usize, pair: &Pair, was: &str, is: &str) {
    let numbers = |text: &str| -> Vec<u64> {
        let plain = text
            .trim_start_matches('v')
            .split(['-', '+'])
            .next()
            .unwrap_or_default();
        plain
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    let (old, new) = (numbers(was), numbers(is));
    let chart = pair.object().value.pointer("/spec/source/chart").map(plain);
    let chart = chart.map(|chart| format!("{chart} ")).unwrap_or_default();
    let text = format!("{chart}goes from {was} to {is}: pods restart");
    if new < old {
        effects
            .of_pair(index, Level::Danger, text)
            .detail("this is a step back: what the newer version stored may not be understood");
    } else if old.first() != new.first() {
        effects
            .of_pair(index, Level::Danger, text)
            .detail("another major version: read its upgrade notes");
    } else {
        effects.of_pair(index, Level::Caution, text);
    }
}
