//! What the reconciler does to the clusters: a few patches, each of one object.

use super::decision::{Release, Wake};
use super::fields::{RELEASED, release_note};
use hcb_api::config::{Cluster, Config};
use hcb_api::gate::{GATE, Gate};

use super::metrics::Metrics;
use super::observation::JobPod;
use super::reasons::Explanation;
use super::status::{KEY, NAME, Status};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Taint};
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// The most that one request may take.
pub(super) const REQUEST: Duration = Duration::from_secs(10);

/// The annotation that says when the scheduler was told to look at the pod again.
const WOKEN: &str = hcb_api::labels::WOKEN;
/// The annotation that says why a pod was released. Once a pod is bound, Admiralty replaces the annotations
/// of the pod in the source by those of its delegate, but for those of its own domain.
/// Source: Admiralty 0.17.0, `pkg/controllers/feedback/controller.go`.
pub const DECISION: &str = hcb_api::labels::DECISION;

/// Does something with an object; what it came to, or none and why it is not done is said. That the object
/// is gone or changed is no trouble: whoever looks next sees it as it is.
pub(super) async fn attempt<T>(
    metrics: &Metrics,
    what: &'static str,
    object: &str,
    work: impl Future<Output = Result<T, kube::Error>>,
) -> Option<T> {
    let problem = match timeout(REQUEST, work).await {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409 | 422) => {
            tracing::debug!(
                object,
                what,
                problem = status.message,
                "not done: it changed"
            );
            return None;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    metrics.failed(what);
    tracing::warn!(object, what, problem, "not done");
    None
}

/// Lets a pod pass the gate of a cluster, and notes why.
pub(super) async fn release(
    source: &Client,
    release: &Release,
    pod: &JobPod,
    why: &Explanation,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let why = serde_json::to_string(why).map_err(kube::Error::SerdeError)?;
    let note = json!({"op": "add", "path": annotation(DECISION), "value": why});
    let version = &release.version;
    let_through(source, pod, version, [&release.cluster], Some(note), now).await
}

/// Lets a pod pass all gates that it may.
pub(super) async fn open(
    source: &Client,
    pod: &JobPod,
    config: &Config,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let clusters = config.clusters.iter().filter(|cluster| {
        config.tier(cluster) > 0
            && !cluster.drain
            && pod.shape.may_run_in(&cluster.name)
            && !pod.released.contains_key(&cluster.name)
    });
    let names = clusters.map(|cluster| &cluster.name);
    let_through(source, pod, &pod.version, names, None, now).await
}

/// Lets a pod pass the gates of clusters, unless somebody changed the pod since it had this version:
/// another reconciler may have let it through another gate.
async fn let_through(
    source: &Client,
    pod: &JobPod,
    version: &str,
    clusters: impl IntoIterator<Item = &String>,
    note: Option<Value>,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let mut releases = pod.released.clone();
    let mut operations =
        vec![json!({"op": "test", "path": "/metadata/resourceVersion", "value": version})];
    for cluster in clusters {
        releases.insert(cluster.clone(), now);
        let toleration =
            json!({"key": GATE, "operator": "Equal", "value": cluster, "effect": "NoSchedule"});
        operations.push(json!({"op": "add", "path": "/spec/tolerations/-", "value": toleration}));
    }
    let releases = release_note(&releases);
    operations.push(json!({"op": "add", "path": annotation(RELEASED), "value": releases}));
    operations.extend(note);
    let patch = json_patch(operations.into())?;
    let pods: Api<Pod> = Api::namespaced(source.clone(), &pod.namespace);
    pods.patch(&pod.name, &PatchParams::default(), &patch)
        .await
        .map(drop)
}

/// Makes the gate of a cluster what it is to be: the taint of the node that stands for it. Taints of others stay,
/// whoever changes them at the same time. Says whether there was anything to do.
pub(super) async fn set_gate(
    source: &Client,
    cluster: &Cluster,
    gate: Gate,
) -> Result<bool, kube::Error> {
    let nodes: Api<Node> = Api::all(source.clone());
    let node = nodes.get(&cluster.virtual_node).await?;
    let mut taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
    let value = gate.value(&cluster.name);
    let found = taints.iter().find(|taint| taint.key == GATE);
    if found.map(|taint| taint.value.clone()) == value.clone().map(Some) {
        return Ok(false);
    }
    taints.retain(|taint| taint.key != GATE);
    if value.is_some() {
        taints.push(Taint {
            key: GATE.to_owned(),
            value,
            effect: "NoSchedule".to_owned(),
            ..Taint::default()
        });
    }
    let version = node.metadata.resource_version;
    let operations = json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": version},
        {"op": "add", "path": "/spec/taints", "value": taints},
    ]);
    let patch = json_patch(operations)?;
    nodes
        .patch(&cluster.virtual_node, &PatchParams::default(), &patch)
        .await
        .map(|_| true)
}

/// A list of operations as a JSON Patch.
pub(super) fn json_patch(operations: Value) -> Result<Patch<()>, kube::Error> {
    serde_json::from_value(operations)
        .map(Patch::Json)
        .map_err(kube::Error::SerdeError)
}

/// An annotation as a JSON pointer.
fn annotation(name: &str) -> String {
    format!("/metadata/annotations/{}", name.replace('/', "~1"))
}

/// Writes a note on a pod, which makes the scheduler look at it again.
pub(super) async fn wake_up(
    source: &Client,
    wake: &Wake,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(source.clone(), &wake.namespace);
    let note = json!({WOKEN: format!("{now:.3}")});
    let patch = json!({"metadata": {"uid": wake.uid, "annotations": note}});
    pods.patch(&wake.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map(drop)
}

/// Writes the status.
pub(super) async fn write_status(
    maps: &Api<ConfigMap>,
    status: &Status,
) -> Result<(), kube::Error> {
    let text = serde_json::to_string(status).map_err(kube::Error::SerdeError)?;
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/name": hcb_api::names::RECONCILER}},
        "data": {KEY: text},
    });
    maps.patch(
        NAME,
        &PatchParams::apply(hcb_api::names::RECONCILER).force(),
        &Patch::Apply(map),
    )
    .await
    .map(drop)
}

/// Reads the status that was written last.
///
/// # Errors
/// Where the API server does not answer, or refuses.
pub async fn read_status(maps: &Api<ConfigMap>) -> Result<Option<Status>, kube::Error> {
    let map = maps.get_opt(NAME).await?;
    let text = map
        .and_then(|map| map.data)
        .and_then(|mut data| data.remove(KEY));
    text.map(|text| serde_json::from_str(&text).map_err(kube::Error::SerdeError))
        .transpose()
}
