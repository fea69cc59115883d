//! The scheduling engines: one line each.

use super::Engine;
use super::admiralty::Admiralty;
use hcb_api::config::{ReconcilerConfig, SchedulingEngine};
use std::sync::Arc;

/// The engine that a configuration names.
pub fn of(config: &ReconcilerConfig) -> Arc<dyn Engine> {
    match config.engine {
        SchedulingEngine::Admiralty => Arc::new(Admiralty),
    }
}
