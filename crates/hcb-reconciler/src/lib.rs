//! The reconciler: it sees what is free in every cluster and lets jobs leave the first tier only where
//! they fit in it no more.
//!
//! - [`core`] decides. It is pure: facts in, decisions out.
//! - [`control`] makes changes of decisions: a whole reconciler without IO.
//! - [`engine`] is how one scheduling engine is read and told what was decided.
//! - [`runtime`] watches clusters, asks the core, and has the engine's changes made.
//!
//! All state is in the clusters: what was released says so itself, so that a reconciler can die at any point and the
//! next one goes on.

pub mod control;
pub mod core;
pub mod engine;
pub mod runtime;
