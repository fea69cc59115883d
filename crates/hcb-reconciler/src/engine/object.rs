//! Objects of Kubernetes, of which only the few fields are read that facts are made of.

use crate::core::facts::{Fact, Watched};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::Resource;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A kind of object that an engine reads, and the facts that its objects make. Only the fields of `Spec` and
/// `Status` are read at all: the rest of an object is skipped as it comes in.
pub trait WatchedKind: Clone + Debug + Send + Sync + 'static {
    /// What of it is listed, as facts say it.
    const WATCHED: Watched;
    /// Whether its objects may be demands.
    const MAKES_DEMANDS: bool = false;
    /// The group of its API; empty for Kubernetes' own.
    const GROUP: &'static str;
    /// The version of its API.
    const VERSION: &'static str;
    /// The name of the kind.
    const NAME: &'static str;
    /// The name of its resource.
    const PLURAL: &'static str;
    /// What is read of its spec.
    type Spec: Clone + Debug + Default + DeserializeOwned + Send + Sync + 'static;
    /// What is read of its status.
    type Status: Clone + Debug + Default + DeserializeOwned + Send + Sync + 'static;
    /// What an engine knows of a cluster to read its objects by.
    type Context: Send + 'static;
    /// The fact that one that is there makes; none where it is of no interest.
    fn observed(context: &mut Self::Context, object: &Object<Self>) -> Option<Fact>;
    /// The fact that one that is gone makes.
    fn gone(context: &mut Self::Context, object: &Object<Self>) -> Fact;
    /// All of them are about to be listed anew.
    fn relisted(_context: &mut Self::Context) {}
}

/// An object, as it is read here.
#[derive(Clone, Debug, Deserialize)]
#[serde(bound(deserialize = ""))]
pub struct Object<K: WatchedKind> {
    /// Its metadata, without `managedFields`, which are larger than all the rest.
    #[serde(deserialize_with = "metadata")]
    pub metadata: ObjectMeta,
    /// What is read of its spec.
    #[serde(default)]
    pub spec: K::Spec,
    /// What is read of its status.
    #[serde(default)]
    pub status: K::Status,
}

impl<K: WatchedKind> Resource for Object<K> {
    type DynamicType = ();
    type Scope = DynamicResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        K::NAME.into()
    }

    fn group((): &()) -> Cow<'_, str> {
        K::GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        K::VERSION.into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        K::PLURAL.into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let read = Metadata::deserialize(deserializer)?;
    Ok(ObjectMeta {
        name: read.name,
        namespace: read.namespace,
        uid: read.uid,
        resource_version: read.resource_version,
        labels: read.labels,
        annotations: read.annotations,
        owner_references: read.owner_references,
        creation_timestamp: read.creation_timestamp,
        deletion_timestamp: read.deletion_timestamp,
        ..ObjectMeta::default()
    })
}

impl<K: WatchedKind> Object<K> {
    /// Its namespace and name.
    pub fn key(&self) -> (String, String) {
        (
            self.metadata.namespace.clone().unwrap_or_default(),
            self.metadata.name.clone().unwrap_or_default(),
        )
    }
}
