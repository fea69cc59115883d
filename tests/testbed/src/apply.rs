//! Manifests to an API server, as strictly as it can take them.

use crate::cluster::Cluster;
use anyhow::{Context, Result};
use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, Scope, pinned_kind};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::Mutex;

/// Applies objects to one cluster, and remembers what its API server serves.
pub struct Applier<'a> {
    cluster: &'a Cluster,
    client: kube::Client,
    kinds: Mutex<HashMap<GroupVersionKind, (kube::core::ApiResource, bool)>>,
}

impl<'a> Applier<'a> {
    /// For one cluster.
    pub fn new(cluster: &'a Cluster) -> Self {
        Self::by(cluster, cluster.client.clone())
    }

    /// For one cluster, with the rights of a client of it.
    pub fn by(cluster: &'a Cluster, client: kube::Client) -> Self {
        Self {
            cluster,
            client,
            kinds: Mutex::default(),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// Applies an object with strict field validation, as its only owner.
    ///
    /// # Errors
    /// What the API server says against it.
    pub async fn apply(&self, object: &Value) -> Result<DynamicObject> {
        let parameters = PatchParams {
            field_manager: Some("hcb-testbed".into()),
            force: true,
            field_validation: Some(ValidationDirective::Strict),
            ..PatchParams::default()
        };
        let (api, name) = self.api(object).await?;
        let described = || {
            format!(
                "{} {name} in {}",
                object["kind"].as_str().unwrap_or_default(),
                self.cluster.name
            )
        };
        api.patch(&name, &parameters, &Patch::Apply(object))
            .await
            .with_context(described)
    }

    /// Applies an object as `kubectl apply --server-side --field-manager=MANAGER` does: a field that
    /// another manager has is a conflict.
    ///
    /// # Errors
    /// What the API server says against the object.
    pub async fn apply_beside_others(
        &self,
        object: &Value,
        manager: &str,
    ) -> Result<DynamicObject> {
        let (api, name) = self.api(object).await?;
        api.patch(&name, &PatchParams::apply(manager), &Patch::Apply(object))
            .await
            .with_context(|| format!("{} {name} in {}", object["kind"], self.cluster.name))
    }

    /// Applies `CustomResourceDefinitions` and waits until they are served.
    ///
    /// # Errors
    /// What the API server says against one.
    pub async fn apply_definitions(&self, definitions: &[Value]) -> Result<()> {
        for definition in definitions {
            self.apply(definition).await?;
        }
        for definition in definitions {
            let (api, name) = self.api(definition).await?;
            crate::wait_for(&name, Duration::from_secs(60), async || {
                let current = api.get(&name).await?;
                let conditions = current.data["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                Ok(conditions.iter().any(|condition| {
                    condition["type"] == "Established" && condition["status"] == "True"
                }))
            })
            .await?;
        }
        Ok(())
    }

    /// The API of an object's kind and the object's name.
    ///
    /// # Errors
    /// Where the API server does not serve the kind.
    pub async fn api(&self, object: &Value) -> Result<(Api<DynamicObject>, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = text(&object["apiVersion"]);
        let (group, version) = version.split_once('/').unwrap_or(("", &version));
        let kind = GroupVersionKind::gvk(group, version, &text(&object["kind"]));
        let name = text(&object["metadata"]["name"]);
        let mut kinds = self.kinds.lock().await;
        if !kinds.contains_key(&kind) {
            let (resource, ApiCapabilities { scope, .. }) = pinned_kind(&self.client, &kind)
                .await
                .with_context(|| format!("{} does not serve {kind:?}", self.cluster.name))?;
            kinds.insert(kind.clone(), (resource, scope == Scope::Namespaced));
        }
        let (resource, is_namespaced) = &kinds[&kind];
        let client = self.client.clone();
        let api = if *is_namespaced {
            let namespace = object["metadata"]["namespace"]
                .as_str()
                .unwrap_or("default");
            Api::namespaced_with(client, namespace, resource)
        } else {
            Api::all_with(client, resource)
        };
        Ok((api, name))
    }
}

impl std::fmt::Debug for Applier<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster, .. } = self;
        formatter
            .debug_struct("Applier")
            .field("cluster", cluster)
            .finish_non_exhaustive()
    }
}

/// The objects in a text of YAML documents.
///
/// # Errors
/// Where it is no YAML.
pub fn documents(text: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)?;
    Ok(documents
        .into_iter()
        .filter(serde_json::Value::is_object)
        .collect())
}

/// The manifests below a folder, sorted by path, with their paths below it.
///
/// # Errors
/// Where a file cannot be read.
pub fn manifests(folder: &Path) -> Result<Vec<(PathBuf, Value)>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(current) = folders.pop() {
        for entry in std::fs::read_dir(&current).with_context(|| current.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let text = std::fs::read_to_string(&path)?;
                for document in documents(&text).with_context(|| path.display().to_string())? {
                    found.push((path.strip_prefix(folder)?.to_owned(), document));
                }
            }
        }
    }
    found.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(found)
}
