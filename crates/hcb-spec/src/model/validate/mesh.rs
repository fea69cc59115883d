//! Checks of the mesh.

use super::{Check, versions};
use crate::model::{Cluster, Mesh};
use crate::spec::{MeshEngine, MutualTls};
use hcb_kubernetes::names;
use hcb_source::diag::codes;

/// The oldest Kubernetes minor version whose kubelet runs native sidecars by default.
const NATIVE_SIDECARS: u16 = 29;

pub(super) fn mesh(check: &mut Check<'_>, clusters: &[Cluster]) -> Option<Mesh> {
    let spec = &check.spec.cloud.spec.mesh;
    let at = check.cloud().key("mesh");
    if spec.engine == MeshEngine::None {
        versions::without_a_mesh(check, clusters);
        return None;
    }
    versions::istio(check, clusters);
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
