//! What is known of Istio: its versions, where it comes from, and what its proxies ask for.

use crate::findings::Findings;
use crate::place::At;
use hcb_source::diag::codes;

/// Istio's minor versions with the Kubernetes minor versions that they support. Source: the table
/// of supported releases on istio.io and those of its distributors, November 2026.
const VERSIONS: [(u16, std::ops::RangeInclusive<u16>); 3] =
    [(29, 31..=35), (30, 32..=36), (31, 32..=36)];

/// The minor versions of Istio that two clusters of one mesh may be apart. Istio supports proxies one
/// minor version behind their control plane, and control planes as far apart while a mesh is upgraded
/// cluster by cluster.
pub(crate) const SKEW: u16 = 1;

/// The oldest Kubernetes minor version whose kubelet runs native sidecars by default.
pub(crate) const NATIVE_SIDECARS: u16 = 29;

/// What the mesh's proxy requests in a pod, beside the pod's own containers: the defaults of Istio's chart
/// (`global.proxy.resources.requests`).
pub const PROXY_REQUESTS: [(&str, &str); 2] = [("cpu", "100m"), ("memory", "128Mi")];
/// The most that it may use (`global.proxy.resources.limits`).
pub const PROXY_LIMITS: [(&str, &str); 2] = [("cpu", "2"), ("memory", "1Gi")];

/// A version of Istio that hcb can configure: its minor version, and those of Kubernetes that it supports.
pub(crate) fn supported(
    findings: &mut Findings<'_>,
    version: &str,
    at: &At,
) -> Option<(u16, std::ops::RangeInclusive<u16>)> {
    let parts: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
    let [Ok(major), Ok(minor), Ok(_)] = parts.as_slice() else {
        let diagnostic = findings
            .error(
                codes::BAD_FORMAT,
                at,
                format!("`{version}` is not a full version of Istio"),
                "not a version of a chart",
            )
            .help("write major, minor and patch, such as `1.30.4`: what runs must not change by itself");
        findings.push(diagnostic);
        return None;
    };
    let found = VERSIONS
        .iter()
        .find(|(known, _)| (1, known) == (*major, minor));
    if found.is_none() {
        let diagnostic = findings
            .error(
                codes::VERSION_MISMATCH,
                at,
                format!("this hcb does not know Istio {version}"),
                "not among the versions it can configure",
            )
            .help("it knows 1.29, 1.30 and 1.31");
        findings.push(diagnostic);
    }
    found.cloned()
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
