//! `hcb validate`.

use super::input::Input;
use super::output::{Format, Outcome, OutputStyle};
use super::report::Reports;
use super::show;
use super::watch::RoundResult;
use hcb_compile::compile::Output;
use serde_json::json;

/// Check a spec and everything that it compiles to, and write nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb validate                         check `hybrid/`\n  hcb validate spec/cloud.yaml         check one file\n  hcb validate --watch                 check again after each change, until Ctrl-C\n  hcb validate --format json           findings for a program\n  hcb validate --report sarif=hcb.sarif --report github\n                                       findings for code scanning, and as annotations"
)]
pub(super) struct Args {
    #[command(flatten)]
    input: Input,
    #[command(flatten)]
    reports: Reports,
    /// Go on: check again after each change to the spec, to policies or to templates, until Ctrl-C. The exit
    /// code is that of the last round.
    #[arg(long)]
    watch: bool,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    args.reports.check(style, args.watch)?;
    if args.watch {
        return super::watch::watch(&args.input, style, |run| {
            run.report(&args.reports, &args.input)?;
            let messages = run.output.iter().map(valid).collect();
            Ok(RoundResult {
                messages,
                ..RoundResult::default()
            })
        });
    }
    let run = super::run::run(&args.input)?;
    run.report(&args.reports, &args.input)?;
    run.show_findings(style)?;
    let Some(output) = &run.output else {
        return Ok(Outcome::Findings);
    };
    match style.format {
        Format::Json => show::json_data(&json!({ "valid": true, "findings": run.findings() }))?,
        Format::Text => show::say(&valid(output)),
    }
    Ok(Outcome::Ok)
}

fn valid(output: &Output) -> String {
    format!(
        "`{}` is valid: {}, {}, {}",
        output.model.name,
        show::count(output.model.clusters.len(), "cluster"),
        show::count(output.model.workloads.len(), "workload"),
        show::count(output.tree.files.len(), "file")
    )
}
