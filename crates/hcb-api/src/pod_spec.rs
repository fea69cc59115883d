//! What a pod asks of a cluster.

use crate::amounts::{Amounts, add};
use crate::labels::{CONSTRAINTS, TARGET};
use crate::requirements::{PodRequirements, Requirement, Toleration};
use hcb_kubernetes::Quantity;
use k8s_openapi::api::core::v1::{Affinity, ResourceRequirements, Toleration as PodToleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubernetesQuantity;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The container that Istio puts into a pod.
const PROXY: &str = "istio-proxy";
/// The annotations by which a pod says what Istio's container asks for, with the resources. A template of
/// hcb's has them, since the pod that waits has no such container yet.
const PROXY_ANNOTATIONS: [(&str, &str); 2] = [
    ("sidecar.istio.io/proxyCPU", "cpu"),
    ("sidecar.istio.io/proxyMemory", "memory"),
];

/// What is read of a pod's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSpec {
    /// The node that it is bound to.
    pub node_name: Option<String>,
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
    #[serde(default)]
    overhead: BTreeMap<String, KubernetesQuantity>,
    /// The taints that it tolerates.
    #[serde(default)]
    pub tolerations: Vec<PodToleration>,
    #[serde(default)]
    node_selector: BTreeMap<String, String>,
    affinity: Option<Affinity>,
    /// Higher goes first.
    #[serde(default)]
    pub priority: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    #[serde(default)]
    name: String,
    resources: Option<ResourceRequirements>,
    restart_policy: Option<String>,
}

/// What a pod asks of a cluster, and to which of the clusters `rules` let it go.
pub fn requirements(
    spec: &PodSpec,
    annotations: &BTreeMap<String, String>,
    rules: &[Vec<Requirement>],
    names: &[String],
) -> PodRequirements {
    let is_allowed = |name: &&String| {
        let labels = BTreeMap::from([(TARGET.to_owned(), (*name).clone())]);
        let is_about_clusters = |group: &Vec<Requirement>| {
            group
                .iter()
                .all(|requirement| requirement.key != TARGET || requirement.holds(&labels))
        };
        rules.is_empty() || rules.iter().any(is_about_clusters)
    };
    let mut asked = PodRequirements {
        requests: requests(spec, annotations),
        tolerations: spec.tolerations.iter().map(toleration).collect(),
        node_selector: spec.node_selector.clone(),
        affinity: affinity(spec),
        clusters: names.iter().filter(is_allowed).cloned().collect(),
    };
    if asked.clusters.is_empty() && !names.is_empty() {
        asked.forbid_all();
    }
    asked
}

/// What the pods of a template ask of the clusters of these names, as the reconciler will see them.
/// `None` where it is no template of pods.
pub fn requirements_of_template(template: &Value, names: &[String]) -> Option<PodRequirements> {
    let spec = PodSpec::deserialize(template.get("spec")?).ok()?;
    let annotations = template.pointer("/metadata/annotations");
    let annotations = annotations.and_then(|all| BTreeMap::deserialize(all).ok());
    let annotations: BTreeMap<String, String> = annotations.unwrap_or_default();
    let rules: PodSpec = match annotations.get(CONSTRAINTS) {
        Some(text) => serde_saphyr::from_str(text).ok()?,
        None => PodSpec::default(),
    };
    Some(requirements(&spec, &annotations, &affinity(&rules), names))
}

/// What a pod asks for: its containers and sidecars together, or its largest step of initialization; with
/// the proxy that its annotations announce, where that is not in it yet.
pub fn requests(spec: &PodSpec, annotations: &BTreeMap<String, String>) -> Amounts {
    let of = |container: &Container| {
        let resources = container.resources.as_ref();
        let requests = resources.and_then(|resources| resources.requests.as_ref());
        requests.map(amounts).unwrap_or_default()
    };
    let mut total = Amounts::new();
    let mut containers = spec.init_containers.iter().chain(&spec.containers);
    let mut sidecars = if containers.any(|container| container.name == PROXY) {
        Amounts::new()
    } else {
        announced(annotations)
    };
    let mut most = Amounts::new();
    for container in &spec.init_containers {
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
    add(&mut total, &amounts(&spec.overhead));
    total.insert("pods".into(), 1000);
    total
}

/// What the proxy will ask for.
fn announced(annotations: &BTreeMap<String, String>) -> Amounts {
    let said = PROXY_ANNOTATIONS
        .iter()
        .filter_map(|(annotation, resource)| {
            let amount = Quantity::parse(annotations.get(*annotation)?)?;
            Some(((*resource).to_owned(), amount.milli()))
        });
    said.collect()
}

fn raise(total: &mut Amounts, least: &Amounts) {
    for (resource, amount) in least {
        let known = total.entry(resource.clone()).or_default();
        *known = (*known).max(*amount);
    }
}

/// Amounts as thousandths. Quantities that cannot be read are left out.
pub fn amounts(quantities: &BTreeMap<String, KubernetesQuantity>) -> Amounts {
    quantities
        .iter()
        .filter_map(|(resource, quantity)| {
            Some((resource.clone(), Quantity::parse(&quantity.0)?.milli()))
        })
        .collect()
}

fn toleration(toleration: &PodToleration) -> Toleration {
    Toleration {
        key: toleration.key.clone().unwrap_or_default(),
        value: toleration.value.clone().unwrap_or_default(),
        any_value: toleration.operator.as_deref() == Some("Exists"),
        effect: toleration.effect.clone().unwrap_or_default(),
    }
}

/// What a node must be like: one of these groups must hold as a whole.
pub fn affinity(spec: &PodSpec) -> Vec<Vec<Requirement>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Thousandths of a CPU that are asked for by a pod of some init containers beside one program, with
    /// Istio's annotation.
    fn cpu(init_containers: &Value) -> i128 {
        let template = json!({
            "metadata": {"annotations": {"sidecar.istio.io/proxyCPU": "100m"}},
            "spec": {
                "initContainers": init_containers,
                "containers": [{"name": "main", "resources": {"requests": {"cpu": "2"}}}],
            },
        });
        let asked = requirements_of_template(&template, &[]).expect("a template");
        asked.requests["cpu"]
    }

    #[test]
    fn a_proxy_counts_before_it_is_there_and_once_when_it_is() {
        let proxy = |name: &str| {
            json!({
                "name": name,
                "restartPolicy": "Always",
                "resources": {"requests": {"cpu": "300m"}},
            })
        };
        assert_eq!(cpu(&json!([])), 2100);
        assert_eq!(cpu(&json!([proxy("logs")])), 2400);
        assert_eq!(cpu(&json!([proxy(PROXY)])), 2300);
        assert_eq!(cpu(&json!([proxy("logs"), proxy(PROXY)])), 2600);
    }
}
