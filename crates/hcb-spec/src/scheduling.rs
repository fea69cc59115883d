//! The engines that send pods to other clusters: what the checks must know of each.

pub mod admiralty;
mod rules;

use rules::SchedulingRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What sends pods to other clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SchedulingEngine {
    /// Admiralty, with a proxy scheduler of hcb's.
    #[default]
    Admiralty,
}

impl SchedulingEngine {
    /// Every engine.
    pub(crate) const ALL: [Self; 1] = [Self::Admiralty];

    /// What the checks must know of it.
    pub(crate) fn rules(self) -> &'static SchedulingRules {
        match self {
            Self::Admiralty => &admiralty::RULES,
        }
    }
}
