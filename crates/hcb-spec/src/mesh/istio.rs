//! What is known of Istio: its versions, where it comes from, and what its proxies ask for.

use super::rules::MeshRules;
use crate::findings::Findings;
use crate::place::At;
use hcb_source::diag::codes;

/// The namespace of the control plane and the gateways.
pub const NAMESPACE: &str = "istio-system";

/// What the checks must know of Istio.
pub(super) const RULES: MeshRules = MeshRules {
    name: "Istio",
    namespaces: &[NAMESPACE],
    major: 1,
    versions: &VERSIONS,
    example: "1.30.4",
    skew: SKEW,
    native_sidecars: NATIVE_SIDECARS,
    sidecar_requests: &PROXY_REQUESTS,
    check_registries,
};

/// Istio's minor versions with the Kubernetes minor versions that they support. Source: the table
/// of supported releases on istio.io and those of its distributors, November 2026.
const VERSIONS: [(u16, std::ops::RangeInclusive<u16>); 3] =
    [(29, 31..=35), (30, 32..=36), (31, 32..=36)];

/// The minor versions of Istio that two clusters of one mesh may be apart. Istio supports proxies one
/// minor version behind their control plane, and control planes as far apart while a mesh is upgraded
/// cluster by cluster.
const SKEW: u16 = 1;

/// The oldest Kubernetes minor version whose kubelet runs native sidecars by default.
const NATIVE_SIDECARS: u16 = 29;

/// What the mesh's proxy requests in a pod, beside the pod's own containers: the defaults of Istio's chart
/// (`global.proxy.resources.requests`).
pub const PROXY_REQUESTS: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "128Mi")];
/// The most that it may use (`global.proxy.resources.limits`).
pub const PROXY_LIMITS: [(&str, &str); 2] = [("cpu", "2"), ("memory", "1Gi")];

/// Checks where images and charts come from.
fn check_registries(findings: &mut Findings<'_>, at: &At, hub: &str, charts: &str) {
    if !["oci://", "https://"].iter().any(|scheme| {
        let rest = charts.strip_prefix(scheme);
        rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic()))
    }) {
        let diagnostic = findings
            .error(
                codes::BAD_URL,
                &at.key("charts"),
                format!("`{charts}` is not the URL of a registry of charts"),
                "begins with neither `oci://` nor `https://`",
            )
            .help("leave the field out to take Istio's own charts");
        findings.push(diagnostic);
    }
    let retired = [
        "gcr.io/istio-release",
        "registry.istio.io",
        "storage.googleapis.com",
    ];
    for (key, value) in [("hub", hub), ("charts", charts)] {
        if retired.iter().any(|host| value.contains(host)) {
            let diagnostic = findings
                .error(
                    codes::VERSION_MISMATCH,
                    &at.key(key),
                    format!("`{value}` is switched off in December 2026"),
                    "a retired registry",
                )
                .note("https://github.com/istio/istio/issues/61467")
                .help("leave the field out: images come from `docker.io/istio`, charts from `ghcr.io/istio/release/charts`");
            findings.push(diagnostic);
        }
    }
}

pub(super) fn default_version() -> String {
    "1.31.4".into()
}
pub(super) fn default_hub() -> String {
    "docker.io/istio".into()
}
pub(super) fn default_charts() -> String {
    "oci://ghcr.io/istio/release/charts".into()
}
