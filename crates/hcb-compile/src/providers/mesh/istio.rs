//! Istio with sidecars: multi-primary, every network behind an east-west gateway.
//!
//! Sources: istio.io's guide to multi-primary on different networks, the charts of Istio 1.31
//! (`manifests/charts` of istio/istio), and its `secretcontroller.go` for remote secrets.

mod charts;
mod gateway;
mod network;
mod remote_secret;
mod trust;
mod versions;

use super::interface::Sidecar;
use crate::access::{Access, Target, external_secret, kubeconfig};
use crate::object_store::{namespaces_with_data, service_of};
use crate::providers::common::{Pair, PlatformNamespace};
use crate::rendered::InCluster;
use crate::unit::{Chart, Item, LiveField, Unit, Wave};
use hcb_api::labels::SIDECAR_INJECTION;
use hcb_source::diag::Diagnostics;
use hcb_spec::istio::{NAMESPACE, PROXY_LIMITS, PROXY_REQUESTS};
use hcb_spec::model::{Cluster, ClusterIndex, Mesh, Model, ObjectStore, ObjectStoreKind};
use hcb_spec::spec::MutualTls;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How each control plane watches the services of the other clusters. The chart `base` creates the
/// account, `istiod` its role.
const READER: Access = Access {
    purpose: "istio-reader",
    account: "istio-reader-service-account",
    namespace: NAMESPACE,
};

/// The key in the store that holds the root of the mesh as `root-cert.pem`.
const ROOT: &str = "mesh/root";

/// The webhooks whose CA and failure policy istiod writes at run time.
const INJECTION_CA: [&str; 4] = [
    "/webhooks/0/clientConfig/caBundle",
    "/webhooks/1/clientConfig/caBundle",
    "/webhooks/2/clientConfig/caBundle",
    "/webhooks/3/clientConfig/caBundle",
];
const VALIDATION: [&str; 2] = [
    "/webhooks/0/clientConfig/caBundle",
    "/webhooks/0/failurePolicy",
];

/// Istio with the settings of a model.
pub(super) struct Istio<'m>(pub &'m Mesh);

impl super::interface::Mesh for Istio<'_> {
    fn namespaces(&self, cluster: &Cluster) -> Vec<PlatformNamespace> {
        vec![PlatformNamespace {
            name: NAMESPACE,
            // Without this label on the namespace itself, before istiod starts, istiod takes its own
            // endpoints for those of another network.
            labels: json!({ "topology.istio.io/network": cluster.network }),
            origin: self.0.location,
        }]
    }

    fn units(&self, model: &Model, index: ClusterIndex) -> Vec<Unit> {
        let (mesh, cluster) = (self.0, &model.clusters[index]);
        vec![
            certificates(model, mesh, index),
            base(model, mesh, index),
            control_plane(model, mesh, cluster, index),
            traffic(model, mesh, cluster, index),
        ]
    }

    fn namespace_labels(&self) -> Vec<Pair> {
        vec![(SIDECAR_INJECTION, "enabled".to_owned())]
    }

    fn sidecar(&self) -> Option<Sidecar> {
        let requests = BTreeMap::from(PROXY_REQUESTS);
        let limits = BTreeMap::from(PROXY_LIMITS);
        let annotation = |key, value: &str| (key, value.to_owned());
        Some(Sidecar {
            annotations: vec![
                annotation("sidecar.istio.io/nativeSidecar", "true"),
                // As by default; said here, so that it is known before the proxy is there what it will ask for.
                annotation("sidecar.istio.io/proxyCPU", requests["cpu"]),
                annotation("sidecar.istio.io/proxyMemory", requests["memory"]),
                annotation("sidecar.istio.io/proxyCPULimit", limits["cpu"]),
                annotation("sidecar.istio.io/proxyMemoryLimit", limits["memory"]),
            ],
            refusal: vec![annotation("sidecar.istio.io/inject", "false")],
            requests: json!(requests),
            limits: json!(limits),
        })
    }

    fn sidecar_images(&self) -> String {
        format!("{}/proxyv2:", self.0.settings.hub)
    }

    /// The sidecar's init container needs `NET_ADMIN`.
    fn needs_rights(&self) -> bool {
        true
    }

    fn gateway_namespaces(&self) -> Vec<&'static str> {
        vec![NAMESPACE]
    }

    fn add_store(&self, model: &Model, store: &ObjectStore, index: ClusterIndex, unit: &mut Unit) {
        let settings = &self.0.settings;
        match &store.kind {
            ObjectStoreKind::InCluster { cluster, service } => {
                let service = service_of(service);
                unit.add(
                    "object-store/destination-rule.yaml",
                    store.location,
                    json!({ "service": service, "localityFailover": settings.locality_failover }),
                );
                if *cluster == index {
                    unit.add(
                        "object-store/authorization-policy.yaml",
                        store.location,
                        json!({ "service": service, "principals": principals(model, &settings.trust_domain) }),
                    );
                }
            }
            ObjectStoreKind::External(url) => unit.add(
                "object-store/service-entry.yaml",
                store.location,
                json!({
                    "host": url.host_str(),
                    "port": url.port_or_known_default(),
                    "protocol": if url.scheme() == "https" { "TLS" } else { "HTTP" },
                    "namespaces": namespaces_with_data(model),
                }),
            ),
        }
    }

    fn lint(&self, clusters: &[InCluster<'_>], diagnostics: &mut Diagnostics) {
        versions::check(clusters, diagnostics);
        trust::check(clusters, diagnostics);
        network::check(clusters, diagnostics);
        gateway::check(clusters, diagnostics);
        remote_secret::check(clusters, diagnostics);
    }
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

/// The CA of the cluster, from the store. It must be there before istiod starts: without it, istiod
/// makes a root of its own, and no cluster trusts another.
fn certificates(model: &Model, mesh: &Mesh, index: ClusterIndex) -> Unit {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "mesh-ca", Wave::Credentials, mesh.location);
    let key = model
        .secrets
        .key(&format!("clusters/{}/istio-ca", cluster.name));
    let target = Target {
        name: "cacerts".to_owned(),
        namespace: NAMESPACE,
        labels: json!({}),
        annotations: json!({}),
        data: Value::Null,
    };
    // All read the root from one key, so that there cannot be two: istiod does not start with a CA that
    // this root did not sign.
    let root = model.secrets.key(ROOT);
    let data: Vec<_> = [
        ("ca-cert.pem", &key),
        ("ca-key.pem", &key),
        ("root-cert.pem", &root),
        ("cert-chain.pem", &key),
    ]
    .into_iter()
    .map(|(file, key)| json!({ "secretKey": file, "remoteRef": { "key": key, "property": file } }))
    .collect();
    external_secret(&mut unit, model, mesh.location, &target, &json!(data));
    unit
}

fn base(model: &Model, mesh: &Mesh, index: ClusterIndex) -> Unit {
    let mut unit = Unit::new(index, "mesh-base", Wave::MeshBase, mesh.location);
    let live = LiveField {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingWebhookConfiguration",
        name: Some("istiod-default-validator".to_owned()),
        pointers: VALIDATION.to_vec(),
    };
    let cluster = &model.clusters[index];
    let context = context(model, mesh, cluster);
    unit.charts.push(chart(
        mesh,
        cluster,
        "istio-base",
        "base",
        "mesh/istio/base.values.yaml",
        context,
        vec![live],
    ));
    unit
}

fn control_plane(model: &Model, mesh: &Mesh, cluster: &Cluster, index: ClusterIndex) -> Unit {
    let mut unit = Unit::new(index, "mesh-control", Wave::MeshControl, mesh.location);
    let webhook = |kind, name: &str, pointers: &[&'static str]| LiveField {
        group: "admissionregistration.k8s.io",
        kind,
        name: Some(name.to_owned()),
        pointers: pointers.to_vec(),
    };
    unit.charts.push(chart(
        mesh,
        cluster,
        "istiod",
        "istiod",
        "mesh/istio/istiod.values.yaml",
        context(model, mesh, cluster),
        vec![
            webhook(
                "MutatingWebhookConfiguration",
                "istio-sidecar-injector",
                &INJECTION_CA,
            ),
            webhook(
                "ValidatingWebhookConfiguration",
                "istio-validator-istio-system",
                &VALIDATION,
            ),
        ],
    ));
    unit
}

/// The gateway, and what the mesh does with traffic.
fn traffic(model: &Model, mesh: &Mesh, cluster: &Cluster, index: ClusterIndex) -> Unit {
    let mut unit = Unit::new(index, "mesh", Wave::Platform, mesh.location);
    unit.charts.push(chart(
        mesh,
        cluster,
        "istio-eastwestgateway",
        "gateway",
        "mesh/istio/gateway.values.yaml",
        context(model, mesh, cluster),
        Vec::new(),
    ));
    unit.add(
        "mesh/istio/cross-network-gateway.yaml",
        mesh.location,
        json!({}),
    );
    let mode = match mesh.settings.mtls {
        MutualTls::Strict => "STRICT",
        MutualTls::Permissive => "PERMISSIVE",
    };
    unit.add(
        "mesh/istio/peer-authentication.yaml",
        mesh.location,
        json!({ "mode": mode }),
    );
    unit.add(
        "mesh/istio/destination-rule.yaml",
        mesh.location,
        json!({ "localityFailover": mesh.settings.locality_failover }),
    );
    let store_namespace = model
        .object_store
        .as_ref()
        .and_then(|store| match &store.kind {
            hcb_spec::model::ObjectStoreKind::InCluster { service, .. } => Some(&service.namespace),
            hcb_spec::model::ObjectStoreKind::External(_) => None,
        });
    for workloads in &model.namespaces {
        unit.add(
            "mesh/istio/authorization-policy.yaml",
            workloads.location,
            json!({ "namespace": workloads.name }),
        );
        unit.add(
            "mesh/istio/sidecar.yaml",
            workloads.location,
            json!({ "namespace": workloads.name, "storeNamespace": store_namespace }),
        );
    }
    if model.clusters.len() > 1 {
        READER.grant(&mut unit, model, cluster, false);
    }
    for peer in model.peers(index) {
        // istiod takes the name of the data's key for the name of the cluster.
        let target = Target {
            name: format!("istio-remote-secret-{}", peer.name),
            namespace: NAMESPACE,
            labels: json!({ "istio/multiCluster": "true" }),
            annotations: json!({ "networking.istio.io/cluster": peer.name }),
            data: Value::Object(
                [(peer.name.clone(), kubeconfig(peer).into())]
                    .into_iter()
                    .collect(),
            ),
        };
        READER.receive(&mut unit, model, peer, &target);
    }
    unit
}

fn chart(
    mesh: &Mesh,
    cluster: &Cluster,
    release: &str,
    name: &'static str,
    values: &'static str,
    context: Value,
    live_fields: Vec<LiveField>,
) -> Chart {
    Chart {
        release: release.to_owned(),
        name,
        repository: mesh.settings.charts.trim_end_matches('/').to_owned(),
        version: version(mesh, cluster).to_owned(),
        namespace: NAMESPACE.to_owned(),
        values: Item {
            template: values,
            context,
            origin: mesh.location,
        },
        live_fields,
    }
}

/// The version of Istio in a cluster.
fn version<'a>(mesh: &'a Mesh, cluster: &'a Cluster) -> &'a str {
    let own = cluster.mesh_version.as_ref();
    own.unwrap_or(&mesh.settings.version)
}

/// The annotations of a gateway's Service: those of the spec, and that `istioctl analyze` is not to compare its
/// ports with those of other clusters, since node ports are each cluster's own.
fn gateway_annotations(mesh: &Mesh, cluster: &Cluster) -> BTreeMap<String, String> {
    let declared = &mesh.settings.gateway.service_annotations;
    let mut annotations = declared.get(&cluster.name).cloned().unwrap_or_default();
    annotations
        .entry("galley.istio.io/analyze-suppress".to_owned())
        .or_insert_with(|| "IST0170".to_owned());
    annotations
}

/// What the values of the charts are made of.
fn context(model: &Model, mesh: &Mesh, cluster: &Cluster) -> Value {
    let settings = &mesh.settings;
    json!({
        "cluster": cluster.name,
        "network": cluster.network,
        "meshId": mesh.id,
        "hub": settings.hub,
        "tag": version(mesh, cluster),
        "trustDomain": settings.trust_domain,
        "accessLogs": settings.access_logs,
        "localityFailover": settings.locality_failover,
        "gateway": {
            "minReplicas": settings.gateway.min_replicas,
            "maxReplicas": settings.gateway.max_replicas,
            "annotations": gateway_annotations(mesh, cluster),
        },
        "clusters": model.clusters.len(),
    })
}
