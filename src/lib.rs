//! One declarative hybrid-cloud spec in, reviewed GitOps manifests out.

pub mod diag;
pub mod model;
pub mod schema;
pub mod source;
pub mod spec;
pub mod yaml;
