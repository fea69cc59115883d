//! The object store, by the same name in every cluster.
//!
//! In the mesh, a Service of the same name and namespace in each cluster is one service: where the
//! store does not run, the Service has no endpoints of its own, and the mesh sends requests to the
//! store's cluster, through its east-west gateway, with mutual TLS. Nothing is opened by hand.

use super::access::{Target, external_secret};
use super::{Unit, Wave};
use hcb_spec::model::{ClusterIndex, Model, ObjectStore, ObjectStoreKind};
use serde_json::{Value, json};

/// The Secret with the store's credentials, in each namespace of workloads with data.
pub(super) const CREDENTIALS: &str = "object-store-credentials";

pub(super) fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    let Some(store) = &model.object_store else {
        return Vec::new();
    };
    let mut unit = Unit::new(index, "object-store", Wave::Services, store.location);
    match &store.kind {
        ObjectStoreKind::InCluster { cluster, service } => {
            let service = json!({
                "name": service.service,
                "namespace": service.namespace,
                "port": service.port,
                "podLabels": service.pod_labels,
            });
            if *cluster != index {
                unit.add(
                    "object-store/service.yaml",
                    store.location,
                    json!({ "service": service }),
                );
            }
            if let Some(mesh) = &model.mesh {
                unit.add(
                    "object-store/destination-rule.yaml",
                    store.location,
                    json!({ "service": service, "localityFailover": mesh.settings.locality_failover }),
                );
                if *cluster == index {
                    unit.add(
                        "object-store/authorization-policy.yaml",
                        store.location,
                        json!({ "service": service, "principals": principals(model, &mesh.settings.trust_domain) }),
                    );
                }
            }
        }
        ObjectStoreKind::External(url) => {
            if model.mesh.is_some() {
                unit.add(
                    "object-store/service-entry.yaml",
                    store.location,
                    json!({
                        "host": url.host_str(),
                        "port": url.port_or_known_default(),
                        "protocol": if url.scheme() == "https" { "TLS" } else { "HTTP" },
                        "namespaces": namespaces_with_data(model),
                    }),
                );
            }
        }
    }
    // Admiralty copies the secrets of a pod to where the pod goes, so the source is enough.
    if index == model.source {
        for namespace in namespaces_with_data(model) {
            let key = &store.credentials_key;
            let target = Target {
                name: CREDENTIALS.to_owned(),
                namespace,
                labels: json!({}),
                annotations: json!({}),
                data: Value::Null,
            };
            external_secret(
                &mut unit,
                model,
                store.location,
                &target,
                &json!([
                    { "secretKey": "accessKeyId", "remoteRef": { "key": key, "property": "accessKeyId" } },
                    { "secretKey": "secretAccessKey", "remoteRef": { "key": key, "property": "secretAccessKey" } },
                ]),
            );
        }
    }
    vec![unit]
}

/// The namespaces that have workloads with data, by name.
fn namespaces_with_data(model: &Model) -> Vec<&str> {
    model
        .namespaces
        .iter()
        .map(|namespace| namespace.name.as_str())
        .filter(|namespace| {
            model
                .workloads
                .iter()
                .any(|workload| workload.namespace == *namespace && workload.spec.data_is_used())
        })
        .collect()
}

/// Who may use the store: the service accounts of the workloads with data, and nobody else.
fn principals(model: &Model, trust_domain: &str) -> Vec<String> {
    let mut principals: Vec<_> = model
        .workloads
        .iter()
        .filter(|workload| workload.spec.data_is_used())
        .map(|workload| {
            format!(
                "{trust_domain}/ns/{}/sa/{}",
                workload.namespace, workload.name
            )
        })
        .collect();
    principals.sort();
    principals
}

/// The URL that workloads reach the store at.
pub(super) fn endpoint(store: &ObjectStore) -> String {
    match &store.kind {
        // Plain HTTP on the wire of the pod only: the sidecar makes mutual TLS of it.
        ObjectStoreKind::InCluster { service, .. } => format!(
            "http://{}.{}.svc.cluster.local:{}",
            service.service, service.namespace, service.port
        ),
        ObjectStoreKind::External(url) => url.as_str().trim_end_matches('/').to_owned(),
    }
}
