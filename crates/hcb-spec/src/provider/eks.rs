//! EKS managed node groups: their settings, and the checks of them.

use super::interface::{Management, ManagementDefault, ProviderSettings};
use crate::findings::Findings;
use crate::place::At;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of EKS managed node groups: `eks.services.k8s.aws/v1alpha1`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Eks {
    /// The AWS region.
    pub region: String,
    /// The name of the cluster at AWS. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The cluster that the ACK controller runs in. Default: the cluster itself.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `ack-system`.
    #[serde(default = "default_eks_namespace")]
    pub namespace: String,
    /// The IAM role of the nodes.
    pub node_role_arn: String,
    /// The subnets of the nodes.
    #[schemars(length(min = 1))]
    pub subnets: Vec<String>,
    /// The IAM role that the cluster-autoscaler runs as.
    pub autoscaler_role_arn: String,
}

impl ProviderSettings for Eks {
    fn check(&self, findings: &mut Findings<'_>, at: &At) {
        findings.name(&self.namespace, &at.key("namespace"));
        eks_name(findings, self.cluster_name.as_deref(), at);
        findings.word(
            &self.region,
            &at.key("region"),
            "a region such as `eu-central-1`",
        );
        findings.arn(&self.node_role_arn, &at.key("nodeRoleArn"));
        findings.arn(&self.autoscaler_role_arn, &at.key("autoscalerRoleArn"));
        for (index, subnet) in self.subnets.iter().enumerate() {
            findings.word(
                subnet,
                &at.key("subnets").index(index),
                "the id of a subnet such as `subnet-0a1b2c3d`",
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
}

/// AWS limits the names of EKS clusters to this (its API reference, `CreateCluster`).
const EKS_NAME_LIMIT: usize = 100;

pub(super) fn eks_name(findings: &mut Findings<'_>, name: Option<&str>, at: &At) {
    let Some(name) = name else { return };
    findings.must(
        &at.key("clusterName"),
        name,
        "the name of an EKS cluster",
        |text| {
            text.len() <= EKS_NAME_LIMIT
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        },
    );
}

fn default_eks_namespace() -> String {
    "ack-system".into()
}
