//! The engines that send pods to other clusters: what the checks must know of each.

pub mod admiralty;
mod rules;

use crate::choice::choice;
use rules::SchedulingRules;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

choice! {
    /// What sends pods to other clusters.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum SchedulingEngine,
    /// What the checks must know of it.
    rules: &'static SchedulingRules {
        /// Admiralty, with a proxy scheduler of hcb's.
        #[default]
        Admiralty => &admiralty::RULES,
    }
}
