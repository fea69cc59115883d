//! `hcb schema`.

use super::output::Outcome;
use super::show;

/// Print the JSON Schema of the spec, for editors.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  hcb schema > hybrid/.schema.json\n\nSpecs that `hcb init` writes name that file in their first line, so that editors with the YAML language server complete and check them."
)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> anyhow::Result<Outcome> {
    show::json_data(&hcb_spec::spec::json_schema())?;
    Ok(Outcome::Ok)
}
