//! Compiles the spec into the manifests of every cluster: a line of pure stages, and the writing of the tree.

pub mod compile;
mod lint;
pub mod manifest;
pub mod memo;
pub mod plan;
pub mod policy;
pub mod providers;
pub mod tree;
