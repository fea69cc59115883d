//! The object store, by the same name in every cluster.
//!
//! In the mesh, a Service of the same name and namespace in each cluster is one service: where the
//! store does not run, the Service has no endpoints of its own, and the mesh sends requests to the
//! store's cluster, through its east-west gateway, with mutual TLS. Nothing is opened by hand.

use crate::access::{Target, external_secret};
use crate::object_store::{namespaces_with_data, service_of};
use crate::providers::Providers;
use crate::unit::{Unit, Wave};
use hcb_spec::model::{ClusterIndex, Model, ObjectStore, ObjectStoreKind};
use serde_json::{Value, json};

/// The Secret with the store's credentials, in each namespace of workloads with data.
pub(super) const CREDENTIALS: &str = "object-store-credentials";

pub(super) fn plan(model: &Model, providers: &Providers<'_>, index: ClusterIndex) -> Vec<Unit> {
    let Some(store) = &model.object_store else {
        return Vec::new();
    };
    let mut unit = Unit::new(index, "object-store", Wave::Services, store.location);
    if let ObjectStoreKind::InCluster { cluster, service } = &store.kind
        && *cluster != index
    {
        unit.add(
            "object-store/service.yaml",
            store.location,
            json!({ "service": service_of(service) }),
        );
    }
    if let Some(mesh) = &providers.mesh {
        mesh.add_store(model, store, index, &mut unit);
    }
    // Where the engine copies the secrets of a pod to where the pod goes, the source is enough.
    if index == model.source || !providers.scheduling.copies_secrets() {
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
