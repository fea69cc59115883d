//! What `compile`, `validate` and `list` do first.

use super::input::{Input, Texts};
use super::output::{Format, OutputStyle};
use super::report::Reports;
use super::show;
use hcb_compile::compile::Memo;
use hcb_compile::compile::{Options, Output, Timings};
use hcb_compile::manifest::Templates;
use hcb_source::diag::Diagnostics;
use serde_json::{Value, json};

/// A spec that was read and compiled.
pub(super) struct Run {
    pub(super) texts: Texts,
    pub(super) diagnostics: Diagnostics,
    pub(super) timings: Timings,
    /// What was made, unless a finding stops it.
    pub(super) output: Option<Output>,
}

/// Reads and compiles what the command line names.
pub(super) fn run(input: &Input) -> anyhow::Result<Run> {
    let mut diagnostics = Diagnostics::default();
    let mut timings = Timings::default();
    let texts = timings.measure("read", || input.read(&mut diagnostics))?;
    let templates = timings.measure("templates", || input.templates())?;
    Ok(compile(
        texts,
        &templates,
        input.options(),
        &Memo::of_one_run(),
        diagnostics,
        timings,
    ))
}

/// Compiles what was read.
pub(super) fn compile(
    texts: Texts,
    templates: &Templates,
    options: Options,
    memo: &Memo,
    mut diagnostics: Diagnostics,
    mut timings: Timings,
) -> Run {
    let output = hcb_compile::compile::compile_with(
        memo,
        &texts.sources,
        &texts.root,
        templates,
        options,
        &mut diagnostics,
        &mut timings,
    )
    .filter(|_| !diagnostics.has_errors());
    Run {
        texts,
        diagnostics,
        timings,
        output,
    }
}

impl Run {
    /// Writes the reports that are asked for.
    pub(super) fn report(&self, reports: &Reports, input: &Input) -> anyhow::Result<()> {
        reports.write(&self.diagnostics, &self.texts.sources, &input.spec)
    }

    /// Shows the findings; where they are all that there is, as JSON too, if that is asked for.
    pub(super) fn show_findings(&self, style: OutputStyle) -> anyhow::Result<()> {
        show::findings(&self.diagnostics, &self.texts.sources, style);
        if self.output.is_none() && style.format == Format::Json {
            show::json_data(&json!({ "valid": false, "findings": self.findings() }))?;
        }
        Ok(())
    }

    /// The findings as JSON.
    pub(super) fn findings(&self) -> Value {
        show::findings_json(&self.diagnostics, &self.texts.sources)
    }
}
