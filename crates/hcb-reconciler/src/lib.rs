//! The reconciler: it sees what is free in every cluster and lets jobs leave the first tier only where
//! they fit in it no more.
//!
//! [`decide()`] is pure; [`run`] watches, asks it, and does what it says. All state is in the clusters: a
//! pod that may leave says so itself, by a toleration for the gate of one cluster, so that a reconciler
//! can die at any point and the next one goes on.

pub mod act;
pub mod clock;
pub mod decide;
pub mod decision;
pub mod facts;
mod fields;
mod forget;
pub mod gates;
pub mod lease;
pub mod ledger;
pub mod memory;
pub mod metrics;
pub mod observation;
pub mod reasons;
pub mod record;
pub mod room;
pub mod run;
mod serve;
pub mod status;
mod tell;
mod watch;
pub mod weights;

pub use decide::decide;
pub use decision::Decision;
pub use memory::Memory;
pub use observation::Observation;

/// What the reconciler calls itself in Events.
pub const REPORTER: &str = "hcb.dev/reconciler";
