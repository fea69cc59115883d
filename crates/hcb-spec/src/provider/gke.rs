//! GKE node pools: their settings, and the checks of them.

use super::interface::{Management, ManagementDefault, ProviderSettings};
use crate::findings::Findings;
use crate::place::At;
use hcb_api::node_pool::{Addition, PoolsWith};
use hcb_kubernetes::TaintEffect;
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

    fn makes_machines() -> bool {
        true
    }

    /// Source: Google's "About GPUs in GKE", on a pool with GPUs beside one without.
    fn additions(&self) -> &'static [Addition] {
        &[Addition {
            to: PoolsWith::Gpus,
            label: None,
            taint: ("nvidia.com/gpu", "present", TaintEffect::NoSchedule),
        }]
    }
}

fn default_gke_namespace() -> String {
    "config-connector".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcb_api::node_pool::Described;
    use std::collections::BTreeMap;

    #[test]
    fn gke_taints_the_nodes_of_pools_with_gpus_and_of_no_others() {
        let settings = Gke {
            project: String::new(),
            location: String::new(),
            cluster_name: None,
            management_cluster: None,
            namespace: default_gke_namespace(),
            node_locations: Vec::new(),
            service_account: None,
        };
        let labels = BTreeMap::new();
        let mut pool = Described {
            additions: settings.additions(),
            labels: &labels,
            taints: &[],
            has_gpus: true,
            is_spot: true,
        };
        assert!(pool.labels().is_empty());
        assert_eq!(pool.taints()[0].key, "nvidia.com/gpu");
        assert_eq!(pool.taints()[0].value.as_deref(), Some("present"));
        pool.has_gpus = false;
        assert!(pool.taints().is_empty());
    }
}
