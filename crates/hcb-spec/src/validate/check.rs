//! What all cross-checks share.

use crate::findings::Findings;
use crate::model::{Cluster, ClusterIndex};
use crate::spec::{At, Spec};
use hcb_source::diag::{codes, suggest};
use std::ops::{Deref, DerefMut};

/// What every cross-check needs: the whole spec, and the findings so far.
pub(super) struct Check<'a> {
    pub(super) spec: &'a Spec,
    pub(super) findings: Findings<'a>,
}

impl Check<'_> {
    /// The place of the `spec` of the cloud.
    pub(super) fn cloud(&self) -> At {
        self.spec.cloud_at.key("spec")
    }

    /// Resolves a reference to a cluster. If there is no such cluster, it adds a finding, unless the
    /// cluster may be one that could not be read.
    pub(super) fn cluster(
        &mut self,
        name: &str,
        clusters: &[Cluster],
        at: &At,
    ) -> Option<ClusterIndex> {
        let found = clusters.iter().position(|cluster| cluster.name == name);
        if found.is_none() && !self.spec.incomplete.clusters {
            let known = clusters.iter().map(|cluster| cluster.name.as_str());
            let diagnostic = self
                .error(
                    codes::UNKNOWN_CLUSTER,
                    at,
                    format!("there is no cluster `{name}`"),
                    "not in `spec.clusters`",
                )
                .maybe_help(suggest(name, known));
            self.push(diagnostic);
        }
        found
    }
}

impl<'a> Deref for Check<'a> {
    type Target = Findings<'a>;

    fn deref(&self) -> &Self::Target {
        &self.findings
    }
}

impl DerefMut for Check<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.findings
    }
}
