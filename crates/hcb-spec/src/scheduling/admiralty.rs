//! What is known of Admiralty: its namespace and its versions.

use super::rules::SchedulingRules;

/// The namespace of Admiralty in every cluster.
pub const NAMESPACE: &str = "admiralty";

/// What the checks must know of Admiralty.
pub(super) const RULES: SchedulingRules = SchedulingRules {
    name: "Admiralty",
    namespaces: &[NAMESPACE],
    minor: "0.17",
};

pub(crate) fn default_version() -> String {
    "0.17.0".into()
}
