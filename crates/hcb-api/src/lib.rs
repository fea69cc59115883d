//! The contract of compiler, reconciler, diff and command line: what two of them must agree on is defined here,
//! once.

pub mod amounts;
pub mod config;
pub mod explanation;
pub mod gate;
pub mod gitops;
pub mod labels;
pub mod money;
pub mod names;
pub mod node_pool;
pub mod pod_spec;
pub mod release;
pub mod requirements;
pub mod spending;
pub mod status;
