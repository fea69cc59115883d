//! Requests to the API server, as policies see them.

use hcb_kubernetes::Object;
use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;

/// What is asked of the API server.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Whether something is created, changed, deleted, or connected to.
    pub operation: Operation,
    /// Of which resource.
    pub resource: Resource<'a>,
    /// The name of the object; empty if the API server is to make one.
    pub name: &'a str,
    /// The namespace of the object; none where it is in none.
    pub namespace: Option<&'a str>,
    /// The object as it will be; null when it is deleted.
    pub object: &'a Json,
    /// The object as it was; null when it is created.
    pub old_object: &'a Json,
    /// The Namespace; where none is given, one with nothing but what every namespace has.
    pub namespace_object: Option<&'a Json>,
    /// Who asks.
    pub user: User<'a>,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Something new.
    Create,
    /// A change.
    Update,
    /// A removal.
    Delete,
    /// A connection, such as that of `kubectl exec`.
    Connect,
}

impl Operation {
    /// The name in rules and in `request.operation`.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        }
    }
}

/// A resource of the API server and the kind of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource<'a> {
    /// The group; empty for the core.
    pub group: &'a str,
    /// The version.
    pub version: &'a str,
    /// The kind of the objects.
    pub kind: &'a str,
    /// The name in URLs: plural, lower case.
    pub resource: &'a str,
    /// What follows it there, such as `status`; else empty.
    pub subresource: &'a str,
}

/// Who asks.
#[derive(Debug, Clone, Copy, Default)]
pub struct User<'a> {
    /// The name.
    pub username: &'a str,
    /// What tells users of one name apart.
    pub uid: &'a str,
    /// The groups.
    pub groups: &'a [&'a str],
}

impl<'a> Resource<'a> {
    /// `group/version`, or the version alone.
    pub fn api_version(&self) -> Cow<'a, str> {
        if self.group.is_empty() {
            return self.version.into();
        }
        format!("{}/{}", self.group, self.version).into()
    }
}

impl<'a> Request<'a> {
    /// The request that creates `object`, with the name and namespace that it says.
    pub fn create(resource: Resource<'a>, object: &'a Json) -> Self {
        let view = Object(object);
        let namespace = view.namespace();
        Self {
            operation: Operation::Create,
            resource,
            name: view.name(),
            namespace: (!namespace.is_empty()).then_some(namespace),
            object,
            old_object: &Json::Null,
            namespace_object: None,
            user: User::default(),
            dry_run: false,
        }
    }

    pub(super) fn is_of_namespace(&self) -> bool {
        self.resource.group.is_empty() && self.resource.kind == "Namespace"
    }

    /// The namespace that rules and selectors go by: that of a Namespace is the Namespace itself.
    pub(super) fn attribute_namespace(&self) -> Option<&'a str> {
        if self.is_of_namespace() && self.operation != Operation::Connect {
            return Some(self.name);
        }
        self.namespace
    }

    /// The value of `request`.
    pub(super) fn to_json(self) -> Json {
        let resource = self.resource;
        let kind = json!({
            "group": resource.group, "version": resource.version, "kind": resource.kind,
        });
        let named = json!({
            "group": resource.group, "version": resource.version, "resource": resource.resource,
        });
        let mut fields = Map::new();
        // Always there, and always empty in a policy.
        fields.insert("uid".into(), "".into());
        fields.insert("kind".into(), kind.clone());
        fields.insert("resource".into(), named.clone());
        fields.insert("requestKind".into(), kind);
        fields.insert("requestResource".into(), named);
        let mut text = |name: &str, value: &str| {
            if !value.is_empty() {
                fields.insert(name.to_owned(), value.into());
            }
        };
        text("subResource", resource.subresource);
        text("requestSubResource", resource.subresource);
        text("name", self.name);
        text("namespace", self.attribute_namespace().unwrap_or_default());
        fields.insert("operation".into(), self.operation.name().into());
        let mut user = Map::new();
        if !self.user.username.is_empty() {
            user.insert("username".into(), self.user.username.into());
        }
        if !self.user.uid.is_empty() {
            user.insert("uid".into(), self.user.uid.into());
        }
        if !self.user.groups.is_empty() {
            user.insert("groups".into(), self.user.groups.to_vec().into());
        }
        fields.insert("userInfo".into(), user.into());
        fields.insert("object".into(), Json::Null);
        fields.insert("oldObject".into(), Json::Null);
        fields.insert("dryRun".into(), self.dry_run.into());
        fields.insert("options".into(), self.options());
        fields.into()
    }

    fn options(self) -> Json {
        let kind = match self.operation {
            Operation::Create => "CreateOptions",
            Operation::Update => "UpdateOptions",
            Operation::Delete => "DeleteOptions",
            Operation::Connect => return Json::Null,
        };
        let mut options = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
        if self.dry_run {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    /// The value of `namespaceObject`, of which a policy sees only a part.
    pub(super) fn namespace_json(&self) -> Option<Cow<'a, Json>> {
        if self.is_of_namespace() {
            return None;
        }
        let name = self.namespace?;
        let Some(given) = self.namespace_object else {
            return Some(Cow::Owned(json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
                "spec": {"finalizers": ["kubernetes"]},
                "status": {"phase": "Active"},
            })));
        };
        let mut seen = given.clone();
        if let Some(fields) = seen.as_object_mut() {
            fields.retain(|name, _| matches!(name.as_str(), "metadata" | "spec" | "status"));
            for name in ["metadata", "spec", "status"] {
                fields.entry(name).or_insert_with(|| json!({}));
            }
            if let Some(metadata) = fields["metadata"].as_object_mut() {
                metadata.retain(|name, _| {
                    !matches!(
                        name.as_str(),
                        "managedFields" | "ownerReferences" | "selfLink"
                    )
                });
            }
        }
        Some(Cow::Owned(seen))
    }

    /// The labels of the namespace, by which it is selected.
    pub(super) fn namespace_labels(&self) -> Vec<(String, String)> {
        let own = self.is_of_namespace()
            && self.resource.subresource.is_empty()
            && matches!(self.operation, Operation::Create | Operation::Update);
        let object = if own {
            Some(self.object)
        } else if self.is_of_namespace() {
            Some(self.old_object)
        } else {
            self.namespace_object
        };
        let mut labels = labels_of(object);
        // Every namespace has it, once it is there.
        if !own && let Some(name) = self.attribute_namespace() {
            let key = "kubernetes.io/metadata.name";
            if !labels.iter().any(|(known, _)| known == key) {
                labels.push((key.to_owned(), name.to_owned()));
            }
        }
        labels
    }
}

/// The labels of an object.
pub(super) fn labels_of(object: Option<&Json>) -> Vec<(String, String)> {
    object
        .and_then(|object| Object(object).labels())
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
