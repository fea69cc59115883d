//! What is around the clusters of a delivery and no process of this machine can be.

use crate::access;
use crate::cluster::Cluster;
use crate::scenario::RUNS_FOR;
use anyhow::{Context, Result};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{Pod, Secret, Service};
use kube::api::{Api, ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// When a status was last changed, for all that is played: a clock would change it at each turn.
const ONCE: &str = "2026-01-01T00:00:00Z";
/// How long the program of a job of the spec runs.
const A_MOMENT: &str = "2000ms";

/// External Secrets tells when it has done what an object asks for.
pub(super) async fn secrets_are_told(cluster: &Cluster) -> Result<()> {
    for (version, kinds) in [("v1", "externalsecrets"), ("v1alpha1", "pushsecrets")] {
        let path = format!("/apis/external-secrets.io/{version}/{kinds}");
        let list: Value = cluster.client.request(access::get(&path)?).await?;
        for object in list["items"].as_array().into_iter().flatten() {
            let namespace = object["metadata"]["namespace"]
                .as_str()
                .context("a namespace")?;
            let name = object["metadata"]["name"].as_str().context("a name")?;
            let made = match kinds {
                "externalsecrets" => object["spec"]["target"]["name"].as_str().unwrap_or(name),
                _ => object["spec"]["selector"]["secret"]["name"]
                    .as_str()
                    .unwrap_or(name),
            };
            let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
            if object.pointer("/status/conditions").is_some()
                || secrets.get_opt(made).await?.is_none()
            {
                continue;
            }
            let path = format!(
                "/apis/external-secrets.io/{version}/namespaces/{namespace}/{kinds}/{name}"
            );
            let reason = if kinds == "externalsecrets" {
                "SecretSynced"
            } else {
                "Synced"
            };
            tell_ready(cluster, &path, reason).await?;
        }
    }
    Ok(())
}

/// cert-manager says that what it is asked for is there.
pub(super) async fn certificates_are_told(cluster: &Cluster) -> Result<()> {
    for kinds in ["issuers", "certificates"] {
        let path = format!("/apis/cert-manager.io/v1/{kinds}");
        let list: Value = cluster.client.request(access::get(&path)?).await?;
        for object in list["items"].as_array().into_iter().flatten() {
            if object.pointer("/status/conditions").is_some() {
                continue;
            }
            let metadata = &object["metadata"];
            let namespace = metadata["namespace"].as_str().context("a namespace")?;
            let name = metadata["name"].as_str().context("a name")?;
            let path = format!("/apis/cert-manager.io/v1/namespaces/{namespace}/{kinds}/{name}");
            tell_ready(cluster, &path, "Ready").await?;
        }
    }
    Ok(())
}

/// Writes into an object's status that it is ready.
async fn tell_ready(cluster: &Cluster, path: &str, reason: &str) -> Result<()> {
    let status = json!({"status": {"conditions": [{
        "type": "Ready", "status": "True", "reason": reason, "message": "played",
        "lastTransitionTime": ONCE,
    }]}});
    let request = http::Request::patch(format!("{path}/status"))
        .header("content-type", "application/merge-patch+json")
        .body(serde_json::to_vec(&status)?)?;
    cluster
        .client
        .request::<Value>(request)
        .await
        .map(drop)
        .map_err(Into::into)
}

/// A cloud gives load balancers addresses, and autoscalers metrics.
pub(super) async fn cloud(cluster: &Cluster) -> Result<()> {
    let services: Api<Service> = Api::all(cluster.client.clone());
    for service in services.list(&ListParams::default()).await?.items {
        let is_balancer =
            service.spec.as_ref().and_then(|spec| spec.type_.as_deref()) == Some("LoadBalancer");
        let balancer = service
            .status
            .as_ref()
            .and_then(|status| status.load_balancer.as_ref());
        if is_balancer && balancer.is_none_or(|balancer| balancer.ingress.is_none()) {
            let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}});
            write_status(cluster, &service, &status).await?;
        }
    }
    let scalers: Api<HorizontalPodAutoscaler> = Api::all(cluster.client.clone());
    for scaler in scalers.list(&ListParams::default()).await?.items {
        if scaler
            .status
            .as_ref()
            .is_some_and(|status| status.conditions.is_some())
        {
            continue;
        }
        let condition = |kind: &str, reason: &str| json!({"type": kind, "status": "True", "reason": reason, "message": "played", "lastTransitionTime": ONCE});
        let status = json!({"status": {"currentReplicas": 1, "desiredReplicas": 1, "conditions": [
            condition("AbleToScale", "ReadyForNewScale"),
            condition("ScalingActive", "ValidMetricFound"),
        ]}});
        write_status(cluster, &scaler, &status).await?;
    }
    Ok(())
}

/// Writes the status of an object that is in a namespace.
async fn write_status<K>(cluster: &Cluster, object: &K, status: &Value) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let namespace = object.namespace().unwrap_or_default();
    let api: Api<K> = Api::namespaced(cluster.client.clone(), &namespace);
    let parameters = PatchParams::default();
    api.patch_status(&object.name_any(), &parameters, &Patch::Merge(status))
        .await?;
    Ok(())
}

/// cert-manager writes by what a webhook is trusted, in place of what the chart has there.
pub(super) async fn authorities(cluster: &Cluster) -> Result<()> {
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let list: Value = cluster.client.request(access::get(path)?).await?;
    let ca = json!(k8s_openapi::ByteString(cluster.ca().into_bytes()));
    for object in list["items"].as_array().into_iter().flatten() {
        if object["metadata"]["annotations"]["cert-manager.io/inject-ca-from"].is_null() {
            continue;
        }
        let webhooks = object["webhooks"].as_array().into_iter().flatten();
        let changes: Vec<_> = webhooks
            .enumerate()
            .filter(|(_, webhook)| webhook["clientConfig"]["caBundle"] != ca)
            .map(|(number, _)| json!({"op": "add", "path": format!("/webhooks/{number}/clientConfig/caBundle"), "value": ca}))
            .collect();
        if changes.is_empty() {
            continue;
        }
        let name = object["metadata"]["name"].as_str().context("a name")?;
        let request = http::Request::patch(format!("{path}/{name}"))
            .header("content-type", "application/json-patch+json")
            .body(serde_json::to_vec(&changes)?)?;
        cluster.client.request::<Value>(request).await?;
    }
    Ok(())
}

/// The programs of the spec's jobs end, in whichever cluster they run.
pub(super) async fn programs_end(cluster: &Cluster, namespace: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    for pod in pods.list(&ListParams::default()).await?.items {
        if pod.annotations().contains_key(RUNS_FOR) {
            continue;
        }
        let annotation = json!({"metadata": {"annotations": {RUNS_FOR: A_MOMENT}}});
        match pods
            .patch(
                &pod.name_any(),
                &PatchParams::default(),
                &Patch::Merge(annotation),
            )
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => drop(result?),
        }
    }
    Ok(())
}
