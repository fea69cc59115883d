//! The spec of hcb: its documents, and what they mean.

pub mod model;
pub mod spec;
