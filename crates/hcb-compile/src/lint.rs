//! What the clusters of one cloud must agree on, and what must find each other, looked for in what was
//! rendered. By hcb's own templates it holds; templates of the user's can break it, and nothing else
//! sees that: each manifest by itself is right, and the API servers take it.
//!
//! What a provider has to look for stands beside the provider.

pub(crate) mod versions;

use crate::manifest::{Manifest, RenderedChart, RenderedUnit, by_cluster};
use crate::plan::Area;
use crate::providers::Providers;
use hcb_source::diag::{Code, Diagnostic, Diagnostics};
use hcb_spec::model::{Cluster, Model};
use serde_json::Value;

/// Looks for what does not fit together across clusters.
pub(crate) fn check(
    model: &Model,
    providers: &Providers<'_>,
    units: &[RenderedUnit],
    diagnostics: &mut Diagnostics,
) {
    let units = units.iter().filter(|unit| unit.unit.area == Area::Cluster);
    let of_clusters = by_cluster(model, units);
    let clusters: Vec<_> = model
        .clusters
        .iter()
        .zip(&of_clusters)
        .map(|(cluster, units)| InCluster::new(cluster, units))
        .collect();
    versions::check(model, &clusters, diagnostics);
    providers.scheduling.lint(&clusters, diagnostics);
    if let Some(mesh) = &providers.mesh {
        mesh.lint(&clusters, diagnostics);
    }
}

/// What one cluster gets.
pub(crate) struct InCluster<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// Its manifests.
    pub manifests: Vec<&'a Manifest>,
    charts: Vec<&'a RenderedChart>,
}

impl<'a> InCluster<'a> {
    fn new(cluster: &'a Cluster, units: &[&'a RenderedUnit]) -> Self {
        Self {
            cluster,
            manifests: units.iter().flat_map(|unit| &unit.manifests).collect(),
            charts: units.iter().flat_map(|unit| &unit.charts).collect(),
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'a str {
        &self.cluster.name
    }

    /// The charts of a name, whatever their releases are called.
    pub(crate) fn charts(&self, name: &str) -> impl Iterator<Item = &'a RenderedChart> {
        self.charts
            .iter()
            .copied()
            .filter(move |chart| chart.chart.name == name)
    }

    /// The manifests of a kind.
    pub(crate) fn of_kind(&self, group: &str, kind: &str) -> impl Iterator<Item = &'a Manifest> {
        self.manifests
            .iter()
            .copied()
            .filter(move |manifest| manifest.group() == group && manifest.kind() == kind)
    }
}

/// The text at a JSON pointer, empty where there is none.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A finding about a manifest.
pub(crate) fn about(manifest: &Manifest, code: Code, message: String) -> Diagnostic {
    Diagnostic::error(code, message)
        .at(manifest.origin, "leads to this manifest")
        .note(format!("from the template `{}`", manifest.template))
}

/// A finding about the values of a chart.
pub(crate) fn about_values(chart: &RenderedChart, code: Code, message: String) -> Diagnostic {
    let values = &chart.chart.values;
    Diagnostic::error(code, message)
        .at(values.origin, "leads to the values of this chart")
        .note(format!("from the template `{}`", values.template))
}
