//! What the spec says about policies, resolved: which are in force where, with which parameters and
//! exceptions.

use super::definition::{MESH_IMAGES, Policy, WORKLOAD_NAMESPACES};
use super::exceptions::{self, unknown_policy};
use super::in_force::InForce;
use crate::providers::mesh;
use hcb_source::diag::{Diagnostic, Diagnostics, codes, suggest};
use hcb_spec::model::Model;
use hcb_spec::spec::{At, PolicyParam, Spec};
use jiff::civil::Date;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Resolves what the spec says. `today` is the date that exceptions are held against; without it,
/// none expires.
pub fn resolve(
    spec: &Spec,
    model: &Model,
    policies: Vec<Arc<Policy>>,
    today: Option<Date>,
    diagnostics: &mut Diagnostics,
) -> Vec<InForce> {
    let said = &spec.cloud.spec.policies;
    let at = spec.cloud_at.path("spec.policies");
    let names: Vec<String> = policies.iter().map(|policy| policy.name.clone()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in said.settings.keys() {
        if !names.contains(&name.as_str()) {
            let place = at.key("settings").name_of(name);
            diagnostics.push(unknown_policy(spec, &place, name, &names));
        }
    }
    let mut excepted = exceptions::read(spec, model, &policies, today, diagnostics);
    let origin = spec.locate_key(&at).unwrap_or(model.location);
    policies
        .into_iter()
        .map(|policy| {
            let settings = said.settings.get(&policy.name);
            let at = at.key("settings").key(&policy.name);
            let default = settings
                .and_then(|settings| settings.action)
                .unwrap_or(policy.default);
            let mut actions = vec![default; model.clusters.len()];
            if let Some(settings) = settings {
                known(
                    spec,
                    &model.tiers.iter(),
                    settings.tiers.keys(),
                    &at.key("tiers"),
                    "tier",
                    spec.incomplete.cloud,
                    diagnostics,
                );
                let clusters = model.clusters.iter().map(|cluster| &cluster.name);
                known(
                    spec,
                    &clusters,
                    settings.clusters.keys(),
                    &at.key("clusters"),
                    "cluster",
                    spec.incomplete.clusters,
                    diagnostics,
                );
                for (index, cluster) in model.clusters.iter().enumerate() {
                    let of_tier = settings.tiers.get(&model.tiers[cluster.tier]);
                    let of_cluster = settings.clusters.get(&cluster.name);
                    actions[index] = of_cluster.or(of_tier).copied().unwrap_or(default);
                }
            }
            let given = settings.map(|settings| &settings.params);
            let params = params(spec, model, &policy, given, &at.key("params"), diagnostics);
            let exceptions = excepted.remove(&policy.name).unwrap_or_default();
            InForce {
                origin: policy.location.unwrap_or(origin),
                is_set: settings.is_some_and(|settings| {
                    settings.action.is_some()
                        || !settings.tiers.is_empty()
                        || !settings.clusters.is_empty()
                }),
                action: default,
                policy,
                actions,
                params,
                exceptions,
            }
        })
        .collect()
}

/// Says which keys name nothing that there is.
fn known<'a>(
    spec: &Spec,
    known: &(impl Iterator<Item = &'a String> + Clone),
    named: impl Iterator<Item = &'a String>,
    at: &At,
    what: &str,
    incomplete: bool,
    diagnostics: &mut Diagnostics,
) {
    for name in named {
        if incomplete || known.clone().any(|known| known == name) {
            continue;
        }
        let code = if what == "tier" {
            codes::UNKNOWN_TIER
        } else {
            codes::UNKNOWN_CLUSTER
        };
        diagnostics.push(
            Diagnostic::error(code, format!("there is no {what} `{name}`"))
                .at(
                    spec.locate(&at.name_of(name)),
                    format!("not the name of a {what}"),
                )
                .maybe_help(suggest(name, known.clone().map(String::as_str))),
        );
    }
}

/// The parameters of a policy: its own, with those of the spec in their places.
fn params(
    spec: &Spec,
    model: &Model,
    policy: &Policy,
    given: Option<&BTreeMap<String, PolicyParam>>,
    at: &At,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Json> {
    let mut params = policy.params();
    if params.contains_key(WORKLOAD_NAMESPACES) {
        let names: Vec<_> = model
            .namespaces
            .iter()
            .map(|namespace| namespace.name.as_str())
            .collect();
        params.insert(WORKLOAD_NAMESPACES.to_owned(), names.join("\n").into());
    }
    if params.contains_key(MESH_IMAGES) {
        let images = mesh::of(model).map(|mesh| mesh.sidecar_images());
        params.insert(MESH_IMAGES.to_owned(), images.unwrap_or_default().into());
    }
    let own: Vec<String> = params.keys().cloned().collect();
    for (name, value) in given.into_iter().flatten() {
        let Some(default) = params.get(name).filter(|_| name != WORKLOAD_NAMESPACES) else {
            let settable = own.iter().filter(|own| *own != WORKLOAD_NAMESPACES);
            let help = suggest(name, settable.map(String::as_str))
                .unwrap_or_else(|| "it has no parameters".to_owned());
            diagnostics.push(
                Diagnostic::error(
                    codes::POLICY_PARAM,
                    format!("the policy `{}` has no parameter `{name}`", policy.name),
                )
                .at(spec.locate(&at.name_of(name)), "not a parameter")
                .help(help),
            );
            continue;
        };
        let value = policy.param(value);
        if kind(&value) != kind(default) {
            diagnostics.push(
                Diagnostic::error(
                    codes::POLICY_PARAM,
                    format!(
                        "the parameter `{name}` of `{}` is {}",
                        policy.name,
                        kind(default)
                    ),
                )
                .at(
                    spec.locate(&at.key(name)),
                    format!("this is {}", kind(&value)),
                ),
            );
            continue;
        }
        params.insert(name.clone(), value);
    }
    params
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::String(_) => "a text",
        Json::Number(_) => "a number",
        Json::Array(_) => "a list",
        _ => "something else",
    }
}
