//! The mesh: its settings, and the checks of them. What is Istio's own is in [`istio`].

pub mod istio;
mod rules;

pub(crate) use rules::MeshRules;

use crate::choice::choice;
use crate::defaults::{default_is_the_empty_section, two, yes};
use crate::findings::Findings;
use crate::place::At;
use hcb_kubernetes::names;
use hcb_source::diag::codes;
use istio::{default_charts, default_hub, default_version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The service mesh that joins the clusters.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mesh {
    /// The mesh. Default: `istio`.
    #[serde(default)]
    pub engine: MeshEngine,
    /// The version of Istio's charts. Default: the newest that hcb was tested with.
    #[serde(default = "default_version")]
    pub version: String,
    /// The id of the mesh. Default: the name of the hybrid cloud.
    #[serde(default)]
    pub mesh_id: Option<String>,
    /// The trust domain that all clusters share. Default: `cluster.local`.
    #[serde(default = "default_trust_domain")]
    pub trust_domain: String,
    /// Whether traffic without mutual TLS is refused. Default: `strict`.
    #[serde(default)]
    pub mtls: MutualTls,
    /// Whether requests go to the nearest endpoints and to others when those fail. Default: true.
    #[serde(default = "yes")]
    pub locality_failover: bool,
    /// Whether sidecars log every request. Default: false.
    #[serde(default)]
    pub access_logs: bool,
    /// The registry of Istio's images. Default: `docker.io/istio`.
    #[serde(default = "default_hub")]
    pub hub: String,
    /// Where Istio's charts come from. Default: `oci://ghcr.io/istio/release/charts`.
    #[serde(default = "default_charts")]
    pub charts: String,
    /// The gateways that traffic between networks goes through.
    #[serde(default)]
    pub gateway: EastWestGateway,
}

choice! {
    /// The mesh.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub(crate) enum MeshEngine,
    /// What the checks must know of it; `None` where there is no mesh.
    rules: Option<&'static MeshRules> {
        /// Istio with sidecars, multi-primary, on different networks.
        #[default]
        Istio => Some(&istio::RULES),
        /// No mesh: workloads reach the object store by an address that every cluster can reach.
        None => None,
    }
}

/// Whether traffic without mutual TLS is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MutualTls {
    /// It is refused.
    #[default]
    Strict,
    /// It is let through, to move into the mesh step by step.
    Permissive,
}

/// The gateways that traffic between networks goes through.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EastWestGateway {
    /// The fewest replicas. Default: 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: u32,
    /// The most replicas. Default: 5.
    #[serde(default = "five")]
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: u32,
    /// Annotations of the Service by cluster, such as those that make a load balancer internal.
    #[serde(default)]
    pub service_annotations: BTreeMap<String, BTreeMap<String, String>>,
}

default_is_the_empty_section!(Mesh, EastWestGateway);

impl Mesh {
    /// Checks what needs no other part of the spec.
    pub(crate) fn check(&self, findings: &mut Findings<'_>, at: &At) {
        findings.named(
            &self.trust_domain,
            &at.key("trustDomain"),
            names::dns_subdomain(&self.trust_domain),
        );
        if let Some(id) = &self.mesh_id {
            findings.name(id, &at.key("meshId"));
        }
        if self.mtls == MutualTls::Permissive {
            let diagnostic = findings
                .warning(
                    codes::WEAK_SECURITY,
                    &at.key("mtls"),
                    "traffic without mutual TLS is let through",
                    "only while moving into the mesh",
                )
                .help("write `mtls: strict` once every client has a sidecar");
            findings.push(diagnostic);
        }
        if let Some(rules) = self.engine.rules() {
            (rules.check_registries)(findings, at, &self.hub, &self.charts);
        }
        let gateway = &self.gateway;
        if gateway.min_replicas > gateway.max_replicas {
            let diagnostic = findings
                .error(
                    codes::MIN_OVER_MAX,
                    &at.path("gateway.minReplicas"),
                    format!(
                        "the gateway has at least {} replicas but at most {}",
                        gateway.min_replicas, gateway.max_replicas
                    ),
                    "more than the maximum",
                )
                .help("lower `minReplicas` or raise `maxReplicas`, which is 5 unless the spec says otherwise");
            findings.push(diagnostic);
        }
    }
}

fn five() -> u32 {
    5
}
fn default_trust_domain() -> String {
    "cluster.local".into()
}
