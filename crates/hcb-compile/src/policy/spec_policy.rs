//! `kind: SpecPolicy`: what is asked of the spec itself, of each cluster, or of each workload, where
//! no admission policy could see it. Its expressions are CEL, as those of Kubernetes.

use super::Caches;
use super::misspelling::help_with;
use super::settings::InForce;
use crate::memo::Fingerprint;
use hcb_cel::{Activation, Environment, Program, Type, Value};
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::document::{DocumentSchema, schema_of, typed};
use hcb_source::yaml::Node;
use hcb_spec::model::Model;
use hcb_spec::spec::{ApiVersion, At, PolicyAction, Spec};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{LazyLock, OnceLock};

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
    fingerprint: Fingerprint,
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

/// A part of the spec that breaks a policy.
#[derive(Debug, Clone, PartialEq)]
pub struct SpecViolation {
    /// What the policy says of it.
    pub message: String,
    /// What to do, where the validation itself says it.
    pub help: Option<String>,
    /// What it is about: `the spec`, or a cluster or workload by name.
    pub subject: String,
    /// The index of the cluster or workload in the model.
    pub index: Option<usize>,
    /// Where it is.
    pub at: At,
    /// Why there is no verdict, where there is none.
    pub error: Option<String>,
}

/// The document as it is written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Document {
    api_version: ApiVersion,
    kind: Kind,
    metadata: Metadata,
    spec: Body,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum Kind {
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
    let mut reader = Reader {
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
            reader.compile(
                &condition.expression,
                &["spec", "matchConditions"],
                index,
                "expression",
            )
        })
        .collect();
    let mut variables = Vec::new();
    for (index, variable) in body.variables.iter().enumerate() {
        let program = reader.compile(
            &variable.expression,
            &["spec", "variables"],
            index,
            "expression",
        );
        // Each sees those before it.
        reader.environment = reader.environment.clone().with("variables", Type::Dyn);
        variables.push((variable.name.clone(), program));
    }
    let validations: Vec<_> = body
        .validations
        .into_iter()
        .enumerate()
        .map(|(index, check)| {
            let at = ["spec", "validations"];
            let program = reader.compile(&check.expression, &at, index, "expression");
            let message = check
                .message_expression
                .map(|text| reader.compile(&text, &at, index, "messageExpression"));
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

struct Reader<'a> {
    document: &'a Node,
    diagnostics: &'a mut Diagnostics,
    environment: Environment,
}

impl Reader<'_> {
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

/// The spec as policies see it: with its defaults, and without what is not there.
#[derive(Debug)]
pub struct Seen {
    spec: Subject,
    clusters: Vec<Subject>,
    workloads: Vec<Subject>,
}

/// The spec, a cluster or a workload as policies see it.
#[derive(Debug)]
struct Subject {
    /// What it is called in findings.
    name: String,
    value: Json,
    fingerprint: OnceLock<Fingerprint>,
    at: At,
}

impl Subject {
    fn new(name: String, value: Json, at: At) -> Self {
        Self {
            name,
            value,
            fingerprint: OnceLock::new(),
            at,
        }
    }

    /// Only made once, and only where somebody asks.
    fn fingerprint(&self) -> Fingerprint {
        *self
            .fingerprint
            .get_or_init(|| Fingerprint::of_json(&self.value))
    }
}

impl Seen {
    /// What policies see of a spec.
    pub fn new(spec: &Spec, model: &Model) -> Self {
        let mut whole = serde_json::to_value(&spec.cloud.spec).unwrap_or_default();
        without_nulls(&mut whole);
        let at = spec.cloud_at.key("spec");
        let mut clusters = Vec::new();
        if let Some(list) = whole["clusters"].as_array_mut() {
            for (index, cluster) in list.iter_mut().enumerate() {
                let Some(known) = model.clusters.get(index) else {
                    continue;
                };
                cluster["tier"] = model.tiers[known.tier].as_str().into();
                cluster["isGated"] = known.is_gated().into();
                cluster["isSource"] = (index == model.source).into();
                if let Some(autoscaler) = &known.autoscaler {
                    cluster["autoscaler"]["maximum"] = json!({
                        "nodes": autoscaler.max_nodes,
                        "cpu": autoscaler.max_cpu.to_string(),
                        "memory": autoscaler.max_memory.to_string(),
                        "gpus": autoscaler.max_gpus,
                    });
                }
                let at = at.key("clusters").index(index);
                let name = format!("cluster `{}`", known.name);
                clusters.push(Subject::new(name, cluster.clone(), at));
            }
        }
        let workloads = spec
            .workloads
            .iter()
            .zip(&model.workloads)
            .map(|((document, at), known)| {
                let mut inner = serde_json::to_value(&document.spec).unwrap_or_default();
                without_nulls(&mut inner);
                let names: Vec<_> = known
                    .clusters
                    .iter()
                    .map(|index| model.clusters[*index].name.as_str())
                    .collect();
                let workload = json!({
                    "name": known.name,
                    "namespace": known.namespace,
                    "spec": inner,
                    "clusters": names,
                });
                Subject::new(format!("workload `{}`", known.name), workload, at.clone())
            })
            .collect();
        Self {
            spec: Subject::new("the spec".to_owned(), whole, at),
            clusters,
            workloads,
        }
    }
}

/// Everything in the spec that breaks a policy, whatever is done about it.
pub fn evaluate(
    in_force: &InForce,
    policy: &SpecPolicy,
    seen: &Seen,
    caches: &Caches,
) -> Vec<SpecViolation> {
    let params = Json::Object(in_force.params.clone().into_iter().collect());
    let subjects = match policy.about {
        About::Spec => std::slice::from_ref(&seen.spec),
        About::Cluster => &seen.clusters,
        About::Workload => &seen.workloads,
    };
    let asked = OnceLock::new();
    let asked = || {
        *asked.get_or_init(|| {
            let params = Fingerprint::of_json(&params);
            Fingerprint::of((policy.fingerprint, params, seen.spec.fingerprint()))
        })
    };
    let subjects = subjects.par_iter().enumerate();
    subjects
        .flat_map_iter(|(index, subject)| {
            let values = [
                ("spec", &seen.spec.value),
                (policy.about.word(), &subject.value),
                ("params", &params),
            ];
            let found = caches.judged_spec.recall(
                || Fingerprint::of((asked(), subject.fingerprint())),
                || one(policy, &values).into(),
            );
            let index = (policy.about != About::Spec).then_some(index);
            told(&found, subject, index).collect::<Vec<_>>()
        })
        .collect()
}

/// What was found about a subject, at its place.
fn told(
    found: &[Found],
    subject: &Subject,
    index: Option<usize>,
) -> impl Iterator<Item = SpecViolation> {
    found.iter().map(move |found| SpecViolation {
        message: found.message.clone(),
        help: found.help.clone(),
        subject: subject.name.clone(),
        index,
        at: match &found.field {
            Some(field) => subject.at.path(field),
            None => subject.at.clone(),
        },
        error: found.error.clone(),
    })
}

/// What a policy has against a subject.
#[derive(Debug)]
pub(crate) struct Found {
    message: String,
    help: Option<String>,
    field: Option<String>,
    error: Option<String>,
}

/// The verdict about one subject. What cannot be evaluated is reported, never passed over.
fn one(policy: &SpecPolicy, values: &[(&str, &Json)]) -> Vec<Found> {
    let undecided = |error: String| {
        vec![Found {
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
                found.push(Found {
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

fn without_nulls(value: &mut Json) {
    match value {
        Json::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Json::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
