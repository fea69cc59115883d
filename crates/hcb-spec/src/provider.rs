//! Autoscalers: their settings, and the checks of them, one provider a file.
//!
//! To add a provider: a file here with its settings and their [`ProviderSettings`], and in this file a module, a
//! variant of [`AutoscalerProvider`] and of [`Provider`], a section of [`Autoscaler`] and its row in
//! [`Autoscaler::sections`].

mod aks;
mod cluster_api;
mod cluster_autoscaler;
mod eks;
mod gke;
mod karpenter;

pub use aks::Aks;
pub use cluster_api::{ClusterApi, TemplateReference};
pub use cluster_autoscaler::ClusterAutoscaler;
pub use eks::Eks;
pub use gke::Gke;
pub use karpenter::{Karpenter, KarpenterInstall, NodeClassReference};

use crate::findings::Findings;
use crate::place::At;
use crate::quantity::QuantityText;
use hcb_source::diag::codes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What adds and removes nodes of a cluster.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Autoscaler {
    /// Who does it.
    pub provider: AutoscalerProvider,
    /// The most that the cluster may have, over all pools.
    #[serde(default)]
    pub limits: AutoscalerLimits,
    /// How long a node must be empty before it is removed. Default: `10m`.
    #[serde(default = "default_scale_down_after")]
    pub scale_down_after: String,
    /// Settings of `cluster-api`.
    #[serde(default)]
    pub cluster_api: Option<ClusterApi>,
    /// Settings of `karpenter`.
    #[serde(default)]
    pub karpenter: Option<Karpenter>,
    /// Settings of `gke`.
    #[serde(default)]
    pub gke: Option<Gke>,
    /// Settings of `eks`.
    #[serde(default)]
    pub eks: Option<Eks>,
    /// Settings of `aks`.
    #[serde(default)]
    pub aks: Option<Aks>,
    /// Settings of `cluster-autoscaler`.
    #[serde(default)]
    pub cluster_autoscaler: Option<ClusterAutoscaler>,
}

/// Who adds and removes nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AutoscalerProvider {
    /// Cluster API `MachineDeployments`, scaled by the cluster-autoscaler.
    ClusterApi,
    /// Karpenter `NodePools`.
    Karpenter,
    /// GKE node pools, by Config Connector.
    Gke,
    /// EKS managed node groups, by AWS Controllers for Kubernetes, scaled by the cluster-autoscaler.
    Eks,
    /// AKS agent pools, by Azure Service Operator.
    Aks,
    /// The cluster-autoscaler on node groups that exist already.
    ClusterAutoscaler,
}

/// The most that a cluster may have, over all its pools.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoscalerLimits {
    /// Nodes.
    #[serde(default)]
    pub nodes: Option<u32>,
    /// CPUs.
    #[serde(default)]
    pub cpu: Option<QuantityText>,
    /// Memory.
    #[serde(default)]
    pub memory: Option<QuantityText>,
    /// GPUs.
    #[serde(default)]
    pub gpus: Option<u32>,
}

/// An autoscaler's provider with its settings.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Cluster API.
    ClusterApi(ClusterApi),
    /// Karpenter.
    Karpenter(Karpenter),
    /// GKE by Config Connector.
    Gke(Gke),
    /// EKS by AWS Controllers for Kubernetes.
    Eks(Eks),
    /// AKS by Azure Service Operator.
    Aks(Aks),
    /// The cluster-autoscaler on node groups that exist.
    ClusterAutoscaler(ClusterAutoscaler),
}

/// What hcb needs of the settings of every provider.
pub(crate) trait ProviderSettings {
    /// Checks that the provider accepts the names and values of the settings, which are at `at`.
    fn check(&self, findings: &mut Findings<'_>, at: &At);

    /// Which cluster holds the provider's objects, where that can be another than the one that is scaled.
    fn management(&self) -> Option<Management<'_>> {
        None
    }
}

/// The cluster that holds a provider's objects.
pub(crate) struct Management<'a> {
    /// The one that the settings name.
    pub(crate) named: Option<&'a str>,
    /// The one that it is otherwise.
    pub(crate) default: ManagementDefault,
}

/// The cluster that holds the objects of a provider whose settings name none.
pub(crate) enum ManagementDefault {
    /// The cluster that jobs are created in.
    Source,
    /// The cluster that is scaled.
    Itself,
}

/// A provider's section of [`Autoscaler`].
pub(crate) struct Section {
    /// The provider that the section is for.
    pub(crate) provider: AutoscalerProvider,
    /// The key of the section.
    pub(crate) key: &'static str,
    /// Its settings, where the spec has the section.
    pub(crate) settings: Option<Provider>,
}

impl Autoscaler {
    /// The sections of all providers, whether the spec has them or not.
    pub(crate) fn sections(&self) -> [Section; 6] {
        use AutoscalerProvider as Name;
        let section = |provider, settings| Section {
            provider,
            key: AutoscalerProvider::section(provider),
            settings,
        };
        [
            section(
                Name::ClusterApi,
                self.cluster_api.clone().map(Provider::ClusterApi),
            ),
            section(
                Name::Karpenter,
                self.karpenter.clone().map(Provider::Karpenter),
            ),
            section(Name::Gke, self.gke.clone().map(Provider::Gke)),
            section(Name::Eks, self.eks.clone().map(Provider::Eks)),
            section(Name::Aks, self.aks.clone().map(Provider::Aks)),
            section(
                Name::ClusterAutoscaler,
                self.cluster_autoscaler
                    .clone()
                    .map(Provider::ClusterAutoscaler),
            ),
        ]
    }
}

impl AutoscalerProvider {
    /// The key of its section.
    pub(crate) fn section(self) -> &'static str {
        match self {
            Self::ClusterApi => "clusterApi",
            Self::Karpenter => "karpenter",
            Self::Gke => "gke",
            Self::Eks => "eks",
            Self::Aks => "aks",
            Self::ClusterAutoscaler => "clusterAutoscaler",
        }
    }

    /// Whether it makes the machines of a pool, so that it must know their type.
    pub(crate) fn makes_machines(self) -> bool {
        matches!(self, Self::Gke | Self::Eks | Self::Aks)
    }

    /// Whether it takes the name for a pool.
    pub(crate) fn takes_pool_name(self, name: &str) -> bool {
        self != Self::Aks || aks::is_pool_name(name)
    }
}

impl Provider {
    /// Which provider it is.
    pub(crate) fn name(&self) -> AutoscalerProvider {
        match self {
            Self::ClusterApi(_) => AutoscalerProvider::ClusterApi,
            Self::Karpenter(_) => AutoscalerProvider::Karpenter,
            Self::Gke(_) => AutoscalerProvider::Gke,
            Self::Eks(_) => AutoscalerProvider::Eks,
            Self::Aks(_) => AutoscalerProvider::Aks,
            Self::ClusterAutoscaler(_) => AutoscalerProvider::ClusterAutoscaler,
        }
    }

    /// Its settings.
    pub(crate) fn settings(&self) -> &dyn ProviderSettings {
        match self {
            Self::ClusterApi(settings) => settings,
            Self::Karpenter(settings) => settings,
            Self::Gke(settings) => settings,
            Self::Eks(settings) => settings,
            Self::Aks(settings) => settings,
            Self::ClusterAutoscaler(settings) => settings,
        }
    }
}

impl Findings<'_> {
    /// Checks an ARN of AWS.
    pub(super) fn arn(&mut self, arn: &str, at: &At) {
        self.must(
            at,
            arn,
            "an ARN such as `arn:aws:iam::123456789012:role/nodes`",
            |text| text.starts_with("arn:") && text.split(':').count() >= 6 && is_word(text),
        );
    }

    /// Checks a name of the provider; `wanted` says what it names.
    pub(super) fn word(&mut self, text: &str, at: &At, wanted: &str) {
        self.must(at, text, wanted, is_word);
    }

    /// Adds a finding unless `is_fine` accepts the text; `wanted` says what would be accepted.
    pub(super) fn must(
        &mut self,
        at: &At,
        text: &str,
        wanted: &str,
        is_fine: impl Fn(&str) -> bool,
    ) {
        if !is_fine(text) {
            let diagnostic = self
                .error(
                    codes::AUTOSCALER_SETTINGS,
                    at,
                    format!("`{text}` is not {wanted}"),
                    "the provider takes no such value",
                )
                .help("`hcb explain-code HCB406` shows the settings of each provider");
            self.push(diagnostic);
        }
    }
}

fn kind(findings: &mut Findings<'_>, kind: &str, at: &At) {
    findings.must(at, kind, "a kind such as `EC2NodeClass`", |text| {
        text.len() <= 63
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric())
    });
}

/// Whether a text is not empty and has only characters that occur in names of providers.
fn is_word(text: &str) -> bool {
    (1..=1024).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic())
}

/// Whether a text is `MAJOR.MINOR.PATCH`, with an optional suffix of semantic versioning.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    let is_number = |part: &&str| {
        !part.is_empty() && part.len() < 10 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.len() <= 128 && is_word(text) && numbers.len() == 3 && numbers.iter().all(is_number)
}

fn default_scale_down_after() -> String {
    "10m".into()
}
