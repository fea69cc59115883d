//! Compiles the spec into the manifests of every cluster: a line of pure stages, and the writing of the tree.

mod access;
pub mod compile;
mod lint;
pub mod manifest;
pub mod memo;
mod object_store;
pub mod plan;
pub mod policy;
pub mod providers;
pub mod rendered;
pub mod tree;
pub mod unit;
