//! How the items of a list are told apart, and whether their order means something.

use super::path::{Path, Segment};
use crate::kinds;
use hcb_kubernetes::GroupKind;
use serde_json::Value;

/// What a list is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListShape {
    /// Each item has other values of these fields; the order means nothing.
    Keyed(Vec<String>),
    /// Items are equal or they are others; the order means nothing.
    Set,
    /// The order means something.
    Ordered,
    /// Items have names, and it is their order that differs, or which there are.
    Sequence,
}

/// A place in the schema of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'a> {
    root: &'a Value,
    at: &'a Value,
}

impl<'a> Schema<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, at: root }
    }

    pub(super) fn field(self, key: &str) -> Option<Self> {
        let at = self.resolved();
        let named = at.get("properties").and_then(|fields| fields.get(key));
        let any = || {
            at.get("additionalProperties")
                .filter(|schema| schema.is_object())
        };
        named.or_else(any).map(|at| Self { at, ..self })
    }

    pub(super) fn items(self) -> Option<Self> {
        let items = self.resolved().get("items")?;
        Some(Self { at: items, ..self })
    }

    /// The definition that this place refers to, or the place itself.
    fn resolved(self) -> &'a Value {
        let mut at = self.at;
        while let Some(name) = at.get("$ref").and_then(Value::as_str) {
            let definition = name
                .strip_prefix("#/$defs/")
                .and_then(|name| self.root.get("$defs")?.get(name));
            match definition {
                Some(definition) => at = definition,
                None => break,
            }
        }
        at
    }

    fn keys(self) -> Option<Vec<String>> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let of = |at: &Value| {
            let list = at.get("x-kubernetes-list-map-keys")?.as_array()?;
            list.iter().map(text).collect::<Option<Vec<_>>>()
        };
        let merge_key = |at: &Value| Some(vec![text(at.get("x-kubernetes-patch-merge-key")?)?]);
        of(self.at).or_else(|| merge_key(self.at))
    }
}

/// Lists without a key in the schema whose order means nothing, by the name of their field. None of
/// these names is used for an ordered list in the kinds of `schemas/`; fields of the user's own (Helm
/// values, data) are not looked up here.
const SETS: &[&str] = &[
    "accessModes",
    "add",
    "apiGroups",
    "apiVersions",
    "clusterResourceWhitelist",
    "dependsOn",
    "destinations",
    "drop",
    "egress",
    "except",
    "finalizers",
    "from",
    "hosts",
    "ignoreDifferences",
    "ingress",
    "jsonPointers",
    "matchExpressions",
    "methods",
    "namespaceResourceWhitelist",
    "namespaces",
    "nodeLocations",
    "nodeSelectorTerms",
    "nonResourceURLs",
    "notNamespaces",
    "notPrincipals",
    "operations",
    "paths",
    "policyTypes",
    "principals",
    "requirements",
    "resourceNames",
    "resourceRules",
    "resources",
    "serviceAccounts",
    "sourceRepos",
    "subjects",
    "subnets",
    "syncOptions",
    "to",
    "tolerations",
    "validationActions",
    "validations",
    "values",
    "verbs",
    "zones",
];

/// Lists that have a key where the schema names none: the field, and the keys.
const KEYED: &[(&str, &[&str])] = &[
    ("taints", &["key", "effect"]),
    ("conditions", &["type"]),
    // ExternalSecret.
    ("data", &["secretKey"]),
];

/// Kinds whose `rules` are all looked at, in no order. Elsewhere the first that matches is taken.
const UNORDERED_RULES: [GroupKind<'static>; 3] = [
    kinds::ROLE,
    kinds::CLUSTER_ROLE,
    kinds::ISTIO_AUTHORIZATION_POLICY,
];

/// Lists whose items have names, and are gone through in their order all the same.
const ORDERED: [&str; 4] = ["initContainers", "http", "tcp", "tls"];

/// The values of an item's keys.
pub(super) fn key_of(item: &Value, keys: &[String]) -> Vec<(String, Value)> {
    keys.iter()
        .map(|key| (key.clone(), item.get(key).cloned().unwrap_or_default()))
        .collect()
}

/// What the list at `path` is, in an object of `kind`.
pub(super) fn shape(
    kind: GroupKind<'_>,
    path: &Path,
    schema: Option<Schema<'_>>,
    before: &[Value],
    after: &[Value],
) -> ListShape {
    let field = match path.0.last() {
        Some(Segment::Key(key)) => key.as_str(),
        _ => return ListShape::Ordered,
    };
    let order_matters = ORDERED.contains(&field) || uses_others(field, before, after);
    let keys = schema
        .and_then(Schema::keys)
        .or_else(|| {
            let known = KEYED.iter().find(|(name, _)| *name == field)?;
            Some(known.1.iter().map(|key| (*key).to_owned()).collect())
        })
        .or_else(|| Some(vec!["name".to_owned()]));
    if let Some(keys) = keys
        && is_keyed(before, &keys)
        && is_keyed(after, &keys)
    {
        if order_matters && sequence(before, &keys) != sequence(after, &keys) {
            return ListShape::Sequence;
        }
        return ListShape::Keyed(keys);
    }
    let is_free_form = ["valuesObject", "values", "data"]
        .iter()
        .any(|key| path.0[..path.0.len() - 1].contains(&Segment::Key((*key).to_owned())));
    let is_set = SETS.contains(&field) || field == "rules" && UNORDERED_RULES.contains(&kind);
    if is_set && !is_free_form {
        ListShape::Set
    } else {
        ListShape::Ordered
    }
}

/// Whether environment variables use one another, which they can only upwards.
fn uses_others(field: &str, before: &[Value], after: &[Value]) -> bool {
    let uses = |item: &Value| {
        let value = item.get("value").and_then(Value::as_str);
        value.is_some_and(|value| value.contains("$("))
    };
    field == "env" && (before.iter().any(uses) || after.iter().any(uses))
}

/// Whether all items have the first of the keys, and no two have the same keys.
fn is_keyed(list: &[Value], keys: &[String]) -> bool {
    let has_key = |item: &Value| item.get(&keys[0]).is_some_and(|key| !key.is_null());
    let all = sequence(list, keys);
    list.iter().all(has_key)
        && all
            .iter()
            .enumerate()
            .all(|(index, key)| !all[..index].contains(key))
}

fn sequence(list: &[Value], keys: &[String]) -> Vec<Vec<(String, Value)>> {
    list.iter().map(|item| key_of(item, keys)).collect()
}
