//! What the clusters of one cloud must agree on, and what must find each other, looked for in what was
//! rendered. By hcb's own templates it holds; templates of the user's can break it, and nothing else
//! sees that: each manifest by itself is right, and the API servers take it.
//!
//! What a provider has to look for stands beside the provider.

mod versions;

use crate::providers::Providers;
use crate::rendered::{InCluster, RenderedUnit, by_cluster};
use crate::unit::Area;
use hcb_source::diag::Diagnostics;
use hcb_spec::model::Model;

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
