//! What objects and lists of names are called.

use crate::kinds;
use crate::report::ObjectRef;
use hcb_kubernetes::GroupKind;
use std::collections::BTreeSet;

/// The first of some names, and how many there are more.
pub(crate) fn abbreviated(names: &[String], most: usize) -> String {
    if names.len() <= most + 1 {
        return names.join(", ");
    }
    format!(
        "{} and {} more",
        names[..most].join(", "),
        names.len() - most
    )
}

/// What some objects are called together: `Job ml/train (private)`, `3 Roles hcb-reader in a, b, c`.
pub(crate) fn subject(objects: &[ObjectRef]) -> String {
    let distinct = |of: &dyn Fn(&ObjectRef) -> String| -> Vec<String> {
        let all: BTreeSet<_> = objects.iter().map(of).collect();
        all.into_iter().collect()
    };
    let kinds = distinct(&display_kind);
    let clusters = distinct(&|object| object.cluster.clone());
    let place = match clusters.as_slice() {
        [one] if one.is_empty() => String::new(),
        [one] => format!(" ({one})"),
        many => format!(" in {} clusters ({})", many.len(), abbreviated(many, 3)),
    };
    if kinds.len() > 1 {
        let named = distinct(&|object| format!("{} {}", display_kind(object), full_name(object)));
        if named.len() <= 4 {
            return format!("{}{place}", named.join(", "));
        }
        let counted: Vec<_> = kinds
            .iter()
            .map(|kind| {
                let count = objects
                    .iter()
                    .filter(|object| display_kind(object) == *kind)
                    .count();
                if count == 1 {
                    format!("1 {kind}")
                } else {
                    format!("{count} {}", plural(kind))
                }
            })
            .collect();
        return format!(
            "{} objects{place}: {}",
            objects.len(),
            abbreviated(&counted, 5)
        );
    }
    let kind = &kinds[0];
    let names = distinct(&full_name);
    if let [name] = names.as_slice() {
        return format!("{kind} {name}{place}");
    }
    let namespaces = distinct(&|object| object.namespace.clone());
    let short = distinct(&|object| object.name.clone());
    let listed = match (namespaces.as_slice(), short.as_slice()) {
        // One name in many namespaces.
        (many, [name]) => format!("{name} in {}", abbreviated(many, 4)),
        ([namespace], all) if !namespace.is_empty() => {
            format!("in {namespace}: {}", abbreviated(all, 4))
        }
        _ => abbreviated(&names, 4),
    };
    format!("{} {} {listed}{place}", objects.len(), plural(kind))
}

fn display_kind(object: &ObjectRef) -> String {
    kinds::display_name(GroupKind::new(&object.group, &object.kind))
}

fn full_name(object: &ObjectRef) -> String {
    if object.namespace.is_empty() {
        object.name.clone()
    } else {
        format!("{}/{}", object.namespace, object.name)
    }
}

/// Several objects of a kind: `NetworkPolicies`, `StorageClasses`.
fn plural(kind: &str) -> String {
    let stem = kind
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match stem {
        Some(stem) => format!("{stem}ies"),
        None if kind.ends_with('s') => format!("{kind}es"),
        None => format!("{kind}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(cluster: &str, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            cluster: cluster.to_owned(),
            group: "batch".to_owned(),
            kind: "Job".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            path: String::new(),
        }
    }

    #[test]
    fn several_objects_are_named_together() {
        for (objects, expected) in [
            (vec![object("a", "ml", "x")], "Job ml/x (a)"),
            (
                vec![object("a", "ml", "x"), object("b", "ml", "x")],
                "Job ml/x in 2 clusters (a, b)",
            ),
            (
                vec![object("a", "ml", "x"), object("a", "ml", "y")],
                "2 Jobs in ml: x, y (a)",
            ),
            (
                vec![object("a", "ml", "x"), object("a", "dl", "x")],
                "2 Jobs x in dl, ml (a)",
            ),
            (vec![object("", "", "x")], "Job x"),
        ] {
            assert_eq!(subject(&objects), expected);
        }
    }
}
