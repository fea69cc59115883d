//! `hcb validate`.

use super::input::Input;
use super::{Format, Look, Outcome, show};
use crate::compile::Timings;
use crate::diag::Diagnostics;
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
    let mut diagnostics = Diagnostics::default();
    let texts = args.input.read(&mut diagnostics)?;
    let templates = args.input.templates()?;
    let output = crate::compile::compile(
        &texts.sources,
        &texts.root,
        &templates,
        args.input.options(),
        &mut diagnostics,
        &mut Timings::default(),
    );
    show::findings(&diagnostics, &texts.sources, look);
    let good = output.is_some() && !diagnostics.has_errors();
    if look.format == Format::Json {
        show::json_data(&json!({
            "valid": good,
            "findings": show::findings_json(&diagnostics, &texts.sources),
        }))?;
    } else if let Some(output) = output.filter(|_| good) {
        show::say(&format!(
            "`{}` is valid: {} clusters, {} workloads, {} files",
            output.model.name,
            output.model.clusters.len(),
            output.model.workloads.len(),
            output.tree.files.len()
        ));
    }
    Ok(if good { Outcome::Ok } else { Outcome::Findings })
}
