//! What the checks must know of a mesh.

use crate::findings::Findings;
use crate::place::At;
use hcb_source::diag::codes;
use std::ops::RangeInclusive;

/// The rules of a mesh about versions, and what it keeps for itself.
pub(crate) struct MeshRules {
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// The namespaces that it is installed in.
    pub(crate) namespaces: &'static [&'static str],
    /// Its major version.
    pub(crate) major: u16,
    /// The minor versions that hcb can configure, each with the minor versions of Kubernetes that it supports.
    pub(crate) versions: &'static [(u16, RangeInclusive<u16>)],
    /// A full version, as an example.
    pub(crate) example: &'static str,
    /// The minor versions that two clusters of one mesh may be apart.
    pub(crate) skew: u16,
    /// The oldest minor version of Kubernetes in which a Job with a sidecar ends.
    pub(crate) native_sidecars: u16,
    /// What its sidecar requests in a pod, beside the pod's own containers.
    pub(crate) sidecar_requests: &'static [(&'static str, &'static str)],
    /// Checks where its images and its charts come from. The settings of the mesh are at the place.
    pub(crate) check_registries: fn(&mut Findings<'_>, &At, hub: &str, charts: &str),
}

impl MeshRules {
    /// A version that hcb can configure: its minor version, and those of Kubernetes that it supports.
    pub(crate) fn supported(
        &self,
        findings: &mut Findings<'_>,
        version: &str,
        at: &At,
    ) -> Option<(u16, RangeInclusive<u16>)> {
        let name = self.name;
        let parts: Vec<_> = version.split('.').map(str::parse::<u16>).collect();
        let [Ok(major), Ok(minor), Ok(_)] = parts.as_slice() else {
            let diagnostic = findings
                .error(
                    codes::BAD_FORMAT,
                    at,
                    format!("`{version}` is not a full version of {name}"),
                    "not a version of a chart",
                )
                .help(format!(
                    "write major, minor and patch, such as `{}`: what runs must not change by itself",
                    self.example
                ));
            findings.push(diagnostic);
            return None;
        };
        let found = self
            .versions
            .iter()
            .find(|(known, _)| (self.major, known) == (*major, minor));
        if found.is_none() {
            let diagnostic = findings
                .error(
                    codes::VERSION_MISMATCH,
                    at,
                    format!("this hcb does not know {name} {version}"),
                    "not among the versions it can configure",
                )
                .help(format!("it knows {}", self.known()));
            findings.push(diagnostic);
        }
        found.cloned()
    }

    /// The versions that hcb can configure, as one says them.
    fn known(&self) -> String {
        let versions = self.versions.iter();
        let mut versions: Vec<_> = versions
            .map(|(minor, _)| format!("{}.{minor}", self.major))
            .collect();
        let last = versions.pop().unwrap_or_default();
        if versions.is_empty() {
            last
        } else {
            format!("{} and {last}", versions.join(", "))
        }
    }
}
