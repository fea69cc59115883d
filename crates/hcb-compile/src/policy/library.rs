//! Files to policies: those built in, and the team's own.

use super::admission::{Action, AdmissionPolicy, Binding};
use super::definition::{Admission, Policy, Subject};
use super::spec_policy::{self, SpecPolicy};
use hcb_source::diag::{Diagnostic, Diagnostics, Rule, codes};
use hcb_source::source::{FileId, Location, Role, Sources};
use hcb_source::yaml::{Node, Step};
use hcb_spec::spec::PolicyAction;
use rust_embed::RustEmbed;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// The folder of a team's own policies, where the spec names none.
pub const FOLDER: &str = "policies";
/// The file of a policy in its folder.
pub const POLICY_FILE: &str = "policy.yaml";
/// Its page.
pub const PAGE_FILE: &str = "README.md";
/// Its tests.
pub const TESTS_FILE: &str = "tests.yaml";

#[derive(RustEmbed)]
#[folder = "policies/"]
struct BuiltIn;

static BUILT_IN: LazyLock<Vec<Arc<Policy>>> = LazyLock::new(|| {
    let mut sources = Sources::default();
    for (path, text) in built_in_files() {
        sources.add_as(Role::Policy, path, text);
    }
    let mut diagnostics = Diagnostics::default();
    let policies = read_all(&sources, &mut diagnostics);
    assert!(
        diagnostics.is_empty(),
        "a built-in policy cannot be read:\n{}",
        hcb_source::diag::text::render(&diagnostics.sorted(), &sources, false, 100)
    );
    let without_places = policies.into_iter().map(|policy| Policy {
        location: None,
        ..policy
    });
    without_places.map(Arc::new).collect()
});

/// The folder of policies that a spec names, and where it does. The spec need not be whole for it:
/// what is wrong with it is said when it is read.
pub fn named_folder(sources: &Sources) -> Option<(String, Location)> {
    let path = ["spec", "policies", "folder"];
    sources
        .of(Role::Spec)
        .filter(|(_, file)| file.text.contains("policies") && file.text.contains("folder"))
        .find_map(|(id, file)| {
            let documents = hcb_source::yaml::read(id, &file.text, &mut Diagnostics::default());
            documents.iter().find_map(|document| {
                let found = path.iter().try_fold(document, |node, key| node.get(key))?;
                Some((found.as_str()?.to_owned(), found.location))
            })
        })
}

/// Whether a file is read as a part of a policy; tests and their objects are not.
pub fn is_part_of_a_policy(path: &Path) -> bool {
    path.ends_with(POLICY_FILE) || path.ends_with(PAGE_FILE)
}

/// The policies that come with hcb, by name.
pub fn built_in() -> &'static [Arc<Policy>] {
    &BUILT_IN
}

/// The files of the built-in policies, by path below `policies/`.
pub fn built_in_files() -> impl Iterator<Item = (String, String)> {
    BuiltIn::iter().filter_map(|path| {
        let file = BuiltIn::get(&path)?;
        let text = String::from_utf8_lossy(&file.data).into_owned();
        Some((path.to_string(), text))
    })
}

/// The built-in policies and those in `sources`, by name.
pub fn read(sources: &Sources, diagnostics: &mut Diagnostics) -> Vec<Arc<Policy>> {
    let mut policies: Vec<_> = built_in().to_vec();
    for own in read_all(sources, diagnostics) {
        match policies.iter().find(|policy| policy.name == own.name) {
            Some(first) => {
                let mut finding = Diagnostic::error(
                    codes::DUPLICATE_NAME,
                    format!("there are two policies named `{}`", own.name),
                );
                if let Some(location) = own.location {
                    finding = finding.at(location, "again here");
                }
                finding = match first.location {
                    Some(location) => finding.also(location, "first here"),
                    None => finding.help(
                        "the name is that of a built-in policy: choose another, or change that one in `spec.policies.settings`",
                    ),
                };
                diagnostics.push(finding);
            }
            None => policies.push(Arc::new(own)),
        }
    }
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    policies
}

/// The policies in the files of `sources` that are such.
pub fn read_all(sources: &Sources, diagnostics: &mut Diagnostics) -> Vec<Policy> {
    let pages: BTreeMap<&Path, &str> = sources
        .of(Role::Policy)
        .filter(|(_, file)| file.path.ends_with(PAGE_FILE))
        .filter_map(|(_, file)| Some((file.path.parent()?, file.text.as_str())))
        .collect();
    sources
        .of(Role::Policy)
        .filter(|(_, file)| file.path.ends_with(POLICY_FILE))
        .filter_map(|(id, file)| {
            let page = file.path.parent().and_then(|folder| pages.get(folder));
            read_file(
                id,
                &file.text,
                page.copied().unwrap_or_default(),
                diagnostics,
            )
        })
        .collect()
}

/// The documents of one `policy.yaml`.
#[derive(Default)]
struct Documents {
    admission: Vec<AdmissionPolicy>,
    bindings: Vec<Binding>,
    params: Vec<(Json, Location)>,
    spec: Vec<(SpecPolicy, Json)>,
    broken: bool,
}

fn read_file(
    file: FileId,
    text: &str,
    page: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Policy> {
    let mut found = Documents::default();
    let mut first = None;
    let errors = diagnostics.count(hcb_source::diag::Severity::Error);
    for mut document in hcb_source::yaml::read(file, text, diagnostics) {
        let kind = document.get("kind").and_then(Node::as_str);
        let place = document.locate(&[Step::Key("kind".to_owned())]);
        first.get_or_insert(place);
        match kind {
            Some("ValidatingAdmissionPolicy") => {
                let read = AdmissionPolicy::read(&document, text, diagnostics);
                found.broken |= read.is_none();
                found.admission.extend(read);
            }
            Some("ValidatingAdmissionPolicyBinding") => {
                let read = Binding::read(&document, diagnostics);
                found.broken |= read.is_none();
                found.bindings.extend(read);
            }
            Some("ConfigMap") => found.params.push((document.to_json(), place)),
            Some("SpecPolicy") => {
                let json = document.to_json();
                let read = spec_policy::read(&mut document, diagnostics);
                found.broken |= read.is_none();
                found.spec.extend(read.map(|read| (read, json)));
            }
            _ => {
                found.broken = true;
                diagnostics.push(
                    Diagnostic::error(codes::POLICY_FILE, "this is no document of a policy")
                        .at(place, "not a kind that belongs here")
                        .help("a policy is a ValidatingAdmissionPolicy with its ValidatingAdmissionPolicyBinding and, for parameters, a ConfigMap; or a SpecPolicy"),
                );
            }
        }
    }
    if found.broken || diagnostics.count(hcb_source::diag::Severity::Error) > errors {
        return None;
    }
    let place = first.unwrap_or(Location::new(file, 0..0));
    match assemble(found, place, page) {
        Ok(policy) => Some(policy),
        Err(problem) => {
            diagnostics.push(*problem);
            None
        }
    }
}

fn assemble(found: Documents, place: Location, page: &str) -> Result<Policy, Box<Diagnostic>> {
    let problem = |place, message: &str, help: &str| {
        Box::new(
            Diagnostic::error(codes::POLICY_FILE, message)
                .at(place, "in this file")
                .help(help),
        )
    };
    let (mut admission, mut spec) = (found.admission.into_iter(), found.spec.into_iter());
    match (admission.next(), spec.next()) {
        (Some(policy), None) if admission.next().is_none() => {
            if found.bindings.is_empty() {
                return Err(problem(
                    place,
                    &format!(
                        "nothing binds the policy `{}`, so that it does nothing",
                        policy.name
                    ),
                    "add a ValidatingAdmissionPolicyBinding with `policyName` and `validationActions`",
                ));
            }
            if let Some(other) = found
                .bindings
                .iter()
                .find(|binding| binding.policy != policy.name)
            {
                return Err(problem(
                    other.location,
                    &format!(
                        "the binding `{}` is for the policy `{}`",
                        other.name, other.policy
                    ),
                    &format!("this file is that of the policy `{}`", policy.name),
                ));
            }
            let params = params(&policy, &found.bindings, found.params, place)?;
            let default = found.bindings.iter().map(default_action).max();
            Ok(describe(
                &policy.document.clone(),
                place,
                page,
                default.unwrap_or(PolicyAction::Deny),
                Subject::Admission(Box::new(Admission {
                    policy,
                    bindings: found.bindings,
                    params,
                })),
            ))
        }
        (None, Some((policy, document)))
            if spec.next().is_none() && found.bindings.is_empty() && found.params.is_empty() =>
        {
            let default = policy.action;
            Ok(describe(
                &document,
                place,
                page,
                default,
                Subject::Spec(Box::new(policy)),
            ))
        }
        _ => Err(problem(
            place,
            "a file of a policy holds one policy",
            "put each policy into a folder of its own",
        )),
    }
}

/// The `ConfigMap` of a policy, which the bindings must name.
fn params(
    policy: &AdmissionPolicy,
    bindings: &[Binding],
    found: Vec<(Json, Location)>,
    place: Location,
) -> Result<Option<Json>, Box<Diagnostic>> {
    let problem = |place, message: String, help: &str| {
        Err(Box::new(
            Diagnostic::error(codes::POLICY_FILE, message)
                .at(place, "in this file")
                .help(help),
        ))
    };
    let kind = policy.document.pointer("/spec/paramKind");
    let mut found = found.into_iter();
    let (map, map_place) = match (kind, found.next()) {
        (None, None) => return Ok(None),
        (None, Some((_, place))) => {
            return problem(
                place,
                format!("the policy `{}` has no parameters", policy.name),
                "add `paramKind: {apiVersion: v1, kind: ConfigMap}` to its spec",
            );
        }
        (Some(kind), Some(map)) if kind["apiVersion"] == "v1" && kind["kind"] == "ConfigMap" => map,
        (Some(_), _) => {
            return problem(
                place,
                format!(
                    "the parameters of the policy `{}` are not here",
                    policy.name
                ),
                "hcb delivers parameters in a ConfigMap, a further document of this file",
            );
        }
    };
    if let Some((_, place)) = found.next() {
        return problem(
            place,
            "there is more than one ConfigMap".to_owned(),
            "a policy has one",
        );
    }
    let metadata = |key: &str| map["metadata"].get(key).cloned().unwrap_or_default();
    for binding in bindings {
        let reference = &binding.document["spec"]["paramRef"];
        if reference["name"] != metadata("name") || reference["namespace"] != metadata("namespace")
        {
            return problem(
                binding.location,
                format!(
                    "the binding `{}` does not name the ConfigMap of this file",
                    binding.name
                ),
                "write its name and namespace into `paramRef`",
            );
        }
    }
    let is_text = |data: &Json| {
        data.as_object()
            .is_some_and(|data| data.values().all(Json::is_string))
    };
    if !map.get("data").is_some_and(is_text) {
        return problem(
            map_place,
            "a ConfigMap holds texts in `data`".to_owned(),
            "quote numbers",
        );
    }
    Ok(Some(map))
}

/// The strongest of a binding's actions.
fn default_action(binding: &Binding) -> PolicyAction {
    binding
        .actions
        .iter()
        .map(|action| match action {
            Action::Deny => PolicyAction::Deny,
            Action::Warn => PolicyAction::Warn,
            Action::Audit => PolicyAction::Audit,
        })
        .max()
        .unwrap_or(PolicyAction::Audit)
}

/// A policy with what its annotations say of it.
fn describe(
    document: &Json,
    location: Location,
    page: &str,
    default: PolicyAction,
    subject: Subject,
) -> Policy {
    let metadata = &document["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default().to_owned();
    let annotation = |key: &str| metadata["annotations"][key].as_str().map(str::to_owned);
    let title = annotation("hcb.dev/title").unwrap_or_else(|| name.clone());
    Policy {
        rule: Arc::new(Rule {
            name: name.clone(),
            title,
            page: page.to_owned(),
        }),
        help: annotation("hcb.dev/help"),
        fields: annotation("hcb.dev/fields")
            .unwrap_or_default()
            .split(',')
            .map(|field| field.trim().to_owned())
            .filter(|field| !field.is_empty())
            .collect(),
        name,
        location: Some(location),
        default,
        subject,
    }
}
