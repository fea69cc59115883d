//! Policies to the objects that enforce them in the clusters.

use super::definition::{Policy, Subject};
use super::in_force::{Exception, InForce};
use super::library::POLICY_FILE;
use crate::manifest;
use crate::rendered::{Manifest, RenderedUnit};
use crate::unit::{Unit, Wave};
use hcb_spec::model::{ClusterIndex, Model};
use hcb_spec::spec::PolicyAction;
use rayon::prelude::*;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The objects of one policy for one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Emitted {
    /// The `ValidatingAdmissionPolicy`, with the exceptions that hold in the cluster.
    pub policy: Json,
    /// Its bindings, with the actions of the cluster.
    pub bindings: Vec<Json>,
    /// The `ConfigMap` with its parameters.
    pub params: Option<Json>,
}

/// A unit with the policies of each cluster. They are there before anything but namespaces.
pub fn plan(policies: &[InForce], model: &Model, units: &[RenderedUnit]) -> Vec<RenderedUnit> {
    let emitted: Vec<_> = policies
        .par_iter()
        .map(|in_force| of_clusters(in_force, model, units))
        .collect();
    let clusters = model.clusters.iter().enumerate();
    clusters
        .map(|(index, cluster)| {
            let unit = Unit::new(index, "policies", Wave::Addons, cluster.location);
            let manifests = emitted
                .iter()
                .flat_map(|of_clusters| of_clusters[index].iter());
            RenderedUnit::new(unit, Vec::new(), manifests.cloned().collect())
        })
        .filter(|unit| !unit.manifests.is_empty())
        .collect()
}

/// What enforces a policy in each cluster. Clusters where the same is done about it, with the same
/// exceptions, share it.
fn of_clusters(in_force: &InForce, model: &Model, units: &[RenderedUnit]) -> Vec<Arc<[Manifest]>> {
    let mut made: Vec<(_, Arc<[Manifest]>)> = Vec::new();
    (0..model.clusters.len())
        .map(|cluster| {
            let exceptions = in_force.exceptions_in(cluster);
            let of: (_, Vec<_>) = (
                in_force.actions[cluster],
                exceptions.map(|exception| exception.location).collect(),
            );
            if let Some((_, known)) = made.iter().find(|(known, _)| *known == of) {
                return Arc::clone(known);
            }
            let emitted = emit(in_force, cluster, units).into_iter();
            let objects = emitted.flat_map(|emitted| {
                let params = emitted.params.into_iter();
                params.chain([emitted.policy]).chain(emitted.bindings)
            });
            let manifests = manifest::given(model, objects, in_force.origin, POLICY_FILE);
            made.push((of, manifests.into()));
            Arc::clone(&made[made.len() - 1].1)
        })
        .collect()
}

/// What enforces a policy in a cluster, unless it is off there or about no objects.
pub fn emit(in_force: &InForce, cluster: ClusterIndex, units: &[RenderedUnit]) -> Option<Emitted> {
    let Subject::Admission(admission) = &in_force.policy.subject else {
        return None;
    };
    let action = in_force.actions[cluster];
    if action == PolicyAction::Off {
        return None;
    }
    let mut policy = admission.policy.document.clone();
    except(&mut policy, in_force.exceptions_in(cluster), units);
    let bindings = admission
        .bindings
        .iter()
        .map(|binding| {
            let mut document = binding.document.clone();
            if in_force.is_set {
                document["spec"]["validationActions"] = actions(action);
            }
            document
        })
        .collect();
    let params = admission.params.clone().map(|mut params| {
        let data: Map<_, _> = in_force.params.clone().into_iter().collect();
        params["data"] = data.into();
        params
    });
    Some(Emitted {
        policy,
        bindings,
        params,
    })
}

/// The policy as it stands in its file, for tests of it.
pub(crate) fn as_written(policy: &Policy) -> Option<Emitted> {
    let Subject::Admission(admission) = &policy.subject else {
        return None;
    };
    Some(Emitted {
        policy: admission.policy.document.clone(),
        bindings: admission
            .bindings
            .iter()
            .map(|binding| binding.document.clone())
            .collect(),
        params: admission.params.clone(),
    })
}

fn actions(action: PolicyAction) -> Json {
    match action {
        PolicyAction::Deny => json!(["Deny"]),
        PolicyAction::Warn => json!(["Warn"]),
        PolicyAction::Audit | PolicyAction::Off => json!(["Audit"]),
    }
}

/// Adds what is excepted to the conditions of a policy.
fn except<'a>(
    policy: &mut Json,
    exceptions: impl Iterator<Item = &'a Exception>,
    units: &[RenderedUnit],
) {
    let terms: BTreeSet<_> = exceptions
        .filter_map(|exception| exception.expression(&exception.jobs(units)))
        .collect();
    if terms.is_empty() {
        return;
    }
    let terms: Vec<_> = terms.into_iter().collect();
    let condition = json!({
        "name": "hcb-exceptions",
        "expression": format!("!({})", terms.join(" || ")),
    });
    let conditions = &mut policy["spec"]["matchConditions"];
    match conditions.as_array_mut() {
        Some(conditions) => conditions.push(condition),
        None => *conditions = json!([condition]),
    }
}
