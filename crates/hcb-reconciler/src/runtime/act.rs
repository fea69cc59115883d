//! What the reconciler does to the clusters: changes that an engine made, each of one object, and the status.

use super::metrics::Metrics;
use crate::control::{Failure, Purpose};
use crate::engine::change::{Change, Edit, ObjectRef, Patch};
use hcb_api::names::{FIELD_MANAGER, RECONCILER};
use hcb_api::spending::{self, Spending};
use hcb_api::status::{self, Handover, LONGEST, Status as ReconcilerStatus};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch as KubePatch, PatchParams};
use kube::core::Status;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

/// The most that one request may take.
pub(super) const REQUEST: Duration = Duration::from_secs(10);

/// Does what an action is for, and says why it is not done where it is not. That the object is gone or changed is no
/// trouble: whoever looks next sees it as it is.
pub(super) async fn attempt<T>(
    metrics: &Metrics,
    purpose: &Purpose,
    work: impl Future<Output = Result<T, kube::Error>>,
) -> Result<(), Failure> {
    let name = purpose.object();
    tried(metrics, purpose.word(), name, work).await.map(drop)
}

/// As [`attempt`], for what is no action of a decision.
pub(super) async fn tried<T>(
    metrics: &Metrics,
    what: &'static str,
    object: &str,
    work: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    let failure = match timeout(REQUEST, work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(kube::Error::Api(status))) if is_of_change(&status) => {
            let problem = status.message;
            tracing::debug!(object, what, problem, "not done: it changed");
            return Err(Failure::Changed);
        }
        Ok(Err(error @ kube::Error::Api(_))) => Failure::Refused(error.to_string()),
        Ok(Err(error)) => Failure::Unknown(error.to_string()),
        Err(_) => Failure::Unknown("no answer in time".to_owned()),
    };
    metrics.failed(what);
    tracing::warn!(object, what, problem = %failure, "not done");
    Err(failure)
}

/// Whether an API server says that an object is gone, or is not what it was. A patch whose test fails is as invalid for
/// it as one that makes an object invalid; of the latter it says which fields are.
fn is_of_change(status: &Status) -> bool {
    let names_fields = status
        .details
        .as_ref()
        .is_some_and(|details| !details.causes.is_empty());
    matches!(status.code, 404 | 409) || (status.code == 422 && !names_fields)
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

/// Writes the status, as far as there is room for it.
pub(super) async fn write_status(
    maps: &Api<ConfigMap>,
    status: &ReconcilerStatus,
) -> Result<(), kube::Error> {
    let text = status.to_bounded_json(LONGEST);
    let text = text.map_err(kube::Error::SerdeError)?;
    write(maps, status::CONFIG_MAP, status::KEY, text).await
}

/// Writes what was spent.
pub(super) async fn write_spending(
    maps: &Api<ConfigMap>,
    spending: &Spending,
) -> Result<(), kube::Error> {
    let text = serde_json::to_string(spending).map_err(kube::Error::SerdeError)?;
    write(maps, spending::CONFIG_MAP, spending::KEY, text).await
}

async fn write(
    maps: &Api<ConfigMap>,
    name: &str,
    key: &str,
    text: String,
) -> Result<(), kube::Error> {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": RECONCILER}},
        "data": {key: text},
    });
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let patch = KubePatch::Apply(map);
    maps.patch(name, &parameters, &patch).await.map(drop)
}

/// Why it is not known what the leader before left. Until it is, nothing is decided: a budget that is used up must not
/// count as whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandoverError {
    /// The API server does not answer, or refuses.
    #[error("{0}")]
    Request(#[from] kube::Error),
    /// An object is there and is not understood.
    #[error(
        "the ConfigMap {name} is not understood: {source}; put back what was in it, or delete its data to count from nothing"
    )]
    NotUnderstood {
        /// The object.
        name: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

/// Reads what the leader before left. There is nothing where there was none.
pub(super) async fn read_handover(
    maps: &Api<ConfigMap>,
) -> Result<Option<Handover>, HandoverError> {
    let not_understood = |name| move |source| HandoverError::NotUnderstood { name, source };
    let map = maps.get_opt(spending::CONFIG_MAP).await?;
    let spending = map.map(|map| Spending::of_map(&map)).transpose();
    let spending = spending.map_err(not_understood(spending::CONFIG_MAP))?;
    let spending = spending.flatten();
    let map = maps.get_opt(status::CONFIG_MAP).await?;
    let status = map.map(|map| ReconcilerStatus::of_map(&map)).transpose();
    let status = match status {
        Ok(status) => status.flatten(),
        // What the status holds beside the spending is only what is fair.
        Err(error) if spending.is_some() => {
            tracing::warn!(%error, "the status of before is not understood; shares and tiers begin anew");
            None
        }
        Err(source) => return Err(not_understood(status::CONFIG_MAP)(source)),
    };
    Ok(Handover::of_saved(status.as_ref(), spending))
}
