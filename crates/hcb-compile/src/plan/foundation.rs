//! Namespaces, priorities, quotas and network policies: what Kubernetes itself provides.

use super::{Unit, Wave, namespaces};
use hcb_spec::model::{ClusterIndex, Model, ObjectStoreKind};
use serde_json::{Map, Value, json};

pub(super) fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "foundation", Wave::Foundation, cluster.location);
    let mut namespace = |name: &str, origin, labels: Value| {
        unit.add(
            "foundation/namespace.yaml",
            origin,
            json!({ "name": name, "labels": labels }),
        );
    };
    if let Some(mesh) = &model.mesh {
        // Without this label on the namespace itself, before istiod starts, istiod takes its own
        // endpoints for those of another network.
        let labels = json!({ "topology.istio.io/network": cluster.network });
        namespace(namespaces::ISTIO, mesh.location, labels);
    }
    namespace(namespaces::ADMIRALTY, model.scheduling.location, json!({}));
    namespace(
        namespaces::HCB,
        model.scheduling.location,
        json!({
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        }),
    );
    if model.addons.cert_manager.install {
        namespace(namespaces::CERT_MANAGER, cluster.location, json!({}));
    }
    if model.addons.external_secrets.install {
        namespace(namespaces::EXTERNAL_SECRETS, cluster.location, json!({}));
    }
    for workloads in &model.namespaces {
        namespace(&workloads.name, workloads.location, workload_labels(model));
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
        let labels = match model.mesh {
            Some(_) => json!({ "istio-injection": "enabled" }),
            None => json!({}),
        };
        unit.add(
            "foundation/shared-namespace.yaml",
            store.location,
            json!({ "name": service.namespace, "labels": labels }),
        );
    }
    for (name, value) in &model.scheduling.priorities {
        unit.add(
            "foundation/priority-class.yaml",
            model.scheduling.location,
            json!({ "name": priority_class(name), "value": value }),
        );
    }
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
            json!({ "namespace": workloads.name }),
        );
    }
    vec![unit]
}

fn workload_labels(model: &Model) -> Value {
    let mut labels = Map::new();
    labels.insert("multicluster-scheduler".into(), "enabled".into());
    let (guarded, value) = crate::policy::GUARDED;
    labels.insert(guarded.into(), value.into());
    if model.mesh.is_some() {
        labels.insert("istio-injection".into(), "enabled".into());
        // The sidecar's init container needs NET_ADMIN, which `baseline` refuses; the workloads
        // themselves meet `restricted`, and whatever does not is warned of.
    } else {
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
