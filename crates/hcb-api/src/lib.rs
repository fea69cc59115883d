//! The contract of compiler, reconciler, diff and command line: what two of them must agree on is defined here,
//! once.

pub mod amounts;
pub mod config;
pub mod gate;
pub mod labels;
pub mod names;
pub mod node_pool;
pub mod requirements;
pub mod shape;
