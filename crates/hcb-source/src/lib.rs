//! Texts of a run with places in them, findings and how they are shown, and YAML that keeps its places.

pub mod diag;
pub mod digest;
pub mod document;
pub mod source;
pub mod yaml;
