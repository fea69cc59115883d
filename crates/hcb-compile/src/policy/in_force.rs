//! A policy with what the spec says of it, and what is excepted from it.

use super::definition::Policy;
use crate::rendered::{Manifest, RenderedUnit};
use hcb_api::labels::WORKLOAD;
use hcb_source::source::Location;
use hcb_spec::model::ClusterIndex;
use hcb_spec::spec::{ExceptedManifest, ExceptedWorkload, PolicyAction};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A policy with what the spec says of it.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The policy.
    pub policy: Arc<Policy>,
    /// What is done in each cluster.
    pub actions: Vec<PolicyAction>,
    /// What is done where it is about no cluster in particular.
    pub action: PolicyAction,
    /// Whether the spec says what is done, and not the policy.
    pub is_set: bool,
    /// Its parameters.
    pub params: BTreeMap<String, Json>,
    /// What is excepted from it.
    pub exceptions: Vec<Exception>,
    /// What in the spec asks for it to be there.
    pub origin: Location,
}

impl InForce {
    /// The exceptions that hold in a cluster.
    pub fn exceptions_in(&self, cluster: ClusterIndex) -> impl Iterator<Item = &Exception> {
        self.exceptions
            .iter()
            .filter(move |exception| exception.clusters.contains(&cluster))
    }
}

/// An exception, resolved.
#[derive(Debug, Clone)]
pub struct Exception {
    /// The workload that is excepted.
    pub workload: Option<ExceptedWorkload>,
    /// The object that is excepted.
    pub manifest: Option<ExceptedManifest>,
    /// Where it holds.
    pub clusters: Vec<ClusterIndex>,
    /// Where it stands.
    pub location: Location,
}

impl Exception {
    /// Whether a manifest is what is excepted.
    pub fn covers(&self, manifest: &Manifest) -> bool {
        if let Some(workload) = &self.workload {
            return is_job_of(manifest, workload);
        }
        self.manifest.as_ref().is_some_and(|excepted| {
            excepted.kind == manifest.kind()
                && excepted.name == manifest.name()
                && excepted.namespace.as_deref() == manifest.namespace()
        })
    }

    /// The same for the API server: an expression that is true of what is excepted, if there is
    /// anything. Pods have names that begin with that of their job, those in other clusters too.
    pub fn expression(&self, jobs: &BTreeSet<String>) -> Option<String> {
        const OBJECT: &str = "(request.operation == 'DELETE' ? oldObject : object)";
        let mut terms = Vec::new();
        if let Some(workload) = &self.workload {
            if jobs.is_empty() {
                return None;
            }
            terms.push(format!(
                "request.namespace == {}",
                json!(workload.namespace)
            ));
            let patterns: Vec<_> = jobs.iter().map(String::as_str).collect();
            terms.push(format!(
                "[{OBJECT}.metadata.?name.orValue(''), {OBJECT}.metadata.?generateName.orValue('')].exists(name, name.matches({}))",
                json!(format!("^({})$", patterns.join("|")))
            ));
        } else {
            let excepted = self.manifest.as_ref()?;
            terms.extend(
                excepted
                    .namespace
                    .as_ref()
                    .map(|namespace| format!("request.namespace == {}", json!(namespace))),
            );
            terms.push(format!("request.kind.kind == {}", json!(excepted.kind)));
            terms.push(format!(
                "{OBJECT}.metadata.?name.orValue('') == {}",
                json!(excepted.name)
            ));
        }
        Some(format!("({})", terms.join(" && ")))
    }

    /// Patterns of the names of the jobs that it is about, and of all that they lead to: a job's
    /// pods, and a cron job's jobs, which end in the minute they are for.
    pub fn jobs(&self, units: &[RenderedUnit]) -> BTreeSet<String> {
        let Some(workload) = &self.workload else {
            return BTreeSet::new();
        };
        units
            .iter()
            .flat_map(|unit| &unit.manifests)
            .filter(|manifest| is_job_of(manifest, workload))
            .map(|manifest| match manifest.kind() {
                "CronJob" => format!("{}(-[0-9]{{8,}}(-.*)?)?", manifest.name()),
                _ => format!("{}(-.*)?", manifest.name()),
            })
            .collect()
    }
}

fn is_job_of(manifest: &Manifest, workload: &ExceptedWorkload) -> bool {
    matches!(manifest.kind(), "Job" | "CronJob")
        && manifest.namespace() == Some(&workload.namespace)
        && manifest.object().label(WORKLOAD) == Some(&workload.name)
}
