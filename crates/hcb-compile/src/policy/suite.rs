//! Tests of policies, beside them: objects or specs, and what a policy must say of each.

use super::admission::{Operation, Request};
use super::caches::Caches;
use super::check;
use super::check_spec::{self, SpecView};
use super::definition::{GUARDED, Policy, Subject};
use super::emit;
use super::in_force::InForce;
use super::library::{self, TESTS_FILE};
use super::requests;
use super::requests::Account;
use crate::memo::Keep;
use hcb_api::gitops::ARGOCD;
use hcb_kubernetes::Object;
use hcb_source::diag::{Diagnostic, Diagnostics, codes};
use hcb_source::document::{DocumentSchema, schema_of, typed};
use hcb_source::source::{Location, Role, Sources};
use hcb_source::yaml::{Node, Step};
use hcb_spec::spec::{self, ApiVersion, At, PolicyAction};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The tests of one policy, with what came of them.
#[derive(Debug)]
pub struct Suite {
    /// The name of the policy; that of its folder where it cannot be read.
    pub policy: String,
    /// The tests in their order.
    pub cases: Vec<Case>,
}

/// A test.
#[derive(Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Everything that the policy says, by what it says it of.
    pub violations: Vec<(String, String)>,
    /// The objects that it is about.
    pub objects: Vec<Json>,
    /// What is not as the test says it is; nothing where it passed.
    pub failures: Vec<String>,
    /// The user, where it is not the engine.
    pub user: Option<String>,
    /// Parameters in place of the policy's own.
    pub params: BTreeMap<String, Json>,
    /// Whether it is about a namespace that the policy guards.
    pub is_guarded: bool,
    /// Whether its objects are changed, and not created.
    pub is_update: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct Document {
    api_version: ApiVersion,
    kind: DocumentKind,
    #[schemars(length(min = 1))]
    tests: Vec<Test>,
}

#[derive(Debug, Deserialize, JsonSchema)]
enum DocumentKind {
    PolicyTests,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Test {
    /// What is tested, for people.
    name: String,
    /// A file beside this one with the objects that are created, for a policy about manifests.
    #[serde(default)]
    objects: Option<String>,
    /// A file beside this one with a whole spec, for a policy about it.
    #[serde(default)]
    spec: Option<String>,
    /// `CREATE` or `UPDATE`. Default: `CREATE`.
    #[serde(default)]
    operation: Verb,
    /// Who asks. Default: Argo CD.
    #[serde(default)]
    user: Option<String>,
    /// The labels of the namespace. Default: the one that built-in policies guard by.
    #[serde(default)]
    namespace_labels: Option<BTreeMap<String, String>>,
    /// Parameters in place of the policy's own.
    #[serde(default)]
    params: BTreeMap<String, spec::PolicyParam>,
    /// How many violations there must be, exactly.
    violations: u32,
    /// What they say: each text must be said, and nothing else may be. Default: whatever they say.
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Verb {
    #[default]
    Create,
    Update,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Exact(String),
    Pattern(Pattern),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Pattern {
    /// A regular expression that the message matches.
    matches: String,
}

impl JsonSchema for Message {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Message".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = generator.subschema_for::<Pattern>();
        let mut schema = pattern.to_value();
        if let Some(definition) = schema["$ref"]
            .as_str()
            .and_then(|path| path.rsplit('/').next())
            && let Some(found) = generator.definitions().get(definition)
        {
            schema = found.clone();
        }
        schema["type"] = json!(["string", "object"]);
        schema.try_into().unwrap_or_default()
    }
}

static SHAPE: LazyLock<DocumentSchema> =
    LazyLock::new(|| DocumentSchema::new(schema_of::<Document>()));

/// Runs the tests of every policy in `files`, by path. A policy without tests, or without one that
/// passes and one that is refused, is a finding as much as a test that fails.
pub fn run(
    files: &BTreeMap<PathBuf, String>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<Suite> {
    for (path, text) in files {
        if library::is_part_of_a_policy(path) || path.ends_with(TESTS_FILE) {
            sources.add_as(Role::Policy, path.clone(), text.clone());
        }
    }
    let mut suites = Vec::new();
    for policy in library::read_all(sources, diagnostics) {
        let policy = Arc::new(policy);
        let Some(place) = policy.location else {
            continue;
        };
        let folder = sources
            .path(place)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        let tests = sources
            .of(Role::Policy)
            .find(|(_, file)| file.path == folder.join(TESTS_FILE))
            .map(|(id, file)| (id, file.text.clone()));
        let Some((file, text)) = tests else {
            diagnostics.push(
                Diagnostic::error(codes::POLICY_TEST, format!("the policy `{}` has no tests", policy.name))
                    .at(place, "this one")
                    .help(format!("write `{TESTS_FILE}` beside it, with an object that passes and one that is refused")),
            );
            continue;
        };
        let mut suite = Suite {
            policy: policy.name.clone(),
            cases: Vec::new(),
        };
        for mut document in hcb_source::yaml::read(file, &text, diagnostics) {
            let read = typed::<Document>(&SHAPE, &mut document, diagnostics);
            let (Some(tests), []) = (read.0, read.1.as_slice()) else {
                continue;
            };
            for (index, test) in tests.tests.into_iter().enumerate() {
                let place = document.locate(&[
                    Step::Key("tests".to_owned()),
                    Step::Index(index),
                    Step::Key("name".to_owned()),
                ]);
                let case = case(&policy, &test, &folder, files);
                for failure in &case.failures {
                    diagnostics.push(
                        Diagnostic::error(
                            codes::POLICY_TEST,
                            format!("`{}`, {}: {failure}", policy.name, test.name),
                        )
                        .at(place, "this test"),
                    );
                }
                suite.cases.push(case);
            }
            for (is_there, what) in [
                (
                    suite.cases.iter().any(|case| case.violations.is_empty()),
                    "nothing is shown to pass it",
                ),
                (
                    suite.cases.iter().any(|case| !case.violations.is_empty()),
                    "nothing is shown to be refused by it",
                ),
            ] {
                if !is_there {
                    diagnostics.push(
                        Diagnostic::error(codes::POLICY_TEST, format!("the policy `{}` is tested by half: {what}", policy.name))
                            .at(Location::new(file, 0..0), "in these tests")
                            .help("a test needs an example of either kind: a policy that says the same of everything is broken"),
                    );
                }
            }
        }
        suites.push(suite);
    }
    suites
}

fn case(
    policy: &Arc<Policy>,
    test: &Test,
    folder: &Path,
    files: &BTreeMap<PathBuf, String>,
) -> Case {
    let mut case = Case {
        name: test.name.clone(),
        violations: Vec::new(),
        objects: Vec::new(),
        failures: Vec::new(),
        user: test.user.clone(),
        params: BTreeMap::new(),
        is_guarded: test.namespace_labels.is_none(),
        is_update: matches!(test.operation, Verb::Update),
    };
    for (name, given) in &test.params {
        let value = policy.param(given);
        if !policy.params().contains_key(name) {
            case.failures
                .push(format!("the policy has no parameter `{name}`"));
        }
        case.params.insert(name.clone(), value);
    }
    let (file, other) = match &policy.subject {
        Subject::Admission(_) => (&test.objects, &test.spec),
        Subject::Spec(_) => (&test.spec, &test.objects),
    };
    let what = if matches!(policy.subject, Subject::Admission(_)) {
        "objects"
    } else {
        "spec"
    };
    let (Some(file), None) = (file, other) else {
        case.failures.push(format!(
            "a test of this policy names its `{what}`, and nothing else"
        ));
        return case;
    };
    let Some(text) = files.get(&folder.join(file)) else {
        case.failures
            .push(format!("there is no file `{file}` beside it"));
        return case;
    };
    match &policy.subject {
        Subject::Admission(_) => of_objects(policy, test, text, &mut case),
        Subject::Spec(_) => of_spec(policy, text, file, &mut case),
    }
    expect(test, &mut case);
    case
}

/// What an admission policy says of the objects of a file, each created on its own.
fn of_objects(policy: &Arc<Policy>, test: &Test, text: &str, case: &mut Case) {
    let (Subject::Admission(admission), Some(written)) =
        (&policy.subject, emit::as_written(policy))
    else {
        return;
    };
    let mut sources = Sources::default();
    let file = sources.add("objects.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let documents = hcb_source::yaml::read(file, text, &mut diagnostics);
    for finding in diagnostics.sorted() {
        case.failures.push(finding.message.clone());
    }
    let params: Vec<Json> = written
        .params
        .into_iter()
        .map(|mut params| {
            for (name, value) in &case.params {
                params["data"][name] = value.clone();
            }
            params
        })
        .collect();
    let (guarded, value) = GUARDED;
    let labels = test
        .namespace_labels
        .clone()
        .unwrap_or_else(|| BTreeMap::from([(guarded.to_owned(), value.to_owned())]));
    let account = match &test.user {
        Some(user) => Account::named(user),
        // An engine, which creates what is generated.
        None => Account::of_service(ARGOCD.namespace, ARGOCD.account),
    };
    let groups = account.groups();
    case.objects = documents.iter().map(Node::to_json).collect();
    for object in &case.objects {
        let view = Object(object);
        let (kind, name) = (view.kind(), view.name());
        let namespace = view.namespace();
        let plural = requests::plural(kind);
        let mut request = Request::create(
            requests::resource(view.api_version(), kind, &plural),
            object,
        );
        let mut labels: Map<String, Json> = labels
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()))
            .collect();
        labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.into());
        let namespace_object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}});
        if request.namespace.is_some() {
            request.namespace_object = Some(&namespace_object);
        }
        request.user = account.user(&groups);
        if let Verb::Update = test.operation {
            request.operation = Operation::Update;
            request.old_object = object;
        }
        for violation in check::evaluate(&admission.policy, &admission.bindings, &params, &request)
        {
            let subject = format!("{kind} `{name}`");
            if violation.is_error {
                case.failures.push(format!(
                    "it cannot be evaluated for {subject}: {}",
                    violation.message
                ));
            }
            case.violations.push((subject, violation.message));
        }
    }
}

/// What a policy about the spec says of a whole spec.
fn of_spec(policy: &Arc<Policy>, text: &str, file: &str, case: &mut Case) {
    let Subject::Spec(about) = &policy.subject else {
        return;
    };
    let mut sources = Sources::default();
    sources.add(file, text);
    let mut diagnostics = Diagnostics::default();
    let spec = spec::read(&sources, &mut diagnostics);
    let model = spec
        .as_ref()
        .and_then(|spec| hcb_spec::validate(spec, &mut diagnostics));
    if diagnostics.has_errors() {
        for finding in diagnostics.sorted() {
            case.failures
                .push(format!("`{file}` is no good spec: {}", finding.message));
        }
        return;
    }
    let (Some(spec), Some(model)) = (spec, model) else {
        return;
    };
    let mut params = policy.params();
    params.extend(case.params.clone());
    let in_force = InForce {
        policy: Arc::clone(policy),
        actions: vec![PolicyAction::Deny; model.clusters.len()],
        action: PolicyAction::Deny,
        is_set: false,
        params,
        exceptions: Vec::new(),
        origin: spec.locate(&At::document(0)),
    };
    for violation in check_spec::evaluate(
        &in_force,
        about,
        &SpecView::new(&spec, &model),
        &Caches::new(Keep::Nothing),
    ) {
        if let Some(error) = &violation.error {
            case.failures.push(format!(
                "it cannot be evaluated for {}: {error}",
                violation.subject
            ));
        }
        case.violations.push((violation.subject, violation.message));
    }
}

/// Holds what was said against what the test expects.
fn expect(test: &Test, case: &mut Case) {
    let found = case.violations.len();
    if u32::try_from(found) != Ok(test.violations) {
        let said: Vec<_> = case
            .violations
            .iter()
            .map(|(subject, message)| format!("{subject}: {message}"))
            .collect();
        let said = if said.is_empty() {
            String::new()
        } else {
            format!(" ({})", said.join("; "))
        };
        case.failures.push(format!(
            "expected {} violations, found {found}{said}",
            test.violations
        ));
    }
    if test.messages.is_empty() {
        return;
    }
    let mut known = Vec::new();
    for message in &test.messages {
        let (pattern, shown) = match message {
            Message::Exact(text) => (Regex::new(&format!("^{}$", regex::escape(text))), text),
            Message::Pattern(pattern) => (Regex::new(&pattern.matches), &pattern.matches),
        };
        match pattern {
            Ok(pattern) => {
                if !case
                    .violations
                    .iter()
                    .any(|(_, said)| pattern.is_match(said))
                {
                    case.failures.push(format!("nothing says `{shown}`"));
                }
                known.push(pattern);
            }
            Err(error) => case
                .failures
                .push(format!("`{shown}` is no regular expression: {error}")),
        }
    }
    for (subject, said) in &case.violations {
        if !known.iter().any(|pattern| pattern.is_match(said)) {
            case.failures
                .push(format!("{subject}: `{said}` is not expected"));
        }
    }
}
