//! `hcb validate`.

use super::input::Input;
use super::{Format, Look, Outcome, show};
use serde_json::json;

/// Check a spec and everything that it compiles to, and write nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb validate                         check `hybrid/`\n  hcb validate spec/cloud.yaml         check one file\n  hcb validate --format json           findings for a program"
)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
}

pub(super) fn run(args: &Args, look: Look) -> anyhow::Result<Outcome> {
    let run = super::run::run(&args.input)?;
    run.show_findings(look)?;
    let Some(output) = &run.output else {
        return Ok(Outcome::Findings);
    };
    match look.format {
        Format::Json => show::json_data(&json!({ "valid": true, "findings": run.findings() }))?,
        Format::Text => show::say(&format!(
            "`{}` is valid: {}, {}, {}",
            output.model.name,
            show::count(output.model.clusters.len(), "cluster"),
            show::count(output.model.workloads.len(), "workload"),
            show::count(output.tree.files.len(), "file")
        )),
    }
    Ok(Outcome::Ok)
}
