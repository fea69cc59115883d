//! `hcb policy explain`.

use super::list;
use crate::cli::input::Input;
use crate::cli::output::{Format, Outcome, OutputStyle};
use crate::cli::show;
use serde_json::json;

/// Print the page of a policy: what it asks for and why, an example, how to change it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb policy explain hcb-fixed-images\n  hcb policy explain team-labels spec/   one of a team's own"
)]
pub(super) struct Args {
    /// The name of the policy.
    name: String,
    #[command(flatten)]
    input: Input,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let Some(known) = list::policies(&args.input, style)? else {
        return Ok(Outcome::Findings);
    };
    let policies = known.policies();
    let Some(policy) = policies.iter().find(|policy| policy.name == args.name) else {
        let names = policies.iter().map(|policy| policy.name.as_str());
        let hint = hcb_source::diag::did_you_mean(&args.name, names)
            .unwrap_or_else(|| "`hcb policy list` shows all there are".to_owned());
        anyhow::bail!("there is no policy `{}`; {hint}", args.name);
    };
    if style.format == Format::Json {
        show::json_data(&json!({
            "name": policy.name,
            "title": policy.rule.title,
            "scope": policy.scope(),
            "builtIn": policy.location.is_none(),
            "action": policy.default,
            "help": policy.help,
            "params": policy.params(),
            "page": policy.rule.page,
        }))?;
        return Ok(Outcome::Ok);
    }
    if policy.rule.page.is_empty() {
        let help = policy
            .help
            .as_deref()
            .unwrap_or("It has no page: write `README.md` beside it.");
        show::data(&format!(
            "# {}: {}\n\n{help}\n",
            policy.name, policy.rule.title
        ))?;
    } else {
        show::data(&policy.rule.page)?;
    }
    Ok(Outcome::Ok)
}
