//! `hcb explain-code`.

use super::output::{Format, Outcome, OutputStyle};
use super::show;
use hcb_source::diag::{Code, codes, did_you_mean};
use serde_json::{Value, json};

/// Explain a kind of finding: what it means, an example, how to fix it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb explain-code HCB403\n  hcb explain-code                     list all kinds"
)]
pub(super) struct Args {
    /// The code that a finding shows in brackets. Without one, all are listed.
    code: Option<String>,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let Some(id) = &args.code else {
        list(style)?;
        return Ok(Outcome::Ok);
    };
    let Some(code) = Code::parse(id) else {
        let ids: Vec<_> = codes::ALL.iter().map(|code| code.id()).collect();
        let hint = did_you_mean(id, ids.iter().map(String::as_str))
            .map_or_else(String::new, |hint| format!("; {hint}"));
        anyhow::bail!("there is no code `{id}`{hint}");
    };
    match style.format {
        Format::Json => show::json_data(&entry(code))?,
        Format::Text => show::data(&code.page())?,
    }
    Ok(Outcome::Ok)
}

fn entry(code: Code) -> Value {
    json!({ "code": code.id(), "title": code.title(), "page": code.page() })
}

fn list(style: OutputStyle) -> anyhow::Result<()> {
    if style.format == Format::Json {
        return show::json_data(&codes::ALL.iter().map(|code| entry(*code)).collect());
    }
    let lines: Vec<_> = codes::ALL
        .iter()
        .map(|code| format!("{}  {}\n", code.id(), code.title()))
        .collect();
    show::data(&lines.concat())
}
