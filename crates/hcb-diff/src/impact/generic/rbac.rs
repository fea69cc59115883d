//! Rights.

use crate::context::{Context, Effects, Rule};
use crate::kinds;
use crate::pair::Action;
use crate::pair::Pair;
use crate::report::Level;
use serde_json::Value;
use std::collections::BTreeSet;

pub(crate) const RULE: Rule = Rule {
    id: "rbac-widened",
    about: "somebody gets more rights",
    check,
};

/// Verbs with which one gets the rights of others. Source: the page "RBAC good practices" of the
/// documentation of Kubernetes.
const POWERFUL_VERBS: [&str; 4] = ["*", "escalate", "bind", "impersonate"];
/// Resources with which one gets the rights of others, where they can be read or made.
const POWERFUL_RESOURCES: [&str; 9] = [
    "*",
    "secrets",
    "serviceaccounts/token",
    "pods/exec",
    "pods/attach",
    "nodes/proxy",
    "certificatesigningrequests",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
];

/// One right: a verb on a resource, or on a URL.
type Right = (String, String, String, String);

fn check(context: &Context<'_>, effects: &mut Effects) {
    for (index, pair) in context.of_kinds_that_stay(&[
        kinds::ROLE,
        kinds::CLUSTER_ROLE,
        kinds::ROLE_BINDING,
        kinds::CLUSTER_ROLE_BINDING,
    ]) {
        if pair.object().kind().ends_with("Binding") {
            binding(effects, index, pair);
        } else {
            role(effects, index, pair);
        }
    }
}

fn role(effects: &mut Effects, index: usize, pair: &Pair) {
    let of = |object: &Option<crate::read::Object>| {
        object
            .as_ref()
            .map(|object| rights(&object.value))
            .unwrap_or_default()
    };
    let (before, after) = (of(&pair.before), of(&pair.after));
    let gained: Vec<_> = after
        .iter()
        .filter(|right| !before.iter().any(|held| covers(held, right)))
        .collect();
    let lost = before
        .iter()
        .filter(|right| !after.iter().any(|held| covers(held, right)))
        .count();
    if gained.is_empty() {
        if lost > 0 && pair.action == Action::Change {
            effects.of_pair(
                index,
                Level::Note,
                if lost == 1 {
                    "grants 1 fewer right".to_owned()
                } else {
                    format!("grants {lost} fewer rights")
                },
            );
        }
        return;
    }
    let is_powerful = |(_, resource, _, verb): &Right| {
        POWERFUL_VERBS.contains(&verb.as_str()) || POWERFUL_RESOURCES.contains(&resource.as_str())
    };
    let level = if gained.iter().any(|right| is_powerful(right)) {
        Level::Danger
    } else {
        Level::Caution
    };
    let mut descriptions: Vec<_> = gained.iter().map(|right| described(right)).collect();
    descriptions.sort();
    let text = if pair.action == Action::Add {
        format!("new and grants {} rights", gained.len())
    } else {
        format!("grants {} more rights", gained.len())
    };
    effects
        .of_pair(
            index,
            level,
            text.replace(" 1 more rights", " 1 more right")
                .replace(" 1 rights", " 1 right"),
        )
        .detail(crate::words::abbreviated(&descriptions, 6));
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

fn rights(role: &Value) -> BTreeSet<Right> {
    let rules = role.get("rules").and_then(Value::as_array);
    let mut rights = BTreeSet::new();
    for rule in rules.into_iter().flatten() {
        let mut names = texts(rule.get("resourceNames"));
        if names.is_empty() {
            names.push(String::new());
        }
        for verb in texts(rule.get("verbs")) {
            for url in texts(rule.get("nonResourceURLs")) {
                rights.insert((String::new(), url, String::new(), verb.clone()));
            }
            for group in texts(rule.get("apiGroups")) {
                for resource in texts(rule.get("resources")) {
                    for name in &names {
                        rights.insert((
                            group.clone(),
                            resource.clone(),
                            name.clone(),
                            verb.clone(),
                        ));
                    }
                }
            }
        }
    }
    rights
}

/// Whether whoever has `held` has `right`.
fn covers(held: &Right, right: &Right) -> bool {
    let any = |held: &str, wanted: &str| held == "*" || held == wanted;
    any(&held.0, &right.0)
        && any(&held.1, &right.1)
        && (held.2.is_empty() || held.2 == right.2)
        && any(&held.3, &right.3)
}

fn described((group, resource, name, verb): &Right) -> String {
    let group = if group.is_empty() {
        String::new()
    } else {
        format!(".{group}")
    };
    let name = if name.is_empty() {
        String::new()
    } else {
        format!("/{name}")
    };
    format!("{verb} {resource}{group}{name}")
}

fn binding(effects: &mut Effects, index: usize, pair: &Pair) {
    let subjects = |object: &Option<crate::read::Object>| -> BTreeSet<String> {
        let list = object
            .as_ref()
            .and_then(|object| object.value["subjects"].as_array());
        list.into_iter()
            .flatten()
            .map(|subject| {
                let text = |key: &str| subject[key].as_str().unwrap_or_default();
                let namespace = text("namespace");
                if namespace.is_empty() {
                    format!("{} {}", text("kind"), text("name"))
                } else {
                    format!("{} {namespace}/{}", text("kind"), text("name"))
                }
            })
            .collect()
    };
    let (before, after) = (subjects(&pair.before), subjects(&pair.after));
    let gained: Vec<_> = after.difference(&before).cloned().collect();
    if gained.is_empty() {
        return;
    }
    let value = &pair.object().value;
    let role = value
        .pointer("/roleRef/name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let everybody = gained.iter().any(|subject| {
        [
            "system:authenticated",
            "system:unauthenticated",
            "system:anonymous",
            "system:serviceaccounts",
        ]
        .iter()
        .any(|all| subject.ends_with(all))
    });
    let level = if role == "cluster-admin" || everybody {
        Level::Danger
    } else {
        Level::Caution
    };
    effects.of_pair(
        index,
        level,
        format!("gives the role {role} to {}", gained.join(", ")),
    );
}
