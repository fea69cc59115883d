//! Checks of tiers, scheduling, budget and secrets.

use super::check::Check;
use crate::model::{Cluster, ClusterIndex, Scheduling, Secrets};
use hcb_kubernetes::{image, names};
use hcb_source::diag::{Diagnostic, codes};

use std::collections::BTreeSet;

pub(super) fn tiers(check: &mut Check<'_>) -> Vec<String> {
    let tiers = &check.spec.cloud.spec.scheduling.tiers;
    let at = check.cloud().path("scheduling.tiers");
    for (index, tier) in tiers.iter().enumerate() {
        check.name(tier, &at.index(index));
    }
    check.unique(
        "tiers",
        tiers
            .iter()
            .enumerate()
            .map(|(index, tier)| (tier.as_str(), at.index(index))),
    );
    tiers.clone()
}

pub(super) fn source(check: &mut Check<'_>, clusters: &[Cluster]) -> ClusterIndex {
    let first = clusters
        .iter()
        .enumerate()
        .min_by_key(|(_, cluster)| cluster.tier)
        .map_or(0, |(index, _)| index);
    let at = check.cloud().path("scheduling.source");
    match check.spec.cloud.spec.scheduling.source.clone() {
        Some(name) => check.cluster(&name, clusters, &at).unwrap_or(first),
        None => first,
    }
}

pub(super) fn secrets(check: &mut Check<'_>) -> Secrets {
    let spec = &check.spec.cloud.spec.secrets;
    let at = check.cloud().key("secrets");
    check.named(
        &spec.store,
        &at.key("store"),
        names::dns_subdomain(&spec.store),
    );
    let prefix = spec
        .prefix
        .clone()
        .unwrap_or_else(|| check.spec.cloud.metadata.name.clone());
    let prefix = prefix.trim_matches('/').to_owned();
    if spec.prefix.is_some() {
        check.store_key(&prefix, &at.key("prefix"));
    }
    Secrets {
        store: spec.store.clone(),
        prefix,
        separator: spec.separator,
        refresh_interval: check.duration(&spec.refresh_interval, &at.key("refreshInterval")),
        exchange: spec.exchange,
        location: check.locate(&at),
    }
}

pub(super) fn scheduling(
    check: &mut Check<'_>,
    clusters: &[Cluster],
    tiers: &[String],
) -> Scheduling {
    let spec = &check.spec.cloud.spec.scheduling;
    let at = check.cloud().key("scheduling");
    for (name, value) in &spec.priorities {
        let place = at.key("priorities").key(name);
        check.name(name, &at.key("priorities").name_of(name));
        // Kubernetes keeps what is above for itself.
        if *value > 1_000_000_000 {
            let diagnostic = check.error(
                codes::OUT_OF_BOUNDS,
                &place,
                format!("the priority `{name}` is {value}"),
                "at most 1000000000 is allowed",
            );
            check.push(diagnostic);
        }
    }
    bursting(check, clusters, tiers);
    budget(check, clusters);
    super::versions::scheduling(check);
    if let Some(problem) = image::problem(&spec.reconciler.image) {
        let diagnostic = check.error(
            codes::BAD_IMAGE,
            &at.path("reconciler.image"),
            format!("the image `{}` {problem}", spec.reconciler.image),
            "not an image reference",
        );
        check.push(diagnostic);
    }
    Scheduling {
        engine: spec.engine,
        version: spec.version.clone(),
        burst_after: check.duration(&spec.burst.after, &at.path("burst.after")),
        fall_back_after: check.duration(&spec.fall_back.after, &at.path("fallBack.after")),
        when_reconciler_down: spec.when_reconciler_down,
        budget: spec.budget.clone(),
        weights: spec.weights.clone(),
        priorities: spec.priorities.clone(),
        reconciler: spec.reconciler.clone(),
        location: check.locate(&at),
    }
}

/// Tiers must have clusters, and weights must leave somewhere to go.
fn bursting(check: &mut Check<'_>, clusters: &[Cluster], tiers: &[String]) {
    let specs = &check.spec.cloud.spec.clusters;
    if clusters.iter().all(|cluster| cluster.drain) && !check.spec.incomplete.clusters {
        let at = check.cloud().key("clusters");
        let diagnostic = check
            .error(
                codes::NO_CLUSTER_LEFT,
                &at.index(0).key("drain"),
                "no cluster takes jobs: every one is drained",
                "the first of them",
            )
            .help("drain one after another, and leave one that jobs can go to");
        check.push(diagnostic);
    }
    // An unknown tier already has a finding, and nobody knows where its cluster belongs.
    if check.spec.incomplete.clusters || specs.iter().any(|cluster| !tiers.contains(&cluster.tier))
    {
        return;
    }
    let at = check.cloud().key("clusters");
    let used: BTreeSet<usize> = clusters.iter().map(|cluster| cluster.tier).collect();
    if used.len() < 2 {
        let only = clusters.first().map_or(0, |cluster| cluster.tier);
        let message = match only {
            0 => "no cluster to burst to: every cluster is in the first tier".to_owned(),
            _ => format!(
                "no cluster to fill first: every cluster is in the tier `{}`",
                tiers[only]
            ),
        };
        let diagnostic = check
            .error(codes::NO_BURST_TIER, &at, message, "all in one tier")
            .help(format!(
                "give a cluster `tier: {}`",
                tiers
                    .get(usize::from(only == 0))
                    .or(tiers.first())
                    .map_or("public", String::as_str)
            ));
        check.push(diagnostic);
        return;
    }
    for (tier, name) in tiers.iter().enumerate() {
        empty_tier(check, clusters, tier, name);
        let members: Vec<_> = clusters
            .iter()
            .enumerate()
            .filter(|(_, c)| c.tier == tier)
            .collect();
        if !members.is_empty() && members.iter().all(|(_, cluster)| cluster.weight == 0) {
            let diagnostic = check
                .error(
                    codes::BAD_WEIGHTS,
                    &at.index(members[0].0).key("weight"),
                    format!("no cluster of the tier `{name}` has a weight, so none of its clusters would get a job"),
                    "zero",
                )
                .help("give at least one of them a weight over 0; to take a cluster out, use 0 for it alone");
            check.push(diagnostic);
        }
        if let [(index, cluster)] = members.as_slice()
            && check.spec.cloud.spec.clusters[*index].weight != 100
            && cluster.weight != 0
        {
            check.no_effect(
                &at.index(*index).key("weight"),
                &format!(
                    "`{}` is alone in its tier, so it gets all of it",
                    cluster.name
                ),
            );
        }
    }
}

/// A tier without nodes is either never filled or opened for nothing.
fn empty_tier(check: &mut Check<'_>, clusters: &[Cluster], tier: usize, name: &str) {
    let mut pools = clusters
        .iter()
        .filter(|cluster| cluster.tier == tier)
        .flat_map(|cluster| &cluster.pools)
        .peekable();
    let Some(first) = pools.peek().map(|pool| pool.location) else {
        return;
    };
    if pools.all(|pool| pool.max == 0) {
        let diagnostic = Diagnostic::error(
            codes::AUTOSCALER_LIMITS,
            format!("the tier `{name}` has no nodes, and can have none"),
        )
        .at(first, "at most 0 nodes")
        .help("give a pool of the tier nodes; to take a cluster out, use `weight: 0`");
        check.push(diagnostic);
    }
}

fn budget(check: &mut Check<'_>, clusters: &[Cluster]) {
    let Some(budget) = &check.spec.cloud.spec.scheduling.budget else {
        return;
    };
    let at = check.cloud().path("scheduling.budget");
    let currency = &budget.currency;
    if currency.len() != 3 || !currency.chars().all(|c| c.is_ascii_uppercase()) {
        let diagnostic = check
            .error(
                codes::BUDGET,
                &at.key("currency"),
                format!("`{currency}` is not a currency"),
                "three upper-case letters, by ISO 4217",
            )
            .maybe_help(
                (currency.len() == 3)
                    .then(|| format!("did you mean `{}`?", currency.to_uppercase())),
            );
        check.push(diagnostic);
    }
    if budget.per_hour.is_none() && budget.per_month.is_none() {
        check.no_effect(&at, "it says neither `perHour` nor `perMonth`");
        return;
    }
    for cluster in clusters.iter().filter(|cluster| cluster.is_gated()) {
        for pool in cluster
            .pools
            .iter()
            .filter(|pool| pool.price_per_hour.is_none())
        {
            let diagnostic = Diagnostic::error(
                codes::BUDGET,
                format!(
                    "the budget cannot count nodes of `{}` in `{}`: they have no price",
                    pool.name, cluster.name
                ),
            )
            .at(pool.location, "`pricePerHour` is missing")
            .also(check.locate(&at), "the budget")
            .help("add `pricePerHour`, 0 for nodes that cost nothing more");
            check.push(diagnostic);
        }
    }
    let cheapest = clusters
        .iter()
        .filter(|cluster| cluster.is_gated())
        .flat_map(|cluster| &cluster.pools)
        .filter_map(|pool| pool.price_per_hour)
        .filter(|price| *price > 0.0)
        .min_by(f64::total_cmp);
    if let (Some(budget), Some(cheapest)) = (budget.per_hour, cheapest)
        && budget < cheapest
    {
        let diagnostic = check
            .error(
                codes::BUDGET,
                &at.key("perHour"),
                format!(
                    "the budget pays for no node: the cheapest costs {cheapest} {currency} an hour"
                ),
                "less than one node",
            )
            .help("raise it, or remove the burst tiers if nothing may burst");
        check.push(diagnostic);
    }
}
