//! The mesh against the clusters.

use super::check::Check;
use crate::mesh::MeshRules;
use crate::model::{Cluster, Mesh};
use crate::spec::At;
use hcb_source::diag::codes;

pub(super) fn mesh(check: &mut Check<'_>, clusters: &[Cluster]) -> Option<Mesh> {
    let spec = &check.spec.cloud.spec.mesh;
    let at = check.cloud().key("mesh");
    let Some(rules) = spec.engine.rules() else {
        without_a_mesh(check, clusters);
        return None;
    };
    versions(check, rules, clusters);
    if let Some(cluster) = clusters
        .iter()
        .find(|c| c.kubernetes.minor < rules.native_sidecars)
    {
        let diagnostic = check.error(
            codes::VERSION_MISMATCH,
            &at.key("version"),
            format!(
                "jobs never end on Kubernetes {}: it has no native sidecars",
                cluster.kubernetes
            ),
            format!("sidecars in jobs need 1.{}", rules.native_sidecars),
        );
        check.push(diagnostic);
    }
    spec.check(check, &at);
    let gateway = &spec.gateway;
    for name in gateway.service_annotations.keys() {
        check.cluster(
            name,
            clusters,
            &at.path("gateway.serviceAnnotations").name_of(name),
        );
    }
    Some(Mesh {
        settings: spec.clone(),
        id: spec
            .mesh_id
            .clone()
            .unwrap_or_else(|| check.spec.cloud.metadata.name.clone()),
        location: check.locate(&at.key("engine")),
    })
}

/// The version of the mesh and those of single clusters: known, good for the Kubernetes of each
/// cluster, and not too far apart.
fn versions(check: &mut Check<'_>, rules: &MeshRules, clusters: &[Cluster]) {
    let (name, major) = (rules.name, rules.major);
    let spec = check.spec;
    let of_mesh = check.cloud().path("mesh.version");
    let default = spec.cloud.spec.mesh.version.as_str();
    let of_default = rules.supported(check, default, &of_mesh);
    let mut minors: Vec<(u16, &Cluster, At)> = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let place = check.cloud().key("clusters").index(index);
        let (known, at) = match &cluster.mesh_version {
            None => (of_default.clone(), of_mesh.clone()),
            Some(version) if version == default => {
                check.no_effect(
                    &place.key("meshVersion"),
                    "it is the version of the whole mesh",
                );
                continue;
            }
            Some(version) => {
                let at = place.key("meshVersion");
                (rules.supported(check, version, &at), at)
            }
        };
        let Some((minor, kubernetes)) = known else {
            continue;
        };
        if !kubernetes.contains(&cluster.kubernetes.minor) {
            let diagnostic = check
                .error(
                    codes::VERSION_MISMATCH,
                    &place.key("kubernetes"),
                    format!(
                        "{name} {major}.{minor} does not support Kubernetes {}",
                        cluster.kubernetes
                    ),
                    format!("`{}` has this version", cluster.name),
                )
                .also(check.locate(&at), format!("the version of {name}"))
                .help(format!(
                    "it supports 1.{} to 1.{}; change `mesh.version` or upgrade the cluster",
                    kubernetes.start(),
                    kubernetes.end()
                ));
            check.push(diagnostic);
        }
        minors.push((minor, cluster, at));
    }
    let oldest = minors.iter().min_by_key(|(minor, ..)| *minor);
    let newest = minors.iter().max_by_key(|(minor, ..)| *minor);
    if let (Some((old, behind, old_at)), Some((new, ahead, new_at))) = (oldest, newest)
        && new - old > rules.skew
    {
        let diagnostic = check
            .error(
                codes::VERSION_MISMATCH,
                new_at,
                format!(
                    "{name} is {major}.{new} in `{}` and {major}.{old} in `{}`",
                    ahead.name, behind.name
                ),
                "the newest",
            )
            .also(check.locate(old_at), "the oldest")
            .help("clusters of one mesh may be one minor version apart: upgrade in steps, all clusters in each");
        check.push(diagnostic);
    }
}

fn without_a_mesh(check: &mut Check<'_>, clusters: &[Cluster]) {
    for (index, cluster) in clusters.iter().enumerate() {
        if cluster.mesh_version.is_some() {
            let at = check.cloud().key("clusters").index(index);
            check.no_effect(&at.key("meshVersion"), "there is no mesh");
        }
    }
}
