//! One object against another, field by field.
//!
//! Items of lists are told apart as Kubernetes does it, by name or by another key, and the order
//! of a list is a difference only where it means something. So a change is what a reader would call
//! one: `containers[name=main].image`, not "everything after line 12".

mod lists;
mod patch;
mod path;

pub use lists::ListShape;
pub use patch::{NotThere, apply};
pub use path::{FieldChange, Path, Segment, plain};

use hcb_kubernetes::{GroupKind, Object};
use lists::Schema;
use serde_json::{Map, Value};

/// What differs between two objects of one kind, in the order of the fields.
pub fn compare(before: &Value, after: &Value) -> Vec<FieldChange> {
    let object = Object(after);
    let schema = hcb_kubernetes::schema::definition(object.api_version(), object.kind());
    let mut comparison = Comparison {
        kind: object.group_kind(),
        changes: Vec::new(),
    };
    let schema = schema.as_deref().map(Schema::new);
    comparison.value(&Path::default(), before, after, schema);
    comparison.changes
}

struct Comparison<'a> {
    kind: GroupKind<'a>,
    changes: Vec<FieldChange>,
}

impl Comparison<'_> {
    fn push(&mut self, path: Path, before: Option<&Value>, after: Option<&Value>) {
        self.changes.push(FieldChange {
            path,
            before: before.cloned(),
            after: after.cloned(),
        });
    }

    fn value(&mut self, path: &Path, before: &Value, after: &Value, schema: Option<Schema<'_>>) {
        match (before, after) {
            _ if before == after => {}
            (Value::Object(before), Value::Object(after)) => {
                self.mapping(path, before, after, schema);
            }
            (Value::Array(before), Value::Array(after)) => {
                self.list(path, before, after, schema);
            }
            _ => self.push(path.clone(), Some(before), Some(after)),
        }
    }

    fn mapping(
        &mut self,
        path: &Path,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        schema: Option<Schema<'_>>,
    ) {
        for (key, old) in before {
            let path = path.key(key);
            match after.get(key) {
                Some(new) => self.value(&path, old, new, schema.and_then(|at| at.field(key))),
                None => self.push(path, Some(old), None),
            }
        }
        for (key, new) in after {
            if !before.contains_key(key) {
                self.push(path.key(key), None, Some(new));
            }
        }
    }

    fn list(&mut self, path: &Path, before: &[Value], after: &[Value], schema: Option<Schema<'_>>) {
        let items = schema.and_then(Schema::items);
        match lists::shape(self.kind, path, schema, before, after) {
            ListShape::Keyed(keys) => self.keyed(path, &keys, before, after, items),
            ListShape::Set => self.set(path, before, after),
            ListShape::Sequence => {
                let (before, after) = (before.to_vec(), after.to_vec());
                self.push(path.clone(), Some(&before.into()), Some(&after.into()));
            }
            ListShape::Ordered => {
                let are_objects = |list: &[Value]| list.iter().all(Value::is_object);
                if before.len() == after.len() && are_objects(before) && are_objects(after) {
                    for (index, (old, new)) in before.iter().zip(after).enumerate() {
                        self.value(&path.with(Segment::Index(index)), old, new, items);
                    }
                } else {
                    let (before, after) = (before.to_vec(), after.to_vec());
                    self.push(path.clone(), Some(&before.into()), Some(&after.into()));
                }
            }
        }
    }

    fn keyed(
        &mut self,
        path: &Path,
        keys: &[String],
        before: &[Value],
        after: &[Value],
        schema: Option<Schema<'_>>,
    ) {
        for old in before {
            let key = lists::key_of(old, keys);
            let path = path.with(Segment::Item(key.clone()));
            match after.iter().find(|item| lists::key_of(item, keys) == key) {
                Some(new) => self.value(&path, old, new, schema),
                None => self.push(path, Some(old), None),
            }
        }
        for new in after {
            let key = lists::key_of(new, keys);
            if !before.iter().any(|item| lists::key_of(item, keys) == key) {
                self.push(path.with(Segment::Item(key)), None, Some(new));
            }
        }
    }

    /// Whether two items of a set differ in nothing but the order of lists that have none.
    fn is_same(&self, path: &Path, old: &Value, new: &Value) -> bool {
        let mut inner = Comparison {
            kind: self.kind,
            changes: Vec::new(),
        };
        inner.value(&path.with(Segment::Element(Value::Null)), old, new, None);
        inner.changes.is_empty()
    }

    /// What is in one list only. An item that went and one that came are shown as one that changed.
    fn set(&mut self, path: &Path, before: &[Value], after: &[Value]) {
        let mut came: Vec<_> = after.iter().collect();
        let mut went = Vec::new();
        for old in before {
            match came.iter().position(|new| self.is_same(path, old, new)) {
                Some(index) => {
                    came.remove(index);
                }
                None => went.push(old),
            }
        }
        let mut came = came.into_iter();
        for old in went {
            let new = if old.is_object() { came.next() } else { None };
            self.push(path.with(Segment::Element(old.clone())), Some(old), new);
        }
        for new in came {
            self.push(path.with(Segment::Element(new.clone())), None, Some(new));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let show = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), plain);
        compare(before, after)
            .iter()
            .map(|change| {
                let (before, after) = (show(&change.before), show(&change.after));
                format!("{}: {before} -> {after}", change.path)
            })
            .collect()
    }

    fn pod(spec: &Value) -> Value {
        json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec })
    }

    #[test]
    fn list_items_are_paired_by_their_keys() {
        let before = pod(&json!({ "containers": [
            { "name": "a", "image": "x:1", "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }] },
            { "name": "b", "image": "y:1", "ports": [{ "containerPort": 80 }] },
        ] }));
        let after = pod(&json!({ "containers": [
            { "name": "b", "image": "y:2", "ports": [{ "containerPort": 80, "protocol": "UDP" }] },
            { "name": "a", "image": "x:1", "env": [{ "name": "B", "value": "3" }, { "name": "A", "value": "1" }] },
        ] }));
        assert_eq!(
            told(&before, &after),
            [
                "spec.containers[name=a].env[name=B].value: 2 -> 3",
                "spec.containers[name=b].image: y:1 -> y:2",
                r#"spec.containers[name=b].ports[containerPort=80]: {"containerPort":80} -> -"#,
                r#"spec.containers[name=b].ports[containerPort=80,protocol=UDP]: - -> {"containerPort":80,"protocol":"UDP"}"#,
            ]
        );
    }

    #[test]
    fn the_order_of_a_list_is_a_difference_only_where_it_has_a_meaning() {
        let with = |field: &str, list: Value| {
            let mut container = json!({ "name": "a" });
            container[field] = list;
            pod(&json!({ "containers": [container] }))
        };
        for (field, one, other) in [
            ("args", json!(["a", "b"]), json!(["b", "a"])),
            ("command", json!(["a", "b"]), json!(["b", "a"])),
            // A variable may only use those above it.
            (
                "env",
                json!([{ "name": "A", "value": "1" }, { "name": "B", "value": "$(A)" }]),
                json!([{ "name": "B", "value": "$(A)" }, { "name": "A", "value": "1" }]),
            ),
        ] {
            let told = told(&with(field, one), &with(field, other));
            assert_eq!(told.len(), 1, "{field}: {told:?}");
        }
        let initial = |names: [&str; 2]| {
            pod(&json!({ "initContainers": names.map(|name| json!({ "name": name })) }))
        };
        assert_eq!(told(&initial(["a", "b"]), &initial(["b", "a"])).len(), 1);
    }

    #[test]
    fn the_order_of_a_set_is_no_difference() {
        let role = |rules: Value| json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "rules": rules });
        let rule =
            |verbs: &[&str]| json!({ "apiGroups": [""], "resources": ["pods"], "verbs": verbs });
        let other = json!({ "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"] });
        let before = role(json!([rule(&["get", "list"]), other]));
        assert!(told(&before, &role(json!([other, rule(&["list", "get"])]))).is_empty());
        let after = role(json!([other, rule(&["get", "list", "delete"])]));
        assert_eq!(told(&before, &after).len(), 1);
    }

    #[test]
    fn keys_with_dots_are_quoted() {
        let labelled = |value: &str| json!({ "metadata": { "labels": { "a.b/c": value } } });
        assert_eq!(
            told(&labelled("x"), &labelled("y")),
            [r#"metadata.labels["a.b/c"]: x -> y"#]
        );
    }
}
