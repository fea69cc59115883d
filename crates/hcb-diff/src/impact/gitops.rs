//! Engines that deliver from Git: what each delivers with, as data. Adding one is a line of [`ENGINES`].

pub(super) mod argocd;
pub(super) mod chart;
pub(super) mod delivery;
pub(super) mod engine;
pub(super) mod flux;

use crate::read::Object;
use engine::{Chart, Engine};
use hcb_kubernetes::GroupKind;
use serde_json::Value;

/// The engines that hcb knows.
pub(super) const ENGINES: &[&Engine] = &[&argocd::ENGINE, &flux::ENGINE];

/// What the object installs a chart by, if it does.
pub(super) fn chart_kind(kind: GroupKind<'_>) -> Option<&'static Chart> {
    let charts = ENGINES.iter().flat_map(|engine| engine.charts);
    charts.into_iter().find(|chart| chart.kind == kind)
}

/// The values of the chart that an object installs.
pub(super) fn chart_values(object: &Object) -> Option<&Value> {
    let values = chart_kind(object.group_kind())?.values;
    let found = values
        .iter()
        .try_fold(&object.value, |value, key| value.get(key));
    found.filter(|_| !values.is_empty())
}

/// Whether an annotation keeps an object in the cluster when it leaves the tree.
pub(super) fn is_kept(object: &Object) -> bool {
    ENGINES.iter().any(|engine| {
        let (annotation, text) = engine.facts.keeps;
        let value = object.annotation(annotation);
        value.is_some_and(|value| value.contains(text))
    })
}
