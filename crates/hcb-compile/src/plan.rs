//! What is to be generated, for which cluster and in which order, before any YAML exists.
//!
//! A [`Plan`] is a list of units. Each provider adds units with the templates to render and their contexts.

mod addons;
mod foundation;
mod object_store;
mod reconciler;
pub mod workloads;

use crate::providers::{Providers, autoscaling, gitops};
use crate::unit::Unit;
use hcb_spec::model::Model;
use rayon::prelude::*;

/// Everything that is to be generated for the clusters.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The units, by cluster, wave and name.
    pub units: Vec<Unit>,
}

/// Plans everything that the clusters get. What the engine needs to deliver it comes later, from
/// what was rendered.
pub(crate) fn plan(model: &Model, providers: &Providers<'_>) -> Plan {
    let of_cluster = |index| {
        [
            foundation::plan(model, providers, index),
            addons::plan(model, index),
            providers
                .mesh
                .iter()
                .flat_map(|mesh| mesh.units(model, index))
                .collect(),
            providers.scheduling.units(model, index),
            autoscaling::plan(model, index),
            object_store::plan(model, providers, index),
            reconciler::plan(model, providers, index),
            workloads::plan(model, providers, index),
            gitops::access(model, providers.gitops, index),
        ]
        .into_iter()
        .flatten()
    };
    let clusters = (0..model.clusters.len()).into_par_iter();
    let mut units: Vec<_> = clusters.flat_map_iter(of_cluster).collect();
    units.retain(|unit| !unit.items.is_empty() || !unit.charts.is_empty());
    units.sort_by(|a, b| a.order().cmp(&b.order()));
    Plan { units }
}
