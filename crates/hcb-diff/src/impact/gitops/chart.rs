//! Helm charts.

use super::engine::Chart;
use crate::context::{Context, Effects, Rule};
use crate::fields::plain;
use crate::pair::Pair;
use crate::report::Level;
use serde_json::Value;

pub(crate) const RULE: Rule = Rule {
    id: "chart-changed",
    about: "a Helm chart gets another version or other values",
    check,
};

/// The kinds that install charts are those of the engines.
fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.pairs.iter().enumerate() {
        let Some(chart) = super::chart_kind(pair.object().group_kind()) else {
            continue;
        };
        let Some((before, after)) = pair.both().filter(|_| pair.stays()) else {
            continue;
        };
        let (was, is) = (version(chart, &before.value), version(chart, &after.value));
        if let (Some(was), Some(is)) = (&was, &is)
            && was != is
        {
            upgrade(effects, index, pair, was, is);
        }
        if let (Some(old), Some(new)) = (super::chart_values(before), super::chart_values(after))
            && old != new
        {
            let prefix = format!("{}.", chart.values.join("."));
            let paths: Vec<_> = pair
                .fields_at(chart.values)
                .map(|field| {
                    let path = field.path.to_string();
                    path.trim_start_matches(&prefix).to_owned()
                })
                .collect();
            effects
                .of_pair(
                    index,
                    Level::Caution,
                    "other values: what they configure changes, pods may restart",
                )
                .detail(crate::words::abbreviated(&paths, 6));
        }
    }
}

/// The version of the chart that an object installs.
fn version(chart: &Chart, object: &Value) -> Option<String> {
    object.pointer(chart.installs)?;
    let mut versions = chart.version.iter();
    versions.find_map(|pointer| object.pointer(pointer).map(plain))
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
