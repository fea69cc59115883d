//! `ValidatingAdmissionPolicies` as the API server of Kubernetes 1.34 evaluates them
//! (`k8s.io/apiserver/pkg/admission/plugin/policy`).
//!
//! A policy and its bindings are read from their documents ([`AdmissionPolicy::read`],
//! [`Binding::read`]); all CEL in them is compiled then. [`AdmissionPolicy::evaluate`] says what
//! the API server would find wrong with a [`Request`], in its words.

mod budget;
mod environment;
mod matching;
mod params;
mod read;
mod request;

pub use request::{Operation, Request, Resource, User};

use budget::{Evaluator, MATCH_BUDGET, VALIDATION_BUDGET};
use hcb_source::source::Location;
use k8s_openapi::api::admissionregistration::v1::{
    MatchResources, ParamRef, ValidatingAdmissionPolicySpec,
};
use serde_json::Value as Json;

/// The longest message that a `messageExpression` may make, in bytes.
const MESSAGE_LIMIT: usize = 5 * 1024;

/// A policy, ready to be evaluated any number of times, by any number of threads.
#[derive(Debug)]
pub struct AdmissionPolicy {
    /// `metadata.name`.
    pub name: String,
    /// The whole document.
    pub document: Json,
    /// Where the document is.
    pub location: Location,
    /// What an error means.
    pub failure_policy: FailurePolicy,
    spec: ValidatingAdmissionPolicySpec,
    constraints: MatchResources,
    variables: Vec<(String, hcb_cel::Program)>,
    conditions: Vec<hcb_cel::Program>,
    validations: Vec<Validation>,
    annotations: Vec<hcb_cel::Program>,
    uses_request: bool,
    uses_namespace: bool,
}

#[derive(Debug)]
struct Validation {
    program: hcb_cel::Program,
    expression: String,
    message: Option<String>,
    message_program: Option<hcb_cel::Program>,
    reason: Option<String>,
}

/// What the API server does when a policy cannot be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The request is denied.
    Fail,
    /// The policy does not count.
    Ignore,
}

/// What binds a policy: for which requests, with which parameters, and what follows.
#[derive(Debug)]
pub struct Binding {
    /// `metadata.name`.
    pub name: String,
    /// The name of the policy.
    pub policy: String,
    /// What is done about a violation.
    pub actions: Vec<Action>,
    /// The whole document.
    pub document: Json,
    /// Where the document is.
    pub location: Location,
    resources: Option<MatchResources>,
    param_ref: Option<ParamRef>,
}

/// What the API server does about a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The request is denied.
    Deny,
    /// The client is warned.
    Warn,
    /// The audit event says it.
    Audit,
}

/// One thing that a policy has against a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The message, as the API server words it after `denied request: `.
    pub message: String,
    /// The reason of the status that the client gets: `Invalid`, `Forbidden`, ...
    pub reason: String,
    /// Which validation it is, from zero; none for what is wrong apart from them.
    pub validation: Option<usize>,
    /// Whether the policy could not be evaluated, rather than that it was violated.
    pub is_error: bool,
    /// Whether the request is denied whatever the binding's actions are.
    pub always_denies: bool,
}

impl Violation {
    fn error(message: String) -> Self {
        Self {
            message,
            reason: "Invalid".to_owned(),
            validation: None,
            is_error: true,
            always_denies: false,
        }
    }
}

impl AdmissionPolicy {
    /// Whether the policy is for requests such as this one: its `matchConstraints`.
    pub fn matches(&self, request: &Request<'_>) -> bool {
        matching::matches(&self.constraints, request) != Ok(false)
    }

    /// What the policy, bound by `binding`, has against `request`. `params` are all objects that
    /// may be parameters; those that the binding refers to are used.
    pub fn evaluate(
        &self,
        binding: &Binding,
        params: &[Json],
        request: &Request<'_>,
    ) -> Vec<Violation> {
        match matching::matches(&self.constraints, request) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(error) => {
                return self.misconfigured(format!("failed to configure policy: {error}"));
            }
        }
        let failed = |error| self.misconfigured(format!("failed to configure binding: {error}"));
        if let Some(resources) = &binding.resources {
            match matching::matches(resources, request) {
                Ok(true) => {}
                Ok(false) => return Vec::new(),
                Err(error) => return failed(error),
            }
        }
        let kind = self.spec.param_kind.as_ref();
        let params = match params::collect(kind, binding.param_ref.as_ref(), params, request) {
            Ok(params) => params,
            Err(error) => return failed(error),
        };
        let request_json = self.uses_request.then(|| request.to_json());
        let namespace_json = self
            .uses_namespace
            .then(|| request.namespace_json())
            .flatten();
        let mut found = Vec::new();
        for param in params {
            let values = Values {
                request: request_json.as_ref(),
                namespace: namespace_json.as_deref(),
                object: request.object,
                old_object: request.old_object,
                params: param,
            };
            found.extend(self.evaluate_with(&values));
        }
        found
    }

    /// An error, unless errors are ignored.
    fn failed(&self, message: String) -> Vec<Violation> {
        match self.failure_policy {
            FailurePolicy::Fail => vec![Violation::error(message)],
            FailurePolicy::Ignore => Vec::new(),
        }
    }

    fn misconfigured(&self, message: String) -> Vec<Violation> {
        let mut found = self.failed(message);
        for violation in &mut found {
            violation.always_denies = true;
        }
        found
    }

    fn evaluate_with(&self, values: &Values<'_>) -> Vec<Violation> {
        match self.conditions_hold(values) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(message) => return self.failed(message),
        }
        let bound = values.bind(values.namespace);
        let mut evaluator = Evaluator::new(&self.variables, &bound, VALIDATION_BUDGET);
        let mut results = Vec::with_capacity(self.validations.len());
        for validation in &self.validations {
            match evaluator.evaluate(&validation.program, &validation.expression) {
                Ok(result) => results.push(result),
                Err(error) => return self.failed(error),
            }
        }
        let all_hold = results
            .iter()
            .all(|result| matches!(result, Ok(hcb_cel::Value::Bool(true))));
        let messages = if all_hold && self.messages_are_affordable(evaluator.budget()) {
            Ok(Vec::new())
        } else {
            self.messages(&bound, evaluator.budget())
        };
        let mut found = Vec::new();
        for (index, (validation, result)) in self.validations.iter().zip(results).enumerate() {
            let mut violations = match (result, &messages) {
                (Err(error), _) => self.failed(error),
                (Ok(_), Err(error)) => self.failed(format!("failed messageExpression: {error}")),
                (Ok(hcb_cel::Value::Bool(true)), _) => Vec::new(),
                (Ok(_), Ok(messages)) => vec![Violation {
                    message: validation.message(messages.get(index).cloned().flatten()),
                    reason: validation
                        .reason
                        .clone()
                        .unwrap_or_else(|| "Invalid".to_owned()),
                    validation: None,
                    is_error: false,
                    always_denies: false,
                }],
            };
            for violation in &mut violations {
                violation.validation = Some(index);
            }
            found.append(&mut violations);
        }
        match self.annotation_errors(&bound) {
            Ok(errors) => found.extend(errors),
            Err(error) => return self.failed(error),
        }
        found
    }

    /// Whether all `matchConditions` hold. One that does not decides, whatever errors others have.
    fn conditions_hold(&self, values: &Values<'_>) -> Result<bool, String> {
        if self.conditions.is_empty() {
            return Ok(true);
        }
        // Conditions do not see the namespace.
        let bound = values.bind(None);
        let mut evaluator = Evaluator::new(&self.variables, &bound, MATCH_BUDGET);
        let expressions = self.spec.match_conditions.as_deref().unwrap_or_default();
        let mut results = Vec::with_capacity(self.conditions.len());
        for (program, condition) in self.conditions.iter().zip(expressions) {
            match evaluator.evaluate(program, &condition.expression) {
                Ok(result) => results.push(result),
                Err(error) => return self.conditions_failed(vec![error]),
            }
        }
        let mut errors = Vec::new();
        for result in results {
            match result {
                Ok(hcb_cel::Value::Bool(false)) => return Ok(false),
                Ok(_) => {}
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            return Ok(true);
        }
        self.conditions_failed(errors)
    }

    fn conditions_failed(&self, mut errors: Vec<String>) -> Result<bool, String> {
        if self.failure_policy == FailurePolicy::Ignore {
            return Ok(false);
        }
        let mut unique: Vec<String> = Vec::new();
        for error in errors.drain(..) {
            if !unique.contains(&error) {
                unique.push(error);
            }
        }
        Err(match unique.as_slice() {
            [only] => only.clone(),
            several => format!("[{}]", several.join(", ")),
        })
    }

    /// Whether no message can go beyond the budget, so that they need not be made to find out.
    fn messages_are_affordable(&self, budget: u64) -> bool {
        let count = self
            .validations
            .iter()
            .filter(|validation| validation.message_program.is_some())
            .count() as u64;
        count == 0
            || (count + self.variables.len() as u64).saturating_mul(hcb_cel::COST_LIMIT) < budget
    }

    fn messages(
        &self,
        bound: &[(&str, hcb_cel::Value<'_>)],
        budget: u64,
    ) -> Result<Vec<Option<String>>, String> {
        let mut evaluator = Evaluator::new(&self.variables, bound, budget);
        self.validations
            .iter()
            .map(|validation| {
                let Some(program) = &validation.message_program else {
                    return Ok(None);
                };
                let result = evaluator.evaluate(program, "")?;
                Ok(result
                    .ok()
                    .and_then(|value| value.as_str().map(str::to_owned)))
            })
            .collect()
    }

    /// What is wrong with audit annotations denies a request, even though they only inform.
    fn annotation_errors(
        &self,
        bound: &[(&str, hcb_cel::Value<'_>)],
    ) -> Result<Vec<Violation>, String> {
        let mut evaluator = Evaluator::new(&self.variables, bound, VALIDATION_BUDGET);
        let expressions = self.spec.audit_annotations.as_deref().unwrap_or_default();
        let mut found = Vec::new();
        for (program, annotation) in self.annotations.iter().zip(expressions) {
            if let Err(error) = evaluator.evaluate(program, &annotation.value_expression)? {
                found.extend(self.misconfigured(error));
            }
        }
        Ok(found)
    }
}

impl Validation {
    /// The message: what the expression made, else what is written, else the expression itself.
    fn message(&self, made: Option<String>) -> String {
        let made = made
            .map(|message| message.trim().to_owned())
            .filter(|message| {
                !message.is_empty() && message.len() <= MESSAGE_LIMIT && !message.contains('\n')
            });
        let written = || {
            let message = self.message.as_deref().unwrap_or_default().trim();
            (!message.is_empty()).then(|| message.to_owned())
        };
        made.or_else(written)
            .unwrap_or_else(|| format!("failed expression: {}", self.expression.trim()))
    }
}

/// The values of one evaluation.
struct Values<'a> {
    request: Option<&'a Json>,
    namespace: Option<&'a Json>,
    object: &'a Json,
    old_object: &'a Json,
    params: Option<&'a Json>,
}

impl<'a> Values<'a> {
    fn bind(&self, namespace: Option<&'a Json>) -> [(&'static str, hcb_cel::Value<'a>); 5] {
        let of = |value: Option<&'a Json>| value.map_or(hcb_cel::Value::Null, hcb_cel::Value::from);
        [
            ("object", self.object.into()),
            ("oldObject", self.old_object.into()),
            ("request", of(self.request)),
            ("namespaceObject", of(namespace)),
            ("params", of(self.params)),
        ]
    }
}
