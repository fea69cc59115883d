//! Changes of objects, as data.

use kube::api::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// A change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// Whether its status is changed, which is a resource of its own.
    pub is_of_status: bool,
    /// What becomes of it.
    pub edit: Edit,
}

/// What becomes of an object.
#[derive(Debug, Clone)]
pub enum Edit {
    /// It is patched, unseen.
    Patch(Patch),
    /// It is read, and patched where there is something to do.
    Revise(Revision),
    /// It is patched; where the API server says that the patch does not fit, it is revised.
    PatchOrRevise(Patch, Revision),
}

/// A patch.
#[derive(Debug, Clone, PartialEq)]
pub enum Patch {
    /// The operations of a JSON Patch.
    Json(Vec<Value>),
    /// A JSON merge patch.
    Merge(Value),
    /// A strategic merge patch, which only kinds of Kubernetes itself take.
    Strategic(Value),
}

type Revise = dyn Fn(&Value) -> Option<Patch> + Send + Sync;

/// Makes a patch of an object as it was read; none where there is nothing to do.
#[derive(Clone)]
pub struct Revision(Arc<Revise>);

impl Revision {
    /// By a function.
    pub fn new(revise: impl Fn(&Value) -> Option<Patch> + Send + Sync + 'static) -> Self {
        Self(Arc::new(revise))
    }

    /// The patch of an object.
    pub fn of(&self, object: &Value) -> Option<Patch> {
        (self.0)(object)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Revision")
    }
}

/// An object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectRef {
    /// Its resource.
    pub resource: ApiResource,
    /// Its namespace, where its kind has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl ObjectRef {
    /// An object of a kind, by group, version, name and plural of the kind.
    pub fn new(
        (group, version, kind, plural): (&str, &str, &str, &str),
        namespace: Option<&str>,
        name: &str,
    ) -> Self {
        let kind = GroupVersionKind::gvk(group, version, kind);
        Self {
            resource: ApiResource::from_gvk_with_plural(&kind, plural),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// A pod.
    pub fn pod(namespace: &str, name: &str) -> Self {
        Self::new(("", "v1", "Pod", "pods"), Some(namespace), name)
    }

    /// A node.
    pub fn node(name: &str) -> Self {
        Self::new(("", "v1", "Node", "nodes"), None, name)
    }
}

/// The operation of a JSON Patch that fails where the object is not at this version.
pub fn test_version(version: &Value) -> Value {
    json!({"op": "test", "path": "/metadata/resourceVersion", "value": version})
}

/// The operation of a JSON Patch that sets an annotation of an object that has some.
pub fn set_annotation(name: &str, value: &str) -> Value {
    let path = format!(
        "/metadata/annotations/{}",
        name.replace('~', "~0").replace('/', "~1")
    );
    json!({"op": "add", "path": path, "value": value})
}
