//! What a pod asks of a cluster.

use crate::amounts::{Amounts, add};
use crate::labels::{CONSTRAINTS, TARGET};
use crate::requirements::{PodRequirements, Requirement, Toleration};
use hcb_kubernetes::{Object, Quantity};
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
    /// What is said for the pod as a whole (KEP-2837, on by default in Kubernetes 1.34).
    resources: Option<ResourceRequirements>,
    /// The taints that it tolerates.
    #[serde(default)]
    pub tolerations: Vec<PodToleration>,
    #[serde(default)]
    node_selector: BTreeMap<String, String>,
    affinity: Option<Affinity>,
    /// What others wait for before the pod may be scheduled.
    #[serde(default)]
    pub scheduling_gates: Vec<Value>,
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

/// What is read of the status of a container: what it has while it is resized in place.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    #[serde(default)]
    name: String,
    #[serde(default)]
    allocated_resources: BTreeMap<String, KubernetesQuantity>,
    resources: Option<ResourceRequirements>,
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
    let annotations = Object(template).annotations();
    let annotations = annotations.and_then(|all| BTreeMap::deserialize(all).ok());
    let annotations: BTreeMap<String, String> = annotations.unwrap_or_default();
    let rules: PodSpec = match annotations.get(CONSTRAINTS) {
        Some(text) => serde_saphyr::from_str(text).ok()?,
        None => PodSpec::default(),
    };
    Some(requirements(&spec, &annotations, &affinity(&rules), names))
}

/// What a pod asks for: its containers and sidecars together, or its largest step of initialization; with
/// the proxy that its annotations announce, where that is not in it yet. What is said for the pod as a whole takes
/// the place of that.
pub fn requests(spec: &PodSpec, annotations: &BTreeMap<String, String>) -> Amounts {
    requests_and_held(spec, &[], annotations)
}

/// What a pod takes of its node: what it asks for, or what a container has, whichever is more. One that is resized in
/// place keeps what it had until its kubelet has agreed.
pub fn requests_and_held(
    spec: &PodSpec,
    statuses: &[ContainerStatus],
    annotations: &BTreeMap<String, String>,
) -> Amounts {
    let of = |container: &Container| {
        let mut asked = container.resources.as_ref().map(asked).unwrap_or_default();
        let mut statuses = statuses.iter();
        if let Some(status) = statuses.find(|status| status.name == container.name) {
            raise(&mut asked, &amounts(&status.allocated_resources));
            let actual = status.resources.as_ref();
            let actual = actual.and_then(|resources| resources.requests.as_ref());
            raise(&mut asked, &actual.map(amounts).unwrap_or_default());
        }
        asked
    };
    let mut total = Amounts::new();
    let containers = || spec.init_containers.iter().chain(&spec.containers);
    let mut sidecars = if containers().any(|container| container.name == PROXY) {
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
    if let Some(whole) = &spec.resources {
        let is_requested =
            |resource: &String| containers().any(|container| of(container).contains_key(resource));
        let limits = whole.limits.as_ref().map(amounts).unwrap_or_default();
        let requests = whole.requests.as_ref().map(amounts).unwrap_or_default();
        // A limit of the pod is a request where no container has one.
        let limits = limits.into_iter().filter(|(name, _)| !is_requested(name));
        total.extend(limits.chain(requests).filter(|(name, _)| is_of_pods(name)));
    }
    add(&mut total, &amounts(&spec.overhead));
    total.insert("pods".into(), 1000);
    total
}

/// What a container asks for. A limit is a request where there is no other.
fn asked(resources: &ResourceRequirements) -> Amounts {
    let limits = resources.limits.as_ref().map(amounts);
    let mut asked = limits.unwrap_or_default();
    asked.extend(resources.requests.as_ref().map(amounts).unwrap_or_default());
    asked
}

/// Whether a resource can be asked for by a pod as a whole. Source: `IsSupportedPodLevelResource` in
/// k8s.io/component-helpers.
fn is_of_pods(resource: &str) -> bool {
    matches!(resource, "cpu" | "memory") || resource.starts_with("hugepages-")
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
    fn the_requests_of_an_istio_proxy_count_exactly_once() {
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

    /// What a pod of this spec asks for, but for its place among the pods of a node.
    fn asked_by(spec: Value, statuses: Value) -> BTreeMap<String, i128> {
        let spec = PodSpec::deserialize(spec).expect("a spec");
        let statuses = Vec::deserialize(statuses).expect("statuses");
        let mut asked = requests_and_held(&spec, &statuses, &BTreeMap::new());
        assert_eq!(asked.remove("pods"), Some(1000));
        asked
    }

    #[track_caller]
    fn asks(spec: Value, expected: &[(&str, i128)]) {
        let expected = expected
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), *amount));
        assert_eq!(asked_by(spec, json!([])), expected.collect());
    }

    fn container(name: &str, requests: Value, limits: Value) -> Value {
        let resources = Value::from_iter([("requests", requests), ("limits", limits)]);
        json!({"name": name, "resources": resources})
    }

    fn sidecar(name: &str, requests: Value) -> Value {
        let resources = Value::from_iter([("requests", requests)]);
        json!({"name": name, "restartPolicy": "Always", "resources": resources})
    }

    #[test]
    fn a_limit_is_a_request_where_there_is_no_other() {
        let one = |requests, limits| json!({"containers": [container("main", requests, limits)]});
        asks(one(json!({}), json!({"cpu": "2"})), &[("cpu", 2000)]);
        asks(
            one(json!({"cpu": "1"}), json!({"cpu": "2", "memory": "1k"})),
            &[("cpu", 1000), ("memory", 1_000_000)],
        );
        asks(one(json!({"cpu": "0"}), json!({"cpu": "2"})), &[("cpu", 0)]);
        asks(
            one(
                json!({}),
                json!({"nvidia.com/gpu": 2, "ephemeral-storage": "1"}),
            ),
            &[("ephemeral-storage", 1000), ("nvidia.com/gpu", 2000)],
        );
    }

    #[test]
    fn init_containers_count_with_the_sidecars_that_start_before_them() {
        let cpus = |count: u32| json!({"cpu": count.to_string()});
        let step = |count| container("step", cpus(count), json!({}));
        let main = container("main", cpus(2), json!({}));
        for (inits, expected) in [
            (json!([step(1)]), 2000),
            (json!([step(5)]), 5000),
            (json!([step(5), step(6), step(4)]), 6000),
            (json!([sidecar("logs", cpus(3))]), 5000),
            (json!([step(4), sidecar("logs", cpus(3))]), 5000),
            (json!([sidecar("logs", cpus(3)), step(4)]), 7000),
            (
                json!([sidecar("logs", cpus(1)), step(4), sidecar("more", cpus(3))]),
                6000,
            ),
        ] {
            let spec =
                json!({"initContainers": inits, "containers": [main], "overhead": {"cpu": "250m"}});
            asks(spec, &[("cpu", expected + 250)]);
        }
    }

    #[test]
    fn what_is_said_for_the_pod_as_a_whole_takes_the_place_of_its_containers() {
        let whole = |resources: Value, containers: Value| {
            json!({
                "resources": resources,
                "initContainers": [sidecar("logs", json!({"cpu": "1"}))],
                "containers": containers,
                "overhead": {"cpu": "250m", "memory": "1"},
            })
        };
        let none = || json!([{"name": "main"}]);
        let some = || {
            json!([container(
                "main",
                json!({"cpu": "1", "memory": "5", "nvidia.com/gpu": 1}),
                json!({})
            )])
        };
        let gpu = ("nvidia.com/gpu", 1000);
        // Requests take the place of the sum, for what they name alone.
        asks(
            whole(json!({"requests": {"cpu": "8"}}), some()),
            &[("cpu", 8250), ("memory", 6000), gpu],
        );
        asks(
            whole(json!({"requests": {"cpu": "8", "memory": "9"}}), none()),
            &[("cpu", 8250), ("memory", 10_000)],
        );
        // A limit is a request where no container, no sidecar either, has one.
        asks(
            whole(json!({"limits": {"cpu": "8", "memory": "9"}}), none()),
            &[("cpu", 1250), ("memory", 10_000)],
        );
        asks(
            whole(
                json!({"requests": {"cpu": "3"}, "limits": {"cpu": "8", "memory": "9"}}),
                some(),
            ),
            &[("cpu", 3250), ("memory", 6000), gpu],
        );
        asks(
            whole(json!({"requests": {"hugepages-2Mi": "4"}}), none()),
            &[("cpu", 1250), ("hugepages-2Mi", 4000), ("memory", 1000)],
        );
        // What Kubernetes knows of containers alone is theirs to say.
        asks(
            whole(
                json!({"requests": {"nvidia.com/gpu": 5, "ephemeral-storage": "5"}}),
                some(),
            ),
            &[("cpu", 2250), ("memory", 6000), gpu],
        );
    }

    #[test]
    fn a_container_that_is_resized_takes_the_most_of_what_it_asks_for_and_what_it_has() {
        let spec = json!({
            "initContainers": [sidecar("logs", json!({"cpu": "1"}))],
            "containers": [container("main", json!({"cpu": "2"}), json!({}))],
        });
        for (statuses, expected) in [
            (json!([]), 3000),
            (
                json!([{"name": "main", "allocatedResources": {"cpu": "4"}}]),
                5000,
            ),
            (
                json!([{"name": "main", "allocatedResources": {"cpu": "1"}}]),
                3000,
            ),
            (
                json!([{"name": "main", "resources": {"requests": {"cpu": "5"}}}]),
                6000,
            ),
            (
                json!([{"name": "logs", "allocatedResources": {"cpu": "3"}}]),
                5000,
            ),
            (
                json!([{"name": "other", "allocatedResources": {"cpu": "9"}}]),
                3000,
            ),
        ] {
            assert_eq!(asked_by(spec.clone(), statuses)["cpu"], expected);
        }
    }
}
