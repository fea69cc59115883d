//! Checks of the mesh.

use super::Check;
use crate::diag::codes;
use crate::model::{Cluster, Mesh, names};
use crate::spec::{MeshEngine, MutualTls};

/// Istio's minor versions with the Kubernetes minor versions that they support. Source: the table
/// of supported releases on istio.io and those of its distributors, November 2026.
const ISTIO: [(u16, std::ops::RangeInclusive<u16>); 3] =
    [(29, 31..=35), (30, 32..=36), (31, 32..=36)];

/// The oldest Kubernetes minor version whose kubelet runs native sidecars by default.
const NATIVE_SIDECARS: u16 = 29;

pub(super) fn mesh(check: &mut Check<'_>, clusters: &[Cluster]) -> Option<Mesh> {
    let spec = &check.spec.cloud.spec.mesh;
    let at = check.cloud().key("mesh");
    if spec.engine == MeshEngine::None {
        return None;
    }
    let minor = spec
        .version
        .strip_prefix("1.")
        .and_then(|rest| rest.split('.').next())
        .and_then(|minor| minor.parse::<u16>().ok());
    let full = spec.version.split('.').count() == 3
        && spec
            .version
            .split('.')
            .all(|part| part.parse::<u16>().is_ok());
    let known = minor.and_then(|minor| ISTIO.iter().find(|(known, _)| *known == minor));
    match (full, known) {
        (false, _) => {
            let diagnostic = check
                .error(
                    codes::BAD_FORMAT,
                    &at.key("version"),
                    format!("`{}` is not a full version of Istio", spec.version),
                    "not a version of a chart",
                )
                .help("write major, minor and patch, such as `1.30.4`: what runs must not change by itself");
            check.push(diagnostic);
        }
        (true, None) => {
            let diagnostic = check
                .error(
                    codes::VERSION_MISMATCH,
                    &at.key("version"),
                    format!("this hcb does not know Istio {}", spec.version),
                    "not among the versions it can configure",
                )
                .help("it knows 1.29, 1.30 and 1.31");
            check.push(diagnostic);
        }
        (true, Some((istio, kubernetes))) => {
            for (index, cluster) in clusters.iter().enumerate() {
                if kubernetes.contains(&cluster.kubernetes.minor) {
                    continue;
                }
                let place = check.cloud().key("clusters").index(index).key("kubernetes");
                let diagnostic = check
                    .error(
                        codes::VERSION_MISMATCH,
                        &place,
                        format!(
                            "Istio 1.{istio} does not support Kubernetes {}",
                            cluster.kubernetes
                        ),
                        format!("`{}` has this version", cluster.name),
                    )
                    .also(
                        check.spec.locate(&at.key("version")),
                        "the version of Istio",
                    )
                    .help(format!(
                        "it supports 1.{} to 1.{}; change `mesh.version` or upgrade the cluster",
                        kubernetes.start(),
                        kubernetes.end()
                    ));
                check.push(diagnostic);
            }
        }
    }
    if let Some(cluster) = clusters
        .iter()
        .find(|c| c.kubernetes.minor < NATIVE_SIDECARS)
    {
        let diagnostic = check.error(
            codes::VERSION_MISMATCH,
            &at.key("version"),
            format!(
                "jobs never end on Kubernetes {}: it has no native sidecars",
                cluster.kubernetes
            ),
            "sidecars in jobs need 1.29",
        );
        check.push(diagnostic);
    }
    check.named(
        &spec.trust_domain,
        &at.key("trustDomain"),
        names::dns_subdomain(&spec.trust_domain),
    );
    if let Some(id) = &spec.mesh_id {
        check.name(id, &at.key("meshId"));
    }
    if spec.mtls == MutualTls::Permissive {
        let diagnostic = check
            .warning(
                codes::WEAK_SECURITY,
                &at.key("mtls"),
                "traffic without mutual TLS is let through",
                "only while moving into the mesh",
            )
            .help("write `mtls: strict` once every client has a sidecar");
        check.push(diagnostic);
    }
    if !["oci://", "https://"].iter().any(|scheme| {
        let rest = spec.charts.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic()))
    }) {
        let diagnostic = check
            .error(
                codes::BAD_URL,
                &at.key("charts"),
                format!("`{}` is not the URL of a registry of charts", spec.charts),
                "begins with neither `oci://` nor `https://`",
            )
            .help("leave the field out to take Istio's own charts");
        check.push(diagnostic);
    }
    let retired = [
        "gcr.io/istio-release",
        "registry.istio.io",
        "storage.googleapis.com",
    ];
    for (key, value) in [("hub", &spec.hub), ("charts", &spec.charts)] {
        if retired.iter().any(|host| value.contains(host)) {
            let diagnostic = check
                .error(
                    codes::VERSION_MISMATCH,
                    &at.key(key),
                    format!("`{value}` is switched off in December 2026"),
                    "a retired registry",
                )
                .note("https://github.com/istio/istio/issues/61467")
                .help("leave the field out: images come from `docker.io/istio`, charts from `ghcr.io/istio/release/charts`");
            check.push(diagnostic);
        }
    }
    let gateway = &spec.gateway;
    if gateway.min_replicas > gateway.max_replicas {
        let diagnostic = check
            .error(
                codes::MIN_OVER_MAX,
                &at.path("gateway.minReplicas"),
                format!(
                    "the gateway has at least {} replicas but at most {}",
                    gateway.min_replicas, gateway.max_replicas
                ),
                "more than the maximum",
            )
            .help("lower `minReplicas` or raise `maxReplicas`, which is 5 unless the spec says otherwise");
        check.push(diagnostic);
    }
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
        location: check.spec.locate(&at.key("engine")),
    })
}
