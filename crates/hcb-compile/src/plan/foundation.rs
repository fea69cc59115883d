//! Namespaces, priorities, quotas and network policies: what Kubernetes itself provides.

use crate::policy::GUARDED;
use crate::providers::Providers;
use crate::providers::common::mapping;
use crate::unit::{Unit, Wave};
use hcb_api::{gitops, names};
use hcb_spec::model::{ClusterIndex, Model, ObjectStoreKind};
use serde_json::{Map, Value, json};

pub(super) fn plan(model: &Model, providers: &Providers<'_>, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "foundation", Wave::Foundation, cluster.location);
    let mut namespace = |name: &str, origin, labels: Value| {
        unit.add(
            "foundation/namespace.yaml",
            origin,
            json!({ "name": name, "labels": labels }),
        );
    };
    let of_mesh = providers.mesh.iter();
    let of_mesh = of_mesh.flat_map(|mesh| mesh.namespaces(cluster));
    for platform in of_mesh.chain(providers.scheduling.namespaces(model)) {
        namespace(platform.name, platform.origin, platform.labels);
    }
    namespace(
        names::SYSTEM_NAMESPACE,
        model.scheduling.location,
        json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }),
    );
    if model.addons.cert_manager.install {
        namespace(names::CERT_MANAGER_NAMESPACE, cluster.location, json!({}));
    }
    if model.addons.external_secrets.install {
        namespace(
            names::EXTERNAL_SECRETS_NAMESPACE,
            cluster.location,
            json!({}),
        );
    }
    for workloads in &model.namespaces {
        namespace(
            &workloads.name,
            workloads.location,
            workload_labels(providers),
        );
    }
    // Where the store runs, its namespace exists: it gets the label that brings its pods into the
    // mesh. Elsewhere it is made for the Service that gives the store its name there.
    if let Some(store) = &model.object_store
        && let ObjectStoreKind::InCluster { service, .. } = &store.kind
        && !model
            .namespaces
            .iter()
            .any(|namespace| namespace.name == service.namespace)
    {
        let labels = providers.mesh.iter();
        let labels = labels.flat_map(|mesh| mesh.namespace_labels());
        let labels: Map<_, _> = labels
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        unit.add(
            "foundation/shared-namespace.yaml",
            store.location,
            json!({ "name": service.namespace, "labels": labels, "kept": mapping(gitops::kept()) }),
        );
    }
    for (name, value) in &model.scheduling.priorities {
        unit.add(
            "foundation/priority-class.yaml",
            model.scheduling.location,
            json!({ "name": priority_class(name), "value": value }),
        );
    }
    let gateways = providers.mesh.iter();
    let gateways: Vec<_> = gateways
        .flat_map(|mesh| mesh.gateway_namespaces())
        .collect();
    for workloads in &model.namespaces {
        if !workloads.quota.is_empty() {
            unit.add(
                "foundation/resource-quota.yaml",
                workloads.location,
                json!({ "namespace": workloads.name, "hard": workloads.quota }),
            );
        }
        unit.add(
            "foundation/network-policy.yaml",
            workloads.location,
            json!({ "namespace": workloads.name, "gatewayNamespaces": gateways }),
        );
    }
    vec![unit]
}

fn workload_labels(providers: &Providers<'_>) -> Value {
    let mut labels = Map::new();
    for (key, value) in providers.scheduling.namespace_labels() {
        labels.insert(key.to_owned(), value.into());
    }
    let (guarded, value) = GUARDED;
    labels.insert(guarded.into(), value.into());
    for (key, value) in providers
        .mesh
        .iter()
        .flat_map(|mesh| mesh.namespace_labels())
    {
        labels.insert(key.to_owned(), value.into());
    }
    // Where the mesh needs more than `baseline` grants, the workloads themselves meet `restricted`, and whatever
    // does not is warned of.
    if !providers
        .mesh
        .as_ref()
        .is_some_and(|mesh| mesh.needs_rights())
    {
        labels.insert(
            "pod-security.kubernetes.io/enforce".into(),
            "restricted".into(),
        );
    }
    labels.insert(
        "pod-security.kubernetes.io/audit".into(),
        "restricted".into(),
    );
    labels.insert(
        "pod-security.kubernetes.io/warn".into(),
        "restricted".into(),
    );
    Value::Object(labels)
}

/// The `PriorityClass` of a priority of the spec. Names of the platform's own are kept apart from
/// those that a cluster has already.
pub(super) fn priority_class(priority: &str) -> String {
    format!("hcb-{priority}")
}
