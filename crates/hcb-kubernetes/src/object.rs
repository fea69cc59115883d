//! Reads what every Kubernetes object has: its kind, its name and its metadata.

use serde_json::{Map, Value};

/// A view of a manifest or of an object as the API server returns it.
///
/// A field that is missing, or that is no text, reads as empty: whether an object has all that its kind needs is
/// for the schema to say ([`schema`](crate::schema)).
///
/// ```
/// use hcb_kubernetes::Object;
/// use serde_json::json;
///
/// let job = json!({
///     "apiVersion": "batch/v1",
///     "kind": "Job",
///     "metadata": {"name": "train", "namespace": "ml", "labels": {"team": "vision"}},
/// });
/// let job = Object::new(&job);
/// assert!(job.is("batch", "Job"));
/// assert_eq!((job.namespace(), job.name()), (Some("ml"), "train"));
/// assert_eq!(job.label("team"), Some("vision"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Object<'a>(&'a Value);

/// What tells an object from all others in a cluster, whatever the version of its API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity<'a> {
    /// The API group, empty for the core.
    pub group: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The namespace, empty for an object that is in none.
    pub namespace: &'a str,
    /// The name.
    pub name: &'a str,
}

/// Splits an `apiVersion` into group and version. The group of the core is empty: `v1` is `("", "v1")`.
pub fn group_and_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

impl<'a> Object<'a> {
    /// The view of `value`.
    pub fn new(value: &'a Value) -> Self {
        Self(value)
    }

    /// `apiVersion`.
    pub fn api_version(self) -> &'a str {
        text(self.0.get("apiVersion"))
    }

    /// The API group, empty for the core.
    pub fn group(self) -> &'a str {
        group_and_version(self.api_version()).0
    }

    /// The version of the API, without its group.
    pub fn version(self) -> &'a str {
        group_and_version(self.api_version()).1
    }

    /// `kind`.
    pub fn kind(self) -> &'a str {
        text(self.0.get("kind"))
    }

    /// Whether it is an object of this kind, in whatever version of its API. `group` is empty for the core.
    pub fn is(self, group: &str, kind: &str) -> bool {
        self.kind() == kind && self.group() == group
    }

    /// `metadata.name`.
    pub fn name(self) -> &'a str {
        text(self.metadata("name"))
    }

    /// `metadata.namespace`; `None` where it is not given.
    pub fn namespace(self) -> Option<&'a str> {
        self.metadata("namespace")?.as_str()
    }

    /// The labels; `None` where there are none.
    pub fn labels(self) -> Option<&'a Map<String, Value>> {
        self.metadata("labels")?.as_object()
    }

    /// The value of a label.
    pub fn label(self, key: &str) -> Option<&'a str> {
        self.labels()?.get(key)?.as_str()
    }

    /// The annotations; `None` where there are none.
    pub fn annotations(self) -> Option<&'a Map<String, Value>> {
        self.metadata("annotations")?.as_object()
    }

    /// The value of an annotation.
    pub fn annotation(self, key: &str) -> Option<&'a str> {
        self.annotations()?.get(key)?.as_str()
    }

    /// What tells it from all others in its cluster.
    pub fn identity(self) -> Identity<'a> {
        Identity {
            group: self.group(),
            kind: self.kind(),
            namespace: self.namespace().unwrap_or_default(),
            name: self.name(),
        }
    }

    fn metadata(self, key: &str) -> Option<&'a Value> {
        self.0.get("metadata")?.get(key)
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_of_the_core_has_an_empty_group() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
        let pod = Object::new(&pod);
        assert_eq!((pod.group(), pod.version()), ("", "v1"));
        assert_eq!(pod.namespace(), None);
        assert!(pod.is("", "Pod") && !pod.is("apps", "Pod"));
    }

    #[test]
    fn kinds_with_the_same_name_are_distinguished_by_their_group() {
        let of_knative = json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service"});
        assert!(Object::new(&of_knative).is("serving.knative.dev", "Service"));
        assert!(!Object::new(&of_knative).is("", "Service"));
    }

    #[test]
    fn labels_and_annotations_are_found_by_keys_with_dots_and_slashes() {
        let job = json!({"metadata": {
            "labels": {"hcb.dev/workload": "train"},
            "annotations": {"hcb.dev/a~b": "c", "hcb.dev/number": 1},
        }});
        let job = Object::new(&job);
        assert_eq!(job.label("hcb.dev/workload"), Some("train"));
        assert_eq!(job.annotation("hcb.dev/a~b"), Some("c"));
        assert_eq!(job.annotation("hcb.dev/number"), None);
        assert_eq!(job.label("hcb.dev/missing"), None);
    }

    #[test]
    fn an_object_keeps_its_identity_in_another_version_of_its_api() {
        let object = |version: &str| {
            json!({
                "apiVersion": format!("networking.istio.io/{version}"),
                "kind": "Gateway",
                "metadata": {"name": "a", "namespace": "b"},
            })
        };
        let (old, new) = (object("v1beta1"), object("v1"));
        assert_eq!(Object::new(&old).identity(), Object::new(&new).identity());
        assert_eq!(
            Object::new(&new).identity(),
            Identity {
                group: "networking.istio.io",
                kind: "Gateway",
                namespace: "b",
                name: "a",
            }
        );
    }

    #[test]
    fn missing_fields_and_fields_of_other_types_read_as_empty() {
        for value in [
            json!(null),
            json!([1]),
            json!({"kind": 1, "apiVersion": {}, "metadata": "a"}),
        ] {
            let object = Object::new(&value);
            assert_eq!(
                (object.api_version(), object.kind(), object.name()),
                ("", "", "")
            );
            assert_eq!((object.namespace(), object.label("a")), (None, None));
        }
    }
}
