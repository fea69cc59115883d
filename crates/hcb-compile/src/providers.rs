//! What the spec chooses from: one provider a file, one line in the file above it, one folder of templates.
//!
//! The rest of the compiler knows providers by their traits only. Each trait stands in a file `interface.rs` beside the
//! providers that implement it.

pub(crate) mod autoscaling;
pub(crate) mod common;
pub(crate) mod gitops;
pub(crate) mod mesh;
pub mod scheduling;
#[cfg(test)]
mod tests;

pub(crate) use common::Pair;

use gitops::GitOps;
use hcb_spec::model::Model;
use mesh::Mesh;
use scheduling::SchedulingEngine;

/// The providers that a model chose.
pub(crate) struct Providers<'m> {
    /// The mesh, unless there is none.
    pub mesh: Option<Box<dyn Mesh + 'm>>,
    /// What sends pods to other clusters.
    pub scheduling: Box<dyn SchedulingEngine>,
    /// What delivers to the clusters.
    pub gitops: &'static dyn GitOps,
}

impl<'m> Providers<'m> {
    /// Those of a model.
    pub(crate) fn of(model: &'m Model) -> Self {
        Self {
            mesh: mesh::of(model),
            scheduling: scheduling::of(model),
            gitops: gitops::of(model),
        }
    }
}
