//! Policies about the spec, evaluated over the spec, its clusters and its workloads.

use super::caches::Caches;
use super::in_force::InForce;
use super::spec_policy::{About, SpecPolicy, Violation, judge};
use crate::memo::Fingerprint;
use hcb_spec::model::Model;
use hcb_spec::spec::{At, Spec};
use rayon::prelude::*;
use serde_json::{Value as Json, json};
use std::sync::OnceLock;

/// A part of the spec that breaks a policy.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SpecViolation {
    /// What the policy says of it.
    pub(super) message: String,
    /// What to do, where the validation itself says it.
    pub(super) help: Option<String>,
    /// What it is about: `the spec`, or a cluster or workload by name.
    pub(super) subject: String,
    /// The index of the cluster or workload in the model.
    pub(super) index: Option<usize>,
    /// Where it is.
    pub(super) at: At,
    /// Why there is no verdict, where there is none.
    pub(super) error: Option<String>,
}

/// The spec as policies see it: with its defaults, and without what is not there.
#[derive(Debug)]
pub(super) struct SpecView {
    spec: Part,
    clusters: Vec<Part>,
    workloads: Vec<Part>,
}

/// The spec, a cluster or a workload as policies see it.
#[derive(Debug)]
struct Part {
    /// What it is called in findings.
    name: String,
    value: Json,
    fingerprint: OnceLock<Fingerprint>,
    at: At,
}

impl Part {
    fn new(name: String, value: Json, at: At) -> Self {
        Self {
            name,
            value,
            fingerprint: OnceLock::new(),
            at,
        }
    }

    /// Only made once, and only where somebody asks.
    fn fingerprint(&self) -> Fingerprint {
        *self
            .fingerprint
            .get_or_init(|| Fingerprint::of_json(&self.value))
    }
}

impl SpecView {
    /// What policies see of a spec.
    pub(super) fn new(spec: &Spec, model: &Model) -> Self {
        let mut whole = serde_json::to_value(&spec.cloud.spec).unwrap_or_default();
        without_nulls(&mut whole);
        let at = spec.cloud_at.key("spec");
        let mut clusters = Vec::new();
        if let Some(list) = whole["clusters"].as_array_mut() {
            for (index, cluster) in list.iter_mut().enumerate() {
                let Some(known) = model.clusters.get(index) else {
                    continue;
                };
                cluster["tier"] = model.tiers[known.tier].as_str().into();
                cluster["isGated"] = known.is_gated().into();
                cluster["isSource"] = (index == model.source).into();
                if let Some(autoscaler) = &known.autoscaler {
                    cluster["autoscaler"]["maximum"] = json!({
                        "nodes": autoscaler.max_nodes,
                        "cpu": autoscaler.max_cpu.to_string(),
                        "memory": autoscaler.max_memory.to_string(),
                        "gpus": autoscaler.max_gpus,
                    });
                }
                let at = at.key("clusters").index(index);
                let name = format!("cluster `{}`", known.name);
                clusters.push(Part::new(name, cluster.clone(), at));
            }
        }
        let workloads = spec
            .workloads
            .iter()
            .zip(&model.workloads)
            .map(|((document, at), known)| {
                let mut inner = serde_json::to_value(&document.spec).unwrap_or_default();
                without_nulls(&mut inner);
                let names: Vec<_> = known
                    .clusters
                    .iter()
                    .map(|index| model.clusters[*index].name.as_str())
                    .collect();
                let workload = json!({
                    "name": known.name,
                    "namespace": known.namespace,
                    "spec": inner,
                    "clusters": names,
                });
                Part::new(format!("workload `{}`", known.name), workload, at.clone())
            })
            .collect();
        Self {
            spec: Part::new("the spec".to_owned(), whole, at),
            clusters,
            workloads,
        }
    }
}

/// Everything in the spec that breaks a policy, whatever is done about it.
pub(super) fn evaluate(
    in_force: &InForce,
    policy: &SpecPolicy,
    view: &SpecView,
    caches: &Caches,
) -> Vec<SpecViolation> {
    let params = Json::Object(in_force.params.clone().into_iter().collect());
    let subjects = match policy.about {
        About::Spec => std::slice::from_ref(&view.spec),
        About::Cluster => &view.clusters,
        About::Workload => &view.workloads,
    };
    let asked = OnceLock::new();
    let asked = || {
        *asked.get_or_init(|| {
            let params = Fingerprint::of_json(&params);
            Fingerprint::of((policy.fingerprint, params, view.spec.fingerprint()))
        })
    };
    let subjects = subjects.par_iter().enumerate();
    subjects
        .flat_map_iter(|(index, subject)| {
            let values = [
                ("spec", &view.spec.value),
                (policy.about.word(), &subject.value),
                ("params", &params),
            ];
            let found = caches.judged_spec.recall(
                || Fingerprint::of((asked(), subject.fingerprint())),
                || judge(policy, &values).into(),
            );
            let index = (policy.about != About::Spec).then_some(index);
            told(&found, subject, index).collect::<Vec<_>>()
        })
        .collect()
}

/// What was found about a subject, at its place.
fn told(
    violations: &[Violation],
    subject: &Part,
    index: Option<usize>,
) -> impl Iterator<Item = SpecViolation> {
    violations.iter().map(move |found| SpecViolation {
        message: found.message.clone(),
        help: found.help.clone(),
        subject: subject.name.clone(),
        index,
        at: match &found.field {
            Some(field) => subject.at.path(field),
            None => subject.at.clone(),
        },
        error: found.error.clone(),
    })
}

fn without_nulls(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
