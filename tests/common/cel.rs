//! The cases of `tests/cel/`: expressions and whole policies, each with a request. They are
//! evaluated by hcb, and by a real API server in the testbed, whose answers are recorded beside
//! them.

use hcb_compile::policy::admission::{AdmissionPolicy, Binding, Operation, Request, Resource};
use hcb_source::diag::{Diagnostics, Severity, text};
use hcb_source::source::Sources;
use hcb_source::yaml;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The namespace that all requests are in, and its labels.
pub(crate) const NAMESPACE: &str = "cel";

/// The label by which a policy finds the object of its case.
pub(crate) const LABEL: &str = "case";

/// The kind of free-form objects: a custom resource whose `spec` may be anything.
pub(crate) const GROUP: &str = "testing.hcb.dev";

/// One file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What the cases are about, one line.
    topic: String,
    /// The `spec` of the object, for cases that say none.
    #[serde(default)]
    spec: Value,
    cases: Vec<Written>,
}

/// A case as it is written. All but the expression can be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: Option<String>,
    /// A validation.
    expression: Option<String>,
    /// An expression whose value, or error, is the message.
    value: Option<String>,
    #[serde(rename = "messageExpression")]
    message_expression: Option<String>,
    message: Option<String>,
    /// More of the policy's `spec`.
    #[serde(default)]
    policy: Map<String, Value>,
    /// More of the binding's `spec`.
    #[serde(default)]
    binding: Map<String, Value>,
    /// `ConfigMaps` that are parameters.
    #[serde(default)]
    params: Vec<Value>,
    /// The `spec` of the free-form object.
    spec: Option<Value>,
    /// How many integers, from zero, `spec.items` of the free-form object has.
    items: Option<u64>,
    /// Another object in its place.
    object: Option<Value>,
    /// The object as it was: the request is an update.
    #[serde(rename = "oldObject")]
    old_object: Option<Value>,
    /// Why hcb refuses what the API server takes.
    divergence: Option<String>,
    /// The request deletes `oldObject`.
    #[serde(default)]
    delete: bool,
}

/// A case, made whole.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The file without its ending, and the number in it: the name of the policy.
    pub(crate) name: String,
    /// What it is about.
    pub(crate) title: String,
    pub(crate) policy: Value,
    pub(crate) binding: Value,
    pub(crate) params: Vec<Value>,
    pub(crate) object: Value,
    pub(crate) old_object: Value,
    pub(crate) operation: Operation,
    /// Why hcb refuses what the API server takes.
    pub(crate) divergence: Option<String>,
}

/// What the API server says to a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Answer {
    /// The request is allowed.
    Allowed,
    /// The request is denied, with this message and reason.
    Denied { message: String, reason: String },
    /// The policy cannot be created.
    Refused,
}

/// One file of cases with the recorded answers.
pub(crate) struct Topic {
    pub(crate) file: String,
    pub(crate) title: String,
    pub(crate) cases: Vec<Case>,
    pub(crate) answers: BTreeMap<String, Answer>,
}

pub(crate) fn folder() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if manifest.ends_with("tests/testbed") {
        manifest.join("../..")
    } else {
        manifest.to_owned()
    };
    root.join("tests/cel")
}

/// All topics, in the order of their files.
pub(crate) fn topics() -> Vec<Topic> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("tests/cel")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .collect();
    files.sort();
    files.iter().map(|path| topic(path)).collect()
}

pub(crate) fn answers_path(file: &str) -> PathBuf {
    folder().join("answers").join(format!("{file}.json"))
}

fn topic(path: &Path) -> Topic {
    let text = std::fs::read_to_string(path).expect("a file of cases");
    let name = path.display();
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let id = sources.add(path, text.clone());
    let documents = yaml::read(id, &text, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{name}: {diagnostics:#?}");
    let mut document = documents[0].to_json();
    // A text alone is a case with nothing but an expression.
    for case in document["cases"].as_array_mut().into_iter().flatten() {
        if case.is_string() {
            *case = json!({"expression": case.take()});
        }
    }
    let file: File =
        serde_json::from_value(document).unwrap_or_else(|error| panic!("{name}: {error}"));
    let stem = path
        .file_stem()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let answers = std::fs::read_to_string(answers_path(&stem)).map_or_else(
        |_| BTreeMap::new(),
        |text| serde_json::from_str(&text).unwrap_or_else(|error| panic!("{stem}: {error}")),
    );
    let cases = file
        .cases
        .into_iter()
        .enumerate()
        .map(|(index, written)| whole(format!("{stem}-{:03}", index + 1), written, &file.spec))
        .collect();
    Topic {
        file: stem,
        title: file.topic,
        cases,
        answers,
    }
}

fn whole(name: String, written: Written, spec: &Value) -> Case {
    let title = written
        .name
        .or_else(|| written.expression.clone())
        .or_else(|| written.value.clone())
        .unwrap_or_else(|| name.clone());
    let label = |object: Value| {
        let mut object = object;
        let metadata = &mut object["metadata"];
        if metadata.get("name").is_none() && metadata.get("generateName").is_none() {
            metadata["name"] = json!(name);
        }
        metadata["labels"][LABEL] = json!(name);
        object
    };
    let free = |spec: Value| {
        json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "Thing",
            "metadata": {"namespace": NAMESPACE}, "spec": spec,
        })
    };
    let mut object = written
        .object
        .unwrap_or_else(|| free(written.spec.unwrap_or_else(|| spec.clone())));
    if let Some(count) = written.items {
        object["spec"]["items"] = (0..count).collect();
    }
    let mut policy = Map::new();
    policy.insert(
        "matchConstraints".into(),
        json!({
            "objectSelector": {"matchLabels": {LABEL: name}},
            "resourceRules": [{
                "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"],
            }],
        }),
    );
    if let Some(expression) = written.expression {
        let mut validation = json!({"expression": expression});
        if let Some(message) = written.message {
            validation["message"] = message.into();
        } else if expression.trim().contains('\n') {
            validation["message"] = "several lines".into();
        }
        if let Some(expression) = written.message_expression {
            validation["messageExpression"] = expression.into();
        }
        policy.insert("validations".into(), json!([validation]));
    }
    if let Some(value) = written.value {
        policy.insert(
            "variables".into(),
            json!([{"name": "value", "expression": value}]),
        );
        policy.insert(
            "validations".into(),
            json!([{
                "expression": "dyn(variables.value) != dyn(variables.value)",
                "messageExpression": "'%s'.format([variables.value])",
            }]),
        );
    }
    policy.extend(written.policy);
    // Whatever else a policy selects by, it is for its own case only.
    policy["matchConstraints"]["objectSelector"]["matchLabels"][LABEL] = json!(name);
    let mut binding = Map::new();
    binding.insert("policyName".into(), name.clone().into());
    binding.insert("validationActions".into(), json!(["Deny"]));
    binding.extend(written.binding);
    let document = |kind: &str, spec: Map<String, Value>| {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
            "metadata": {"name": name}, "spec": spec,
        })
    };
    let operation = match (&written.old_object, written.delete) {
        (_, true) => Operation::Delete,
        (Some(_), false) => Operation::Update,
        (None, false) => Operation::Create,
    };
    Case {
        title,
        policy: document("ValidatingAdmissionPolicy", policy),
        binding: document("ValidatingAdmissionPolicyBinding", binding),
        params: written.params,
        old_object: written.old_object.map_or(Value::Null, label),
        object: if written.delete {
            Value::Null
        } else {
            label(object)
        },
        operation,
        divergence: written.divergence,
        name,
    }
}

/// The resource of an object, for the kinds that cases use.
pub(crate) fn resource(object: &Value) -> Resource<'_> {
    let api_version = object["apiVersion"].as_str().expect("apiVersion");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().expect("kind");
    let resource = match kind {
        "Thing" => "things",
        "ConfigMap" => "configmaps",
        "Pod" => "pods",
        "Job" => "jobs",
        "Deployment" => "deployments",
        "Namespace" => "namespaces",
        "Service" => "services",
        "ClusterRole" => "clusterroles",
        "ValidatingAdmissionPolicyBinding" => "validatingadmissionpolicybindings",
        other => panic!("no resource for {other}"),
    };
    Resource {
        group,
        version,
        kind,
        resource,
        subresource: "",
    }
}

/// Whether hcb's answer is right, where the API server says `said`: the same, or a refusal of what
/// is named as a divergence.
pub(crate) fn is_right(case: &Case, ours: &Answer, said: &Answer) -> bool {
    match case.divergence {
        Some(_) => *ours == Answer::Refused && *said != Answer::Refused,
        None => ours == said,
    }
}

/// What hcb says to a case.
pub(crate) fn evaluate(case: &Case) -> Answer {
    let read = |document: &Value| {
        let mut sources = Sources::default();
        let text = yaml::to_string(document);
        let id = sources.add("case.yaml", text.clone());
        let mut diagnostics = Diagnostics::default();
        let mut documents = yaml::read(id, &text, &mut diagnostics);
        assert!(!diagnostics.has_errors(), "{}: {diagnostics:#?}", case.name);
        (documents.remove(0), sources, text)
    };
    let (node, sources, text) = read(&case.policy);
    let mut diagnostics = Diagnostics::default();
    let policy = AdmissionPolicy::read(&node, &text, &mut diagnostics);
    let found = diagnostics.sorted();
    if std::env::var_os("HCB_SHOW").is_some() && !found.is_empty() {
        let shown = text::render(&found, &sources, false, 120);
        let _ = writeln!(std::io::stderr(), "{shown}");
    }
    let Some(policy) = policy else {
        assert!(diagnostics.count(Severity::Error) > 0, "{}", case.name);
        return Answer::Refused;
    };
    let (node, ..) = read(&case.binding);
    let binding = Binding::read(&node, &mut diagnostics);
    let binding = binding.unwrap_or_else(|| panic!("{}: {diagnostics:#?}", case.name));
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {
            "kubernetes.io/metadata.name": NAMESPACE, "team": "cel",
        }},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    });
    let subject = if case.operation == Operation::Delete {
        &case.old_object
    } else {
        &case.object
    };
    let mut request = Request::create(resource(subject), subject);
    request.operation = case.operation;
    request.object = &case.object;
    request.old_object = &case.old_object;
    request.namespace_object = Some(&namespace);
    request.user.username = "tester";
    request.user.groups = &["system:masters", "system:authenticated"];
    request.dry_run = true;
    let violations = policy.evaluate(&binding, &case.params, &request);
    match violations.into_iter().next() {
        None => Answer::Allowed,
        Some(violation) => Answer::Denied {
            message: violation.message,
            reason: violation.reason,
        },
    }
}
