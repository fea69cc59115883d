//! A whole hybrid cloud in virtual time, without IO: API servers with watches that lag, schedulers, autoscalers, jobs,
//! and faults at any step. The real reconciler runs in it: what its watches see becomes facts, and its changes are made
//! on the simulated API servers.
//!
//! A run is made of its seed alone. Invariants are checked after each step; the first that breaks ends the run, and the
//! same seed breaks it again.

pub mod api_server;
pub mod cluster;
pub mod engine;
pub mod faults;
pub mod reconciler;
pub mod scenario;
pub mod world;

pub use scenario::Scenario;
pub use world::{Outcome, World};
