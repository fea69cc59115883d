//! What sends pods to other clusters: one engine a file, one line of `of` each.

pub mod admiralty;
pub(crate) mod interface;

pub(crate) use interface::SchedulingEngine;

use hcb_spec::model::Model;
use hcb_spec::spec::SchedulingEngine as Engine;

/// The engine of a model.
pub(crate) fn of(model: &Model) -> Box<dyn SchedulingEngine> {
    match model.scheduling.engine {
        Engine::Admiralty => Box::new(admiralty::Admiralty),
    }
}
