//! What the reconciler does to the clusters: changes that an engine made, each of one object, and the status.

use super::metrics::Metrics;
use crate::engine::change::{Change, Edit, ObjectRef, Patch};
use hcb_api::names::{FIELD_MANAGER, RECONCILER};
use hcb_api::status::{CONFIG_MAP, KEY, Status};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch as KubePatch, PatchParams};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// The most that one request may take.
pub(super) const REQUEST: Duration = Duration::from_secs(10);

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

/// Makes a change, and says whether there was anything to do.
pub(super) async fn make(client: &Client, change: &Change) -> Result<bool, kube::Error> {
    let api = api(client, &change.object);
    let revision = match &change.edit {
        Edit::Patch(what) => return patch(&api, change, what).await.map(|()| true),
        Edit::Revise(revision) => revision,
        Edit::PatchOrRevise(what, revision) => match patch(&api, change, what).await {
            Err(kube::Error::Api(status)) if status.code == 422 => revision,
            done => return done.map(|()| true),
        },
    };
    let object = api.get(&change.object.name).await?;
    let object = serde_json::to_value(object).map_err(kube::Error::SerdeError)?;
    match revision.of(&object) {
        Some(what) => patch(&api, change, &what).await.map(|()| true),
        None => Ok(false),
    }
}

fn api(client: &Client, object: &ObjectRef) -> Api<DynamicObject> {
    let client = client.clone();
    match &object.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &object.resource),
        None => Api::all_with(client, &object.resource),
    }
}

async fn patch(
    api: &Api<DynamicObject>,
    change: &Change,
    patch: &Patch,
) -> Result<(), kube::Error> {
    let patch: KubePatch<Value> = match patch.clone() {
        Patch::Json(operations) => KubePatch::Json(
            serde_json::from_value(operations.into()).map_err(kube::Error::SerdeError)?,
        ),
        Patch::Merge(patch) => KubePatch::Merge(patch),
        Patch::Strategic(patch) => KubePatch::Strategic(patch),
    };
    let (name, parameters) = (&change.object.name, PatchParams::default());
    if change.is_of_status {
        api.patch_status(name, &parameters, &patch).await.map(drop)
    } else {
        api.patch(name, &parameters, &patch).await.map(drop)
    }
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
        "metadata": {"name": CONFIG_MAP, "labels": {"app.kubernetes.io/name": RECONCILER}},
        "data": {KEY: text},
    });
    maps.patch(
        CONFIG_MAP,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &KubePatch::Apply(map),
    )
    .await
    .map(drop)
}

/// Reads the status that was written last.
pub(super) async fn read_status(maps: &Api<ConfigMap>) -> Result<Option<Status>, kube::Error> {
    let Some(map) = maps.get_opt(CONFIG_MAP).await? else {
        return Ok(None);
    };
    Status::of_map(&map).map_err(kube::Error::SerdeError)
}
