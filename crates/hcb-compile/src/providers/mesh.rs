//! Meshes: one provider a file, one line of `of` each.

pub(crate) mod interface;
mod istio;

pub(crate) use interface::Mesh;

use hcb_spec::model::Model;
use hcb_spec::spec::MeshEngine;

/// The mesh of a model, where it has one.
pub(crate) fn of(model: &Model) -> Option<Box<dyn Mesh + '_>> {
    let mesh = model.mesh.as_ref()?;
    match mesh.settings.engine {
        MeshEngine::Istio => Some(Box::new(istio::Istio(mesh))),
        MeshEngine::None => None,
    }
}
