//! `kind: SpecPolicy`: what is asked of the spec itself, of each cluster, or of each workload, where
//! no admission policy could see it. Its expressions are CEL, as those of Kubernetes.

use super::misspelling::help_with;
use crate::memo::Fingerprint;
use hcb_cel::{Activation, Environment, Program, Type, Value};
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::document::{DocumentSchema, schema_of, typed};
use hcb_source::yaml::Node;
use hcb_spec::spec::{ApiVersion, PolicyAction};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// A policy about the spec, ready to be evaluated.
#[derive(Debug)]
pub struct SpecPolicy {
    /// What it is evaluated for.
    pub about: About,
    /// What is done where it is broken.
    pub action: PolicyAction,
    /// Its parameters.
    pub params: Map<String, Json>,
    /// Of all that its file says.
    pub(super) fingerprint: Fingerprint,
    conditions: Vec<Program>,
    variables: Vec<(String, Program)>,
    validations: Vec<Validation>,
}

/// What a policy about the spec is evaluated for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// The spec as a whole, once.
    Spec,
    /// Each cluster.
    Cluster,
    /// Each workload.
    Workload,
}

#[derive(Debug)]
struct Validation {
    program: Program,
    message: String,
    message_program: Option<Program>,
    field: Option<String>,
    help: Option<String>,
}

/// The document as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Document {
    api_version: ApiVersion,
    kind: DocumentKind,
    metadata: Metadata,
    spec: Body,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum DocumentKind {
    SpecPolicy,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    #[serde(rename = "match")]
    about: About,
    #[serde(default = "deny")]
    action: PolicyAction,
    #[serde(default)]
    params: Map<String, Json>,
    #[serde(default)]
    match_conditions: Vec<Named>,
    #[serde(default)]
    variables: Vec<Named>,
    #[schemars(length(min = 1))]
    validations: Vec<Check>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
    expression: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Check {
    expression: String,
    message: String,
    #[serde(default)]
    message_expression: Option<String>,
    /// What to underline, seen from what the policy is about.
    #[serde(default)]
    field: Option<String>,
    #[serde(default)]
    help: Option<String>,
}

fn deny() -> PolicyAction {
    PolicyAction::Deny
}

impl About {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Cluster => "cluster",
            Self::Workload => "workload",
        }
    }
}

static SHAPE: LazyLock<DocumentSchema> =
    LazyLock::new(|| DocumentSchema::new(schema_of::<Document>()));

/// Reads a document. What is wrong is said, and then there is none.
pub(super) fn read(document: &mut Node, diagnostics: &mut Diagnostics) -> Option<SpecPolicy> {
    let (read, removed) = typed::<Document>(&SHAPE, document, diagnostics);
    let body = read.filter(|_| removed.is_empty())?.spec;
    let fingerprint = Fingerprint::of_json(&document.to_json());
    let mut compiler = Compiler {
        document,
        diagnostics,
        environment: ["spec", "cluster", "workload", "params"]
            .into_iter()
            .filter(|name| match body.about {
                About::Spec => !matches!(*name, "cluster" | "workload"),
                About::Cluster => *name != "workload",
                About::Workload => *name != "cluster",
            })
            .fold(Environment::new(), |environment, name| {
                environment.with(name, Type::Dyn)
            }),
    };
    let conditions: Vec<_> = body
        .match_conditions
        .iter()
        .enumerate()
        .map(|(index, condition)| {
            compiler.compile(
                &condition.expression,
                &["spec", "matchConditions"],
                index,
                "expression",
            )
        })
        .collect();
    let mut variables = Vec::new();
    for (index, variable) in body.variables.iter().enumerate() {
        let program = compiler.compile(
            &variable.expression,
            &["spec", "variables"],
            index,
            "expression",
        );
        // Each sees those before it.
        compiler.environment = compiler.environment.clone().with("variables", Type::Dyn);
        variables.push((variable.name.clone(), program));
    }
    let validations: Vec<_> = body
        .validations
        .into_iter()
        .enumerate()
        .map(|(index, check)| {
            let at = ["spec", "validations"];
            let program = compiler.compile(&check.expression, &at, index, "expression");
            let message = check
                .message_expression
                .map(|text| compiler.compile(&text, &at, index, "messageExpression"));
            (program, message, check.message, check.field, check.help)
        })
        .collect();
    Some(SpecPolicy {
        about: body.about,
        action: body.action,
        params: body.params,
        fingerprint,
        conditions: conditions.into_iter().collect::<Option<_>>()?,
        variables: variables
            .into_iter()
            .map(|(name, program)| Some((name, program?)))
            .collect::<Option<_>>()?,
        validations: validations
            .into_iter()
            .map(|(program, message_program, message, field, help)| {
                Some(Validation {
                    program: program?,
                    message,
                    message_program: match message_program {
                        Some(program) => Some(program?),
                        None => None,
                    },
                    field,
                    help,
                })
            })
            .collect::<Option<_>>()?,
    })
}

/// Compiles the expressions of a document.
struct Compiler<'a> {
    document: &'a Node,
    diagnostics: &'a mut Diagnostics,
    environment: Environment,
}

impl Compiler<'_> {
    fn compile(&mut self, text: &str, list: &[&str], index: usize, key: &str) -> Option<Program> {
        match Program::compile(text, &self.environment) {
            Ok(program) => Some(program),
            Err(error) => {
                use hcb_source::yaml::Step;
                let mut steps: Vec<_> = list
                    .iter()
                    .map(|key| Step::Key((*key).to_owned()))
                    .collect();
                steps.extend([Step::Index(index), Step::Key(key.to_owned())]);
                self.diagnostics.push(
                    Diagnostic::error(
                        codes::POLICY_FILE,
                        format!("this is no expression that can be used: {}", error.message),
                    )
                    .at(self.document.locate(&steps), "in this expression")
                    .maybe_help(help_with(&error)),
                );
                None
            }
        }
    }
}

/// What a policy has against a subject.
#[derive(Debug)]
pub(crate) struct Violation {
    /// What the policy says of it.
    pub(super) message: String,
    /// What to do, where the validation itself says it.
    pub(super) help: Option<String>,
    /// The field that it is about, seen from the subject.
    pub(super) field: Option<String>,
    /// Why there is no verdict, where there is none.
    pub(super) error: Option<String>,
}

/// The verdict about one subject. What cannot be evaluated is told, never passed over.
pub(super) fn judge(policy: &SpecPolicy, values: &[(&str, &Json)]) -> Vec<Violation> {
    let undecided = |error: String| {
        vec![Violation {
            message: String::new(),
            help: None,
            field: None,
            error: Some(error),
        }]
    };
    let mut variables = Json::Object(Map::new());
    for condition in &policy.conditions {
        match truth(condition, values, &variables) {
            Ok(true) => {}
            Ok(false) => return Vec::new(),
            Err(error) => return undecided(error),
        }
    }
    for (name, program) in &policy.variables {
        match evaluate_program(program, values, &variables) {
            Ok(value) => {
                variables[name] = value;
            }
            Err(error) => return undecided(format!("variable `{name}`: {error}")),
        }
    }
    let mut found = Vec::new();
    for validation in &policy.validations {
        match truth(&validation.program, values, &variables) {
            Ok(true) => {}
            Ok(false) => {
                // As with admission policies, a message that cannot be made is replaced.
                let message = validation
                    .message_program
                    .as_ref()
                    .and_then(|program| evaluate_program(program, values, &variables).ok())
                    .and_then(|message| message.as_str().map(str::to_owned));
                found.push(Violation {
                    message: message.unwrap_or_else(|| validation.message.clone()),
                    help: validation.help.clone(),
                    field: validation.field.clone(),
                    error: None,
                });
            }
            Err(error) => found.extend(undecided(error)),
        }
    }
    found
}

fn truth(program: &Program, values: &[(&str, &Json)], variables: &Json) -> Result<bool, String> {
    match evaluate_program(program, values, variables)? {
        Json::Bool(truth) => Ok(truth),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

fn evaluate_program(
    program: &Program,
    values: &[(&str, &Json)],
    variables: &Json,
) -> Result<Json, String> {
    let mut bound: Vec<(&str, Value<'_>)> = values
        .iter()
        .map(|(name, value)| (*name, Value::from(*value)))
        .collect();
    bound.push(("variables", Value::from(variables)));
    let value = program
        .evaluate(&Activation::of(&bound))
        .value
        .map_err(|error| error.to_string())?;
    value
        .to_json()
        .ok_or_else(|| format!("a {} is no value that can be kept", value.type_name()))
}
