//! What the plan and the meshes say of the object store.

use hcb_spec::model::Model;
use hcb_spec::spec::StoreInCluster;
use serde_json::{Value, json};

/// The namespaces that have workloads with data, by name.
pub(crate) fn namespaces_with_data(model: &Model) -> Vec<&str> {
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

/// What templates say of a store in a cluster.
pub(crate) fn service_of(service: &StoreInCluster) -> Value {
    json!({
        "name": service.service,
        "namespace": service.namespace,
        "port": service.port,
        "podLabels": service.pod_labels,
    })
}
