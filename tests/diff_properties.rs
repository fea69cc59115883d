//! What holds for every difference: nothing differs from itself, and the differences applied to what was
//! make what is.

use hcb_diff::fields::{apply, compare};
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;

/// Every object of the committed trees, one of each kind and shape.
static MANIFESTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut manifests = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("generated")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let text = std::fs::read_to_string(&path).expect("a text");
                let mut sources = Sources::default();
                let file = sources.add(path, text.as_str());
                let documents = hcb_source::yaml::read(file, &text, &mut Diagnostics::default());
                manifests.extend(documents.iter().map(hcb_source::yaml::Node::to_json));
            }
        }
    }
    manifests.sort_by_key(Value::to_string);
    manifests.dedup();
    assert!(manifests.len() > 500, "only {} manifests", manifests.len());
    manifests
});

/// One change to one place of an object.
#[derive(Debug, Clone)]
struct Mutation {
    /// Which place: as many steps as there are numbers, each the number of a child.
    way: Vec<usize>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Set(Value),
    Remove,
    Add(String, Value),
    Shuffle(usize),
    Duplicate,
    Rename(String),
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-z]{0,6}".prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!({})),
        Just(json!([])),
        Just(json!(["a", "b"])),
        Just(json!([{ "name": "a", "value": "$(b)" }, { "name": "b", "x": [1, 2] }])),
        Just(Value::Null),
    ]
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let what = prop_oneof![
        values().prop_map(What::Set),
        Just(What::Remove),
        ("[a-z]{1,4}", values()).prop_map(|(key, value)| What::Add(key, value)),
        any::<usize>().prop_map(What::Shuffle),
        Just(What::Duplicate),
        "[a-z]{1,4}".prop_map(What::Rename),
    ];
    (prop::collection::vec(0usize..12, 1..9), what).prop_map(|(way, what)| Mutation { way, what })
}

fn mutate(value: &mut Value, way: &[usize], what: &What) {
    let Some((step, rest)) = way.split_first() else {
        match (what, value) {
            (What::Set(new), value) => *value = new.clone(),
            (What::Add(key, new), Value::Object(fields)) => {
                fields.insert(key.clone(), new.clone());
            }
            (What::Add(_, new), Value::Array(items)) => items.push(new.clone()),
            (What::Remove, Value::Object(fields)) => {
                let first = fields.keys().next().cloned();
                first.map(|key| fields.shift_remove(&key));
            }
            (What::Remove, Value::Array(items)) => {
                items.pop();
            }
            (What::Shuffle(by), Value::Array(items)) if !items.is_empty() => {
                let by = by % items.len();
                items.rotate_left(by);
            }
            (What::Duplicate, Value::Array(items)) => items.extend(items.first().cloned()),
            (What::Rename(name), Value::Object(fields)) if fields.contains_key("name") => {
                fields.insert("name".to_owned(), name.as_str().into());
            }
            _ => {}
        }
        return;
    };
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let index = step % fields.len();
            if let Some(child) = fields.values_mut().nth(index) {
                mutate(child, rest, what);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = step % items.len();
            mutate(&mut items[index], rest, what);
        }
        _ => mutate(value, &[], what),
    }
}

/// The object without any order: every list sorted. Written here anew, and not with what it tests.
fn without_order(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(without_order).collect();
            items.sort_by_key(Value::to_string);
            items.into()
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| (key.clone(), without_order(value)))
                .collect();
            fields.sort_by(|(left, _), (right, _)| left.cmp(right));
            fields.into_iter().collect()
        }
        other => other.clone(),
    }
}

/// The lists whose order everybody knows to mean something, wherever they are.
fn in_order(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| in_order(item, found)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if matches!(key.as_str(), "args" | "command") && value.is_array() {
                    found.push(value.clone());
                }
                in_order(value, found);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn an_object_compared_with_itself_has_no_difference(index in any::<prop::sample::Index>()) {
        let manifest = index.get(&MANIFESTS);
        prop_assert!(compare(manifest, manifest).is_empty());
    }

    #[test]
    fn applying_the_differences_turns_the_old_object_into_the_new_one(
        index in any::<prop::sample::Index>(),
        mutations in prop::collection::vec(mutations(), 1..6),
    ) {
        let before = index.get(&MANIFESTS);
        let mut after = before.clone();
        for mutation in &mutations {
            // The object stays one of its kind.
            let spared = (after["apiVersion"].clone(), after["kind"].clone());
            mutate(&mut after, &mutation.way, &mutation.what);
            if !after.is_object() {
                after = before.clone();
            }
            (after["apiVersion"], after["kind"]) = spared;
        }
        let changes = compare(before, &after);
        let mut made = before.clone();
        prop_assert_eq!(apply(&mut made, &changes), Ok(()));
        prop_assert_eq!(without_order(&made), without_order(&after), "{:#?}", changes);
        let (mut found, mut expected) = (Vec::new(), Vec::new());
        in_order(&made, &mut found);
        in_order(&after, &mut expected);
        found.sort_by_key(Value::to_string);
        expected.sort_by_key(Value::to_string);
        prop_assert_eq!(found, expected);
        // And nothing is left over.
        let rest = compare(&made, &after);
        prop_assert!(rest.is_empty(), "{:#?}", rest);
        // What is said to be the same is the same but for order.
        if changes.is_empty() {
            prop_assert_eq!(without_order(before), without_order(&after));
        }
    }
}

#[test]
fn a_difference_of_another_object_cannot_be_applied() {
    let object = |name: &str, image: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "spec": { "containers": [{ "name": name, "image": image }] },
        })
    };
    let changes = compare(&object("a", "x"), &object("a", "y"));
    let mut other = object("b", "x");
    let refused = apply(&mut other, &changes).expect_err("a refusal");
    assert_eq!(
        refused.to_string(),
        "there is no `spec.containers[name=a].image`"
    );
}
