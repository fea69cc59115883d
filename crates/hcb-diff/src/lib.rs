//! What a change will really do: two trees of manifests, compared by what applying the second does
//! where the first is applied.
//!
//! [`compare`] goes through pure steps: files of other bytes ([`read`]), which object is which
//! ([`pair`]), which fields differ ([`fields`]), what that does ([`impact`]), and the same change to many
//! objects told once ([`fold`]). What comes out is a [`Report`], which [`show`] shows.

pub mod cause;
pub mod cloud;
pub mod cost;
pub mod fields;
pub mod fold;
pub mod impact;
pub mod pair;
pub mod read;
pub mod show;

pub use cause::{Cause, Causes};
pub use pair::Action;
pub use read::{Side, SpecPlace, Unreadable};

use cost::CostChange;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

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
    /// The differences, object by object, with those that are the same told once.
    pub changes: Vec<Change>,
    /// What could not be told.
    pub notes: Vec<String>,
}

/// How many objects differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Objects that come.
    pub added: usize,
    /// Objects with other fields.
    pub changed: usize,
    /// Objects that go while others take their places: Jobs with another content.
    pub replaced: usize,
    /// Objects that another unit delivers.
    pub moved: usize,
    /// Objects that go.
    pub removed: usize,
    /// Objects of which only comments or meaningless order differ.
    pub same: usize,
    /// Files that are the same, byte by byte.
    pub unchanged_files: usize,
}

/// An object that something is said of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The cluster that it is applied to; empty where the tree does not tell.
    pub cluster: String,
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
    /// The rule that says it, such as `job-replaced`.
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

/// A difference, once for all objects that it is the same for.
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
    /// Where it is, such as `spec.template.spec.containers[name=main].image`.
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

/// Compares two trees. `causes` leads files back to lines of a spec.
///
/// # Errors
///
/// A file of a tree is no YAML.
pub fn compare(before: &Side, after: &Side, causes: &Causes) -> Result<Report, Unreadable> {
    let differing = read::differing(before, after)?;
    let unchanged_files = differing.unchanged;
    let (pairs, same) = pair::pair(differing);
    let [cloud_before, cloud_after] = cloud::read(before, after);
    let context = impact::Context {
        pairs: &pairs,
        causes: pairs
            .iter()
            .map(|pair| causes_of(pair, &causes.of_files))
            .collect(),
        causes_of_effects: &causes.of_effects,
        before: cloud_before.as_ref(),
        after: cloud_after.as_ref(),
        clusters_before: cloud::clusters(before),
        clusters_after: cloud::clusters(after),
        refusals: &after.refusals,
        in_use: &before.in_use,
        jobs: &before.jobs,
    };
    let effects = impact::all(&context);
    let (changes, impacts) = fold::fold(&context, &effects);
    let count = |action| pairs.iter().filter(|pair| pair.action == action).count();
    let mut notes = Vec::new();
    let understood = [&cloud_before, &cloud_after].map(Option::is_some);
    for (side, is_understood) in [before, after].into_iter().zip(understood) {
        // Trees that are not of hcb have none, and need none.
        if !is_understood && understood.contains(&true) && !side.files.is_empty() {
            notes.push(format!(
                "{} has no configuration of the reconciler that this hcb understands: nothing is said of weights, capacity, placement and costs",
                side.name
            ));
        }
    }
    let cost = (cloud_before.is_some() || cloud_after.is_some()).then(|| CostChange {
        currency: [&cloud_after, &cloud_before]
            .into_iter()
            .flatten()
            .find_map(|cloud| Some(cloud.config.budget.as_ref()?.currency.clone())),
        before: cloud_before.as_ref().map(cost::of),
        after: cloud_after.as_ref().map(cost::of),
    });
    Ok(Report {
        api_version: "hcb.dev/v1alpha1".to_owned(),
        kind: "DiffReport".to_owned(),
        before: before.name.clone(),
        after: after.name.clone(),
        level: impacts.iter().map(|impact| impact.level).max(),
        counts: Counts {
            added: count(Action::Add),
            changed: count(Action::Change),
            replaced: count(Action::Replace),
            moved: count(Action::Move),
            removed: count(Action::Remove),
            same,
            unchanged_files,
        },
        clusters: clusters(&context, &impacts),
        impacts,
        cost,
        changes,
        notes,
    })
}

/// What the rules say of two trees, by what that is known by. A tree that cannot be read has none.
fn effect_keys(before: &cause::Compiled, after: &cause::Compiled) -> BTreeSet<String> {
    let side = |files: &cause::Compiled| Side {
        files: files.clone(),
        ..Side::default()
    };
    let (before, after) = (side(before), side(after));
    let Ok(differing) = read::differing(&before, &after) else {
        return BTreeSet::new();
    };
    let (pairs, _) = pair::pair(differing);
    let [cloud_before, cloud_after] = cloud::read(&before, &after);
    let context = impact::Context {
        causes: vec![Vec::new(); pairs.len()],
        causes_of_effects: &BTreeMap::new(),
        pairs: &pairs,
        before: cloud_before.as_ref(),
        after: cloud_after.as_ref(),
        clusters_before: cloud::clusters(&before),
        clusters_after: cloud::clusters(&after),
        refusals: &after.refusals,
        in_use: &before.in_use,
        jobs: &before.jobs,
    };
    let effects = impact::all(&context);
    effects
        .iter()
        .flat_map(|effect| effect.keys(&context))
        .collect()
}

/// What leads to a difference: the lines that were found to, else the place that asks for the object.
fn causes_of(pair: &pair::Pair, causes: &BTreeMap<String, Vec<Cause>>) -> Vec<Cause> {
    let objects = [&pair.after, &pair.before].into_iter().flatten();
    let mut found: Vec<Cause> = Vec::new();
    for cause in objects
        .clone()
        .filter_map(|object| causes.get(&object.path))
        .flatten()
    {
        if !found.contains(cause) {
            found.push(cause.clone());
        }
    }
    if found.is_empty() {
        found.extend(
            objects
                .filter_map(|object| object.origin.clone())
                .take(1)
                .map(Cause::origin),
        );
    }
    found
}

fn clusters(context: &impact::Context<'_>, impacts: &[Impact]) -> Vec<ClusterChange> {
    let facts = |cloud: Option<&cloud::Cloud>, name: &str| {
        let cloud = cloud?;
        let cluster = cloud.cluster(name)?;
        let most: u32 = cluster.pools.iter().map(|pool| pool.max).sum();
        Some(ClusterFacts {
            tier: cluster.tier.clone(),
            tier_index: cloud.config.tier(cluster),
            weight: cluster.weight,
            share: cloud.share(name).unwrap_or_default(),
            min_nodes: cluster.pools.iter().map(|pool| pool.min).sum(),
            max_nodes: cluster
                .limits
                .as_ref()
                .map_or(most, |limits| most.min(limits.nodes)),
        })
    };
    let source = [context.after, context.before]
        .into_iter()
        .flatten()
        .map(|cloud| cloud.config.clusters[cloud.config.source()].name.as_str())
        .next();
    let names: BTreeSet<&String> = context
        .clusters_before
        .iter()
        .chain(&context.clusters_after)
        .collect();
    let mut clusters: Vec<_> = names
        .into_iter()
        .map(|name| {
            let is_here = |pair: &&pair::Pair| {
                let object = pair.object();
                object.target.as_ref().unwrap_or(&object.cluster) == name
            };
            let of_impacts = impacts.iter().filter(|impact| {
                impact.objects.iter().any(|object| object.cluster == *name)
                    || impact.subject == format!("cluster {name}")
            });
            ClusterChange {
                before: facts(context.before, name),
                after: facts(context.after, name),
                is_source: source == Some(name.as_str()),
                differing: context.pairs.iter().filter(is_here).count(),
                level: of_impacts.map(|impact| impact.level).max(),
                name: name.clone(),
            }
        })
        .collect();
    let tier = |cluster: &ClusterChange| {
        let facts = cluster.after.as_ref().or(cluster.before.as_ref());
        facts.map_or(usize::MAX, |facts| facts.tier_index)
    };
    clusters.sort_by_key(tier);
    clusters
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
