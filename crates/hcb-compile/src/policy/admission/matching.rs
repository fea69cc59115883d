//! Which requests a policy or a binding is for (`admission/plugin/policy/matching`).

use super::request::{Request, labels_of};
use hcb_kubernetes::schema;
use k8s_openapi::api::admissionregistration::v1::{MatchResources, NamedRuleWithOperations};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Policies do not see what configures admission, so that they can always be fixed.
const EXEMPT: [&str; 6] = [
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
];

/// Whether `resources` match `request`.
///
/// # Errors
///
/// What cannot be said without the API server: a rule names another version of the resource, to
/// which the API server would convert the object.
pub(super) fn matches(resources: &MatchResources, request: &Request<'_>) -> Result<bool, String> {
    if request.resource.group == "admissionregistration.k8s.io"
        && EXEMPT.contains(&request.resource.kind)
    {
        return Ok(false);
    }
    if !namespace_is_selected(resources, request) || !object_is_selected(resources, request) {
        return Ok(false);
    }
    let is_exact = resources.match_policy.as_deref() == Some("Exact");
    let excluded = resources
        .exclude_resource_rules
        .as_deref()
        .unwrap_or_default();
    if rules_match(excluded, is_exact, request)? {
        return Ok(false);
    }
    match resources.resource_rules.as_deref() {
        None | Some([]) => Ok(true),
        Some(rules) => rules_match(rules, is_exact, request),
    }
}

fn namespace_is_selected(resources: &MatchResources, request: &Request<'_>) -> bool {
    // What is in no namespace is always selected.
    if request.attribute_namespace().is_none() {
        return true;
    }
    resources
        .namespace_selector
        .as_ref()
        .filter(|selector| !is_empty(selector))
        .is_none_or(|selector| selects(selector, &request.namespace_labels()))
}

fn object_is_selected(resources: &MatchResources, request: &Request<'_>) -> bool {
    resources
        .object_selector
        .as_ref()
        .filter(|selector| !is_empty(selector))
        .is_none_or(|selector| {
            [request.object, request.old_object]
                .into_iter()
                .filter(|object| object.is_object())
                .any(|object| selects(selector, &labels_of(Some(object))))
        })
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector
        .match_labels
        .as_ref()
        .is_none_or(std::collections::BTreeMap::is_empty)
        && selector
            .match_expressions
            .as_ref()
            .is_none_or(Vec::is_empty)
}

/// Whether a selector selects an object with these labels.
pub(super) fn selects(selector: &LabelSelector, labels: &[(String, String)]) -> bool {
    let value = |key: &str| {
        labels
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    };
    let all_equal = selector
        .match_labels
        .iter()
        .flatten()
        .all(|(key, wanted)| value(key) == Some(wanted));
    all_equal
        && selector
            .match_expressions
            .iter()
            .flatten()
            .all(|requirement| {
                let found = value(&requirement.key);
                let values = requirement.values.as_deref().unwrap_or_default();
                let is_among = found.is_some_and(|found| values.iter().any(|value| value == found));
                match requirement.operator.as_str() {
                    "In" => is_among,
                    "NotIn" => !is_among,
                    "Exists" => found.is_some(),
                    "DoesNotExist" => found.is_none(),
                    _ => false,
                }
            })
}

fn rules_match(
    rules: &[NamedRuleWithOperations],
    is_exact: bool,
    request: &Request<'_>,
) -> Result<bool, String> {
    let names_match = |rule: &NamedRuleWithOperations| {
        let names = rule.resource_names.as_deref().unwrap_or_default();
        names.is_empty() || names.iter().any(|name| name == request.name)
    };
    let matching = |rule: &&NamedRuleWithOperations| {
        is_in_scope(rule, request)
            && has(rule.operations.as_deref(), request.operation.name())
            && has(rule.api_groups.as_deref(), request.resource.group)
            && resource_matches(rule, request)
            && names_match(rule)
    };
    let has_version = |rule: &NamedRuleWithOperations| {
        has(rule.api_versions.as_deref(), request.resource.version)
    };
    if rules.iter().filter(matching).any(has_version) {
        return Ok(true);
    }
    if is_exact {
        return Ok(false);
    }
    for rule in rules.iter().filter(matching) {
        for version in rule.api_versions.iter().flatten() {
            let other = super::request::Resource {
                version,
                ..request.resource
            };
            // Only what the API server serves can be what is meant.
            if !schema::known_in(&other.api_version(), other.kind).is_empty() {
                return Err(format!(
                    "the rule is for {} of version {version}, to which only an API server can convert an object of version {}",
                    request.resource.resource, request.resource.version
                ));
            }
        }
    }
    Ok(false)
}

fn has(items: Option<&[String]>, wanted: &str) -> bool {
    items
        .unwrap_or_default()
        .iter()
        .any(|item| item == "*" || item == wanted)
}

fn is_in_scope(rule: &NamedRuleWithOperations, request: &Request<'_>) -> bool {
    let is_cluster_wide = request.is_of_namespace() || request.namespace.is_none();
    match rule.scope.as_deref() {
        None | Some("*") => true,
        Some("Namespaced") => !is_cluster_wide,
        Some("Cluster") => is_cluster_wide,
        Some(_) => false,
    }
}

fn resource_matches(rule: &NamedRuleWithOperations, request: &Request<'_>) -> bool {
    let wanted = (request.resource.resource, request.resource.subresource);
    rule.resources.iter().flatten().any(|item| {
        let (resource, subresource) = item.split_once('/').unwrap_or((item, ""));
        (resource == "*" || resource == wanted.0) && (subresource == "*" || subresource == wanted.1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::admission::{Operation, Resource};
    use serde_json::json;

    /// The request that creates a pod named `a` in the namespace `n`.
    fn pod(object: &serde_json::Value) -> Request<'_> {
        let resource = Resource {
            group: "",
            version: "v1",
            kind: "Pod",
            resource: "pods",
            subresource: "",
        };
        Request::create(resource, object)
    }

    #[test]
    fn all_parts_of_a_rule_must_match() {
        let object = json!({"metadata": {"name": "a", "namespace": "n", "labels": {"app": "x"}}});
        let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
        let with = |field: &str, value: serde_json::Value| {
            let mut rule = rule.clone();
            rule[field] = value;
            json!({"resourceRules": [rule]})
        };
        let cases = [
            (json!({"resourceRules": [rule]}), true),
            (json!({}), true),
            (with("apiGroups", json!(["*"])), true),
            (with("apiGroups", json!(["apps"])), false),
            (with("operations", json!(["UPDATE"])), false),
            (with("operations", json!(["*"])), true),
            (with("resources", json!(["*"])), true),
            (with("resources", json!(["*/*"])), true),
            (with("resources", json!(["pods/*"])), true),
            (with("resources", json!(["pods/status"])), false),
            (with("resourceNames", json!(["b"])), false),
            (with("resourceNames", json!(["a"])), true),
            (with("scope", json!("Cluster")), false),
            (with("scope", json!("Namespaced")), true),
            (
                json!({"resourceRules": [rule], "excludeResourceRules": [rule]}),
                false,
            ),
            (
                json!({"objectSelector": {"matchLabels": {"app": "x"}}}),
                true,
            ),
            (
                json!({"objectSelector": {"matchLabels": {"app": "y"}}}),
                false,
            ),
            (
                json!({"objectSelector": {"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["x"]}]}}),
                true,
            ),
            (
                json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "n"}}}),
                true,
            ),
            (
                json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "m"}}}),
                false,
            ),
        ];
        for (resources, expected) in cases {
            let read: MatchResources =
                serde_json::from_value(resources.clone()).expect("resources");
            assert_eq!(matches(&read, &pod(&object)), Ok(expected), "{resources}");
        }
        assert_eq!(pod(&object).operation, Operation::Create);
    }

    #[test]
    fn another_version_is_an_error_and_never_a_pass() {
        let object = json!({"metadata": {"name": "a", "namespace": "n"}});
        let resource = Resource {
            group: "autoscaling",
            version: "v2",
            kind: "HorizontalPodAutoscaler",
            resource: "horizontalpodautoscalers",
            subresource: "",
        };
        let rule = json!({"apiGroups": ["autoscaling"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["horizontalpodautoscalers"]});
        let read = |policy: &str| -> MatchResources {
            serde_json::from_value(json!({"resourceRules": [rule], "matchPolicy": policy}))
                .expect("resources")
        };
        let request = Request::create(resource, &object);
        assert!(matches(&read("Equivalent"), &request).is_err());
        assert_eq!(matches(&read("Exact"), &request), Ok(false));
    }
}
