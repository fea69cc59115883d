//! `hcb reconcile`.

use super::Outcome;
use crate::controller::{Config, run};
use anyhow::Context;
use std::path::PathBuf;

/// Run the reconciler: let jobs leave the first tier only when they fit in it no more.
///
/// The tree that `hcb compile` writes deploys it in the source cluster, with its configuration.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb reconcile --config config.yaml --dry-run     say what would be done\n  RUST_LOG=debug hcb reconcile --config config.yaml"
)]
pub(super) struct Args {
    /// The configuration, as `hcb compile` writes it.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let path = args.config.display();
    let text =
        std::fs::read_to_string(&args.config).with_context(|| format!("{path} cannot be read"))?;
    let config = Config::read(&text).map_err(|problem| anyhow::anyhow!("{path}: {problem}"))?;
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let options = run::Options {
        dry_run: args.dry_run,
    };
    runtime.block_on(run::run(config, options))?;
    Ok(Outcome::Ok)
}
