//! The comparison of two trees, step by step.

use crate::cause::{Cause, Causes, Compiled};
use crate::context::Context;
use crate::cost::CostChange;
use crate::pair::Action;
use crate::read::{Side, Unreadable};
use crate::report::{ClusterChange, ClusterFacts, Counts, Impact, Report};
use crate::{cloud, cost, fold, impact, pair, read};
use std::collections::{BTreeMap, BTreeSet};

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
    let context = Context {
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
    let effects = impact::effects(&context);
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
pub(crate) fn effect_keys(before: &Compiled, after: &Compiled) -> BTreeSet<String> {
    let side = |files: &Compiled| Side {
        files: files.clone(),
        ..Side::default()
    };
    let (before, after) = (side(before), side(after));
    let Ok(differing) = read::differing(&before, &after) else {
        return BTreeSet::new();
    };
    let (pairs, _) = pair::pair(differing);
    let [cloud_before, cloud_after] = cloud::read(&before, &after);
    let context = Context {
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
    let effects = impact::effects(&context);
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

fn clusters(context: &Context<'_>, impacts: &[Impact]) -> Vec<ClusterChange> {
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
