//! `hcb policy list`.

use crate::cli::input::Input;
use crate::cli::output::{Format, Outcome, OutputStyle};
use crate::cli::show;
use hcb_compile::policy::InForce;
use hcb_compile::policy::{Policy, library};
use hcb_source::diag::Diagnostics;
use hcb_spec::model::Model;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// List policies: name, what each is about, what is done where it is broken, title.
///
/// Without a spec, the built-in policies with their defaults.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb policy list                      those of `hybrid/`, or the built-in ones\n  hcb policy list examples/large       with the actions that a spec sets\n  hcb policy list --format json        for a program: the action in each cluster"
)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) input: Input,
}

/// The policies of a spec, or the built-in ones where there is none.
pub(super) enum PolicySet {
    OfSpec(Box<Model>, Vec<InForce>),
    BuiltIn(&'static [Arc<Policy>]),
}

impl PolicySet {
    pub(super) fn policies(&self) -> Vec<&Arc<Policy>> {
        match self {
            Self::OfSpec(_, all) => all.iter().map(|in_force| &in_force.policy).collect(),
            Self::BuiltIn(all) => all.iter().collect(),
        }
    }
}

/// Reads them. `None` where the spec has findings, which were shown.
pub(super) fn policies(input: &Input, style: OutputStyle) -> anyhow::Result<Option<PolicySet>> {
    if input.is_absent() {
        return Ok(Some(PolicySet::BuiltIn(library::built_in())));
    }
    let mut diagnostics = Diagnostics::default();
    let texts = input.read(&mut diagnostics)?;
    let found = hcb_compile::compile::policies(&texts.sources, input.options(), &mut diagnostics);
    show::findings(&diagnostics, &texts.sources, style);
    if diagnostics.has_errors() {
        if style.format == Format::Json {
            let findings = show::findings_json(&diagnostics, &texts.sources);
            show::json_data(&json!({ "valid": false, "findings": findings }))?;
        }
        return Ok(None);
    }
    Ok(found.map(|(model, policies)| PolicySet::OfSpec(Box::new(model), policies)))
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let Some(known) = policies(&args.input, style)? else {
        return Ok(Outcome::Findings);
    };
    match style.format {
        Format::Json => show::json_data(&to_json(&known))?,
        Format::Text => {
            show::data(&format!("{}\n", table(&known)))?;
            if let PolicySet::BuiltIn(_) = known {
                show::say(
                    "There is no spec here: these are the built-in policies, with what they do by default.",
                );
            }
        }
    }
    Ok(Outcome::Ok)
}

fn to_json(known: &PolicySet) -> Value {
    let row = |policy: &Policy| {
        json!({
            "name": policy.name,
            "title": policy.rule.title,
            "scope": policy.scope(),
            "builtIn": policy.location.is_none(),
            "action": policy.default,
        })
    };
    match known {
        PolicySet::BuiltIn(policies) => policies.iter().map(|policy| row(policy)).collect(),
        PolicySet::OfSpec(model, policies) => policies
            .iter()
            .map(|in_force| {
                let mut row = row(&in_force.policy);
                let clusters: Map<_, _> = model
                    .clusters
                    .iter()
                    .zip(&in_force.actions)
                    .map(|(cluster, action)| (cluster.name.clone(), json!(action)))
                    .collect();
                row["action"] = json!(in_force.action);
                row["clusters"] = clusters.into();
                row["params"] = json!(in_force.params);
                row["exceptions"] = in_force.exceptions.len().into();
                row
            })
            .collect(),
    }
}

fn table(known: &PolicySet) -> String {
    let mut table = show::table();
    table.set_header(["name", "scope", "action", "title"]);
    match known {
        PolicySet::BuiltIn(policies) => {
            for policy in *policies {
                table.add_row([
                    &policy.name,
                    policy.scope(),
                    policy.default.word(),
                    &policy.rule.title,
                ]);
            }
        }
        PolicySet::OfSpec(model, policies) => {
            for in_force in policies {
                let policy = &in_force.policy;
                let other: Vec<_> = model
                    .clusters
                    .iter()
                    .zip(&in_force.actions)
                    .filter(|(_, action)| **action != in_force.action)
                    .map(|(cluster, action)| format!("{}: {}", cluster.name, action.word()))
                    .collect();
                let mut action = in_force.action.word().to_owned();
                if !other.is_empty() {
                    action = format!("{action} ({})", other.join(", "));
                }
                table.add_row([&policy.name, policy.scope(), &action, &policy.rule.title]);
            }
        }
    }
    show::plain(&table)
}
