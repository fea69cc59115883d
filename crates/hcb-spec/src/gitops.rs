//! The delivery by `GitOps`: its settings, and the checks of them.

use crate::choice::choice;
use crate::findings::Findings;
use crate::place::At;
use hcb_api::gitops::{self, DeliveryEngine};
use hcb_kubernetes::names;
use hcb_source::diag::codes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// How the manifests reach the clusters.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitOps {
    /// The engine that applies the manifests. To change engines, change this line.
    pub engine: GitOpsEngine,
    /// The URL of the Git repository that holds the generated tree: `https://…` or `ssh://…`.
    pub repository: String,
    /// What is applied: a branch, a full reference such as `refs/tags/v1`, or a commit. Default: `main`.
    #[serde(default = "default_revision")]
    pub revision: String,
    /// The folder of the generated tree in the repository; `{engine}` in it is the engine. Default: `generated`.
    #[serde(default = "default_path")]
    pub path: String,
    /// Who applies: one `hub` for all clusters, or an engine of its own `per-cluster`. Default: `hub`.
    #[serde(default)]
    pub delivery: Delivery,
    /// The cluster that the hub runs in. Default: the source cluster, which reaches the others anyway.
    #[serde(default)]
    pub hub: Option<String>,
    /// The namespace of the engine. Default: `argocd` or `flux-system`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// How often the repository is looked at, by Flux. Default: `5m`.
    #[serde(default = "default_interval")]
    pub interval: String,
    /// Name of a Secret in the engine's namespace with the credentials of the repository, for Flux.
    /// Argo CD finds its credentials by the URL.
    #[serde(default)]
    pub credentials_secret: Option<String>,
}

choice! {
    /// The engine that applies the manifests.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum GitOpsEngine,
    /// What everybody must know of it.
    facts: &'static DeliveryEngine {
        /// Argo CD 3.
        Argocd => &gitops::ARGOCD,
        /// Flux 2.
        Flux => &gitops::FLUX,
    }
}

/// Who applies the manifests of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// One engine in the hub cluster applies to all clusters.
    #[default]
    Hub,
    /// Each cluster runs an engine that pulls its own part, so no cluster needs to be reachable.
    PerCluster,
}

impl GitOps {
    /// The folder of the tree in the repository, without slashes at the ends.
    pub(crate) fn folder(&self) -> String {
        self.path
            .replace("{engine}", self.engine.facts().key)
            .trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    }

    /// Checks what needs no other part of the spec.
    pub(crate) fn check(&self, findings: &mut Findings<'_>, at: &At) {
        repository(findings, &self.repository, &at.key("repository"));
        revision(findings, &self.revision, &at.key("revision"));
        self.check_folder(findings, &at.key("path"));
        if let Some(namespace) = &self.namespace {
            findings.name(namespace, &at.key("namespace"));
        }
        if let Some(secret) = &self.credentials_secret {
            let at = at.key("credentialsSecret");
            findings.named(secret, &at, names::dns_subdomain(secret));
            if self.engine == GitOpsEngine::Argocd {
                findings.no_effect(&at, "Argo CD finds credentials by the repository's URL");
            }
        }
    }

    fn check_folder(&self, findings: &mut Findings<'_>, at: &At) {
        let leads_elsewhere = |segment: &str| {
            matches!(segment, "" | "." | "..")
                || segment.contains('\\')
                || segment.contains(char::is_control)
        };
        if self.folder().split('/').any(leads_elsewhere) {
            let diagnostic = findings
                .error(
                    codes::BAD_PATH,
                    at,
                    format!("`{}` is not a folder below the root of the repository", self.path),
                    "must be a relative path without `..`",
                )
                .help("write a folder of its own, such as `generated`: hcb removes what it does not generate there");
            findings.push(diagnostic);
        }
    }
}

fn revision(findings: &mut Findings<'_>, revision: &str, at: &At) {
    if revision.is_empty() || revision.contains(char::is_whitespace) || revision.starts_with('-') {
        let diagnostic = findings.error(
            codes::BAD_FORMAT,
            at,
            format!("`{revision}` is not a branch, tag or commit"),
            "Git refuses this name",
        );
        findings.push(diagnostic);
    }
}

fn repository(findings: &mut Findings<'_>, repository: &str, at: &At) {
    let url = Url::parse(repository);
    let good = url
        .as_ref()
        .is_ok_and(|url| matches!(url.scheme(), "https" | "http" | "ssh") && url.host().is_some());
    if !good {
        let mut diagnostic = findings.error(
            codes::BAD_URL,
            at,
            format!("`{repository}` is not the URL of a Git repository"),
            "expected `https://…` or `ssh://…`",
        );
        // Git's short form, which Flux refuses.
        if let Some((host, path)) = repository
            .split_once(':')
            .filter(|(host, _)| host.contains('@'))
        {
            diagnostic = diagnostic.help(format!("did you mean `ssh://{host}/{path}`?"));
        }
        findings.push(diagnostic);
    }
    findings.no_password(url.ok().as_ref(), at);
}

fn default_revision() -> String {
    "main".into()
}
fn default_path() -> String {
    "generated".into()
}
fn default_interval() -> String {
    "5m".into()
}
