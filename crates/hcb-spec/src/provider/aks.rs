//! AKS agent pools: their settings, and the checks of them.

use super::checks::is_word;
use super::interface::{Management, ManagementDefault, ProviderSettings, Refusal};
use crate::findings::Findings;
use crate::place::At;
use hcb_api::node_pool::{Addition, PoolsWith};
use hcb_kubernetes::TaintEffect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of AKS agent pools: `containerservice.azure.com`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Aks {
    /// The ARM id of the managed cluster.
    pub cluster_arm_id: String,
    /// The cluster that Azure Service Operator runs in. Default: the cluster itself.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `azure`.
    #[serde(default = "default_aks_namespace")]
    pub namespace: String,
    /// The ARM id of the subnet of the nodes.
    #[serde(default)]
    pub subnet_arm_id: Option<String>,
}

impl ProviderSettings for Aks {
    fn check(&self, findings: &mut Findings<'_>, at: &At) {
        findings.name(&self.namespace, &at.key("namespace"));
        arm_id(findings, &self.cluster_arm_id, &at.key("clusterArmId"));
        if let Some(id) = &self.subnet_arm_id {
            arm_id(findings, id, &at.key("subnetArmId"));
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

    fn refusal(pool: &str) -> Option<Refusal> {
        (!is_pool_name(pool)).then(|| Refusal {
            message: format!("AKS refuses the name `{pool}` for an agent pool"),
            label: "too long, or not letters and digits only",
            help: "use at most 12 lower-case letters and digits, and begin with a letter",
        })
    }

    /// Source: Microsoft's "Add a spot node pool to an AKS cluster".
    fn additions(&self) -> &'static [Addition] {
        const PRIORITY: (&str, &str) = ("kubernetes.azure.com/scalesetpriority", "spot");
        &[Addition {
            to: PoolsWith::Spot,
            label: Some(PRIORITY),
            taint: (PRIORITY.0, PRIORITY.1, TaintEffect::NoSchedule),
        }]
    }
}

/// Azure Resource Manager's ids: `/subscriptions/ID/resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME...`.
fn arm_id(findings: &mut Findings<'_>, id: &str, at: &At) {
    let wanted =
        "an ARM id such as `/subscriptions/ID/resourceGroups/GROUP/providers/NAMESPACE/TYPE/NAME`";
    findings.must(at, id, wanted, |text| {
        let segments: Vec<_> = text.split('/').collect();
        let is = |index: usize, name: &str| segments[index].eq_ignore_ascii_case(name);
        // A type and a name each follow the namespace of the provider.
        segments.len() >= 9
            && segments.len() % 2 == 1
            && segments[0].is_empty()
            && segments[1..].iter().all(|segment| !segment.is_empty())
            && is(1, "subscriptions")
            && is(3, "resourceGroups")
            && is(5, "providers")
            && is_word(text)
    });
}

/// Whether AKS takes the name for an agent pool.
fn is_pool_name(name: &str) -> bool {
    name.len() <= 12
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

fn default_aks_namespace() -> String {
    "azure".into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcb_api::node_pool::Described;
    use std::collections::BTreeMap;

    #[test]
    fn aks_marks_the_nodes_of_spot_pools_and_of_no_others() {
        let settings = Aks {
            cluster_arm_id: String::new(),
            management_cluster: None,
            namespace: default_aks_namespace(),
            subnet_arm_id: None,
        };
        let labels = BTreeMap::new();
        let mut pool = Described {
            additions: settings.additions(),
            labels: &labels,
            taints: &[],
            has_gpus: true,
            is_spot: true,
        };
        let key = "kubernetes.azure.com/scalesetpriority";
        assert_eq!(pool.labels()[key], "spot");
        assert_eq!(pool.taints()[0].key, key);
        assert_eq!(pool.taints()[0].value.as_deref(), Some("spot"));
        pool.is_spot = false;
        assert!(pool.labels().is_empty());
        assert!(pool.taints().is_empty());
    }
}
