//! Cluster API: its settings, and the checks of them.

use super::checks::{is_version, kind};
use super::interface::{Management, ManagementDefault, ProviderSettings};
use crate::findings::Findings;
use crate::place::At;
use hcb_kubernetes::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of Cluster API: `cluster.x-k8s.io/v1beta2`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterApi {
    /// The cluster that holds the Cluster API objects. Default: the source cluster.
    #[serde(default)]
    pub management_cluster: Option<String>,
    /// The namespace of the objects. Default: `default`.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// Name of the `Cluster` object. Default: the cluster's name.
    #[serde(default)]
    pub cluster_name: Option<String>,
    /// The full Kubernetes version of the machines, such as `v1.34.4`.
    pub version: String,
    /// The template that machines are bootstrapped from, the same for every pool.
    pub bootstrap: TemplateReference,
    /// The template that machines are made from; `{pool}` in its name is the pool's name.
    pub infrastructure: TemplateReference,
}

/// A template object of Cluster API.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateReference {
    /// The API group, such as `bootstrap.cluster.x-k8s.io`.
    pub api_group: String,
    /// The kind, such as `KubeadmConfigTemplate`.
    pub kind: String,
    /// The name; `{pool}` in it is the pool's name.
    pub name: String,
}

impl ProviderSettings for ClusterApi {
    fn check(&self, findings: &mut Findings<'_>, at: &At) {
        findings.name(&self.namespace, &at.key("namespace"));
        if let Some(name) = &self.cluster_name {
            findings.name(name, &at.key("clusterName"));
        }
        findings.must(
            &at.key("version"),
            &self.version,
            "a full Kubernetes version such as `v1.34.4`",
            |text| text.strip_prefix('v').is_some_and(is_version),
        );
        template(findings, &self.bootstrap, &at.key("bootstrap"));
        template(findings, &self.infrastructure, &at.key("infrastructure"));
    }

    fn management(&self) -> Option<Management<'_>> {
        Some(Management {
            named: self.management_cluster.as_deref(),
            default: ManagementDefault::Source,
        })
    }
}

fn template(findings: &mut Findings<'_>, template: &TemplateReference, at: &At) {
    findings.named(
        &template.api_group,
        &at.key("apiGroup"),
        names::dns_subdomain(&template.api_group),
    );
    kind(findings, &template.kind, &at.key("kind"));
    // Whatever the pool is called, its name is one that fits in here.
    let name = template.name.replace("{pool}", "pool");
    findings.named(&template.name, &at.key("name"), names::dns_subdomain(&name));
}

fn default_namespace() -> String {
    "default".into()
}
