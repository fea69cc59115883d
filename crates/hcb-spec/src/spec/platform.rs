//! Scheduling, object store and add-ons.

use crate::defaults::{default_is_the_empty_section, two, yes};
use crate::scheduling::SchedulingEngine;
use crate::scheduling::admiralty::default_version;
pub use hcb_api::config::WhenReconcilerDown;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How jobs are spread over the clusters.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scheduling {
    /// What sends pods to other clusters. Default: `admiralty`.
    #[serde(default)]
    pub engine: SchedulingEngine,
    /// The version of Admiralty's chart. Default: the newest that hcb was tested with.
    #[serde(default = "default_version")]
    pub version: String,
    /// The cluster that jobs are created in. Default: the first cluster of the first tier.
    #[serde(default)]
    pub source: Option<String>,
    /// The tiers in the order in which they are filled. Default: `[private, public]`.
    #[serde(default = "default_tiers")]
    #[schemars(length(min = 1))]
    pub tiers: Vec<String>,
    /// When the next tier opens.
    #[serde(default)]
    pub burst: Burst,
    /// When it closes again.
    #[serde(default)]
    pub fall_back: FallBack,
    /// What happens to the gates when no reconciler runs. Default: `hold`.
    #[serde(default)]
    pub when_reconciler_down: WhenReconcilerDown,
    /// The most that bursting may cost.
    #[serde(default)]
    pub budget: Option<Budget>,
    /// How the reconciler changes weights from live load.
    #[serde(default)]
    pub weights: WeightAdjustment,
    /// Priorities by name; higher goes first. Default: `low: 0`, `normal: 1000`, `high: 10000`.
    #[serde(default = "default_priorities")]
    pub priorities: BTreeMap<String, i32>,
    /// The reconciler, which opens and closes the gates.
    #[serde(default)]
    pub reconciler: Reconciler,
}

/// When the next tier opens.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Burst {
    /// How long a pod must have waited for room in the tiers before. Default: `0s`.
    #[serde(default = "default_burst_after")]
    pub after: String,
}

/// When a tier closes again.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FallBack {
    /// How long no pod must have waited before the tier closes; shorter reacts faster, longer
    /// flaps less. Default: `1m`.
    #[serde(default = "default_fall_back_after")]
    pub after: String,
}

/// The most that bursting may cost: an hour, a month, or both.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// The currency of this and of every price. Default: `USD`.
    #[serde(default = "default_currency")]
    pub currency: String,
    /// The most an hour.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub per_hour: Option<f64>,
    /// The most a calendar month (UTC).
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    pub per_month: Option<f64>,
}

/// How the reconciler changes weights from live load. The weights of the spec are where it starts.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeightAdjustment {
    /// The least that a weight may become, as a share of the spec's. Default: 0.5.
    #[serde(default = "half")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_factor: f64,
    /// The most that a weight may become, as a multiple of the spec's. Default: 2.
    #[serde(default = "double")]
    #[schemars(range(min = 1.0, max = 100.0))]
    pub max_factor: f64,
}

/// The reconciler.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reconciler {
    /// Its image. Default: hcb's of this version.
    #[serde(default = "default_image")]
    pub image: String,
    /// Replicas; one leads, the others stand by. Default: 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: u32,
}

/// Where jobs read their data and write their results: an S3 API.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectStore {
    /// A store that runs in one of the clusters; the mesh carries the traffic to it from all.
    #[serde(default)]
    pub in_cluster: Option<StoreInCluster>,
    /// A store outside of the clusters: its URL, such as `https://s3.eu-central-1.amazonaws.com`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// The S3 region. Default: `us-east-1`, which most stores answer to.
    #[serde(default = "default_s3_region")]
    pub region: String,
    /// Where the name of the bucket stands in requests. Default: `path`, which every store knows.
    #[serde(default)]
    pub addressing: Addressing,
    /// The key in the secret store that holds the credentials as `accessKeyId` and
    /// `secretAccessKey`. Default: `object-store`, after `secrets.prefix`.
    #[serde(default = "default_store_credentials")]
    pub credentials: String,
}

/// Where the name of a bucket stands in requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Addressing {
    /// In the path: `https://store/bucket/key`.
    #[default]
    Path,
    /// In the host name: `https://bucket.store/key`.
    Virtual,
}

impl Addressing {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Virtual => "virtual",
        }
    }
}

/// An object store in one of the clusters.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreInCluster {
    /// The cluster.
    pub cluster: String,
    /// The namespace.
    pub namespace: String,
    /// The name of the Service.
    pub service: String,
    /// The port of the Service. Default: 9000.
    #[serde(default = "default_s3_port")]
    #[schemars(range(min = 1))]
    pub port: u16,
    /// The labels of the store's pods.
    pub pod_labels: BTreeMap<String, String>,
    /// The URL at which people reach the store from outside of the clusters, such as
    /// `https://s3.example.com`, for `hcb submit` and `hcb fetch`. Jobs do not use it.
    #[serde(default)]
    pub external_url: Option<String>,
}

/// What else is installed because the rest needs it. Leave out what a cluster has already.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Addons {
    /// cert-manager, which issues the certificate of Admiralty's webhook.
    #[serde(default)]
    pub cert_manager: Addon<CertManager>,
    /// External Secrets, which brings every secret from the store.
    #[serde(default)]
    pub external_secrets: Addon<ExternalSecrets>,
}

/// A chart that is installed unless the clusters have it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    bound = "A: DefaultVersion"
)]
#[schemars(rename = "Addon{A}")]
pub struct Addon<A: DefaultVersion> {
    /// Whether it is installed. Default: true.
    #[serde(default = "yes")]
    pub install: bool,
    /// The version of its chart. Default: the newest that hcb was tested with.
    #[serde(default = "A::version")]
    pub version: String,
    #[serde(skip)]
    #[schemars(skip)]
    chart: std::marker::PhantomData<A>,
}

/// The version that an add-on has when the spec names none.
pub trait DefaultVersion {
    /// The version of the chart.
    fn version() -> String;
}

/// cert-manager.
#[derive(Debug, Clone, JsonSchema)]
pub struct CertManager;

/// External Secrets.
#[derive(Debug, Clone, JsonSchema)]
pub struct ExternalSecrets;

impl DefaultVersion for CertManager {
    fn version() -> String {
        "v1.21.2".into()
    }
}

impl DefaultVersion for ExternalSecrets {
    fn version() -> String {
        "2.9.0".into()
    }
}

impl<A: DefaultVersion> Default for Addon<A> {
    fn default() -> Self {
        Self {
            install: true,
            version: A::version(),
            chart: std::marker::PhantomData,
        }
    }
}

fn half() -> f64 {
    0.5
}
fn double() -> f64 {
    2.0
}
fn default_tiers() -> Vec<String> {
    vec!["private".into(), "public".into()]
}
fn default_priorities() -> BTreeMap<String, i32> {
    [("low", 0), ("normal", 1_000), ("high", 10_000)]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
}
fn default_burst_after() -> String {
    "0s".into()
}
fn default_fall_back_after() -> String {
    "1m".into()
}
fn default_currency() -> String {
    "USD".into()
}
fn default_image() -> String {
    concat!("ghcr.io/hcb-dev/hcb:", env!("CARGO_PKG_VERSION")).into()
}
fn default_s3_region() -> String {
    "us-east-1".into()
}
fn default_store_credentials() -> String {
    "object-store".into()
}
fn default_s3_port() -> u16 {
    9000
}

default_is_the_empty_section!(
    Scheduling,
    Burst,
    FallBack,
    WeightAdjustment,
    Reconciler,
    Addons
);
