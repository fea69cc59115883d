//! What rules look at, and what they say.

use crate::cause::Cause;
use crate::cloud::Cloud;
use crate::kinds;
use crate::pair::Pair;
use crate::pods::pod_template;
use crate::read::Area;
use crate::report::Level;
use hcb_api::config::Cluster;
use hcb_api::names::RECONCILER;
use hcb_kubernetes::GroupKind;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What rules look at.
#[derive(Debug)]
pub(crate) struct Context<'a> {
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
pub(crate) struct Effect {
    /// The rule.
    pub rule: &'static str,
    /// How much care it needs.
    pub level: Level,
    /// What it is about, where that is not the objects.
    pub subject: Option<String>,
    /// What happens; the same for all objects that it is folded over.
    pub text: String,
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
    pub(crate) check: fn(&Context<'_>, &mut Effects),
}

/// What the rules say so far.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    rule: &'static str,
    found: Vec<Effect>,
}

impl Effects {
    /// What comes from here on is said by this rule.
    pub(crate) fn begin(&mut self, rule: &'static str) {
        self.rule = rule;
    }

    /// What was said, in its order.
    pub(crate) fn into_found(self) -> Vec<Effect> {
        self.found
    }

    /// Says something of a pair.
    pub(crate) fn of_pair(
        &mut self,
        pair: usize,
        level: Level,
        effect: impl Into<String>,
    ) -> &mut Effect {
        self.push(level, None, effect.into(), vec![pair])
    }

    /// Says something of something else than an object.
    pub(crate) fn of(
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
            text: effect,
            details: Vec::new(),
            pairs,
        });
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// The pairs that something was said of.
    pub(crate) fn mentioned(&self) -> BTreeSet<usize> {
        let pairs = self.found.iter().flat_map(|effect| &effect.pairs);
        pairs.copied().collect()
    }
}

impl Effect {
    /// What the effect is known by in two comparisons: the rule, and the thing or the objects.
    pub(crate) fn keys(&self, context: &Context<'_>) -> Vec<String> {
        if let Some(subject) = &self.subject {
            return vec![format!("{} {subject}", self.rule)];
        }
        let of = |pair: &usize| {
            let object = context.pairs[*pair].object();
            format!(
                "{} {} {} {} {} {}",
                self.rule,
                object.cluster,
                object.group_kind(),
                object.namespace(),
                object.known_as(),
                self.text
            )
        };
        self.pairs.iter().map(of).collect()
    }

    /// Adds a sentence.
    pub(crate) fn detail(&mut self, detail: impl Into<String>) -> &mut Self {
        self.details.push(detail.into());
        self
    }
}

impl<'a> Context<'a> {
    /// The pairs of some kinds, with their indexes.
    pub(crate) fn of_kinds<'b>(
        &'b self,
        kinds: &'b [GroupKind<'_>],
    ) -> impl Iterator<Item = (usize, &'a Pair)> + 'b {
        self.pairs
            .iter()
            .enumerate()
            .filter(move |(_, pair)| kinds.contains(&pair.object().group_kind()))
    }

    /// The pairs of some kinds in clusters that are there before and after: what comes or goes with its
    /// cluster is reported with that. What is only submitted is not among them: no cluster has it.
    pub(crate) fn of_kinds_that_stay<'b>(
        &'b self,
        kinds: &'b [GroupKind<'_>],
    ) -> impl Iterator<Item = (usize, &'a Pair)> + 'b {
        self.of_kinds(kinds).filter(|(_, pair)| {
            let cluster = &pair.object().cluster;
            !self.is_gone(cluster) && !self.is_new(cluster) && pair.object().area != Area::Submit
        })
    }

    /// What has a template of pods before and after: its index, the template as keys, and both objects.
    pub(crate) fn pod_templates(
        &self,
    ) -> impl Iterator<Item = (usize, &'static [&'static str], &'a Value, &'a Value)> {
        self.pairs.iter().enumerate().filter_map(|(index, pair)| {
            let template = pod_template(pair.object().group_kind())?;
            let (before, after) = pair.both()?;
            Some((index, template, &before.value, &after.value))
        })
    }

    /// The clusters that are there before and after, where both trees tell.
    pub(crate) fn kept_clusters(&self) -> impl Iterator<Item = (&'a Cluster, &'a Cluster)> {
        let clouds = self.clouds();
        clouds.into_iter().flat_map(|(before, after)| {
            let clusters = after.config.clusters.iter();
            clusters.filter_map(|cluster| Some((before.cluster(&cluster.name)?, cluster)))
        })
    }

    /// Whether a cluster is no longer in the tree as a whole.
    pub(crate) fn is_gone(&self, cluster: &str) -> bool {
        self.clusters_before.contains(cluster) && !self.clusters_after.contains(cluster)
    }

    /// Whether a cluster is new in a tree that had others.
    pub(crate) fn is_new(&self, cluster: &str) -> bool {
        !self.clusters_before.is_empty()
            && !self.clusters_before.contains(cluster)
            && self.clusters_after.contains(cluster)
    }

    /// The indexes of the pairs that a rule on the cloud as a whole is about: the reconciler's
    /// configuration.
    pub(crate) fn config(&self) -> Vec<usize> {
        self.of_kinds(&[kinds::CONFIG_MAP])
            .filter(|(_, pair)| pair.object().name() == RECONCILER)
            .map(|(index, _)| index)
            .collect()
    }

    /// Both clouds, where both trees tell.
    pub(crate) fn clouds(&self) -> Option<(&'a Cloud, &'a Cloud)> {
        Some((self.before?, self.after?))
    }
}
