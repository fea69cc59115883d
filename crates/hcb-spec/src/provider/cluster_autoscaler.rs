//! The cluster-autoscaler on node groups that exist already: its settings, and the checks of them.

use super::interface::ProviderSettings;
use crate::findings::Findings;
use crate::place::At;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of the cluster-autoscaler on node groups that exist already.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterAutoscaler {
    /// The cloud provider as the cluster-autoscaler calls it, such as `aws`, `azure`, `gce`, `hetzner`.
    pub cloud_provider: String,
    /// Further environment variables of the cluster-autoscaler, such as a region.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Annotations of its service account, such as the cloud role it runs as.
    #[serde(default)]
    pub service_account_annotations: BTreeMap<String, String>,
    /// The name of the provider's node group of a pool; `{pool}` is the pool's name. Default: `{pool}`.
    #[serde(default = "default_node_group")]
    pub node_group: String,
}

impl ProviderSettings for ClusterAutoscaler {
    fn check(&self, findings: &mut Findings<'_>, at: &At) {
        findings.word(
            &self.cloud_provider,
            &at.key("cloudProvider"),
            "a cloud provider such as `hetzner`",
        );
        findings.word(
            &self.node_group,
            &at.key("nodeGroup"),
            "the name of a node group such as `ml-{pool}`",
        );
        for name in self.env.keys() {
            findings.environment_variable(name, &at.key("env"));
        }
    }
}

fn default_node_group() -> String {
    "{pool}".into()
}
