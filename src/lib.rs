//! One declarative hybrid-cloud spec in, reviewed manifests for Argo CD or Flux out.

pub mod autoscaling;
pub mod cli;
pub mod compile;
pub mod controller;
pub mod diag;
pub mod digest;
pub mod gitops;
pub mod manifest;
pub mod mesh;
pub mod model;
pub mod plan;
pub mod scheduling;
pub mod schema;
pub mod source;
pub mod spec;
pub mod tree;
pub mod yaml;
