//! Policies: what is done about them, and what is excepted from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is done about policies. Without it, all built-in policies are in force, each with the action
/// that `hcb policy list` shows, and those in `policies/` beside the spec.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policies {
    /// The folder of the team's own policies, relative to that of the spec. Default: `policies`,
    /// where there is one.
    #[serde(default)]
    pub folder: Option<String>,
    /// What is done about single policies, by their names.
    #[serde(default)]
    pub settings: BTreeMap<String, PolicySettings>,
    /// What policies are not enforced on, why, and until when.
    #[serde(default)]
    pub exceptions: Vec<PolicyException>,
}

/// What is done about one policy. The setting of a cluster is stronger than that of its tier, which
/// is stronger than `action`.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySettings {
    /// What is done where it is broken. Default: what the policy says itself.
    #[serde(default)]
    pub action: Option<PolicyAction>,
    /// The action in the clusters of a tier, by the name of the tier.
    #[serde(default)]
    pub tiers: BTreeMap<String, PolicyAction>,
    /// The action in a cluster, by its name.
    #[serde(default)]
    pub clusters: BTreeMap<String, PolicyAction>,
    /// Parameters of the policy, in place of those it comes with.
    #[serde(default)]
    pub params: BTreeMap<String, PolicyParam>,
}

/// What is done where a policy is broken.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PolicyAction {
    /// Nothing: the policy is not there.
    Off,
    /// It is noted in the audit log of the API server; hcb says nothing.
    Audit,
    /// Who asks for it is warned, by hcb and by the API server.
    Warn,
    /// It is refused, by hcb and by the API server.
    Deny,
}

/// A parameter of a policy: a text, a number, or a list of texts.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum PolicyParam {
    /// A text, such as `500m`.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// Several texts.
    List(Vec<String>),
}

/// What a policy is not enforced on. Name a `workload`, a `manifest`, or for a policy about clusters
/// only `clusters`.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyException {
    /// The name of the policy.
    pub policy: String,
    /// A workload of this spec: its job, and the pods of it in every cluster.
    #[serde(default)]
    pub workload: Option<ExceptedWorkload>,
    /// A single object.
    #[serde(default)]
    pub manifest: Option<ExceptedManifest>,
    /// The clusters that the exception holds in. Default: all.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// Why, for those who read it later.
    #[schemars(length(min = 1))]
    pub reason: String,
    /// The last day that the exception holds, such as `2027-03-31`. After it the spec is refused.
    pub expires: String,
}

/// A workload that is excepted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExceptedWorkload {
    /// Its name.
    pub name: String,
    /// Its namespace. Default: `ml`.
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

/// An object that is excepted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExceptedManifest {
    /// Its kind, such as `Role`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace, where it has one.
    #[serde(default)]
    pub namespace: Option<String>,
}

impl JsonSchema for PolicyParam {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PolicyParam".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number", "array"],
            "items": { "type": "string" },
            "description": "A parameter of a policy: a text, a number, or a list of texts.",
        })
    }
}

impl PolicyParam {
    /// The parameter as a `ConfigMap` holds it: lists have a line for each of their texts.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::List(texts) => texts.join("\n"),
        }
    }
}

fn default_namespace() -> String {
    "ml".into()
}

impl PolicyAction {
    /// As it is written in a spec.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Audit => "audit",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}
