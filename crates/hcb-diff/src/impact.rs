//! What a difference does when it is applied.
//!
//! One rule is one file below, one line of [`RULES`], and one folder of `tests/diff/`.

mod admission;
mod authorization;
mod budget;
mod capacity;
mod chart;
mod clusters;
mod cost;
mod delivery;
mod drain;
mod exposure;
mod gates;
mod image;
mod immutable;
mod job;
mod moved;
mod mutual_tls;
mod namespace;
mod node_pool;
mod placement;
mod pruned;
mod quota;
mod rbac;
mod refused;
mod replicas;
mod resources;
mod restart;
mod schedule;
mod secret;
mod security_context;
mod submitted;
mod trust;
mod weights;

use super::cause::Cause;
use super::cloud::Cloud;
use super::pair::Pair;
use super::read::Area;
use super::{Action, Level};
use hcb_api::config::Cluster;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What rules look at.
#[derive(Debug)]
pub struct Context<'a> {
    /// The objects that differ.
    pub pairs: &'a [Pair],
    /// What in the spec leads to each.
    pub causes: Vec<Vec<Cause>>,
    /// What in the spec leads to an effect, by [`Effect::keys`], where that is known.
    pub causes_of_effects: &'a BTreeMap<String, Vec<Cause>>,
    /// The clusters and workloads before.
    pub before: Option<&'a Cloud>,
    /// The clusters and workloads after.
    pub after: Option<&'a Cloud>,
    /// The clusters that had a folder.
    pub clusters_before: BTreeSet<String>,
    /// The clusters that have a folder.
    pub clusters_after: BTreeSet<String>,
    /// Why an API server refuses an object, by its file.
    pub refusals: &'a BTreeMap<String, String>,
    /// The nodes that are there, by `CLUSTER/POOL`.
    pub in_use: &'a BTreeMap<String, u32>,
    /// Whether Jobs still run, by their files before.
    pub jobs: &'a BTreeMap<String, bool>,
}

/// What a rule says.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The rule.
    pub rule: &'static str,
    /// How much care it needs.
    pub level: Level,
    /// What it is about, where that is not the objects.
    pub subject: Option<String>,
    /// What happens; the same for all objects that it is folded over.
    pub effect: String,
    /// More about it.
    pub details: Vec<String>,
    /// Indexes of the pairs.
    pub pairs: Vec<usize>,
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it finds, in a sentence.
    pub about: &'static str,
    /// Looks for it.
    pub check: fn(&Context<'_>, &mut Effects),
}

/// All rules, in the order in which they are told within a level.
pub const RULES: &[Rule] = &[
    clusters::RULE,
    namespace::RULE,
    refused::RULE,
    delivery::RULE,
    immutable::RULE,
    job::RULE,
    submitted::RULE,
    placement::RULE,
    gates::RULE,
    drain::RULE,
    weights::RULE,
    node_pool::RULE,
    capacity::RULE,
    quota::RULE,
    budget::RULE,
    cost::RULE,
    mutual_tls::RULE,
    trust::RULE,
    authorization::RULE,
    rbac::RULE,
    admission::RULE,
    security_context::RULE,
    secret::RULE,
    exposure::RULE,
    chart::RULE,
    image::RULE,
    restart::RULE,
    replicas::RULE,
    resources::RULE,
    schedule::RULE,
    moved::RULE,
    pruned::RULE,
];

/// What the rules say so far.
#[derive(Debug, Default)]
pub struct Effects {
    rule: &'static str,
    found: Vec<Effect>,
}

impl Effects {
    /// Says something of a pair.
    pub fn of_pair(&mut self, pair: usize, level: Level, effect: impl Into<String>) -> &mut Effect {
        self.push(level, None, effect.into(), vec![pair])
    }

    /// Says something of something else than an object.
    pub fn of(
        &mut self,
        subject: impl Into<String>,
        level: Level,
        effect: impl Into<String>,
        pairs: Vec<usize>,
    ) -> &mut Effect {
        self.push(level, Some(subject.into()), effect.into(), pairs)
    }

    fn push(
        &mut self,
        level: Level,
        subject: Option<String>,
        effect: String,
        pairs: Vec<usize>,
    ) -> &mut Effect {
        self.found.push(Effect {
            rule: self.rule,
            level,
            subject,
            effect,
            details: Vec::new(),
            pairs,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// The pairs that something was said of.
    pub fn mentioned(&self) -> BTreeSet<usize> {
        let pairs = self.found.iter().flat_map(|effect| &effect.pairs);
        pairs.copied().collect()
    }
}

impl Effect {
    /// What the effect is known by in two comparisons: the rule, and the thing or the objects.
    pub fn keys(&self, context: &Context<'_>) -> Vec<String> {
        if let Some(subject) = &self.subject {
            return vec![format!("{} {subject}", self.rule)];
        }
        let of = |pair: &usize| {
            let object = context.pairs[*pair].object();
            format!(
                "{} {} {} {} {} {}",
                self.rule,
                object.cluster,
                object.kind(),
                object.namespace(),
                object.known_as(),
                self.effect
            )
        };
        self.pairs.iter().map(of).collect()
    }

    /// Adds a sentence.
    pub fn detail(&mut self, detail: impl Into<String>) -> &mut Self {
        self.details.push(detail.into());
        self
    }
}

/// What all rules say.
pub fn all(context: &Context<'_>) -> Vec<Effect> {
    let mut effects = Effects::default();
    for rule in RULES {
        effects.rule = rule.id;
        (rule.check)(context, &mut effects);
    }
    effects.found
}

impl<'a> Context<'a> {
    /// The pairs of some kinds, with their indexes.
    pub fn of_kinds<'b>(
        &'b self,
        kinds: &'b [&str],
    ) -> impl Iterator<Item = (usize, &'a Pair)> + 'b {
        self.pairs
            .iter()
            .enumerate()
            .filter(move |(_, pair)| kinds.contains(&pair.object().kind()))
    }

    /// The pairs of some kinds in clusters that are there before and after: what comes or goes with its
    /// cluster is told with that. What is only submitted is not among them: no cluster has it.
    pub fn of_kinds_that_stay<'b>(
        &'b self,
        kinds: &'b [&str],
    ) -> impl Iterator<Item = (usize, &'a Pair)> + 'b {
        self.of_kinds(kinds).filter(|(_, pair)| {
            let cluster = &pair.object().cluster;
            !self.is_gone(cluster) && !self.is_new(cluster) && pair.object().area != Area::Submit
        })
    }

    /// What has a template of pods before and after: its index, the template as keys, and both objects.
    pub fn pod_templates(
        &self,
    ) -> impl Iterator<Item = (usize, &'static [&'static str], &'a Value, &'a Value)> {
        self.pairs.iter().enumerate().filter_map(|(index, pair)| {
            let template = pod_template(pair.object().kind())?;
            let (before, after) = pair.both()?;
            Some((index, template, &before.value, &after.value))
        })
    }

    /// The clusters that are there before and after, where both trees tell.
    pub fn kept_clusters(&self) -> impl Iterator<Item = (&'a Cluster, &'a Cluster)> {
        let clouds = self.clouds();
        clouds.into_iter().flat_map(|(before, after)| {
            let clusters = after.config.clusters.iter();
            clusters.filter_map(|cluster| Some((before.cluster(&cluster.name)?, cluster)))
        })
    }

    /// Whether a cluster is no longer in the tree as a whole.
    pub fn is_gone(&self, cluster: &str) -> bool {
        self.clusters_before.contains(cluster) && !self.clusters_after.contains(cluster)
    }

    /// Whether a cluster is new in a tree that had others.
    pub fn is_new(&self, cluster: &str) -> bool {
        !self.clusters_before.is_empty()
            && !self.clusters_before.contains(cluster)
            && self.clusters_after.contains(cluster)
    }

    /// The indexes of the pairs that a rule on the cloud as a whole is about: the reconciler's
    /// configuration.
    pub fn config(&self) -> Vec<usize> {
        self.of_kinds(&["ConfigMap"])
            .filter(|(_, pair)| pair.object().name() == hcb_api::names::RECONCILER)
            .map(|(index, _)| index)
            .collect()
    }

    /// Both clouds, where both trees tell.
    pub fn clouds(&self) -> Option<(&'a Cloud, &'a Cloud)> {
        Some((self.before?, self.after?))
    }
}

/// The template of the pods of a workload of Kubernetes, as keys.
fn pod_template(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" => {
            Some(&["spec", "template"])
        }
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template"]),
        _ => None,
    }
}

/// Every container of a pod template, with its name.
fn containers(object: &Value, template: &[&str]) -> Vec<(String, Value)> {
    let pod = template
        .iter()
        .try_fold(object, |value, key| value.get(key))
        .and_then(|template| template.get("spec"));
    let lists = ["initContainers", "containers"];
    lists
        .iter()
        .filter_map(|list| pod?.get(list)?.as_array())
        .flatten()
        .map(|container| {
            let name = container["name"].as_str().unwrap_or_default();
            (name.to_owned(), container.clone())
        })
        .collect()
}

/// The values of the chart that an Application or a `HelmRelease` installs.
fn chart_values(object: &Value) -> Option<&Value> {
    ["/spec/source/helm/valuesObject", "/spec/values"]
        .iter()
        .find_map(|pointer| object.pointer(pointer))
}

/// Whether a pair is there before and after as one object.
fn stays(pair: &Pair) -> bool {
    matches!(pair.action, Action::Change | Action::Move)
}
