//! Exceptions: what a policy is not enforced on, why, and until when.
//!
//! An exception holds in the cluster as it does here: it becomes a condition of the policy there, by
//! the names of what is excepted. Dates are looked at here only, so that the tree of a spec is the
//! same on every day.

use super::definition::{Policy, Subject};
use super::in_force::Exception;
use super::spec_policy::About;
use hcb_source::diag::{Diagnostic, Diagnostics, codes, suggest};
use hcb_spec::model::{ClusterIndex, Model};
use hcb_spec::spec::{At, PolicyException, Spec};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many days before its end an exception is told of.
pub const SOON: i32 = 30;

/// The exceptions of the spec, by policy. What is wrong with one is said, and it is left out.
pub(super) fn read(
    spec: &Spec,
    model: &Model,
    policies: &[Arc<Policy>],
    today: Option<Date>,
    diagnostics: &mut Diagnostics,
) -> BTreeMap<String, Vec<Exception>> {
    let names: Vec<&str> = policies.iter().map(|policy| policy.name.as_str()).collect();
    let mut exceptions: BTreeMap<String, Vec<Exception>> = BTreeMap::new();
    for (index, said) in spec.cloud.spec.policies.exceptions.iter().enumerate() {
        let at = spec.cloud_at.path("spec.policies.exceptions").index(index);
        expiry(spec, said, &at, today, diagnostics);
        let Some(policy) = policies.iter().find(|policy| policy.name == said.policy) else {
            diagnostics.push(unknown_policy(
                spec,
                &at.key("policy"),
                &said.policy,
                &names,
            ));
            continue;
        };
        let mut found = Diagnostics::default();
        subject(spec, model, policy, said, &at, &mut found);
        let clusters = clusters(spec, model, said, &at, &mut found);
        let is_good = !found.has_errors();
        diagnostics.extend(found);
        if is_good {
            exceptions
                .entry(said.policy.clone())
                .or_default()
                .push(Exception {
                    workload: said.workload.clone(),
                    manifest: said.manifest.clone(),
                    clusters,
                    location: spec.locate(&at.key("policy")),
                });
        }
    }
    exceptions
}

fn expiry(
    spec: &Spec,
    said: &PolicyException,
    at: &At,
    today: Option<Date>,
    diagnostics: &mut Diagnostics,
) {
    let place = spec.locate(&at.key("expires"));
    let Ok(expires) = said.expires.parse::<Date>() else {
        diagnostics.push(
            Diagnostic::error(
                codes::EXCEPTION,
                format!("`{}` is not a date", said.expires),
            )
            .at(place, "no day of the calendar")
            .help("write year, month and day, such as `2027-03-31`"),
        );
        return;
    };
    let Some(days) = today
        .and_then(|today| today.until(expires).ok())
        .map(|span| span.get_days())
    else {
        return;
    };
    if days < 0 {
        diagnostics.push(
            Diagnostic::error(
                codes::EXCEPTION_EXPIRED,
                format!("the exception from `{}` has expired", said.policy),
            )
            .at(
                place,
                match -days {
                    1 => "yesterday was its last day".to_owned(),
                    days => format!("{days} days ago"),
                },
            )
            .note(format!("its reason was: {}", said.reason))
            .help("fix what it was for and remove it, or agree on a new date"),
        );
    } else if days <= SOON {
        diagnostics.push(
            Diagnostic::warning(
                codes::EXCEPTION_EXPIRES,
                format!("the exception from `{}` expires soon", said.policy),
            )
            .at(
                place,
                match days {
                    0 => "today is its last day".to_owned(),
                    1 => "tomorrow is its last day".to_owned(),
                    days => format!("in {days} days"),
                },
            )
            .note(format!("its reason is: {}", said.reason)),
        );
    }
}

/// Whether what is named can be excepted from the policy, and exists.
fn subject(
    spec: &Spec,
    model: &Model,
    policy: &Policy,
    said: &PolicyException,
    at: &At,
    diagnostics: &mut Diagnostics,
) {
    let mut push = |at: &At, message: String, label: &str, help: Option<String>| {
        diagnostics.push(
            Diagnostic::error(codes::EXCEPTION, message)
                .at(spec.locate(at), label)
                .maybe_help(help),
        );
    };
    if let (Some(_), Some(_)) = (&said.workload, &said.manifest) {
        push(
            &at.name_of("manifest"),
            "an exception is for a workload or for a manifest".to_owned(),
            "besides `workload`",
            Some("write two exceptions".to_owned()),
        );
    }
    match &policy.subject {
        Subject::Admission(_) if said.workload.is_none() && said.manifest.is_none() => push(
            &at.key("policy"),
            format!(
                "the exception from `{}` does not say what is excepted",
                policy.name
            ),
            "this policy is about manifests",
            Some(
                "name a `workload` or a `manifest`; to switch a policy off, set its action"
                    .to_owned(),
            ),
        ),
        Subject::Spec(_) if said.manifest.is_some() => push(
            &at.name_of("manifest"),
            format!(
                "the policy `{}` is about the spec, not about manifests",
                policy.name
            ),
            "has no manifests",
            None,
        ),
        Subject::Spec(about) if about.about == About::Workload && said.workload.is_none() => push(
            &at.key("policy"),
            format!(
                "the exception from `{}` does not say what is excepted",
                policy.name
            ),
            "this policy is about workloads",
            Some("name a `workload`; to switch a policy off, set its action".to_owned()),
        ),
        Subject::Spec(about) if about.about != About::Workload && said.workload.is_some() => push(
            &at.name_of("workload"),
            format!("the policy `{}` is not about workloads", policy.name),
            "has no workloads",
            None,
        ),
        _ => {}
    }
    if let Some(workload) = &said.workload
        && !spec.incomplete.workloads
        && !model
            .workloads
            .iter()
            .any(|known| known.name == workload.name && known.namespace == workload.namespace)
    {
        let names = model.workloads.iter().map(|known| known.name.as_str());
        push(
            &at.path("workload.name"),
            format!(
                "there is no workload `{}` in `{}`",
                workload.name, workload.namespace
            ),
            "no workload of this spec",
            suggest(&workload.name, names),
        );
    }
}

fn clusters(
    spec: &Spec,
    model: &Model,
    said: &PolicyException,
    at: &At,
    diagnostics: &mut Diagnostics,
) -> Vec<ClusterIndex> {
    if said.clusters.is_empty() {
        return (0..model.clusters.len()).collect();
    }
    let mut clusters = Vec::new();
    for (index, name) in said.clusters.iter().enumerate() {
        let known = model.clusters.iter().map(|cluster| cluster.name.as_str());
        match known.clone().position(|known| known == name) {
            Some(cluster) => clusters.push(cluster),
            None if spec.incomplete.clusters => {}
            None => diagnostics.push(
                Diagnostic::error(
                    codes::UNKNOWN_CLUSTER,
                    format!("there is no cluster `{name}`"),
                )
                .at(
                    spec.locate(&at.key("clusters").index(index)),
                    "not in `spec.clusters`",
                )
                .maybe_help(suggest(name, known)),
            ),
        }
    }
    clusters
}

/// Says which policy is meant.
pub(super) fn unknown_policy(spec: &Spec, at: &At, name: &str, names: &[&str]) -> Diagnostic {
    let help = suggest(name, names.iter().copied())
        .unwrap_or_else(|| "`hcb policy list` shows all there are".to_owned());
    Diagnostic::error(
        codes::UNKNOWN_POLICY,
        format!("there is no policy `{name}`"),
    )
    .at(spec.locate(at), "not the name of a policy")
    .help(help)
}
