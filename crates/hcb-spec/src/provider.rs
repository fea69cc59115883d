//! Autoscalers: their settings, and the checks of them, one provider a file.
//!
//! To add a provider: a file here with its settings, which implement [`ProviderSettings`], its `mod` and its row
//! of the table.

mod aks;
mod checks;
mod cluster_api;
mod cluster_autoscaler;
mod eks;
mod gke;
mod interface;
mod karpenter;

pub(crate) use interface::{ManagementDefault, ProviderSettings, Refusal};

use crate::quantity::QuantityText;
use hcb_api::node_pool::Addition;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes everything of the providers that lists them all. A row has the module, which is also the field of the
/// section, the type of the settings, the name in the spec, the key of the section, and a sentence.
macro_rules! providers {
    ($d:tt $($module:ident: $settings:ident, $name:literal, $key:literal, $about:literal;)*) => {
        $(pub use $module::*;)*

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
            $(
                #[doc = concat!("Settings of `", $name, "`.")]
                #[serde(default)]
                pub $module: Option<$settings>,
            )*
        }

        /// Who adds and removes nodes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        #[serde(rename_all = "kebab-case")]
        pub enum AutoscalerProvider {
            $(#[doc = $about] $settings,)*
        }

        /// An autoscaler's provider with its settings.
        #[derive(Debug, Clone)]
        pub enum Provider {
            $(#[doc = $about] $settings($settings),)*
        }

        impl Autoscaler {
            /// The sections of all providers, whether the spec has them or not.
            pub(crate) fn sections(&self) -> Vec<Section> {
                vec![$(Section {
                    provider: AutoscalerProvider::$settings,
                    key: $key,
                    settings: self.$module.clone().map(Provider::$settings),
                },)*]
            }
        }

        impl AutoscalerProvider {
            /// The key of its section.
            pub(crate) fn section(self) -> &'static str {
                match self {
                    $(Self::$settings => $key,)*
                }
            }

            /// Whether it makes the machines of a pool, so that it must know their type.
            pub(crate) fn makes_machines(self) -> bool {
                match self {
                    $(Self::$settings => $settings::makes_machines(),)*
                }
            }

            /// Why it refuses a name for a pool.
            pub(crate) fn refusal(self, pool: &str) -> Option<Refusal> {
                match self {
                    $(Self::$settings => $settings::refusal(pool),)*
                }
            }
        }

        impl Provider {
            /// Which provider it is.
            pub(crate) fn name(&self) -> AutoscalerProvider {
                match self {
                    $(Self::$settings(_) => AutoscalerProvider::$settings,)*
                }
            }
        }

        /// An expression for the settings of a [`Provider`](crate::model::Provider), whichever it is.
        /// `Provider` must be in scope.
        #[macro_export]
        macro_rules! with_provider_settings {
            ($d provider:expr, $d settings:ident => $d result:expr) => {
                match $d provider {
                    $(Provider::$settings($d settings) => $d result,)*
                }
            };
        }
    };
}

providers! {$
    cluster_api: ClusterApi, "cluster-api", "clusterApi", "Cluster API `MachineDeployments`, scaled by the cluster-autoscaler.";
    karpenter: Karpenter, "karpenter", "karpenter", "Karpenter `NodePools`.";
    gke: Gke, "gke", "gke", "GKE node pools, by Config Connector.";
    eks: Eks, "eks", "eks", "EKS managed node groups, by AWS Controllers for Kubernetes, scaled by the cluster-autoscaler.";
    aks: Aks, "aks", "aks", "AKS agent pools, by Azure Service Operator.";
    cluster_autoscaler: ClusterAutoscaler, "cluster-autoscaler", "clusterAutoscaler", "The cluster-autoscaler on node groups that exist already.";
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

/// A provider's section of [`Autoscaler`].
pub(crate) struct Section {
    /// The provider that the section is for.
    pub(crate) provider: AutoscalerProvider,
    /// The key of the section.
    pub(crate) key: &'static str,
    /// Its settings, where the spec has the section.
    pub(crate) settings: Option<Provider>,
}

impl Provider {
    /// Its settings.
    pub(crate) fn settings(&self) -> &dyn ProviderSettings {
        with_provider_settings!(self, settings => settings)
    }

    /// What it adds to nodes by itself.
    pub fn additions(&self) -> &'static [Addition] {
        self.settings().additions()
    }
}

fn default_scale_down_after() -> String {
    "10m".into()
}
