//! The few fields of Kubernetes' objects that decisions need.

use super::config::Amounts;
use super::observation::{NodeState, Requirement, Taint, Toleration};
use crate::model::Quantity;
use k8s_openapi::api::core::v1::{Node, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubernetesQuantity;
use std::collections::BTreeMap;

pub(super) fn node_state(node: &Node, labels: BTreeMap<String, String>) -> NodeState {
    let spec = node.spec.as_ref();
    let status = node.status.as_ref();
    let conditions = status
        .and_then(|status| status.conditions.as_ref())
        .into_iter()
        .flatten();
    let is_ready = conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let is_open = !spec.and_then(|spec| spec.unschedulable).unwrap_or_default()
        && node.metadata.deletion_timestamp.is_none();
    let taints = spec
        .and_then(|spec| spec.taints.as_ref())
        .into_iter()
        .flatten();
    NodeState {
        name: node.metadata.name.clone().unwrap_or_default(),
        labels,
        taints: taints
            .map(|taint| Taint {
                key: taint.key.clone(),
                value: taint.value.clone().unwrap_or_default(),
                effect: taint.effect.clone(),
            })
            .collect(),
        takes_pods: is_ready && is_open,
        allocatable: status
            .and_then(|status| status.allocatable.as_ref())
            .map(amounts)
            .unwrap_or_default(),
        used: Amounts::new(),
    }
}

/// What a pod asks for: its containers and sidecars together, or its largest step of initialization.
pub(super) fn requests(spec: &PodSpec) -> Amounts {
    let of = |container: &k8s_openapi::api::core::v1::Container| {
        container
            .resources
            .as_ref()
            .and_then(|resources| resources.requests.as_ref())
            .map(amounts)
            .unwrap_or_default()
    };
    let add = |total: &mut Amounts, more: &Amounts| {
        for (resource, amount) in more {
            *total.entry(resource.clone()).or_default() += amount;
        }
    };
    let mut total = Amounts::new();
    let mut sidecars = Amounts::new();
    let mut most = Amounts::new();
    for container in spec.init_containers.iter().flatten() {
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut sidecars, &of(container));
        } else {
            let mut step = sidecars.clone();
            add(&mut step, &of(container));
            raise(&mut most, &step);
        }
    }
    for container in &spec.containers {
        add(&mut total, &of(container));
    }
    add(&mut total, &sidecars);
    raise(&mut total, &most);
    add(
        &mut total,
        &spec.overhead.as_ref().map(amounts).unwrap_or_default(),
    );
    total.insert("pods".into(), 1000);
    total
}

pub(super) fn raise(total: &mut Amounts, least: &Amounts) {
    for (resource, amount) in least {
        let known = total.entry(resource.clone()).or_default();
        *known = (*known).max(*amount);
    }
}

pub(super) fn amounts(quantities: &BTreeMap<String, KubernetesQuantity>) -> Amounts {
    quantities
        .iter()
        .filter_map(|(resource, quantity)| {
            Some((resource.clone(), Quantity::parse(&quantity.0)?.milli()))
        })
        .collect()
}

pub(super) fn toleration(toleration: &k8s_openapi::api::core::v1::Toleration) -> Toleration {
    Toleration {
        key: toleration.key.clone().unwrap_or_default(),
        value: toleration.value.clone().unwrap_or_default(),
        any_value: toleration.operator.as_deref() == Some("Exists"),
        effect: toleration.effect.clone().unwrap_or_default(),
    }
}

pub(super) fn affinity(spec: &PodSpec) -> Vec<Vec<Requirement>> {
    let affinity = spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|affinity| {
        affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()
    });
    let terms = required
        .into_iter()
        .flat_map(|required| &required.node_selector_terms);
    terms
        .map(|term| {
            let expressions = term.match_expressions.iter().flatten();
            expressions
                .map(|expression| Requirement {
                    key: expression.key.clone(),
                    operator: expression.operator.clone(),
                    values: expression.values.clone().unwrap_or_default(),
                })
                .collect()
        })
        .collect()
}
