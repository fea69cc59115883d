//! The engines that send pods to other clusters: what the checks must know of each.

pub mod admiralty;
mod rules;

pub use hcb_api::config::SchedulingEngine;
use rules::SchedulingRules;

/// What the checks must know of an engine.
pub(crate) fn rules(engine: SchedulingEngine) -> &'static SchedulingRules {
    match engine {
        SchedulingEngine::Admiralty => &admiralty::RULES,
    }
}
