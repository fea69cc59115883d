//! Meshes: one provider a file.

mod istio;

use crate::plan::Unit;
use hcb_spec::model::{ClusterIndex, Model};

/// What the mesh needs in a cluster. A model without a mesh needs nothing.
pub fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    model
        .mesh
        .as_ref()
        .map_or_else(Vec::new, |mesh| istio::plan(model, mesh, index))
}
