//! Reads what every Kubernetes object has: its kind, its name and its metadata.
//!
//! Kinds are told apart by group and kind. A kind alone says nothing: a Knative `Service` is no `Service` of the
//! core, and Linkerd has an `AuthorizationPolicy` as Istio does.

use serde_json::{Map, Value};
use std::fmt;

/// A view of a manifest or of an object as the API server returns it.
///
/// A field that is missing, or that is no text, reads as empty: whether an object has all that its kind needs is
/// for the schema to say ([`schema`](crate::schema)). What is nested in another object, such as the template of a
/// pod, has metadata too and can be read in the same way.
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
/// let job = Object(&job);
/// assert!(job.is("batch", "Job"));
/// assert_eq!((job.namespace(), job.name()), ("ml", "train"));
/// assert_eq!(job.label("team"), Some("vision"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Object<'a>(pub &'a Value);

/// A kind of object. The version is not part of it, since the API server converts between versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind<'a> {
    /// The API group, such as `apps`; empty for the core.
    pub group: &'a str,
    /// The kind, such as `Deployment`.
    pub kind: &'a str,
}

impl<'a> GroupKind<'a> {
    /// A kind of a group; the core's group is the empty text.
    pub const fn new(group: &'a str, kind: &'a str) -> Self {
        Self { group, kind }
    }
}

/// The kind with its group, as kubectl takes it: `Deployment.apps`, `Pod`.
impl fmt::Display for GroupKind<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.kind)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        Ok(())
    }
}

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

    /// The group and the kind.
    pub fn group_kind(self) -> GroupKind<'a> {
        GroupKind::new(self.group(), self.kind())
    }

    /// Whether it is an object of this kind, in whatever version of its API. `group` is empty for the core.
    pub fn is(self, group: &str, kind: &str) -> bool {
        self.group_kind() == GroupKind::new(group, kind)
    }

    /// `metadata.name`.
    pub fn name(self) -> &'a str {
        text(self.metadata("name"))
    }

    /// `metadata.namespace`; empty for what is in none.
    pub fn namespace(self) -> &'a str {
        text(self.metadata("namespace"))
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
            namespace: self.namespace(),
            name: self.name(),
        }
    }

    /// Any other field of `metadata`.
    pub fn metadata(self, key: &str) -> Option<&'a Value> {
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
        let pod = Object(&pod);
        assert_eq!((pod.group(), pod.version()), ("", "v1"));
        assert_eq!(pod.namespace(), "");
        assert!(pod.is("", "Pod") && !pod.is("apps", "Pod"));
    }

    #[test]
    fn the_group_and_the_version_come_from_the_api_version() {
        for (api_version, group, version) in [
            ("v1", "", "v1"),
            ("apps/v1", "apps", "v1"),
            ("security.istio.io/v1beta1", "security.istio.io", "v1beta1"),
        ] {
            let object = json!({ "apiVersion": api_version, "kind": "X" });
            let object = Object(&object);
            assert_eq!((object.group(), object.version()), (group, version));
        }
    }

    #[test]
    fn a_kind_is_written_as_kubectl_takes_it() {
        assert_eq!(GroupKind::new("", "Pod").to_string(), "Pod");
        let deployment = GroupKind::new("apps", "Deployment");
        assert_eq!(deployment.to_string(), "Deployment.apps");
    }

    #[test]
    fn kinds_with_the_same_name_are_distinguished_by_their_group() {
        let of_knative = json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service"});
        assert!(Object(&of_knative).is("serving.knative.dev", "Service"));
        assert!(!Object(&of_knative).is("", "Service"));
    }

    #[test]
    fn labels_and_annotations_are_found_by_keys_with_dots_and_slashes() {
        let job = json!({"metadata": {
            "labels": {"hcb.dev/workload": "train"},
            "annotations": {"hcb.dev/a~b": "c", "hcb.dev/number": 1},
        }});
        let job = Object(&job);
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
        assert_eq!(Object(&old).identity(), Object(&new).identity());
        assert_eq!(
            Object(&new).identity(),
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
            let object = Object(&value);
            assert_eq!(
                (object.api_version(), object.kind(), object.name()),
                ("", "", "")
            );
            assert_eq!((object.namespace(), object.label("a")), ("", None));
            assert_eq!(object.group_kind(), GroupKind::new("", ""));
        }
    }
}
