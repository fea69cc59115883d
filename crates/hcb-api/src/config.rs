//! What the reconciler goes by: the `ConfigMap` that `hcb compile` writes into the source cluster.
//!
//! The compiler builds a [`ReconcilerConfig`] and serializes it; the reconciler, `hcb diff` and the command line read it
//! back. Quantities and durations keep the notation of the spec, and the order of the fields is the order in
//! the file.

use crate::amounts::Amounts;
use hcb_kubernetes::{Quantity, Seconds, Taint};
use hcb_source::diag::{Diagnostic, Diagnostics, codes, suggest};
use hcb_source::document::{DocumentSchema, schema_of, typed};
use hcb_source::source::{FileId, Location};
use hcb_source::yaml::{Node, Step};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

/// The version of this format.
pub const API_VERSION: &str = "hcb.dev/v1alpha1";
/// What the document is.
pub const KIND: &str = "ReconcilerConfig";

/// The configuration of a reconciler.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReconcilerConfig {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// The name of the hybrid cloud.
    pub cloud: String,
    /// What sends pods to other clusters. Left out where it is the default, which 0.1.0 reads only so.
    #[serde(default, skip_serializing_if = "SchedulingEngine::is_default")]
    pub engine: SchedulingEngine,
    /// The tiers in the order in which they are filled.
    pub tiers: Vec<String>,
    /// How long a pod waits for room in the tiers before.
    pub burst: After,
    /// How long no pod must have waited before a tier counts as closed.
    pub fall_back: After,
    /// What happens to the gates without a reconciler.
    pub when_down: WhenReconcilerDown,
    /// How far live load may change the weights.
    pub weights: Weights,
    /// The most that bursting may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// The clusters, by tier.
    pub clusters: Vec<Cluster>,
}

/// What sends pods to other clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SchedulingEngine {
    /// Admiralty, with a proxy scheduler of hcb's.
    #[default]
    Admiralty,
}

impl SchedulingEngine {
    /// All engines.
    pub const ALL: &'static [Self] = &[Self::Admiralty];

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to the gates when no reconciler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenReconcilerDown {
    /// Those of the later tiers stay closed, those of the first tier open: no cost without control.
    #[default]
    Hold,
    /// All open: no job waits, whatever it costs.
    Open,
}

/// A duration that something must have lasted.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct After {
    /// The duration.
    #[serde(deserialize_with = "duration", serialize_with = "write_duration")]
    #[schemars(with = "String")]
    pub after: Duration,
}

/// Bounds of live weights, as multiples of the spec's.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Weights {
    /// The least.
    pub min_factor: f64,
    /// The most.
    pub max_factor: f64,
}

/// The most that bursting may cost, in `currency`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// The currency of the prices.
    pub currency: String,
    /// The most an hour.
    #[serde(default)]
    pub per_hour: Option<f64>,
    /// The most a calendar month (UTC).
    #[serde(default)]
    pub per_month: Option<f64>,
}

/// A cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Its tier, one of [`ReconcilerConfig::tiers`].
    pub tier: String,
    /// Its share within the tier.
    pub weight: u32,
    /// The node that stands for it in the source cluster.
    pub virtual_node: String,
    /// How it is reached; the source cluster, by being in it.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Its nodes by kind.
    pub pools: Vec<Pool>,
    /// The most that its autoscaler may make, where there is one.
    #[serde(default)]
    pub limits: Option<Limits>,
    /// Whether no further pod goes there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drain: bool,
}

/// Nodes of one kind.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pool {
    /// Its name, which its nodes carry as the label `hcb.dev/pool`.
    pub name: String,
    /// The fewest nodes.
    pub min: u32,
    /// The most nodes; more than `min` where an autoscaler adds them.
    pub max: u32,
    /// What pods can use of a node.
    #[serde(deserialize_with = "quantities")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub allocatable: BTreeMap<String, Quantity>,
    /// The product of its GPUs.
    #[serde(default)]
    pub gpu_product: Option<String>,
    /// What a node costs an hour.
    #[serde(default)]
    pub price_per_hour: Option<f64>,
    /// Labels of its nodes.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Taints of its nodes.
    #[serde(default)]
    pub taints: Vec<Taint>,
}

/// The most that an autoscaler may make of a cluster.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Nodes.
    pub nodes: u32,
    /// CPUs.
    #[serde(deserialize_with = "quantity")]
    #[schemars(with = "String")]
    pub cpu: Quantity,
    /// Memory.
    #[serde(deserialize_with = "quantity")]
    #[schemars(with = "String")]
    pub memory: Quantity,
    /// GPUs.
    pub gpus: u32,
}

impl ReconcilerConfig {
    /// Reads a configuration, and refuses one that it does not understand as a whole: all that is wrong
    /// with it becomes findings.
    pub fn read(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        static SHAPE: LazyLock<DocumentSchema> =
            LazyLock::new(|| DocumentSchema::new(schema_of::<ReconcilerConfig>()));
        let documents = hcb_source::yaml::read(file, text, diagnostics);
        let [mut document] = <[Node; 1]>::try_from(documents)
            .map_err(|documents| {
                diagnostics.push(
                    Diagnostic::error(
                        codes::UNKNOWN_DOCUMENT,
                        format!("{} documents, not one", documents.len()),
                    )
                    .at(Location::new(file, 0..0), "this file")
                    .help("`hcb compile` writes the configuration of the reconciler"),
                );
            })
            .ok()?;
        let version = document.get("apiVersion").and_then(Node::as_str);
        let kind = document.get("kind").and_then(Node::as_str);
        if (version, kind) != (Some(API_VERSION), Some(KIND)) {
            let key = if version == Some(API_VERSION) {
                "kind"
            } else {
                "apiVersion"
            };
            diagnostics.push(
                Diagnostic::error(
                    codes::UNKNOWN_DOCUMENT,
                    format!("this is not a {KIND} of {API_VERSION}"),
                )
                .at(
                    document.locate(&[Step::Key(key.to_owned())]),
                    "not what this hcb reads",
                )
                .help("run the hcb that compiled it"),
            );
            return None;
        }
        let (config, removed) = typed::<Self>(&SHAPE, &mut document, diagnostics);
        let config = config.filter(|_| removed.is_empty())?;
        config.check(&document, diagnostics);
        (!diagnostics.has_errors()).then_some(config)
    }

    fn check(&self, document: &Node, diagnostics: &mut Diagnostics) {
        let key = |key: &str| Step::Key(key.to_owned());
        for (index, cluster) in self.clusters.iter().enumerate() {
            if !self.tiers.contains(&cluster.tier) {
                let place = [key("clusters"), Step::Index(index), key("tier")];
                diagnostics.push(
                    Diagnostic::error(
                        codes::UNKNOWN_TIER,
                        format!("`tiers` does not list `{}`", cluster.tier),
                    )
                    .at(document.locate(&place), "not a tier")
                    .maybe_help(suggest(
                        &cluster.tier,
                        self.tiers.iter().map(String::as_str),
                    )),
                );
            }
        }
        let sources = self
            .clusters
            .iter()
            .filter(|cluster| cluster.kubeconfig.is_none())
            .count();
        if sources != 1 {
            diagnostics.push(
                Diagnostic::error(
                    codes::BAD_FORMAT,
                    format!("{sources} clusters have no `kubeconfig`"),
                )
                .at(document.locate(&[key("clusters")]), "among these")
                .help("exactly one has none: the one that the reconciler runs in"),
            );
        }
    }

    /// The index of the cluster that the reconciler runs in.
    pub fn source(&self) -> usize {
        let mut clusters = self.clusters.iter();
        clusters
            .position(|cluster| cluster.kubeconfig.is_none())
            .unwrap_or_default()
    }

    /// The index of the cluster of a name.
    pub fn index(&self, cluster: &str) -> Option<usize> {
        let mut clusters = self.clusters.iter();
        clusters.position(|known| known.name == cluster)
    }

    /// The index of a cluster's tier.
    pub fn tier(&self, cluster: &Cluster) -> usize {
        self.tiers
            .iter()
            .position(|tier| *tier == cluster.tier)
            .unwrap_or(self.tiers.len())
    }
}

impl Pool {
    /// What pods can use of a node, in thousandths.
    pub fn amounts(&self) -> Amounts {
        let quantities = self.allocatable.iter();
        quantities
            .map(|(resource, quantity)| (resource.clone(), quantity.milli()))
            .collect()
    }

    /// What pods can use of one resource of a node, in thousandths; zero where it has none.
    pub fn amount(&self, resource: &str) -> i128 {
        self.allocatable
            .get(resource)
            .map_or(0, |quantity| quantity.milli())
    }
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let seconds = Seconds::parse(&text);
    let problem = || serde::de::Error::custom(format!("`{text}` is not a duration such as `30s`"));
    seconds.map(Duration::from).ok_or_else(problem)
}

fn write_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    Seconds::from(*duration).serialize(serializer)
}

fn quantity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
    let text = String::deserialize(deserializer)?;
    read_quantity(&text)
}

fn quantities<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Quantity>, D::Error> {
    let texts = BTreeMap::<String, String>::deserialize(deserializer)?;
    texts
        .into_iter()
        .map(|(resource, text)| Ok((resource, read_quantity(&text)?)))
        .collect()
}

fn read_quantity<E: serde::de::Error>(text: &str) -> Result<Quantity, E> {
    Quantity::parse(text).ok_or_else(|| E::custom(format!("`{text}` is not a quantity")))
}
