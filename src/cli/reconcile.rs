//! `hcb reconcile`.

use super::{Format, Look, Outcome, show};
use anyhow::{Context, anyhow};
use hcb_api::config::Config;
use hcb_reconciler::reasons::described;
use hcb_reconciler::record::{Replayed, replay};
use hcb_reconciler::run;
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::Sources;
use serde_json::json;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a Lease must not have been renewed until nobody is there.
const DOWN_AFTER: Duration = Duration::from_secs(30);

/// Run the reconciler: let jobs leave the first tier only when they fit in it no more.
///
/// The tree that `hcb compile` writes deploys it in the source cluster, with its configuration. It takes
/// over a configuration that changes, and keeps the one it has where the new one is not understood.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb reconcile --config config.yaml --dry-run               say what would be done\n  hcb reconcile --config config.yaml --record run.jsonl      keep all that is seen and decided\n  hcb reconcile --replay run.jsonl                           decide all of it again\n  hcb reconcile --replay run.jsonl --config other.yaml       and with other settings\n\nserves /metrics, /livez, /readyz and /status"
)]
pub(super) struct Args {
    /// The configuration, as `hcb compile` writes it.
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    config: Option<PathBuf>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Where metrics, health and status are served. Default: port 8080 of every address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Record all that is seen and decided in a new file.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Decide all of a record again, without any cluster; exit 1 where something else is decided.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dry_run", "listen", "record", "open_if_down"])]
    replay: Option<PathBuf>,
    /// If no reconciler runs, open the gates of the first tier and, where the configuration says so, let all
    /// waiting pods go where they may; then end.
    #[arg(long, conflicts_with_all = ["dry_run", "listen", "record"])]
    open_if_down: bool,
}

pub(super) fn run(args: &Args, look: Look) -> anyhow::Result<Outcome> {
    let config = args
        .config
        .as_deref()
        .map(|path| read(path, look))
        .transpose()?;
    if let Some(record) = &args.replay {
        return play(record, config.as_ref(), look);
    }
    let (Some(config), Some(path)) = (config, args.config.clone()) else {
        return Err(anyhow!("--config is missing"));
    };
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
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let namespace =
        variable("POD_NAMESPACE").unwrap_or_else(|| hcb_api::names::NAMESPACE.to_owned());
    if args.open_if_down {
        let opened = runtime.block_on(run::open_if_down(&config, &namespace, DOWN_AFTER))?;
        show::say(&match opened {
            None => "a reconciler is there; nothing was opened".to_owned(),
            Some(opened) => format!(
                "no reconciler is there; opened: {}; let go: {}",
                show::count(opened.gates, "gate"),
                show::count(opened.pods, "pod")
            ),
        });
        return Ok(Outcome::Ok);
    }
    let identity = variable("POD_NAME").unwrap_or_else(|| format!("hcb-{}", std::process::id()));
    let options = run::Options {
        dry_run: args.dry_run,
        listen: Some(args.listen.unwrap_or_else(|| ([0, 0, 0, 0], 8080).into())),
        record: args.record.clone(),
        identity,
        namespace,
    };
    runtime.block_on(run::run(config, reload(path), options))?;
    Ok(Outcome::Ok)
}

/// Reads a configuration. What is wrong with it is shown as `hcb compile` shows it.
fn read(path: &Path, look: Look) -> anyhow::Result<Config> {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let config = parse(path, &mut sources, &mut diagnostics)?;
    show::findings(&diagnostics, &sources, look);
    config.ok_or_else(|| anyhow!("{} is not understood; nothing was started", path.display()))
}

fn parse(
    path: &Path,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> anyhow::Result<Option<Config>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file = sources.add(path, text);
    let text = &sources.file(file).text;
    Ok(Config::read(file, text, diagnostics))
}

/// Looks whether the file changed, and reads it where it did.
fn reload(path: PathBuf) -> run::Reload {
    let mut known = fs::read_to_string(&path).ok();
    Box::new(move || {
        // While Kubernetes swaps a mounted file it may be gone for a moment.
        let text = fs::read_to_string(&path).ok()?;
        if known.as_ref() == Some(&text) {
            return None;
        }
        known = Some(text);
        let (mut sources, mut diagnostics) = (Sources::default(), Diagnostics::default());
        Some(match parse(&path, &mut sources, &mut diagnostics) {
            Ok(Some(config)) => Ok(config),
            Ok(None) => Err(text::render(&diagnostics.sorted(), &sources, false, 100)),
            Err(error) => Err(format!("{error:#}")),
        })
    })
}

fn play(record: &Path, config: Option<&Config>, look: Look) -> anyhow::Result<Outcome> {
    let name = record.display();
    let file = File::open(record).with_context(|| format!("{name} cannot be read"))?;
    let (mut decisions, mut others, mut lines) = (0_usize, Vec::new(), Ok(()));
    let mut said = std::collections::BTreeMap::new();
    let played = replay(
        BufReader::new(file),
        config,
        |state, _, Replayed { at, before, now }| {
            decisions += 1;
            let is_same = before == now;
            if look.format == Format::Text && lines.is_ok() {
                let pods = &state.known.observation.pods;
                for verdict in &now.verdicts {
                    let why = described(&verdict.outcome);
                    if said.get(&verdict.uid) == Some(&why) {
                        continue;
                    }
                    if let Some(pod) = pods.get(&verdict.uid) {
                        lines =
                            show::data(&format!("{at:.3} {}/{} {why}\n", pod.namespace, pod.name));
                    }
                    said.insert(verdict.uid.clone(), why);
                }
            }
            if !is_same {
                others.push(json!({ "at": at, "before": before, "now": now }));
            }
        },
    );
    played.map_err(|problem| anyhow!("{name}: {problem}"))?;
    lines?;
    if look.format == Format::Json {
        show::json_data(&json!({ "decisions": decisions, "different": others }))?;
    }
    show::say(&format!(
        "{}; {} now",
        show::count(decisions, "decision"),
        match others.len() {
            0 => "none is different".to_owned(),
            1 => "1 is different".to_owned(),
            many => format!("{many} are different"),
        }
    ));
    Ok(if others.is_empty() {
        Outcome::Ok
    } else {
        Outcome::Findings
    })
}
