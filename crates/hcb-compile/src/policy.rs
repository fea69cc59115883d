//! Policies: one source, checked while compiling and enforced by the clusters.
//!
//! A policy is a folder with `policy.yaml`: a `ValidatingAdmissionPolicy` of Kubernetes with its
//! bindings, which [`check`] evaluates over every manifest and [`emit`] puts into every cluster, or a
//! [`SpecPolicy`](spec_policy::SpecPolicy) about what no cluster sees, the spec itself, which `check_spec`
//! evaluates. [`library`] reads them, [`settings`] says what is done about each, [`suite`] runs their tests.

pub mod admission;
mod caches;
pub mod check;
mod check_spec;
mod definition;
pub mod emit;
pub mod exceptions;
mod in_force;
pub mod library;
mod misspelling;
pub mod requests;
pub mod settings;
pub mod spec_policy;
pub mod suite;

pub use caches::Caches;
pub use definition::{Admission, GUARDED, MESH_IMAGES, Policy, Subject, WORKLOAD_NAMESPACES};
pub use in_force::{Exception, InForce};
