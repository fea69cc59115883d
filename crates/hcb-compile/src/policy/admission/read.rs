//! Documents to policies and bindings. All that the API server refuses when they are created is
//! found here, at its place.

mod expression;

use super::environment::{environment, variable_type};
use super::{Action, AdmissionPolicy, Binding, FailurePolicy, Validation};
use hcb_cel::{self, Environment, Type};
use hcb_kubernetes::schema::{self, KubernetesVersion};
use hcb_kubernetes::{Object, names};
use hcb_source::diag::{Diagnostic, Diagnostics, codes, did_you_mean, suggest};
use hcb_source::yaml::{Node, Step, steps_of_pointer};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The API version of policies and bindings.
pub(super) const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// The version whose rules policies are read by.
const KUBERNETES: &str = "1.34";

/// What a violation may be answered with.
const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

impl AdmissionPolicy {
    /// Reads a `ValidatingAdmissionPolicy` and compiles its expressions. `text` is the text of the
    /// file that `node` is from; what is wrong inside an expression is underlined in it.
    ///
    /// `None` if anything is wrong, which `diagnostics` then has.
    pub fn read(node: &Node, text: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut found = Diagnostics::default();
        let document = node.to_json();
        let spec: Option<ValidatingAdmissionPolicySpec> =
            read_spec(node, &document, "ValidatingAdmissionPolicy", &mut found);
        let policy = spec.map(|spec| {
            let mut reader = PolicyReader {
                node,
                text,
                found: &mut found,
            };
            reader.policy(document, spec)
        });
        let is_right = !found.has_errors();
        diagnostics.extend(found);
        policy.flatten().filter(|_| is_right)
    }
}

impl Binding {
    /// Reads a `ValidatingAdmissionPolicyBinding`. `None` if anything is wrong, which `diagnostics`
    /// then has.
    pub fn read(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut found = Diagnostics::default();
        let document = node.to_json();
        let spec: Option<ValidatingAdmissionPolicyBindingSpec> = read_spec(
            node,
            &document,
            "ValidatingAdmissionPolicyBinding",
            &mut found,
        );
        let binding = spec.and_then(|spec| read_binding(node, document, spec, &mut found));
        let is_right = !found.has_errors();
        diagnostics.extend(found);
        binding.filter(|_| is_right)
    }
}

/// `spec`, once the document has the shape of its kind.
fn read_spec<T: DeserializeOwned>(
    node: &Node,
    document: &Json,
    kind: &str,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let object = Object(document);
    for (field, found, wanted) in [
        ("apiVersion", object.api_version(), API_VERSION),
        ("kind", object.kind(), kind),
    ] {
        if found != wanted {
            let message = format!("`{field}` must be `{wanted}`");
            shape(node, &[field], message, diagnostics);
            return None;
        }
    }
    let version: KubernetesVersion = KUBERNETES.parse().ok()?;
    let violations = schema::validator(version, API_VERSION, kind)?.check(document);
    for violation in &violations {
        let steps = steps_of_pointer(node, &violation.pointer);
        let help = violation
            .unknown
            .as_ref()
            .and_then(|unknown| did_you_mean(&unknown.name, unknown.known()));
        diagnostics.push(
            Diagnostic::error(codes::POLICY_SHAPE, violation.message.clone())
                .at(node.locate(&steps), "here")
                .maybe_help(help),
        );
    }
    if !violations.is_empty() {
        return None;
    }
    let Some(spec) = document.get("spec") else {
        shape(node, &[], "a policy needs a `spec`", diagnostics);
        return None;
    };
    match serde_json::from_value(spec.clone()) {
        Ok(spec) => Some(spec),
        Err(error) => {
            shape(node, &["spec"], error.to_string(), diagnostics);
            None
        }
    }
}

fn steps(path: &[&str]) -> Vec<Step> {
    path.iter()
        .map(|step| match step.parse() {
            Ok(index) => Step::Index(index),
            Err(_) => Step::Key((*step).to_owned()),
        })
        .collect()
}

fn shape(node: &Node, path: &[&str], message: impl Into<String>, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::error(codes::POLICY_SHAPE, message).at(node.locate(&steps(path)), "here"),
    );
}

fn name_of(node: &Node, document: &Json, diagnostics: &mut Diagnostics) -> Option<String> {
    let name = Object(document).name();
    if name.is_empty() {
        shape(
            node,
            &["metadata"],
            "`metadata.name` is missing",
            diagnostics,
        );
        return None;
    }
    Some(name.to_owned())
}

fn read_binding(
    node: &Node,
    document: Json,
    spec: ValidatingAdmissionPolicyBindingSpec,
    diagnostics: &mut Diagnostics,
) -> Option<Binding> {
    let name = name_of(node, &document, diagnostics);
    let policy = spec.policy_name.filter(|name| !name.is_empty());
    if policy.is_none() {
        shape(node, &["spec"], "`policyName` is missing", diagnostics);
    }
    let names = spec.validation_actions.unwrap_or_default();
    let mut actions = Vec::new();
    for (index, action) in names.iter().enumerate() {
        let action = match action.as_str() {
            "Deny" => Action::Deny,
            "Warn" => Action::Warn,
            "Audit" => Action::Audit,
            other => {
                let help = suggest(other, ["Deny", "Warn", "Audit"]);
                let path = ["spec", "validationActions", &index.to_string()];
                diagnostics.push(
                    Diagnostic::error(codes::POLICY_SHAPE, format!("there is no action `{other}`"))
                        .at(node.locate(&steps(&path)), "here")
                        .maybe_help(help),
                );
                continue;
            }
        };
        if actions.contains(&action) {
            let path = ["spec", "validationActions", &index.to_string()];
            shape(node, &path, "the action stands twice", diagnostics);
        }
        actions.push(action);
    }
    if names.is_empty() {
        let message = "`validationActions` must say what follows: `Deny`, `Warn` or `Audit`";
        shape(node, &["spec"], message, diagnostics);
    }
    if actions.contains(&Action::Deny) && actions.contains(&Action::Warn) {
        let path = ["spec", "validationActions"];
        let message = "`Deny` and `Warn` exclude each other: the client would be told twice";
        shape(node, &path, message, diagnostics);
    }
    if let Some(reference) = &spec.param_ref {
        let path = ["spec", "paramRef"];
        if reference.name.is_some() == reference.selector.is_some() {
            let message = "`paramRef` needs either `name` or `selector`";
            shape(node, &path, message, diagnostics);
        }
        if let Some("Allow" | "Deny") = reference.parameter_not_found_action.as_deref() {
        } else {
            let message = "`parameterNotFoundAction` must be `Allow` or `Deny`";
            shape(node, &path, message, diagnostics);
        }
    }
    Some(Binding {
        name: name?,
        policy: policy?,
        actions,
        document,
        location: node.location,
        resources: spec.match_resources,
        param_ref: spec.param_ref,
    })
}

/// Reads one policy: its document, the text that it is from, and what is wrong with it.
struct PolicyReader<'a> {
    node: &'a Node,
    text: &'a str,
    found: &'a mut Diagnostics,
}

impl PolicyReader<'_> {
    fn shape(&mut self, path: &[&str], message: impl Into<String>) {
        shape(self.node, path, message, self.found);
    }

    fn policy(
        &mut self,
        document: Json,
        spec: ValidatingAdmissionPolicySpec,
    ) -> Option<AdmissionPolicy> {
        let name = name_of(self.node, &document, self.found);
        let failure_policy = match spec.failure_policy.as_deref() {
            None | Some("Fail") => FailurePolicy::Fail,
            Some("Ignore") => FailurePolicy::Ignore,
            Some(other) => {
                let message = format!("`failurePolicy` is `Fail` or `Ignore`, not `{other}`");
                self.shape(&["spec", "failurePolicy"], message);
                FailurePolicy::Fail
            }
        };
        let constraints = spec.match_constraints.clone();
        self.constraints(&spec);
        if let Some(kind) = &spec.param_kind
            && (kind.api_version.as_deref().is_none_or(str::is_empty)
                || kind.kind.as_deref().is_none_or(str::is_empty))
        {
            self.shape(
                &["spec", "paramKind"],
                "`paramKind` needs `apiVersion` and `kind`",
            );
        }
        let base = environment(spec.param_kind.is_some());
        let mut fields = BTreeMap::new();
        let mut variables: Vec<(String, hcb_cel::Program)> = Vec::new();
        let mut is_whole = true;
        for (index, variable) in spec.variables.iter().flatten().enumerate() {
            let at = index.to_string();
            let path = ["spec", "variables", &at];
            if fields.contains_key(&variable.name) {
                let message = format!("the variable `{}` stands twice", variable.name);
                self.shape(&[&path[..], &["name"]].concat(), message);
            }
            if !is_identifier(&variable.name) {
                let message = format!("`{}` cannot be the name of a variable", variable.name);
                self.shape(&[&path[..], &["name"]].concat(), message);
            }
            let environment = base.clone().with_lazy(fields.clone());
            let program = self.compile(
                &[&path[..], &["expression"]].concat(),
                &variable.expression,
                &environment,
                None,
            );
            let ty = program
                .as_ref()
                .map_or(Type::Dyn, |program| variable_type(program.result_type()));
            fields.insert(variable.name.clone(), ty);
            match program {
                Some(program) => variables.push((variable.name.clone(), program)),
                None => is_whole = false,
            }
        }
        let environment = base.clone().with_lazy(fields);
        let mut conditions = Vec::new();
        let mut condition_names = BTreeSet::new();
        for (index, condition) in spec.match_conditions.iter().flatten().enumerate() {
            let at = index.to_string();
            let path = ["spec", "matchConditions", &at];
            if let Some(problem) = names::label_key(&condition.name) {
                let message = format!("the name `{}` {problem}", condition.name);
                self.shape(&[&path[..], &["name"]].concat(), message);
            }
            if !condition_names.insert(condition.name.as_str()) {
                let message = format!("the condition `{}` stands twice", condition.name);
                self.shape(&[&path[..], &["name"]].concat(), message);
            }
            // Conditions cannot use variables.
            conditions.extend(self.compile(
                &[&path[..], &["expression"]].concat(),
                &condition.expression,
                &base,
                Some(&[Type::Bool]),
            ));
        }
        let mut validations = Vec::new();
        for (index, validation) in spec.validations.iter().flatten().enumerate() {
            validations.extend(self.validation(index, validation, &environment));
        }
        let mut annotations = Vec::new();
        for (index, annotation) in spec.audit_annotations.iter().flatten().enumerate() {
            let at = index.to_string();
            let path = ["spec", "auditAnnotations", &at, "valueExpression"];
            annotations.extend(self.compile(
                &path,
                &annotation.value_expression,
                &environment,
                Some(&[Type::String, Type::Null]),
            ));
        }
        let has_nothing = spec.validations.as_ref().is_none_or(Vec::is_empty)
            && spec.audit_annotations.as_ref().is_none_or(Vec::is_empty);
        if has_nothing {
            self.shape(
                &["spec"],
                "`validations` or `auditAnnotations` must have something",
            );
        }
        let uses = |name: &str| {
            variables
                .iter()
                .map(|(_, program)| program)
                .chain(&conditions)
                .chain(&annotations)
                .chain(validations.iter().flat_map(|validation| {
                    std::iter::once(&validation.program).chain(&validation.message_program)
                }))
                .any(|program| program.uses(name))
        };
        let (uses_request, uses_namespace) = (uses("request"), uses("namespaceObject"));
        Some(AdmissionPolicy {
            name: name?,
            document,
            location: self.node.location,
            failure_policy,
            constraints: constraints?,
            spec,
            variables,
            conditions,
            validations,
            annotations,
            uses_request,
            uses_namespace,
        })
        .filter(|_| is_whole)
    }

    fn constraints(&mut self, spec: &ValidatingAdmissionPolicySpec) {
        let Some(constraints) = &spec.match_constraints else {
            return self.shape(&["spec"], "`matchConstraints` is missing");
        };
        let path = ["spec", "matchConstraints"];
        if constraints
            .resource_rules
            .as_ref()
            .is_none_or(Vec::is_empty)
        {
            self.shape(&path, "`resourceRules` must have a rule");
        }
        for (index, rule) in constraints.resource_rules.iter().flatten().enumerate() {
            let at = index.to_string();
            let path = ["spec", "matchConstraints", "resourceRules", &at];
            for (field, items) in [
                ("operations", &rule.operations),
                ("apiGroups", &rule.api_groups),
                ("apiVersions", &rule.api_versions),
                ("resources", &rule.resources),
            ] {
                if items.as_ref().is_none_or(Vec::is_empty) {
                    self.shape(&path, format!("`{field}` must name at least one"));
                }
            }
            for operation in rule.operations.iter().flatten() {
                let known = ["*", "CREATE", "UPDATE", "DELETE", "CONNECT"];
                if !known.contains(&operation.as_str()) {
                    let message = format!("there is no operation `{operation}`");
                    self.shape(&[&path[..], &["operations"]].concat(), message);
                }
            }
        }
    }

    fn validation(
        &mut self,
        index: usize,
        validation: &k8s_openapi::api::admissionregistration::v1::Validation,
        environment: &Environment,
    ) -> Option<Validation> {
        let at = index.to_string();
        let path = ["spec", "validations", &at];
        let of = |field: &'static str| [&path[..], &[field]].concat();
        let program = self.compile(
            &of("expression"),
            &validation.expression,
            environment,
            Some(&[Type::Bool]),
        );
        let message_program = validation
            .message_expression
            .as_ref()
            .filter(|expression| !expression.is_empty())
            .map(|expression| {
                self.compile(
                    &of("messageExpression"),
                    expression,
                    environment,
                    Some(&[Type::String]),
                )
            });
        if let Some(reason) = &validation.reason
            && !REASONS.contains(&reason.as_str())
        {
            let help = suggest(reason, REASONS);
            let place = self.node.locate(&steps(&of("reason")));
            self.found.push(
                Diagnostic::error(
                    codes::POLICY_SHAPE,
                    format!("there is no reason `{reason}`"),
                )
                .at(place, "here")
                .maybe_help(help),
            );
        }
        let message = validation.message.as_deref().unwrap_or_default();
        if message.trim().contains('\n') {
            self.shape(&of("message"), "a message is one line");
        }
        Some(Validation {
            program: program?,
            expression: validation.expression.clone(),
            message: validation.message.clone(),
            message_program: message_program.flatten(),
            reason: validation.reason.clone(),
        })
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
