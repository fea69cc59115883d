//! GKE node pools: their settings, and the checks of them.

use super::{Management, ManagementDefault, ProviderSettings};
use crate::findings::Findings;
use crate::place::At;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of GKE node pools: `container.cnrm.cloud.google.com/v1beta1`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gke {
    /// The Google Cloud project.
    pub project: String,
    /// The region or zone of the cluster.
    pub location: String,
    /// The name of the cluster at Google. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The cluster that Config Connector runs in. Default: the cluster itself.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `config-connector`.
    #[serde(default = "default_gke_namespace")]
    pub namespace: String,
    /// The zones of the nodes. Default: those of the cluster.
    #[serde(default)]
    pub node_locations: Vec<String>,
    /// The service account of the nodes.
    #[serde(default)]
    pub service_account: Option<String>,
}

impl ProviderSettings for Gke {
    fn check(&self, findings: &mut Findings<'_>, at: &At) {
        findings.name(&self.namespace, &at.key("namespace"));
        findings.word(
            &self.project,
            &at.key("project"),
            "the id of a Google Cloud project",
        );
        findings.word(
            &self.location,
            &at.key("location"),
            "a region or zone such as `europe-west1`",
        );
        if let Some(name) = &self.cluster_name {
            findings.name(name, &at.key("clusterName"));
        }
        for (index, zone) in self.node_locations.iter().enumerate() {
            findings.word(
                zone,
                &at.key("nodeLocations").index(index),
                "a zone such as `europe-west1-b`",
            );
        }
        if let Some(account) = &self.service_account {
            findings.word(
                account,
                &at.key("serviceAccount"),
                "the address of a service account",
            );
        }
    }

    fn management(&self) -> Option<Management<'_>> {
        Some(Management {
            named: self.management_cluster.as_deref(),
            default: ManagementDefault::Itself,
        })
    }
}

fn default_gke_namespace() -> String {
    "config-connector".into()
}
