//! Checks that every workload fits somewhere.

use super::check::Check;
use crate::model::{Cluster, NodePool, Quantity, Workload};
use crate::spec::{MeshEngine, TaintEffect};
use hcb_source::diag::{Diagnostic, codes};

/// Each workload must fit on an empty node of some pool of some cluster that it may run in.
pub(super) fn fits(
    check: &mut Check<'_>,
    clusters: &[Cluster],
    workloads: &[Workload],
    mesh: MeshEngine,
) {
    let sidecar = mesh.rules().map_or(&[][..], |rules| rules.sidecar_requests);
    if check.spec.incomplete.clusters {
        return;
    }
    let mut found = Vec::new();
    for workload in workloads {
        let pools: Vec<_> = workload
            .clusters
            .iter()
            .flat_map(|index| {
                let cluster = &clusters[*index];
                cluster.pools.iter().map(move |pool| (cluster, pool))
            })
            .collect();
        let misfits: Vec<_> = pools
            .iter()
            .map(|(cluster, pool)| (misfit(workload, pool, sidecar), cluster, pool))
            .collect();
        // A workload without a cluster already has a finding.
        if misfits.is_empty() || misfits.iter().any(|(misfit, ..)| misfit.is_none()) {
            continue;
        }
        let mut diagnostic = Diagnostic::error(
            codes::FITS_NOWHERE,
            format!(
                "`{}` fits on no node of any cluster that it may run in",
                workload.name
            ),
        )
        .at(workload.location, "would wait for ever");
        for (misfit, cluster, pool) in misfits.iter().take(6) {
            if let Some(misfit) = misfit {
                diagnostic =
                    diagnostic.note(format!("`{}` in `{}`: {misfit}", pool.name, cluster.name));
            }
        }
        if misfits.len() > 6 {
            diagnostic = diagnostic.note(format!("and {} more pools", misfits.len() - 6));
        }
        // Said only where it makes the difference.
        let fits_alone = pools
            .iter()
            .any(|(_, pool)| misfit(workload, pool, &[]).is_none());
        if let [(_, cpu), (_, memory)] = sidecar
            && fits_alone
        {
            diagnostic = diagnostic.note(format!(
                "the mesh's sidecar needs {cpu} of CPU and {memory} of memory beside the workload"
            ));
        }
        found.push(diagnostic.help("request less, or add a pool of larger nodes"));
    }
    for diagnostic in found {
        check.push(diagnostic);
    }
}

/// Why a pod does not fit on an empty node of a pool; `None` where it does.
fn misfit(workload: &Workload, pool: &NodePool, sidecar: &[(&str, &str)]) -> Option<String> {
    if pool.max == 0 {
        return Some("it has no nodes".to_owned());
    }
    let allocatable = pool.allocatable();
    for (resource, request) in &workload.requests {
        // Disks are not part of the spec of a pool.
        if resource == "ephemeral-storage" {
            continue;
        }
        let sidecar = sidecar
            .iter()
            .find(|(name, _)| name == resource)
            .and_then(|(_, text)| Quantity::parse(text))
            .unwrap_or_default();
        let needed = request.milli() + sidecar.milli();
        let has = allocatable.get(resource).copied().unwrap_or_default();
        if has.is_zero() {
            return Some(format!("its nodes have no {resource}"));
        }
        if needed > has.milli() {
            return Some(format!(
                "{request} of {resource} requested, its nodes have {has}"
            ));
        }
    }
    let wanted = workload
        .spec
        .resources
        .gpu
        .as_ref()
        .and_then(|gpu| gpu.product.as_ref());
    let offered = pool.gpu.as_ref().and_then(|gpu| gpu.product.as_ref());
    if let (Some(wanted), offered) = (wanted, offered)
        && Some(wanted) != offered
    {
        let offered = offered.map_or("GPUs of an unnamed product", String::as_str);
        return Some(format!("`{wanted}` wanted, its nodes have {offered}"));
    }
    let wants_gpu = workload.spec.resources.gpu.is_some();
    pool.taints
        .iter()
        .filter(|taint| taint.effect != TaintEffect::PreferNoSchedule)
        // Pods that ask for GPUs tolerate the taint that keeps others off GPU nodes.
        .find(|taint| {
            !(wants_gpu
                && pool
                    .gpu
                    .as_ref()
                    .is_some_and(|gpu| gpu.resource == taint.key))
        })
        .map(|taint| format!("its nodes have the taint `{}`", taint.key))
}
