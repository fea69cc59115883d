//! What a policy is.

use super::admission::{AdmissionPolicy, Binding};
use super::spec_policy::SpecPolicy;
use hcb_source::diag::Rule;
use hcb_source::source::Location;
use hcb_spec::spec::{PolicyAction, PolicyParam};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The label of the namespaces that built-in policies guard. Every namespace of workloads has it;
/// put it on another namespace to have that guarded too.
pub const GUARDED: (&str, &str) = ("hcb.dev/policies", "enforced");

/// The key of a policy's parameters that hcb fills with what images of the mesh begin with; with
/// nothing where there is no mesh.
pub const MESH_IMAGES: &str = "meshImages";

/// The key of a policy's parameters that hcb fills with the namespaces of workloads, a line each.
pub const WORKLOAD_NAMESPACES: &str = "workloadNamespaces";

/// A policy with what belongs to it.
#[derive(Debug)]
pub struct Policy {
    /// Its name, in the spec and in the clusters.
    pub name: String,
    /// Name, title and page, as findings carry them.
    pub rule: Arc<Rule>,
    /// What to do where it is broken, one sentence.
    pub help: Option<String>,
    /// Paths in the document that a manifest comes from, such as `spec.image`: the first one that
    /// is there is what a finding underlines.
    pub fields: Vec<String>,
    /// Where it stands, for policies that are not built in.
    pub location: Option<Location>,
    /// What is done where it is broken, unless the spec says otherwise.
    pub default: PolicyAction,
    /// What it is about.
    pub subject: Subject,
}

/// What a policy is about.
#[derive(Debug)]
pub enum Subject {
    /// Objects that a cluster is asked to admit.
    Admission(Box<Admission>),
    /// The spec.
    Spec(Box<SpecPolicy>),
}

/// A policy about objects.
#[derive(Debug)]
pub struct Admission {
    /// The `ValidatingAdmissionPolicy`.
    pub policy: AdmissionPolicy,
    /// What binds it.
    pub bindings: Vec<Binding>,
    /// The `ConfigMap` with its parameters.
    pub params: Option<Json>,
}

impl Policy {
    /// The parameters that it comes with, by name.
    pub fn params(&self) -> BTreeMap<String, Json> {
        let entries = match &self.subject {
            Subject::Admission(admission) => admission
                .params
                .as_ref()
                .and_then(|params| params.get("data"))
                .and_then(Json::as_object),
            Subject::Spec(policy) => Some(&policy.params),
        };
        entries
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// A parameter as the spec or a test gives it. Those of admission policies are in a `ConfigMap`,
    /// which holds texts.
    pub fn param(&self, given: &PolicyParam) -> Json {
        match (&self.subject, given) {
            (Subject::Spec(_), PolicyParam::Number(number)) => number.clone().into(),
            (Subject::Spec(_), PolicyParam::List(texts)) => texts.clone().into(),
            _ => given.text().into(),
        }
    }

    /// What it is evaluated for, one word.
    pub fn scope(&self) -> &'static str {
        match &self.subject {
            Subject::Admission(_) => "manifest",
            Subject::Spec(policy) => policy.about.word(),
        }
    }
}
