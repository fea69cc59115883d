//! Every policy over everything that it is about, with findings that point into the spec.

use super::admission::{AdmissionPolicy, Binding, Request, Violation};
use super::caches::{Caches, Judged};
use super::check_spec::{self, SpecView, SpecViolation};
use super::definition::{Admission, Policy, Subject};
use super::emit::{Emitted, emit};
use super::in_force::{Exception, InForce};
use super::library::POLICY_FILE;
use super::requests;
use super::requests::Account;
use super::spec_policy::About;
use crate::memo::Fingerprint;
use crate::rendered::{MANIFESTS_PER_TASK, Manifest, RenderedUnit, by_cluster};
use hcb_kubernetes::Object;
use hcb_source::diag::{Diagnostic, Diagnostics, Severity, codes};
use hcb_source::source::{Location, Role, Sources};
use hcb_spec::model::{ClusterIndex, Model};
use hcb_spec::spec::{PolicyAction, Spec};
use rayon::prelude::*;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// Evaluates policies over the spec and over every manifest of every cluster, as its API server
/// would when the engine creates it. What cannot be evaluated is an error.
pub fn check(
    policies: &[InForce],
    spec: &Spec,
    model: &Model,
    units: &[RenderedUnit],
    caches: &Caches,
    diagnostics: &mut Diagnostics,
) {
    let mut used: BTreeSet<Location> = BTreeSet::new();
    let view = SpecView::new(spec, model);
    for in_force in policies {
        if let Subject::Spec(policy) = &in_force.policy.subject {
            let violations = check_spec::evaluate(in_force, policy, &view, caches);
            let about = policy.about;
            check_spec(
                in_force,
                about,
                violations,
                spec,
                model,
                &mut used,
                diagnostics,
            );
        }
    }
    let by_cluster: Vec<_> = by_cluster(model, units)
        .par_iter()
        .enumerate()
        .map(|(cluster, ours)| check_cluster(policies, model, units, ours, cluster, caches))
        .collect();
    let mut folded: BTreeMap<Key, Affected> = BTreeMap::new();
    for (cluster, (found, of_cluster)) in by_cluster.into_iter().enumerate() {
        used.extend(of_cluster);
        for hit in found {
            let place = spec.place_near(
                hit.origin,
                &policies[hit.policy].policy.fields,
                &hit.message,
            );
            let key = Key {
                policy: hit.policy,
                severity: hit.severity,
                is_error: hit.is_error,
                place: place.unwrap_or(hit.origin),
                message: hit.message,
            };
            let entry = folded.entry(key).or_default();
            entry.clusters.insert(cluster);
            entry.subjects.insert(hit.subject);
        }
    }
    for (key, found) in folded {
        diagnostics.push(told(&policies[key.policy].policy, &key, &found, model));
    }
    unused(policies, &used, diagnostics);
}

/// What findings are folded by: the same of several clusters or objects is said once.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    place: Location,
    policy: usize,
    severity: Severity,
    is_error: bool,
    message: String,
}

/// What a finding is about, of which there may be several.
#[derive(Debug, Default)]
struct Affected {
    clusters: BTreeSet<ClusterIndex>,
    subjects: BTreeSet<String>,
}

/// A manifest that breaks a policy.
#[derive(Debug)]
struct Hit {
    policy: usize,
    severity: Severity,
    is_error: bool,
    origin: Location,
    subject: String,
    message: String,
}

/// A policy as a cluster has it.
enum InCluster<'a> {
    /// As its file has it.
    AsRead(&'a Admission),
    /// With the exceptions of the cluster.
    Changed(Box<AdmissionPolicy>, &'a [Binding]),
}

impl InCluster<'_> {
    fn evaluate(&self, params: &[Json], request: &Request<'_>) -> Vec<Violation> {
        let (policy, bindings) = match self {
            Self::AsRead(admission) => (&admission.policy, admission.bindings.as_slice()),
            Self::Changed(policy, bindings) => (policy.as_ref(), *bindings),
        };
        evaluate(policy, bindings, params, request)
    }
}

/// The violations of all bindings, each once: two bindings may match one object.
pub(super) fn evaluate(
    policy: &AdmissionPolicy,
    bindings: &[Binding],
    params: &[Json],
    request: &Request<'_>,
) -> Vec<Violation> {
    let mut violations: Vec<Violation> = Vec::new();
    if !policy.matches(request) {
        return violations;
    }
    for binding in bindings {
        for violation in policy.evaluate(binding, params, request) {
            if !violations.iter().any(|known| {
                known.message == violation.message && known.validation == violation.validation
            }) {
                violations.push(violation);
            }
        }
    }
    violations
}

/// The policy that was emitted, read again as the API server reads it.
pub(super) fn read_again(emitted: &Emitted) -> Option<AdmissionPolicy> {
    let mut sources = Sources::default();
    let text = hcb_source::yaml::to_string(&emitted.policy);
    let file = sources.add_as(Role::Policy, "policy.yaml", text.as_str());
    let mut diagnostics = Diagnostics::default();
    let document = hcb_source::yaml::read(file, &text, &mut diagnostics)
        .into_iter()
        .next()?;
    AdmissionPolicy::read(&document, &text, &mut diagnostics)
}

/// A policy that is in force in a cluster.
struct Enforced<'a> {
    number: usize,
    in_force: &'a InForce,
    admission: &'a Admission,
    /// With the exceptions of the cluster.
    policy: InCluster<'a>,
    params: Vec<Json>,
}

/// The policies that are in force in a cluster.
fn enforced_in<'a>(
    policies: &'a [InForce],
    units: &[RenderedUnit],
    cluster: ClusterIndex,
) -> Vec<Enforced<'a>> {
    let numbered = policies.iter().enumerate();
    numbered
        .filter_map(|(number, in_force)| {
            let Subject::Admission(admission) = &in_force.policy.subject else {
                return None;
            };
            let emitted = emit(in_force, cluster, units)?;
            let has_exceptions = in_force.exceptions_in(cluster).next().is_some();
            let policy = if has_exceptions {
                match read_again(&emitted) {
                    Some(policy) => InCluster::Changed(Box::new(policy), &admission.bindings),
                    None => unreachable!("an exception is an expression"),
                }
            } else {
                InCluster::AsRead(admission)
            };
            Some(Enforced {
                number,
                in_force,
                admission,
                policy,
                params: emitted.params.into_iter().collect(),
            })
        })
        .collect()
}

/// What is found in one cluster, and which exceptions were needed there.
fn check_cluster(
    policies: &[InForce],
    model: &Model,
    units: &[RenderedUnit],
    ours: &[&RenderedUnit],
    cluster: ClusterIndex,
    caches: &Caches,
) -> (Vec<Hit>, BTreeSet<Location>) {
    let all = policies_of(policies, ours, cluster);
    let named = requests::namespaces(ours, caches);
    // Another cluster, or a round before, most often has the verdicts already.
    let namespaces = LazyLock::new(|| requests::namespace_objects(&named));
    let enforced = LazyLock::new(|| enforced_in(policies, units, cluster));
    // One cluster, the hub, has as much as all others.
    let all_namespaces = Fingerprint::of_all(
        named
            .iter()
            .map(|(name, namespace)| (name, namespace.fingerprint)),
    );
    let found = ours.par_iter().map(|unit| {
        let account = requests::applier(model, &unit.unit);
        let asker = Fingerprint::of((all, &account));
        let judge_unit = || {
            let manifests = unit.manifests.par_iter().enumerate();
            let judged = manifests
                .with_min_len(MANIFESTS_PER_TASK)
                .map(|(number, manifest)| {
                    let judged = caches.judged.recall(
                        || {
                            let namespace = manifest.namespace().and_then(|name| named.get(name));
                            let namespace = namespace.map(|namespace| namespace.fingerprint);
                            Fingerprint::of((asker, manifest.fingerprint, namespace))
                        },
                        || Arc::new(judge(&enforced, cluster, manifest, &account, &namespaces)),
                    );
                    (number, judged)
                });
            let judged = judged.filter(|(_, judged)| !judged.is_nothing());
            judged.collect::<Vec<_>>().into()
        };
        let judged = caches.judged_units.recall(
            || Fingerprint::of((asker, unit.fingerprint(), all_namespaces)),
            judge_unit,
        );
        (*unit, judged)
    });
    let found: Vec<_> = found.collect();
    let mut hits = Vec::new();
    let mut used = BTreeSet::new();
    let found = found.iter().flat_map(|(unit, judged)| {
        let judged = judged.iter();
        judged.map(|(number, judged)| (&unit.manifests[*number], judged))
    });
    for (manifest, judged) in found {
        for (number, exception) in &judged.used {
            let mut exceptions = policies[*number].exceptions_in(cluster);
            used.extend(exceptions.nth(*exception).map(|found| found.location));
        }
        for (number, violation) in &judged.violations {
            let severity = match policies[*number].actions[cluster] {
                // What cannot be evaluated is never a pass, whatever would be done.
                _ if violation.is_error => Severity::Error,
                PolicyAction::Deny => Severity::Error,
                PolicyAction::Warn => Severity::Warning,
                PolicyAction::Audit | PolicyAction::Off => continue,
            };
            hits.push(Hit {
                policy: *number,
                severity,
                is_error: violation.is_error,
                origin: manifest.origin,
                subject: requests::told(manifest),
                message: violation.message.clone(),
            });
        }
    }
    (hits, used)
}

/// The fingerprint of all policies of a cluster, with what is excepted there: what is emitted for it is what
/// is evaluated. That is rendered already, with fingerprints.
fn policies_of(
    policies: &[InForce],
    units: &[&RenderedUnit],
    cluster: ClusterIndex,
) -> Fingerprint {
    let emitted = units
        .iter()
        .flat_map(|unit| &unit.manifests)
        .filter(|manifest| manifest.template == POLICY_FILE)
        .map(|manifest| manifest.fingerprint);
    let numbered = policies.iter().map(|in_force| {
        let exceptions: Vec<_> = in_force
            .exceptions_in(cluster)
            .map(|exception| format!("{:?} {:?}", exception.workload, exception.manifest))
            .collect();
        (&in_force.policy.name, exceptions)
    });
    Fingerprint::of((emitted.collect::<Vec<_>>(), numbered.collect::<Vec<_>>()))
}

/// What the policies of a cluster have against a manifest, and against what controllers create of it.
fn judge(
    enforced: &[Enforced<'_>],
    cluster: ClusterIndex,
    manifest: &Manifest,
    account: &Account,
    namespaces: &BTreeMap<&str, Json>,
) -> Judged {
    let plural = |object: &Json| requests::plural(Object(object).kind());
    let children = requests::children(&manifest.value).into_iter();
    let asked = Asked {
        manifest,
        account,
        plural: plural(&manifest.value),
        children: children
            .map(|child| {
                let plural = plural(&child);
                (child, plural)
            })
            .collect(),
    };
    let mut judged = Judged::default();
    for policy in enforced {
        let ask = |as_is: &InCluster<'_>| verdict(as_is, &policy.params, &asked, namespaces);
        let exceptions = policy.in_force.exceptions_in(cluster).enumerate();
        for (number, _) in exceptions.filter(|(_, exception)| exception.covers(manifest)) {
            if !ask(&InCluster::AsRead(policy.admission)).is_empty() {
                judged.used.push((policy.number, number));
            }
        }
        let violations = ask(&policy.policy).into_iter();
        judged
            .violations
            .extend(violations.map(|violation| (policy.number, violation)));
    }
    judged
}

/// A manifest as it is asked for, with what controllers create of it.
struct Asked<'a> {
    manifest: &'a Manifest,
    account: &'a Account,
    plural: String,
    children: Vec<(Json, String)>,
}

/// The verdict about a manifest and what comes of it, each message once.
fn verdict(
    policy: &InCluster<'_>,
    params: &[Json],
    asked: &Asked<'_>,
    namespaces: &BTreeMap<&str, Json>,
) -> Vec<Violation> {
    let ask = |object: &Json, plural: &str, account: &Account| {
        let view = Object(object);
        let resource = requests::resource(view.api_version(), view.kind(), plural);
        let groups = account.groups();
        let mut request = Request::create(resource, object);
        request.user = account.user(&groups);
        request.namespace_object = request.namespace.and_then(|name| namespaces.get(name));
        policy.evaluate(params, &request)
    };
    let mut violations = ask(&asked.manifest.value, &asked.plural, asked.account);
    if asked.children.is_empty() {
        return violations;
    }
    let controller = Account::of_service("kube-system", "job-controller");
    for (child, plural) in &asked.children {
        for violation in ask(child, plural, &controller) {
            if !violations
                .iter()
                .any(|known| known.message == violation.message)
            {
                violations.push(violation);
            }
        }
    }
    violations
}

/// The finding about a manifest.
fn told(policy: &Arc<Policy>, key: &Key, found: &Affected, model: &Model) -> Diagnostic {
    let mut subjects = found.subjects.iter();
    let first = subjects.next().cloned().unwrap_or_default();
    let subject = match subjects.len() {
        0 => first,
        more => format!("{first} and {more} more"),
    };
    let clusters = hcb_source::diag::code_list(
        found
            .clusters
            .iter()
            .map(|index| model.clusters[*index].name.as_str()),
    );
    let everywhere = found.clusters.len() == model.clusters.len() && found.clusters.len() > 1;
    let place = if everywhere {
        "every cluster".to_owned()
    } else {
        clusters
    };
    if key.is_error {
        return Diagnostic::error(
            codes::POLICY_UNDECIDED,
            format!(
                "the policy `{}` cannot be evaluated for {subject}",
                policy.name
            ),
        )
        .at(key.place, "leads to this manifest")
        .note(key.message.clone())
        .rule(Arc::clone(&policy.rule));
    }
    let message = format!(
        "{subject} breaks the policy `{}`: {}",
        policy.name, key.message
    );
    with_policy(
        finding(key.severity, message),
        policy,
        key.place,
        policy.help.clone(),
    )
    .note(format!("in {place}"))
}

fn finding(severity: Severity, message: String) -> Diagnostic {
    match severity {
        Severity::Error => Diagnostic::error(codes::POLICY, message),
        Severity::Warning => Diagnostic::warning(codes::POLICY, message),
    }
}

fn with_policy(
    finding: Diagnostic,
    policy: &Policy,
    place: Location,
    help: Option<String>,
) -> Diagnostic {
    let label = match finding.severity {
        Severity::Error => "this is refused",
        Severity::Warning => "because of this",
    };
    finding
        .at(place, label)
        .maybe_help(help)
        .help(format!("`hcb policy explain {}` says more", policy.name))
        .rule(Arc::clone(&policy.rule))
}

/// What breaks a policy about the spec.
fn check_spec(
    in_force: &InForce,
    about: About,
    violations: Vec<SpecViolation>,
    spec: &Spec,
    model: &Model,
    used: &mut BTreeSet<Location>,
    diagnostics: &mut Diagnostics,
) {
    for violation in violations {
        let action = match (about, violation.index) {
            (About::Cluster, Some(cluster)) => in_force.actions[cluster],
            _ => in_force.action,
        };
        if action == PolicyAction::Off {
            continue;
        }
        let place = spec.locate(&violation.at);
        if let Some(error) = &violation.error {
            diagnostics.push(
                Diagnostic::error(
                    codes::POLICY_UNDECIDED,
                    format!(
                        "the policy `{}` cannot be evaluated for {}",
                        in_force.policy.name, violation.subject
                    ),
                )
                .at(place, "for this")
                .note(error.clone())
                .rule(Arc::clone(&in_force.policy.rule)),
            );
            continue;
        }
        let excepted: Vec<_> = in_force
            .exceptions
            .iter()
            .filter(|exception| is_excepted(exception, about, &violation, model))
            .map(|exception| exception.location)
            .collect();
        if !excepted.is_empty() {
            used.extend(excepted);
            continue;
        }
        let severity = match action {
            PolicyAction::Deny => Severity::Error,
            PolicyAction::Warn => Severity::Warning,
            PolicyAction::Audit | PolicyAction::Off => continue,
        };
        let message = format!(
            "{} breaks the policy `{}`: {}",
            violation.subject, in_force.policy.name, violation.message
        );
        let help = violation
            .help
            .clone()
            .or_else(|| in_force.policy.help.clone());
        diagnostics.push(with_policy(
            finding(severity, message),
            &in_force.policy,
            place,
            help,
        ));
    }
}

fn is_excepted(
    exception: &Exception,
    about: About,
    violation: &SpecViolation,
    model: &Model,
) -> bool {
    match (about, violation.index) {
        (About::Workload, Some(index)) => exception.workload.as_ref().is_some_and(|excepted| {
            let workload = &model.workloads[index];
            excepted.name == workload.name && excepted.namespace == workload.namespace
        }),
        (About::Cluster, Some(index)) => exception.clusters.contains(&index),
        _ => true,
    }
}

fn unused(policies: &[InForce], used: &BTreeSet<Location>, diagnostics: &mut Diagnostics) {
    for in_force in policies {
        for exception in &in_force.exceptions {
            if !used.contains(&exception.location) {
                diagnostics.push(
                    Diagnostic::warning(
                        codes::EXCEPTION_UNUSED,
                        format!(
                            "nothing needs this exception from `{}`",
                            in_force.policy.name
                        ),
                    )
                    .at(exception.location, "what it names breaks no such policy")
                    .help("remove it"),
                );
            }
        }
    }
}
