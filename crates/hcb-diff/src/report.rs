//! What a comparison says: impacts, changes, clusters and costs.

use crate::cause::Cause;
use crate::cost::CostChange;
use crate::pair::Action;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// How much care a change needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good to know.
    Note,
    /// Something that runs is interrupted, or something gets other bounds.
    Caution,
    /// Something is lost, refused or opened.
    Danger,
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Caution => "caution",
            Self::Danger => "danger",
        }
    }
}

/// What differs between two trees, and what applying the second does.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this format: `hcb.dev/v1alpha1`.
    pub api_version: String,
    /// What this is: `DiffReport`.
    pub kind: String,
    /// What the tree before is.
    pub before: String,
    /// What the tree after is.
    pub after: String,
    /// The highest level of an impact; none where there is no impact.
    pub level: Option<Level>,
    /// How many objects differ.
    pub counts: Counts,
    /// What the changes do, the most dangerous first.
    pub impacts: Vec<Impact>,
    /// What the clusters cost a month, where a tree says what they consist of.
    pub cost: Option<CostChange>,
    /// The clusters, by tier.
    pub clusters: Vec<ClusterChange>,
    /// The differences, object by object; equal differences are listed once.
    pub changes: Vec<Change>,
    /// What the comparison could not find out.
    pub notes: Vec<String>,
}

/// How many objects differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Objects that are added.
    pub added: usize,
    /// Objects with other fields.
    pub changed: usize,
    /// Objects that another one replaces: Jobs whose content changed, and with it their names.
    pub replaced: usize,
    /// Objects that another unit delivers.
    pub moved: usize,
    /// Objects that are removed.
    pub removed: usize,
    /// Objects in which only comments or an order without meaning differ.
    pub same: usize,
    /// Files that are the same, byte by byte.
    pub unchanged_files: usize,
}

/// An object that a report is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The cluster that it is applied to; empty where the tree does not tell.
    pub cluster: String,
    /// The API group of its kind; empty for the core.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for what has none.
    pub namespace: String,
    /// Its name; for a Job of a workload, the name of the workload.
    pub name: String,
    /// The file in the tree.
    pub path: String,
}

/// What changes do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// The rule that found it, such as `job-replaced`.
    pub rule: String,
    /// How much care it needs.
    pub level: Level,
    /// What it is about, for people.
    pub subject: String,
    /// What happens.
    pub effect: String,
    /// More about it, one sentence each.
    pub details: Vec<String>,
    /// The objects.
    pub objects: Vec<ObjectRef>,
    /// What in the spec leads to it.
    pub causes: Vec<Cause>,
    /// Indexes in `changes`.
    pub changes: Vec<usize>,
}

/// A difference, listed once for all objects that have it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What happens to the objects.
    pub action: Action,
    /// The highest level of an impact that it has.
    pub level: Option<Level>,
    /// What it is about, for people.
    pub subject: String,
    /// The objects.
    pub objects: Vec<ObjectRef>,
    /// The fields that differ. In values that differ by the name of the cluster or the object alone,
    /// `{cluster}`, `{target}` and `{name}` stand for those.
    pub fields: Vec<Field>,
    /// What in the spec leads to it.
    pub causes: Vec<Cause>,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Its path, such as `spec.template.spec.containers[name=main].image`.
    pub path: String,
    /// What it was; left out where it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is; left out where it is no longer there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// A cluster before and after.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterChange {
    /// Its name.
    pub name: String,
    /// Before; none where it is new, or the tree does not tell.
    pub before: Option<ClusterFacts>,
    /// After; none where it is removed, or the tree does not tell.
    pub after: Option<ClusterFacts>,
    /// Whether jobs are created here.
    pub is_source: bool,
    /// How many of its objects differ.
    pub differing: usize,
    /// The highest level of an impact on it.
    pub level: Option<Level>,
}

/// What a tree says of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFacts {
    /// Its tier.
    pub tier: String,
    /// The place of the tier in the order in which tiers are filled, from zero.
    pub tier_index: usize,
    /// Its weight.
    pub weight: u32,
    /// Its share of the weights in its tier, in percent.
    pub share: f64,
    /// The fewest nodes.
    pub min_nodes: u32,
    /// The most nodes.
    pub max_nodes: u32,
}

impl Report {
    /// Whether nothing differs that anybody would have to look at.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.impacts.is_empty()
    }

    /// How many impacts have this level.
    pub fn count(&self, level: Level) -> usize {
        let impacts = self.impacts.iter();
        impacts.filter(|impact| impact.level == level).count()
    }

    /// The JSON Schema of a report.
    pub fn schema() -> Value {
        schemars::generate::SchemaSettings::draft2020_12()
            .for_serialize()
            .into_generator()
            .into_root_schema_for::<Report>()
            .into()
    }
}
