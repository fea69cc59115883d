//! Checks of clusters and their pools.

use super::check::Check;
use crate::model::{Cluster, ClusterIndex, NodePool, Quantity};
use crate::spec::{self, At};
use hcb_kubernetes::names;
use hcb_kubernetes::schema::{KubernetesVersion, supported_kubernetes};
use hcb_source::diag::{codes, suggest};
use ipnet::IpNet;

/// The mesh, the scheduler and Cilium-like networks all take cluster names; the shortest limit wins.
const CLUSTER_NAME_LIMIT: usize = 32;

pub(super) fn clusters(check: &mut Check<'_>, tiers: &[String]) -> Vec<Cluster> {
    let specs = &check.spec.cloud.spec.clusters;
    let all = check.cloud().key("clusters");
    check.unique(
        "clusters",
        specs
            .iter()
            .enumerate()
            .map(|(index, cluster)| (cluster.name.as_str(), all.index(index).key("name"))),
    );
    specs
        .iter()
        .enumerate()
        .map(|(index, spec)| cluster(check, spec, tiers, index, &all.index(index)))
        .collect()
}

fn cluster(
    check: &mut Check<'_>,
    spec: &spec::Cluster,
    tiers: &[String],
    index: ClusterIndex,
    at: &At,
) -> Cluster {
    check.named(
        &spec.name,
        &at.key("name"),
        names::dns_label_of_at_most(&spec.name, CLUSTER_NAME_LIMIT),
    );
    if let Some(network) = &spec.network {
        check.name(network, &at.key("network"));
    }
    for (key, value) in [("region", &spec.region), ("zone", &spec.zone)] {
        if let Some(problem) = value.as_deref().and_then(names::label_value) {
            let diagnostic = check.error(
                codes::BAD_LABEL,
                &at.key(key),
                format!("the {key} {problem}"),
                "nodes cannot carry this as a label",
            );
            check.push(diagnostic);
        }
    }
    check.labels(&spec.labels, &at.key("labels"));
    let tier = tier(check, &spec.tier, tiers, &at.key("tier"));
    check.unique(
        "node pools of this cluster",
        spec.node_pools.iter().enumerate().map(|(index, pool)| {
            (
                pool.name.as_str(),
                at.key("nodePools").index(index).key("name"),
            )
        }),
    );
    let pools: Vec<_> = spec
        .node_pools
        .iter()
        .enumerate()
        .map(|(index, pool)| node_pool(check, pool, &at.key("nodePools").index(index)))
        .collect();
    for (index, cidr) in spec.pod_cidrs.iter().enumerate() {
        if cidr.parse::<IpNet>().is_err() {
            let diagnostic = check
                .error(
                    codes::BAD_CIDR,
                    &at.key("podCIDRs").index(index),
                    format!("`{cidr}` is not an address range"),
                    "not a CIDR",
                )
                .help("write address and prefix length, such as `10.244.0.0/16`");
            check.push(diagnostic);
        }
    }
    Cluster {
        name: spec.name.clone(),
        tier,
        weight: spec.weight,
        kubernetes: kubernetes(check, &spec.kubernetes, &at.key("kubernetes")),
        region: spec.region.clone(),
        zone: spec.zone.clone(),
        network: spec.network.clone().unwrap_or_else(|| spec.name.clone()),
        mesh_version: spec.mesh_version.clone(),
        drain: spec.drain,
        labels: spec.labels.clone(),
        api_server: spec.api.as_ref().map(|api| {
            check.https_url(&api.server, &at.path("api.server"), "an API server");
            api.server.trim_end_matches('/').to_owned()
        }),
        autoscaler: super::autoscaler::autoscaler(check, spec, &pools, index, at),
        pools,
        location: check.locate(&at.key("name")),
    }
}

fn tier(check: &mut Check<'_>, tier: &str, tiers: &[String], at: &At) -> usize {
    if let Some(index) = tiers.iter().position(|known| known == tier) {
        return index;
    }
    let diagnostic = check
        .error(
            codes::UNKNOWN_TIER,
            at,
            format!("there is no tier `{tier}`"),
            "not in `spec.scheduling.tiers`",
        )
        .maybe_help(suggest(tier, tiers.iter().map(String::as_str)));
    check.push(diagnostic);
    0
}

fn kubernetes(check: &mut Check<'_>, text: &str, at: &At) -> KubernetesVersion {
    let supported = supported_kubernetes();
    let newest = supported[supported.len() - 1];
    let short = text.trim_start_matches('v');
    let short = short
        .match_indices('.')
        .nth(1)
        .map_or(short, |(end, _)| &short[..end]);
    let diagnostic = match short.parse::<KubernetesVersion>() {
        Ok(version) if supported.contains(&version) => {
            if short == text {
                return version;
            }
            check
                .error(
                    codes::BAD_FORMAT,
                    at,
                    format!("`{text}` is not written as a Kubernetes version here"),
                    "only major and minor count",
                )
                .help(format!("write `\"{version}\"`"))
        }
        Ok(version) => {
            let known: Vec<_> = supported.iter().map(ToString::to_string).collect();
            check
                .error(
                    codes::KUBERNETES_UNKNOWN,
                    at,
                    format!("this hcb does not know Kubernetes {version}"),
                    "no schemas to check manifests with",
                )
                .help(format!("it knows {}", known.join(", ")))
        }
        Err(_) => check
            .error(
                codes::BAD_FORMAT,
                at,
                format!("`{text}` is not a Kubernetes version"),
                "not a version",
            )
            .help(format!(
                "write major and minor in quotes, such as `\"{newest}\"`"
            )),
    };
    check.push(diagnostic);
    newest
}

fn node_pool(check: &mut Check<'_>, spec: &spec::NodePool, at: &At) -> NodePool {
    check.name(&spec.name, &at.key("name"));
    check.labels(&spec.labels, &at.key("labels"));
    for (index, taint) in spec.taints.iter().enumerate() {
        let at = at.key("taints").index(index);
        let problems = [
            names::label_key(&taint.key),
            taint.value.as_deref().and_then(names::label_value),
        ];
        for problem in problems.into_iter().flatten() {
            let diagnostic = check.error(
                codes::BAD_LABEL,
                &at.key("key"),
                format!("the taint `{}` {problem}", taint.key),
                "Kubernetes refuses this taint",
            );
            check.push(diagnostic);
        }
    }
    if let Some(gpu) = &spec.gpu {
        extended_resource(check, &gpu.resource, &at.path("gpu.resource"));
    }
    let (min, max) = pool_size(check, spec, at);
    let cpu = check.quantity(&spec.cpu, &at.key("cpu"));
    let memory = check.quantity(&spec.memory, &at.key("memory"));
    for (key, quantity, text) in [("cpu", cpu, &spec.cpu), ("memory", memory, &spec.memory)] {
        if quantity.is_zero() && Quantity::parse(&text.0).is_some() {
            let diagnostic = check.error(
                codes::OUT_OF_BOUNDS,
                &at.key(key),
                format!("a node without {key} runs nothing"),
                "must be more than zero",
            );
            check.push(diagnostic);
        }
    }
    // A node of less than 16 MiB is a number whose suffix was forgotten.
    if !memory.is_zero() && memory.units() < 16 << 20 {
        let diagnostic = check
            .error(
                codes::OUT_OF_BOUNDS,
                &at.key("memory"),
                format!(
                    "a node with {} bytes of memory runs nothing",
                    memory.units()
                ),
                "in bytes",
            )
            .help(format!("did you mean `{}Gi`?", spec.memory.0));
        check.push(diagnostic);
    }
    NodePool {
        name: spec.name.clone(),
        min,
        max,
        is_scaled: spec.max.is_some() && spec.nodes.is_none(),
        cpu,
        memory,
        gpu: spec.gpu.clone(),
        instance_type: spec.instance_type.clone(),
        spot: spec.spot,
        price_per_hour: spec.price_per_hour,
        labels: spec.labels.clone(),
        taints: spec.taints.iter().map(normal_taint).collect(),
        location: check.locate(&at.key("name")),
    }
}

/// A taint whose value is empty is one without a value; not every API takes both.
fn normal_taint(taint: &spec::Taint) -> spec::Taint {
    spec::Taint {
        value: taint.value.clone().filter(|value| !value.is_empty()),
        ..taint.clone()
    }
}

/// Checks the name of a GPU resource, such as `vendor.example/gpu`. Returns whether it is valid.
pub(super) fn extended_resource(check: &mut Check<'_>, resource: &str, at: &At) -> bool {
    let problem = if resource.contains('/') {
        names::label_key(resource)
    } else {
        Some("has no vendor before a slash".to_owned())
    };
    let is_good = problem.is_none();
    if let Some(problem) = problem {
        let diagnostic = check
            .error(
                codes::BAD_NAME,
                at,
                format!("the resource `{resource}` {problem}"),
                "not an extended resource",
            )
            .help("write vendor and resource, such as `nvidia.com/gpu` or `amd.com/gpu`");
        check.push(diagnostic);
    }
    is_good
}

fn pool_size(check: &mut Check<'_>, spec: &spec::NodePool, at: &At) -> (u32, u32) {
    match (spec.nodes, spec.min, spec.max) {
        (Some(nodes), None, None) => (nodes, nodes),
        (None, min, Some(max)) => {
            let min = min.unwrap_or(0);
            if min > max {
                let diagnostic = check
                    .error(
                        codes::MIN_OVER_MAX,
                        &at.key("min"),
                        format!(
                            "the pool `{}` has at least {min} nodes but at most {max}",
                            spec.name
                        ),
                        "more than the maximum",
                    )
                    .also(check.locate(&at.key("max")), "the maximum")
                    .help("swap them, or raise `max`");
                check.push(diagnostic);
            }
            (min.min(max), max.max(min))
        }
        (Some(nodes), ..) => {
            let key = if spec.max.is_some() { "max" } else { "min" };
            let diagnostic = check
                .error(
                    codes::AUTOSCALER_LIMITS,
                    &at.key("nodes"),
                    format!(
                        "the pool `{}` has a fixed number of nodes and a range",
                        spec.name
                    ),
                    "fixed",
                )
                .also(check.locate(&at.key(key)), "scaled")
                .help("keep `nodes` for a fixed number, or `min` and `max` for an autoscaler");
            check.push(diagnostic);
            (nodes, nodes)
        }
        // The number of nodes may be what could not be read.
        (None, _, None) if check.spec.incomplete.clusters => (0, 0),
        (None, _, None) => {
            let key = if spec.min.is_some() { "min" } else { "name" };
            let diagnostic = check
                .error(
                    codes::AUTOSCALER_LIMITS,
                    &at.key(key),
                    format!("the pool `{}` does not say how many nodes it has", spec.name),
                    "how many at most?",
                )
                .help("write `nodes: 4` for a fixed number, or `min: 0` and `max: 10` for an autoscaler");
            check.push(diagnostic);
            (0, 0)
        }
    }
}

/// What two clusters must not share: pod addresses within one network.
pub(super) fn clashes(check: &mut Check<'_>, clusters: &[Cluster]) {
    let at = check.cloud().key("clusters");
    let ranges = |index: usize| -> Vec<(At, IpNet)> {
        check.spec.cloud.spec.clusters[index]
            .pod_cidrs
            .iter()
            .enumerate()
            .filter_map(|(item, text)| {
                let range = text.parse().ok()?;
                Some((at.index(index).key("podCIDRs").index(item), range))
            })
            .collect()
    };
    let mut found = Vec::new();
    for (first, one) in clusters.iter().enumerate() {
        for (second, other) in clusters.iter().enumerate().skip(first + 1) {
            // Clusters with the same name already have a finding.
            if one.network != other.network || one.name == other.name {
                continue;
            }
            let (ours, theirs) = (ranges(first), ranges(second));
            for (our_at, ours) in &ours {
                for (their_at, theirs) in &theirs {
                    if ours.contains(theirs) || theirs.contains(ours) {
                        found.push(
                            check
                                .error(
                                    codes::CLUSTERS_CLASH,
                                    their_at,
                                    format!(
                                        "`{}` and `{}` share the network `{}` and pod addresses",
                                        one.name, other.name, one.network
                                    ),
                                    format!("overlaps with {ours}"),
                                )
                                .also(check.locate(our_at), "the other range")
                                .help("give the clusters different ranges, or different networks"),
                        );
                    }
                }
            }
            for (index, missing) in [(first, ours.is_empty()), (second, theirs.is_empty())] {
                if missing && !check.spec.incomplete.clusters {
                    found.push(
                        check
                            .error(
                                codes::CLUSTERS_CLASH,
                                &at.index(index).key("network"),
                                format!("`{}` shares a network with another cluster and does not say its pod addresses", clusters[index].name),
                                "`podCIDRs` is missing",
                            )
                            .help("pods of one network reach each other directly, so their addresses must differ: add `podCIDRs` to both clusters, or give each a network of its own"),
                    );
                }
            }
        }
    }
    for diagnostic in found {
        check.push(diagnostic);
    }
}

/// Others reach every cluster but a lone source cluster: the mesh, the scheduler, the hub.
pub(super) fn apis(check: &mut Check<'_>, clusters: &[Cluster], source: ClusterIndex) {
    if clusters.len() < 2 {
        return;
    }
    let mesh = check.spec.cloud.spec.mesh.engine.rules().is_some();
    for (index, cluster) in clusters.iter().enumerate() {
        let needed = index != source || mesh;
        if cluster.api_server.is_none() && needed && !check.spec.incomplete.clusters {
            let who = if index == source {
                "the mesh of the other clusters watches its services"
            } else {
                "the scheduler, the reconciler and the mesh reach it"
            };
            let diagnostic = check
                .error(
                    codes::API_UNKNOWN,
                    &check.cloud().key("clusters").index(index).key("name"),
                    format!("the cluster `{}` does not say where its API server is", cluster.name),
                    "`api.server` is missing",
                )
                .note(who)
                .help("add `api: {server: https://HOST:PORT}` with an address that the other clusters can reach");
            check.push(diagnostic);
        }
    }
}
