//! What the checks must know of a scheduling engine.

/// The rules of an engine about versions, and what it keeps for itself.
pub(crate) struct SchedulingRules {
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// The namespaces that it is installed in.
    pub(crate) namespaces: &'static [&'static str],
    /// The minor version whose scheduler hcb configures, such as `0.17`.
    pub(crate) minor: &'static str,
}

impl SchedulingRules {
    /// Whether hcb was tested with a version.
    pub(crate) fn is_tested(&self, version: &str) -> bool {
        let patch = version.strip_prefix(self.minor);
        patch.is_some_and(|patch| patch.starts_with('.'))
    }
}
