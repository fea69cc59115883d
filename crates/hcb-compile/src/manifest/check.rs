//! The check of every manifest: its kind's schema, its identity, no secret in it.

use super::caches::Caches;
use crate::memo::{Cache, Fingerprint};
use crate::rendered::{MANIFESTS_PER_TASK, Manifest, RenderedUnit, by_cluster};
use hcb_kubernetes::schema::{self, KubernetesVersion, Scope};
use hcb_source::diag::{Diagnostic, Diagnostics, code_list, codes, did_you_mean, nearest};
use hcb_spec::model::Model;
use rayon::prelude::*;
use std::collections::HashMap;

/// Checks manifests strictly against the schemas of the clusters they go to, and that no object
/// is there twice. Everything that is wrong is said with the place in the spec that caused it.
pub fn check(
    model: &Model,
    units: &[RenderedUnit],
    caches: &Caches,
    diagnostics: &mut Diagnostics,
) {
    let found = units.par_iter().map(|unit| {
        let version = model.clusters[unit.unit.cluster].kubernetes;
        let of = || Fingerprint::of((version, unit.fingerprint()));
        nothing_or(&caches.right, of, || check_unit(model, unit, caches))
    });
    diagnostics.extend(Diagnostics::of_all(found));
    check_identity(model, units, caches, diagnostics);
}

/// What a check finds, which is not done again where it found nothing before.
fn nothing_or(
    known: &Cache<bool>,
    of: impl FnOnce() -> Fingerprint,
    check: impl Fn() -> Diagnostics,
) -> Diagnostics {
    let mut checked = None;
    let is_nothing = known.recall(of, || checked.insert(check()).is_empty());
    match checked {
        Some(found) => found,
        None if is_nothing => Diagnostics::default(),
        None => check(),
    }
}

fn check_unit(model: &Model, unit: &RenderedUnit, caches: &Caches) -> Diagnostics {
    let manifests = unit.manifests.par_iter().with_min_len(MANIFESTS_PER_TASK);
    Diagnostics::of_all(manifests.map(|manifest| {
        let mut found = Diagnostics::default();
        check_schema(model, unit, manifest, caches, &mut found);
        check_secret(manifest, &mut found);
        found
    }))
}

/// A finding about a manifest.
fn about(manifest: &Manifest, code: hcb_source::diag::Code, message: String) -> Diagnostic {
    Diagnostic::error(code, message)
        .at(manifest.origin, "leads to this manifest")
        .note(format!("from the template `{}`", manifest.template))
}

fn check_schema(
    model: &Model,
    unit: &RenderedUnit,
    manifest: &Manifest,
    caches: &Caches,
    diagnostics: &mut Diagnostics,
) {
    let cluster = &model.clusters[unit.unit.cluster];
    let (api_version, kind) = (manifest.api_version(), manifest.kind());
    let subject = format!("{kind} `{}`", manifest.name());
    let Some(validator) = schema::validator(cluster.kubernetes, api_version, kind) else {
        let similar = similar_kinds(cluster.kubernetes, api_version, kind);
        let known = code_list(similar.iter().map(String::as_str));
        let message = format!(
            "there is no schema for `{api_version}` {kind} on Kubernetes {}",
            cluster.kubernetes
        );
        let help = (!similar.is_empty()).then(|| format!("known: {known}"));
        diagnostics.push(about(manifest, codes::SCHEMA_UNKNOWN, message).maybe_help(help));
        return;
    };
    let violations = caches.violations.recall(
        || Fingerprint::of((cluster.kubernetes, manifest.fingerprint)),
        || validator.check(&manifest.value).into(),
    );
    for violation in &*violations {
        let message = format!(
            "{subject} at `{}`: {}",
            violation.pointer, violation.message
        );
        let unknown = violation.unknown.as_ref();
        let help = unknown.and_then(|unknown| did_you_mean(&unknown.name, unknown.known()));
        diagnostics.push(about(manifest, codes::SCHEMA, message).maybe_help(help));
    }
    let problem = match (validator.scope(), manifest.namespace()) {
        (Scope::Namespaced, None) => "must say its namespace",
        (Scope::Cluster, Some(_)) => "belongs to no namespace",
        _ => return,
    };
    diagnostics.push(about(
        manifest,
        codes::SCHEMA,
        format!("{subject} {problem}"),
    ));
}

/// What may have been meant by a kind that has no schema, the likeliest first, as `APIVERSION KIND`: the same
/// kind under another API version, else a similar name.
fn similar_kinds(kubernetes: KubernetesVersion, api_version: &str, kind: &str) -> Vec<String> {
    let known = schema::kinds(kubernetes);
    let named = |name: &str| -> Vec<String> {
        let mut found: Vec<_> = known.iter().filter(|known| known.1 == name).collect();
        found.sort_by_key(|known| known.0 != api_version);
        found
            .iter()
            .map(|(api_version, kind)| format!("{api_version} {kind}"))
            .collect()
    };
    let same_name = named(kind);
    if !same_name.is_empty() {
        return same_name;
    }
    let names = known.iter().map(|known| known.1);
    nearest(kind, names).map(named).unwrap_or_default()
}

/// No value of a secret is ever written.
fn check_secret(manifest: &Manifest, diagnostics: &mut Diagnostics) {
    let has_value = |key| {
        let value = manifest
            .value
            .get(key)
            .and_then(serde_json::Value::as_object);
        value.is_some_and(|value| !value.is_empty())
    };
    if manifest.kind() == "Secret" && (has_value("data") || has_value("stringData")) {
        let message = format!(
            "Secret `{}` has a value, which would be in Git",
            manifest.name()
        );
        diagnostics
            .push(about(manifest, codes::SECRET_VALUE, message).help("make it an ExternalSecret"));
    }
}

/// One object is in one manifest: two would be applied over each other without end.
fn check_identity(
    model: &Model,
    units: &[RenderedUnit],
    caches: &Caches,
    diagnostics: &mut Diagnostics,
) {
    let found = by_cluster(model, units).into_par_iter().map(|units| {
        let of = || Fingerprint::of_all(units.iter().map(|unit| unit.fingerprint()));
        nothing_or(&caches.single, of, || check_identity_in(model, &units))
    });
    diagnostics.extend(Diagnostics::of_all(found));
}

fn check_identity_in(model: &Model, units: &[&RenderedUnit]) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    let mut seen: HashMap<_, &Manifest> = HashMap::new();
    for unit in units {
        for manifest in &unit.manifests {
            let Some(first) = seen.insert(manifest.object().identity(), manifest) else {
                continue;
            };
            let cluster = &model.clusters[unit.unit.cluster].name;
            let message = format!(
                "{} `{}` is generated twice for `{cluster}`",
                manifest.kind(),
                manifest.name()
            );
            diagnostics.push(
                about(manifest, codes::DUPLICATE_OBJECT, message)
                    .also(first.origin, "leads to it too")
                    .note(format!("and from `{}`", first.template)),
            );
        }
    }
    diagnostics
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWEST: KubernetesVersion = KubernetesVersion::new(1, 36);

    #[test]
    fn an_unknown_kind_is_answered_with_similar_ones() {
        for (api_version, kind, meant) in [
            ("batch/v1beta1", "CronJob", vec!["batch/v1 CronJob"]),
            ("batch/v1", "Jbo", vec!["batch/v1 Job"]),
            (
                "argoproj.io/v1alpha1",
                "Aplication",
                vec!["argoproj.io/v1alpha1 Application"],
            ),
            (
                "cluster.x-k8s.io/v1alpha4",
                "MachineDeployment",
                vec![
                    "cluster.x-k8s.io/v1beta1 MachineDeployment",
                    "cluster.x-k8s.io/v1beta2 MachineDeployment",
                ],
            ),
            ("example.com/v1", "Unheardof", vec![]),
        ] {
            assert_eq!(similar_kinds(NEWEST, api_version, kind), meant, "{kind}");
        }
    }
}
