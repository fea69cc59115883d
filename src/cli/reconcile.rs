//! `hcb reconcile`.

use super::output::{Format, Outcome, OutputStyle};
use super::show;
use anyhow::{Context, anyhow};
use hcb_api::config::ReconcilerConfig;
use hcb_reconciler::core::record::{Replayed, compare};
use hcb_reconciler::engine::registry;
use hcb_reconciler::runtime::start::{Start, start};
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use serde_json::json;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Run the reconciler: let jobs leave the first tier only when they no longer fit in it.
///
/// The tree that `hcb compile` writes deploys it in the source cluster, with its configuration. It reloads
/// the configuration when it changes, and keeps the old one if the new one is invalid.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb reconcile --config config.yaml --dry-run               say what would be done\n  hcb reconcile --config config.yaml --record run.jsonl      record every observation and decision\n  hcb reconcile --replay run.jsonl                           repeat every decision\n  hcb reconcile --replay run.jsonl --config other.yaml       and with other settings\n\nserves /metrics, /livez, /readyz and /status"
)]
pub(super) struct Args {
    /// The configuration, as `hcb compile` writes it.
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    config: Option<PathBuf>,
    /// Report what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Where metrics, health and status are served. Default: port 8080 of every address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Record every observation and decision in a new file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Repeat every decision of a record without a cluster; exit 1 if any decision differs.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "listen", "record", "open_if_down"])]
    replay: Option<PathBuf>,
    /// If no reconciler runs, open the gates of the first tier and, where the configuration says so, release
    /// all pending pods; then exit.
    #[arg(long, conflicts_with_all = ["dry_run", "listen", "record"])]
    open_if_down: bool,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let config = args
        .config
        .as_deref()
        .map(|path| read(path, style))
        .transpose()?;
    if let Some(record) = &args.replay {
        return play(record, config.as_ref(), style);
    }
    let (Some(config), Some(path)) = (config, args.config.clone()) else {
        return Err(anyhow!("--config is missing"));
    };
    let arguments = Start {
        path,
        dry_run: args.dry_run,
        listen: args.listen,
        record: args.record.clone(),
        open_if_down: args.open_if_down,
    };
    if let Some(summary) = start(config, arguments)? {
        show::say(&summary);
    }
    Ok(Outcome::Ok)
}

/// Reads a configuration. What is wrong with it is shown as `hcb compile` shows it.
fn read(path: &Path, style: OutputStyle) -> anyhow::Result<ReconcilerConfig> {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let config = parse(path, &mut sources, &mut diagnostics)?;
    show::findings(&diagnostics, &sources, style);
    config.ok_or_else(|| anyhow!("{} is not understood; nothing was started", path.display()))
}

fn parse(
    path: &Path,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> anyhow::Result<Option<ReconcilerConfig>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file = sources.add(path, text);
    let text = &sources.file(file).text;
    Ok(ReconcilerConfig::read(file, text, diagnostics))
}

fn play(
    record: &Path,
    config: Option<&ReconcilerConfig>,
    style: OutputStyle,
) -> anyhow::Result<Outcome> {
    let name = record.display();
    let file = File::open(record).with_context(|| format!("{name} cannot be read"))?;
    let mut lines = Ok(());
    let pacing_of = |config: &_| registry::of(config).pacing();
    let compared = compare(BufReader::new(file), pacing_of, config, |line| {
        if style.format == Format::Text && lines.is_ok() {
            lines = show::data(&format!("{line}\n"));
        }
    });
    let compared = compared.map_err(|problem| anyhow!("{name}: {problem}"))?;
    lines?;
    if style.format == Format::Json {
        let different = compared.different.iter();
        let different: Vec<_> = different
            .map(|Replayed { at, before, now }| json!({ "at": at, "before": before, "now": now }))
            .collect();
        show::json_data(&json!({ "decisions": compared.decisions, "different": different }))?;
    }
    show::say(&compared.to_string());
    Ok(if compared.different.is_empty() {
        Outcome::Ok
    } else {
        Outcome::Findings
    })
}
