//! What the spec chooses from: one provider a file, one line in the file above it, one folder of templates.
//!
//! The rest of the compiler knows providers by their traits only: `mesh::Mesh` and
//! `scheduling::SchedulingEngine`.

pub mod autoscaling;
pub mod gitops;
pub(crate) mod mesh;
pub mod scheduling;
#[cfg(test)]
mod tests;

use hcb_source::source::Location;
use hcb_spec::model::Model;
use mesh::Mesh;
use scheduling::SchedulingEngine;
use serde_json::Value;

/// A namespace of a provider.
pub(crate) struct PlatformNamespace {
    /// Its name.
    pub name: &'static str,
    /// Its labels, as a mapping.
    pub labels: Value,
    /// What in the spec asks for it.
    pub origin: Location,
}

/// The providers that a model chose.
pub(crate) struct Providers<'m> {
    /// The mesh, unless there is none.
    pub mesh: Option<Box<dyn Mesh + 'm>>,
    /// What sends pods to other clusters.
    pub scheduling: Box<dyn SchedulingEngine>,
}

impl<'m> Providers<'m> {
    /// Those of a model.
    pub(crate) fn of(model: &'m Model) -> Self {
        Self {
            mesh: mesh::of(model),
            scheduling: scheduling::of(model),
        }
    }
}
