//! How a program runs the reconciler: what `hcb-reconciler` and `hcb reconcile` do alike.

use super::config_file;
use super::open_if_down::{DOWN_AFTER, OpenError, open_if_down, summary};
use super::run::{Options, RunError, identity, namespace, run};
use crate::engine::registry;
use hcb_api::config::ReconcilerConfig;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// Where metrics, health and status are served unless told otherwise.
pub const LISTEN: ([u8; 4], u16) = ([0, 0, 0, 0], 8080);
/// A decision is quick; the rest of the work is to wait.
const THREADS: usize = 2;

/// What a program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The file of the configuration, which is read again when it changes.
    pub path: PathBuf,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Where metrics, health and status are served. Default: [`LISTEN`].
    pub listen: Option<SocketAddr>,
    /// The file that the run is recorded in.
    pub record: Option<PathBuf>,
    /// Open what a reconciler would, if none runs; then end.
    pub open_if_down: bool,
}

/// Why a program does not run the reconciler.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The machine gives it no threads.
    #[error("the runtime: {0}")]
    Runtime(#[source] io::Error),
    /// It does not run, or ran and failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Nothing could be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Runs the reconciler until it is told to stop, with its log on standard error. Returns what is left to say to the
/// caller, if anything.
///
/// # Errors
/// Where the source cluster cannot be reached, an address is taken, or a record cannot be written.
pub fn start(config: ReconcilerConfig, start: Start) -> Result<Option<String>, StartError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(io::stderr)
        .with_env_filter(filter)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    let engine = registry::of(&config);
    let namespace = namespace();
    if start.open_if_down {
        let opened = open_if_down(&config, &*engine, &namespace, DOWN_AFTER);
        return Ok(Some(summary(runtime.block_on(opened)?)));
    }
    let options = Options {
        dry_run: start.dry_run,
        listen: Some(start.listen.unwrap_or_else(|| LISTEN.into())),
        record: start.record,
        identity: identity(),
        namespace,
    };
    let reload = config_file::reload(start.path);
    runtime.block_on(run(config, engine, reload, options))?;
    Ok(None)
}
