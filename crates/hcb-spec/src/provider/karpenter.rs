//! Karpenter: its settings, and the checks of them.

use super::checks::{is_version, kind};
use super::eks::eks_name;
use super::interface::ProviderSettings;
use crate::findings::Findings;
use crate::place::At;
use hcb_kubernetes::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of Karpenter: `karpenter.sh/v1`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Karpenter {
    /// The name of the cluster at the provider. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The node class that exists in the cluster and says how machines are made.
    pub node_class: NodeClassReference,
    /// Installs Karpenter. Without it, Karpenter is expected to be there.
    #[serde(default)]
    pub install: Option<KarpenterInstall>,
}

/// An install of Karpenter by hcb.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KarpenterInstall {
    /// Version of the Helm chart.
    pub version: String,
    /// The IAM role that Karpenter runs as.
    pub role_arn: String,
    /// The SQS queue that announces interruptions of spot nodes.
    #[serde(default)]
    pub interruption_queue: Option<String>,
}

/// A node class of Karpenter.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeClassReference {
    /// The API group. Default: `karpenter.k8s.aws`.
    #[serde(default = "default_node_class_group")]
    pub group: String,
    /// The kind. Default: `EC2NodeClass`.
    #[serde(default = "default_node_class_kind")]
    pub kind: String,
    /// The name.
    pub name: String,
}

impl ProviderSettings for Karpenter {
    fn check(&self, findings: &mut Findings<'_>, at: &At) {
        eks_name(findings, self.cluster_name.as_deref(), at);
        let class = &self.node_class;
        let class_at = at.key("nodeClass");
        findings.named(
            &class.group,
            &class_at.key("group"),
            names::dns_subdomain(&class.group),
        );
        kind(findings, &class.kind, &class_at.key("kind"));
        findings.named(
            &class.name,
            &class_at.key("name"),
            names::dns_subdomain(&class.name),
        );
        if let Some(install) = &self.install {
            let at = at.key("install");
            findings.must(
                &at.key("version"),
                &install.version,
                "a version such as `1.14.1`",
                |text| is_version(text.strip_prefix('v').unwrap_or(text)),
            );
            findings.arn(&install.role_arn, &at.key("roleArn"));
            if let Some(queue) = &install.interruption_queue {
                findings.word(
                    queue,
                    &at.key("interruptionQueue"),
                    "the name of an SQS queue",
                );
            }
        }
    }
}

fn default_node_class_group() -> String {
    "karpenter.k8s.aws".into()
}
fn default_node_class_kind() -> String {
    "EC2NodeClass".into()
}
