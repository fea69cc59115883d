//! Why a pod is where it is: what the reconciler notes on pods and in the status, and the command line shows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The annotation of a pod that holds the [`Explanation`] of its release, as JSON. Once a pod is bound, Admiralty
/// replaces the annotations of the pod in the source by those of its delegate, but for those of its own domain.
/// Source: Admiralty 0.17.0, `pkg/controllers/feedback/controller.go`.
pub const DECISION: &str = "multicluster.admiralty.io/hcb-decision";

/// Amounts by resource as people write them, such as `3.5` CPUs or `12Gi`.
pub type Written = BTreeMap<String, String>;

/// What was decided of a pod, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// When it was decided.
    pub at: Timestamp,
    /// The outcome in one word, such as `Released`.
    pub outcome: String,
    /// The outcome in words.
    pub why: String,
    /// What the pod asks for.
    pub requested: Written,
    /// Every cluster, in the order in which they are considered.
    pub clusters: Vec<Considered>,
}

/// What was decided of a cluster for a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Considered {
    /// The cluster.
    pub cluster: String,
    /// Its tier.
    pub tier: String,
    /// Whether the pod goes there.
    pub chosen: bool,
    /// Why, or why not.
    pub why: String,
    /// What is free on the roomiest node that would let the pod in, of what it asks for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub free: Written,
}
