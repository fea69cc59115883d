//! The parameters of a policy that a binding refers to (`CollectParams` in
//! `admission/plugin/policy/generic/policy_dispatcher.go`).

use super::matching::selects;
use super::request::{Request, labels_of};
use hcb_kubernetes::Object;
use hcb_kubernetes::schema::{self, Scope};
use k8s_openapi::api::admissionregistration::v1::{ParamKind, ParamRef};
use serde_json::Value as Json;

/// The parameters to evaluate with, one after another; none of them is a parameter too.
///
/// # Errors
///
/// What the API server calls a failure to configure the binding.
pub(super) fn collect<'a>(
    kind: Option<&ParamKind>,
    reference: Option<&ParamRef>,
    params: &'a [Json],
    request: &Request<'_>,
) -> Result<Vec<Option<&'a Json>>, String> {
    let (Some(kind), Some(reference)) = (kind, reference) else {
        return Ok(vec![None]);
    };
    let api_version = kind.api_version.as_deref().unwrap_or_default();
    let name = kind.kind.as_deref().unwrap_or_default();
    let of_kind: Vec<&Json> = params
        .iter()
        .filter(|param| {
            let param = Object(param);
            param.api_version() == api_version && param.kind() == name
        })
        .collect();
    let is_namespaced = match scope(api_version, name) {
        Some(scope) => scope == Scope::Namespaced,
        // A kind that is not known here shows by its objects.
        None => of_kind
            .iter()
            .any(|param| !Object(param).namespace().is_empty()),
    };
    let wanted_namespace = reference
        .namespace
        .as_deref()
        .filter(|name| !name.is_empty());
    if !is_namespaced && wanted_namespace.is_some() {
        return Err(
            "paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned(),
        );
    }
    let namespace = if is_namespaced {
        let namespace = wanted_namespace.or(request.attribute_namespace());
        if namespace.is_none() {
            return Err(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                    .to_owned(),
            );
        }
        namespace
    } else {
        None
    };
    let found: Vec<Option<&Json>> = of_kind
        .into_iter()
        .filter(|param| namespace.is_none_or(|name| Object(param).namespace() == name))
        .filter(|param| match (&reference.name, &reference.selector) {
            (Some(name), _) => Object(param).name() == name,
            (None, Some(selector)) => selects(selector, &labels_of(Some(param))),
            (None, None) => false,
        })
        .map(Some)
        .collect();
    if found.is_empty() && reference.parameter_not_found_action.as_deref() == Some("Deny") {
        return Err(
            "no params found for policy binding with `Deny` parameterNotFoundAction".to_owned(),
        );
    }
    Ok(found)
}

fn scope(api_version: &str, kind: &str) -> Option<Scope> {
    schema::known_in(api_version, kind)
        .into_iter()
        .find_map(|version| schema::validator(version, api_version, kind))
        .map(|validator| validator.scope())
}
