//! The ML teams' documents: `kind: Workload`.

use super::cluster::Gpu;
use super::metadata::{ApiVersion, Metadata};
use crate::quantity::QuantityText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A job, or a cron job, that runs where there is room.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkloadDocument {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// What this document is.
    pub kind: WorkloadKind,
    /// The name of the workload, and its namespace.
    pub metadata: Metadata,
    /// What is run.
    pub spec: Workload,
}

/// `Workload`.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
pub enum WorkloadKind {
    /// An ML team's document.
    Workload,
}

/// What is run, on what, with which data, and where it may run.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// When it runs, in cron's five fields. Without it, the workload is a job that runs once.
    #[serde(default)]
    pub schedule: Option<String>,
    /// What starts it. Default: `onSync`.
    #[serde(default)]
    pub run: Run,
    /// The time zone of `schedule`, such as `Europe/Berlin`. Default: `Etc/UTC`.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The image, with a digest or a fixed tag.
    pub image: String,
    /// The command. Default: that of the image.
    #[serde(default)]
    pub command: Vec<String>,
    /// The arguments of the command.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Environment variables from the secret store.
    #[serde(default)]
    pub secret_env: BTreeMap<String, SecretReference>,
    /// What each pod needs.
    pub resources: Resources,
    /// Pods at the same time. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub parallelism: u32,
    /// Pods that must succeed. Default: `parallelism`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub completions: Option<u32>,
    /// The name of a priority in `scheduling.priorities`. Default: `normal`, where there is one.
    #[serde(default)]
    pub priority: Option<String>,
    /// The longest that the job may take, such as `6h`. Default: `24h`.
    #[serde(default = "default_deadline")]
    pub deadline: String,
    /// How often a failed pod is tried again. Default: 3.
    #[serde(default = "three")]
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,
    /// The user that the program runs as; 0 is root. Default: 1000.
    #[serde(default = "default_user")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub user: u32,
    /// Data that is read and written.
    #[serde(default)]
    pub data: Data,
    /// Where it may run.
    #[serde(default)]
    pub placement: Placement,
}

/// What starts a workload.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Run {
    /// The engine: once when it is merged, and again when it is changed; or by its `schedule`.
    #[default]
    OnSync,
    /// A person, with `hcb submit`, as often as wanted. The engine sets up all but the job.
    OnSubmit,
}

/// An environment variable from the secret store.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretReference {
    /// The key in the secret store.
    pub key: String,
    /// The property of the key's value.
    #[serde(default)]
    pub property: Option<String>,
}

/// What a pod needs.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// CPUs, such as `4` or `500m`.
    pub cpu: QuantityText,
    /// Memory, such as `16Gi`.
    pub memory: QuantityText,
    /// Space on the node's disk.
    #[serde(default)]
    pub ephemeral_storage: Option<QuantityText>,
    /// GPUs.
    #[serde(default)]
    pub gpu: Option<Gpu>,
}

/// Data that a workload reads and writes.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Data {
    /// What it reads. The URL of `dataset` is in the environment variable `HCB_INPUT_DATASET`.
    #[serde(default, rename = "in")]
    pub inputs: Vec<DataReference>,
    /// What it writes. The URL of `model` is in the environment variable `HCB_OUTPUT_MODEL`.
    #[serde(default, rename = "out")]
    pub outputs: Vec<DataReference>,
    /// The folder in the object store for what a program needs to go on where it was stopped; it is in
    /// the environment variable `HCB_CHECKPOINTS`. Default: `checkpoints/` below the first of `out`.
    #[serde(default)]
    pub checkpoints: Option<String>,
}

/// A place in the object store.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataReference {
    /// The name: lower-case letters, digits and dashes.
    pub name: String,
    /// The URL: `s3://bucket/key` or `s3://bucket/prefix/`.
    pub url: String,
}

/// Where a workload may run.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Placement {
    /// The only clusters it may run in. Default: all.
    #[serde(default)]
    pub allow: Vec<String>,
    /// Clusters it must not run in.
    #[serde(default)]
    pub deny: Vec<String>,
    /// The only tiers it may run in. Default: all.
    #[serde(default)]
    pub tiers: Vec<String>,
    /// Labels that a cluster must have, such as `residency: eu`.
    #[serde(default)]
    pub require: BTreeMap<String, String>,
}

fn one() -> u32 {
    1
}
fn three() -> u32 {
    3
}
fn default_user() -> u32 {
    1000
}
fn default_deadline() -> String {
    "24h".into()
}

impl DataReference {
    /// The environment variable that holds its URL; `direction` is `INPUT` or `OUTPUT`.
    pub fn variable(&self, direction: &str) -> String {
        let name = self.name.to_uppercase().replace('-', "_");
        format!("HCB_{direction}_{name}")
    }
}

impl Data {
    /// The folder of the checkpoints, where there is one.
    pub fn checkpoint_folder(&self) -> Option<String> {
        let below =
            |output: &DataReference| format!("{}/checkpoints/", output.url.trim_end_matches('/'));
        self.checkpoints
            .clone()
            .or_else(|| self.outputs.first().map(below))
    }
}

impl Workload {
    /// Whether it reads or writes data in the object store.
    pub fn data_is_used(&self) -> bool {
        let data = &self.data;
        !data.inputs.is_empty() || !data.outputs.is_empty() || data.checkpoints.is_some()
    }
}
