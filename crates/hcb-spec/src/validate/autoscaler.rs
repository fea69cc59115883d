//! Checks of autoscalers.

use super::check::Check;
use crate::model::{Autoscaler, Cluster, ClusterIndex, NodePool, Provider, Quantity};
use crate::provider::ManagementDefault;
use crate::spec::{self, At, AutoscalerProvider};
use hcb_source::diag::{Diagnostic, codes};

pub(super) fn autoscaler(
    check: &mut Check<'_>,
    cluster: &spec::Cluster,
    pools: &[NodePool],
    index: ClusterIndex,
    at: &At,
) -> Option<Autoscaler> {
    let scaled: Vec<_> = pools.iter().filter(|pool| pool.is_scaled).collect();
    let at = at.key("autoscaler");
    let Some(spec) = &cluster.autoscaler else {
        if let Some(pool) = scaled.first() {
            let diagnostic = Diagnostic::error(
                codes::AUTOSCALER_SETTINGS,
                format!(
                    "the pool `{}` is scaled, but the cluster `{}` has no autoscaler",
                    pool.name, cluster.name
                ),
            )
            .at(pool.location, "has `min` and `max`")
            .help(
                "add `autoscaler: {provider: ...}` to the cluster, or give the pool fixed `nodes`",
            );
            check.push(diagnostic);
        }
        return None;
    };
    if scaled.is_empty() && !check.spec.incomplete.clusters {
        check.no_effect(&at, "no pool of the cluster has `min` and `max`");
    }
    provider_pools(check, spec.provider, &scaled);
    let sum = |of: &dyn Fn(&NodePool) -> Quantity| {
        pools
            .iter()
            .map(|pool| of(pool).times(pool.max))
            .fold(Quantity::default(), std::ops::Add::add)
    };
    let gpus = |pool: &NodePool| pool.gpu.as_ref().map_or(0, |gpu| gpu.count);
    let limits_at = at.key("limits");
    let limits = &spec.limits;
    let whole = Limits {
        nodes: pools.iter().map(|pool| pool.max).sum(),
        cpu: sum(&|pool| pool.cpu),
        memory: sum(&|pool| pool.memory),
        gpus: pools.iter().map(|pool| gpus(pool) * pool.max).sum(),
    };
    let least_nodes: u32 = pools.iter().map(|pool| pool.min).sum();
    if let Some(nodes) = limits.nodes.filter(|nodes| *nodes < least_nodes) {
        let diagnostic = check
            .error(
                codes::MIN_OVER_MAX,
                &limits_at.key("nodes"),
                format!(
                    "the cluster may have {nodes} nodes, but its pools have at least {least_nodes}"
                ),
                "less than the pools have at least",
            )
            .help(format!(
                "raise the limit to {least_nodes} or more, or lower `min` of a pool"
            ));
        check.push(diagnostic);
    }
    Some(Autoscaler {
        max_nodes: limits.nodes.unwrap_or(whole.nodes).min(whole.nodes),
        max_cpu: limits.cpu.as_ref().map_or(whole.cpu, |text| {
            check.quantity(text, &limits_at.key("cpu")).min(whole.cpu)
        }),
        max_memory: limits.memory.as_ref().map_or(whole.memory, |text| {
            check
                .quantity(text, &limits_at.key("memory"))
                .min(whole.memory)
        }),
        max_gpus: limits.gpus.unwrap_or(whole.gpus).min(whole.gpus),
        scale_down_after: check.duration(&spec.scale_down_after, &at.key("scaleDownAfter")),
        provider: provider(check, spec, &at)?,
        // Resolved once all clusters are known.
        management: index,
        location: check.locate(&at.key("provider")),
    })
}

/// Checks what the provider needs to know of each pool.
fn provider_pools(check: &mut Check<'_>, provider: AutoscalerProvider, scaled: &[&NodePool]) {
    for pool in scaled {
        if provider.makes_machines() && pool.instance_type.is_none() {
            let diagnostic = Diagnostic::error(
                codes::AUTOSCALER_SETTINGS,
                format!("the pool `{}` does not say which machines it is made of", pool.name),
            )
            .at(pool.location, "`instanceType` is missing")
            .help("name the provider's machine type, such as `e2-standard-8`, `m7i.2xlarge` or `Standard_D8s_v5`");
            check.push(diagnostic);
        }
        if let Some(refusal) = provider.refusal(&pool.name) {
            let diagnostic = Diagnostic::error(codes::BAD_NAME, refusal.message)
                .at(pool.location, refusal.label)
                .help(refusal.help);
            check.push(diagnostic);
        }
    }
}

struct Limits {
    nodes: u32,
    cpu: Quantity,
    memory: Quantity,
    gpus: u32,
}

/// The settings of the provider. Those of the named provider must be there; others have no effect.
fn provider(check: &mut Check<'_>, spec: &spec::Autoscaler, at: &At) -> Option<Provider> {
    let mut chosen = None;
    for section in spec.sections() {
        let is_named = section.provider == spec.provider;
        match section.settings {
            Some(provider) if is_named => {
                provider.settings().check(check, &at.key(section.key));
                chosen = Some(provider);
            }
            Some(_) => check.no_effect(&at.key(section.key), "the provider is another one"),
            None if is_named && !check.spec.incomplete.clusters => {
                let key = section.key;
                let diagnostic = check
                    .error(
                        codes::AUTOSCALER_SETTINGS,
                        &at.key("provider"),
                        format!("this provider needs the section `{key}`"),
                        format!("`{key}` is missing beside this"),
                    )
                    .help("`hcb explain-code HCB406` shows the settings of each provider");
                check.push(diagnostic);
            }
            None => {}
        }
    }
    chosen
}

/// Resolves which cluster holds the objects of each autoscaler's provider.
pub(super) fn management(check: &mut Check<'_>, clusters: &mut [Cluster], source: ClusterIndex) {
    for index in 0..clusters.len() {
        let Some(autoscaler) = &clusters[index].autoscaler else {
            continue;
        };
        let Some(management) = autoscaler.provider.settings().management() else {
            continue;
        };
        let default = match management.default {
            ManagementDefault::Source => source,
            ManagementDefault::Itself => index,
        };
        let section = autoscaler.provider.name().section();
        let at = check
            .cloud()
            .key("clusters")
            .index(index)
            .path(&format!("autoscaler.{section}.managementCluster"));
        let management = match management.named {
            Some(name) => check.cluster(name, clusters, &at).unwrap_or(default),
            None => default,
        };
        if let Some(autoscaler) = &mut clusters[index].autoscaler {
            autoscaler.management = management;
        }
    }
}
