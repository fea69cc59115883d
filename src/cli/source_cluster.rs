//! What commands ask the source cluster for: jobs by their name, virtual nodes, and the reconciler's
//! status.

use crate::jobs::cluster_names;
use anyhow::anyhow;
use hcb_api::explanation::Explanation;
use hcb_api::status::{CONFIG_MAP, Status};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt};
use std::collections::BTreeMap;

/// The only namespace that has a Job of this name.
///
/// Fails where no namespace has one, or several have.
pub(super) async fn find_job(client: &Client, name: &str) -> anyhow::Result<String> {
    let jobs: Api<Job> = Api::all(client.clone());
    let found = jobs
        .list_metadata(&ListParams::default().fields(&format!("metadata.name={name}")))
        .await?;
    let namespaces: Vec<_> = found
        .items
        .iter()
        .filter_map(ResourceExt::namespace)
        .collect();
    match &namespaces[..] {
        [namespace] => Ok(namespace.clone()),
        [] => {
            let all = jobs
                .list_metadata(&ListParams::default().limit(2000))
                .await?;
            let names: Vec<_> = all.items.iter().map(ResourceExt::name_any).collect();
            let hint = hcb_source::diag::suggest(name, names.iter().map(String::as_str));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            Err(anyhow!("there is no Job `{name}` in any namespace{hint}"))
        }
        several => Err(anyhow!(
            "there are Jobs `{name}` in {}; say which with --namespace",
            several.join(", ")
        )),
    }
}

/// The cluster behind each virtual node, by the name of the node. Empty for users who may not list nodes.
pub(super) async fn virtual_nodes(client: &Client) -> BTreeMap<String, String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let nodes = nodes
        .list(&ListParams::default().labels(hcb_api::labels::TARGET))
        .await;
    nodes
        .map(|nodes| cluster_names(&nodes.items))
        .unwrap_or_default()
}

/// The status that the reconciler writes.
pub(super) struct StatusReader {
    maps: Api<ConfigMap>,
}

impl StatusReader {
    pub(super) fn new(client: &Client, system_namespace: &str) -> Self {
        Self {
            maps: Api::namespaced(client.clone(), system_namespace),
        }
    }

    /// The status; none where no reconciler has written one, or it may not be read.
    pub(super) async fn status(&self) -> Option<Status> {
        read_status(&self.maps).await.ok().flatten()
    }

    /// Why a pod waits; none where the status does not name it.
    pub(super) async fn explanation(&self, namespace: &str, pod: &str) -> Option<Explanation> {
        explanation(&self.status().await?, namespace, pod)
    }
}

/// Why a pod waits, as a status says it.
pub(super) fn explanation(status: &Status, namespace: &str, pod: &str) -> Option<Explanation> {
    let mut pods = status.longest.iter();
    let own = pods.find(|waits| waits.namespace == namespace && waits.name == pod);
    own.map(|waits| waits.explanation.clone())
}

/// The status, where a reconciler has written one that can be read.
pub(super) async fn read_status(maps: &Api<ConfigMap>) -> Result<Option<Status>, kube::Error> {
    let Some(map) = maps.get_opt(CONFIG_MAP).await? else {
        return Ok(None);
    };
    Status::of_map(&map).map_err(kube::Error::SerdeError)
}
