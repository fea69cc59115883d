//! What all documents begin with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the spec's format.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum ApiVersion {
    /// The first.
    #[serde(rename = "hcb.dev/v1alpha1")]
    V1Alpha1,
}

/// Name and namespace of a document.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The name: lower-case letters, digits and dashes.
    pub name: String,
    /// The namespace of a workload, which is `ml` unless said here. A `HybridCloud` has none.
    #[serde(default)]
    pub namespace: Option<String>,
}
