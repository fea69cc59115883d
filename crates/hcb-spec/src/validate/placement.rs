//! Checks of where workloads may run.

use super::check::Check;
use crate::model::Cluster;
use crate::spec::{self, At};
use hcb_source::diag::{Diagnostic, codes, suggest};
use std::collections::BTreeMap;

/// The clusters that are left when every placement rule has had its say.
pub(super) fn placement(
    check: &mut Check<'_>,
    name: &str,
    spec: &spec::Workload,
    at: &At,
    clusters: &[Cluster],
    tiers: &[String],
) -> (Vec<usize>, bool) {
    let placement = &spec.placement;
    let at = at.key("placement");
    let mut names_are_known = true;
    for (key, names) in [("allow", &placement.allow), ("deny", &placement.deny)] {
        for (index, name) in names.iter().enumerate() {
            let cluster = check.cluster(name, clusters, &at.key(key).index(index));
            names_are_known &= cluster.is_some();
        }
    }
    for (index, tier) in placement.tiers.iter().enumerate() {
        if !tiers.contains(tier) {
            names_are_known = false;
            let diagnostic = check
                .error(
                    codes::UNKNOWN_TIER,
                    &at.key("tiers").index(index),
                    format!("there is no tier `{tier}`"),
                    "not in `spec.scheduling.tiers`",
                )
                .maybe_help(suggest(tier, tiers.iter().map(String::as_str)));
            check.push(diagnostic);
        }
    }
    check.labels(&placement.require, &at.key("require"));
    let named = |cluster: &Cluster| {
        (placement.allow.is_empty() || placement.allow.contains(&cluster.name))
            && !placement.deny.contains(&cluster.name)
            && (placement.tiers.is_empty() || placement.tiers.contains(&tiers[cluster.tier]))
    };
    let resides = |cluster: &Cluster| {
        placement
            .require
            .iter()
            .all(|(key, value)| cluster.labels.get(key) == Some(value))
    };
    let left: Vec<_> = clusters
        .iter()
        .enumerate()
        .filter(|(_, cluster)| named(cluster) && resides(cluster))
        .map(|(index, _)| index)
        .collect();
    if left.is_empty() && names_are_known && !check.spec.incomplete.clusters {
        let diagnostic = if clusters.iter().any(resides) {
            check
                .error(
                    codes::NO_CLUSTER_LEFT,
                    &at,
                    format!("`{name}` may run in no cluster"),
                    "together, these rules leave no cluster",
                )
                .help("relax one of them")
        } else {
            residency_unmet(check, name, &placement.require, &at, clusters)
        };
        check.push(diagnostic);
    }
    let restricted = left.len() < clusters.len();
    (left, restricted)
}

fn residency_unmet(
    check: &Check<'_>,
    name: &str,
    require: &BTreeMap<String, String>,
    at: &At,
    clusters: &[Cluster],
) -> Diagnostic {
    let missing = require.iter().find(|(key, value)| {
        !clusters
            .iter()
            .any(|cluster| cluster.labels.get(*key) == Some(value))
    });
    let wanted = |(key, value): (&String, &String)| format!("{key}: {value}");
    match missing {
        Some((key, value)) => {
            let values = clusters
                .iter()
                .filter_map(|cluster| cluster.labels.get(key))
                .map(String::as_str);
            let keys = clusters
                .iter()
                .flat_map(|cluster| cluster.labels.keys())
                .map(String::as_str);
            let is_known = clusters
                .iter()
                .any(|cluster| cluster.labels.contains_key(key));
            let (place, help) = if is_known {
                (at.key("require").key(key), suggest(value, values))
            } else {
                (at.key("require").name_of(key), suggest(key, keys))
            };
            check
                .error(
                    codes::RESIDENCY_UNMET,
                    &place,
                    format!("`{name}` must be where `{key}: {value}` is, and no cluster is"),
                    "no cluster has this label",
                )
                .maybe_help(help)
        }
        None => check
            .error(
                codes::RESIDENCY_UNMET,
                &at.key("require"),
                format!(
                    "no cluster has all of `{}`, which `{name}` requires",
                    require.iter().map(wanted).collect::<Vec<_>>().join("`, `")
                ),
                "each is met by some cluster, all by none",
            )
            .help("add the labels to a cluster, or require less"),
    }
}
