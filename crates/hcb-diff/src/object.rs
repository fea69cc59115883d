//! One view of a Kubernetes object.
//!
//! Kinds are told apart by group and kind. A kind alone says nothing: a Knative `Service` is no `Service`
//! of the core, and Linkerd has an `AuthorizationPolicy` as Istio does.

use serde_json::Value;
use std::fmt;

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

/// An object as the fields that all kinds have. What an object does not have is the empty text.
#[derive(Debug, Clone, Copy)]
pub struct ObjectView<'a>(pub &'a Value);

impl<'a> ObjectView<'a> {
    fn text(self, pointer: &str) -> &'a str {
        let text = self.0.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    /// The API group; empty for the core.
    pub fn group(self) -> &'a str {
        let api_version = self.text("/apiVersion");
        api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The version of the API, such as `v1`.
    pub fn version(self) -> &'a str {
        let api_version = self.text("/apiVersion");
        api_version
            .split_once('/')
            .map_or(api_version, |(_, version)| version)
    }

    /// `kind`.
    pub fn kind(self) -> &'a str {
        self.text("/kind")
    }

    /// The group and the kind.
    pub fn group_kind(self) -> GroupKind<'a> {
        GroupKind::new(self.group(), self.kind())
    }

    /// `metadata.name`.
    pub fn name(self) -> &'a str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`; empty for what has none.
    pub fn namespace(self) -> &'a str {
        self.text("/metadata/namespace")
    }

    /// The label of this name.
    pub fn label(self, name: &str) -> &'a str {
        self.entry("/metadata/labels", name)
    }

    /// The annotation of this name.
    pub fn annotation(self, name: &str) -> &'a str {
        self.entry("/metadata/annotations", name)
    }

    fn entry(self, pointer: &str, name: &str) -> &'a str {
        let entry = self.0.pointer(pointer).and_then(|all| all.get(name));
        entry.and_then(Value::as_str).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_group_and_the_version_come_from_the_api_version() {
        for (api_version, group, version) in [
            ("v1", "", "v1"),
            ("apps/v1", "apps", "v1"),
            ("security.istio.io/v1beta1", "security.istio.io", "v1beta1"),
        ] {
            let object = json!({ "apiVersion": api_version, "kind": "X" });
            let view = ObjectView(&object);
            assert_eq!((view.group(), view.version()), (group, version));
        }
    }

    #[test]
    fn an_empty_object_has_empty_fields() {
        let object = json!({});
        let view = ObjectView(&object);
        assert_eq!(
            (view.name(), view.namespace(), view.label("a/b")),
            ("", "", "")
        );
        assert_eq!(view.group_kind(), GroupKind::new("", ""));
    }
}
