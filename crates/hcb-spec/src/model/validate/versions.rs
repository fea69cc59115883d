//! Checks of versions: what works together, and what must not drift apart.

use super::Check;
use crate::model::Cluster;
use crate::spec::At;
use hcb_kubernetes::image;
use hcb_source::diag::codes;

/// Istio's minor versions with the Kubernetes minor versions that they support. Source: the table
/// of supported releases on istio.io and those of its distributors, November 2026.
const ISTIO: [(u16, std::ops::RangeInclusive<u16>); 3] =
    [(29, 31..=35), (30, 32..=36), (31, 32..=36)];

/// The minor versions of Istio that two clusters of one mesh may be apart. Istio supports proxies one
/// minor version behind their control plane, and control planes as far apart while a mesh is upgraded
/// cluster by cluster.
const SKEW: u16 = 1;

/// The minor version of Admiralty whose scheduler hcb configures.
const ADMIRALTY: &str = "0.17.";

/// Istio's version, the mesh's and those of single clusters: known, good for the Kubernetes of each
/// cluster, and not too far apart.
pub(super) fn istio(check: &mut Check<'_>, clusters: &[Cluster]) {
    let spec = check.spec;
    let of_mesh = check.cloud().path("mesh.version");
    let default = spec.cloud.spec.mesh.version.as_str();
    let known = known(check, default, &of_mesh);
    let mut minors: Vec<(u16, &Cluster, At)> = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let place = check.cloud().key("clusters").index(index);
        let (known, at) = match &cluster.mesh_version {
            None => (known.clone(), of_mesh.clone()),
            Some(version) if version == default => {
                check.no_effect(
                    &place.key("meshVersion"),
                    "it is the version of the whole mesh",
                );
                continue;
            }
            Some(version) => {
                let at = place.key("meshVersion");
                (self::known(check, version, &at), at)
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
                        "Istio 1.{minor} does not support Kubernetes {}",
                        cluster.kubernetes
                    ),
                    format!("`{}` has this version", cluster.name),
                )
                .also(check.spec.locate(&at), "the version of Istio")
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
        && new - old > SKEW
    {
        let diagnostic = check
            .error(
                codes::VERSION_MISMATCH,
                new_at,
                format!(
                    "Istio is 1.{new} in `{}` and 1.{old} in `{}`",
                    ahead.name, behind.name
                ),
                "the newest",
            )
            .also(check.spec.locate(old_at), "the oldest")
            .help("clusters of one mesh may be one minor version apart: upgrade in steps, all clusters in each");
        check.push(diagnostic);
    }
}

/// A version of Istio that hcb can configure: its minor version, and those of Kubernetes that it supports.
fn known(
    check: &mut Check<'_>,
    version: &str,
    at: &At,
) -> Option<(u16, std::ops::RangeInclusive<u16>)> {
    let parts: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
    let [Ok(major), Ok(minor), Ok(_)] = parts.as_slice() else {
        let diagnostic = check
            .error(
                codes::BAD_FORMAT,
                at,
                format!("`{version}` is not a full version of Istio"),
                "not a version of a chart",
            )
            .help("write major, minor and patch, such as `1.30.4`: what runs must not change by itself");
        check.push(diagnostic);
        return None;
    };
    let found = ISTIO
        .iter()
        .find(|(known, _)| (1, known) == (*major, minor));
    if found.is_none() {
        let diagnostic = check
            .error(
                codes::VERSION_MISMATCH,
                at,
                format!("this hcb does not know Istio {version}"),
                "not among the versions it can configure",
            )
            .help("it knows 1.29, 1.30 and 1.31");
        check.push(diagnostic);
    }
    found.cloned()
}

pub(super) fn without_a_mesh(check: &mut Check<'_>, clusters: &[Cluster]) {
    for (index, cluster) in clusters.iter().enumerate() {
        if cluster.mesh_version.is_some() {
            let at = check.cloud().key("clusters").index(index);
            check.no_effect(&at.key("meshVersion"), "there is no mesh");
        }
    }
}

/// The scheduler and the reconciler are configured in the formats of their versions.
pub(super) fn scheduling(check: &mut Check<'_>) {
    let spec = &check.spec.cloud.spec.scheduling;
    let at = check.cloud().key("scheduling");
    if !spec.version.starts_with(ADMIRALTY) {
        let diagnostic = check
            .warning(
                codes::VERSION_MISMATCH,
                &at.key("version"),
                format!("this hcb was not tested with Admiralty {}", spec.version),
                "another minor version",
            )
            .help("its scheduler is configured for 0.17: leave the field out, or try the version before");
        check.push(diagnostic);
    }
    let own = env!("CARGO_PKG_VERSION");
    let tag = image::tag(&spec.reconciler.image).unwrap_or_default();
    let number = tag.strip_prefix('v').unwrap_or(tag);
    let is_release =
        number.split('.').count() == 3 && number.split('.').all(|part| part.parse::<u32>().is_ok());
    if is_release && number != own {
        let diagnostic = check
            .warning(
                codes::VERSION_MISMATCH,
                &at.path("reconciler.image"),
                format!("the reconciler is hcb {number}, and its configuration is written by hcb {own}"),
                "another version",
            )
            .help("it refuses a configuration that it does not understand, and goes on with the one before: compile with the version that runs");
        check.push(diagnostic);
    }
}
