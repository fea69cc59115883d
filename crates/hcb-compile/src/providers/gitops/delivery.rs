//! Which engine delivers to which cluster, and the units that it does so by.

use crate::unit::{Area, Unit, Wave};
use hcb_source::source::Location;
use hcb_spec::model::{Cluster, ClusterIndex, Model};
use hcb_spec::spec::Delivery;

/// The cluster whose engine delivers to a cluster.
pub(super) fn engine_of(model: &Model, target: ClusterIndex) -> ClusterIndex {
    match model.gitops.delivery {
        Delivery::Hub => model.gitops.hub,
        Delivery::PerCluster => target,
    }
}

/// The clusters that an engine runs in.
pub(super) fn engines(model: &Model) -> Vec<ClusterIndex> {
    match model.gitops.delivery {
        Delivery::Hub => vec![model.gitops.hub],
        Delivery::PerCluster => (0..model.clusters.len()).collect(),
    }
}

/// A unit that tells the engine of a cluster to deliver to it.
pub(super) fn delivery(
    model: &Model,
    target: ClusterIndex,
    name: impl Into<String>,
    wave: Wave,
    origin: Location,
) -> Unit {
    let mut unit = Unit::new(engine_of(model, target), name, wave, origin);
    unit.area = Area::Delivery(target);
    unit
}

/// A unit that a person applies once.
pub(super) fn bootstrap(index: ClusterIndex, cluster: &Cluster) -> Unit {
    let mut unit = Unit::new(index, "bootstrap", Wave::Foundation, cluster.location);
    unit.area = Area::Bootstrap;
    unit
}

/// The folder of `below` in the repository.
pub(super) fn path(model: &Model, below: &str) -> String {
    format!("{}/{below}", model.gitops.path)
}
