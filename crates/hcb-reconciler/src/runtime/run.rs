//! The loop: it sees, decides and acts, many times a second if need be.

mod effects;

use super::act::{self, REQUEST};
use super::clock::Clock;
use super::config_file::Reload;
use super::connect::{self, ConnectError};
use super::events::EventWriter;
use super::lease;
use super::serve::{Shared, serve};
use super::unstick::Unsticker;
use super::watch::follow;
use crate::control::Control;
use crate::core::decision::{Candidate, Decision};
use crate::core::facts::Fact;
use crate::core::record::{Line, Recorder};
use crate::core::status::status;
use crate::engine::Engine;
use futures::FutureExt;
use hcb_api::config::ReconcilerConfig;
use hcb_api::names::SYSTEM_NAMESPACE;
use hcb_api::status::Status;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Client;
use kube::api::Api;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

/// What comes within this is seen together.
const SETTLE: Duration = Duration::from_millis(20);
/// A decision is made at least this often.
const AT_LEAST_EVERY: Duration = Duration::from_secs(1);
/// How often metrics and the status are brought up to date, and the configuration is looked at.
const SHOW_EVERY: Duration = Duration::from_secs(2);
/// A status that did not change is written this often, as a sign of life.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// Requests that are made at once.
const AT_ONCE: usize = 16;
/// A clock that is off by more is told of.
const JUMP: f64 = 5.0;

/// How a reconciler runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Where metrics, health and status are served.
    pub listen: Option<SocketAddr>,
    /// The file that the run is recorded in.
    pub record: Option<PathBuf>,
    /// The name of this replica.
    pub identity: String,
    /// The namespace of the Lease and the status.
    pub namespace: String,
}

/// The name of this replica: that of its pod, or of its process.
pub fn identity() -> String {
    variable("POD_NAME").unwrap_or_else(|| format!("hcb-{}", std::process::id()))
}

/// The namespace that this runs in.
pub fn namespace() -> String {
    variable("POD_NAMESPACE").unwrap_or_else(|| SYSTEM_NAMESPACE.to_owned())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Why a reconciler does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source cluster cannot be reached at all.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Its address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The record cannot be written.
    #[error("the record {path}: {source}")]
    Record {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process cannot hear that it is told to stop.
    #[error("signals: {0}")]
    Signals(#[source] io::Error),
}

/// Runs until it is told to stop.
///
/// # Errors
/// Where the source cluster cannot be reached at all, an address is taken, or a record cannot be made.
pub async fn run(
    config: ReconcilerConfig,
    engine: Arc<dyn Engine>,
    reload: Reload,
    options: Options,
) -> Result<(), RunError> {
    let source = connect::source().await?;
    let shared = Arc::new(Shared::default());
    shared.metrics.config(true);
    let mut tasks = JoinSet::new();
    if let Some(address) = options.listen {
        let failed = |source| RunError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        tracing::info!(%address, "serves metrics, health and status");
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            if let Err(error) = serve(listener, shared).await {
                tracing::error!(%error, "metrics and health are served no more");
            }
        });
    }
    let recorder = match &options.record {
        Some(path) => Some(Recorder::create(path).map_err(|source| RunError::Record {
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let (stop, stopped) = watch::channel(false);
    let (leads, leading) = watch::channel(options.dry_run);
    // Without the right to do anything there is nobody to agree with.
    if !options.dry_run {
        let leases: Api<Lease> = Api::namespaced(source.clone(), &options.namespace);
        tasks
            .spawn(lease::take_part(leases, options.identity.clone(), leads, stopped).map(|()| ()));
    }
    let reconciler = Reconciler {
        control: Control::new(config, engine),
        events: EventWriter::start(
            source.clone(),
            options.identity.clone(),
            Arc::clone(&shared),
        ),
        source,
        recalled: watch::Sender::new(None),
        shared,
        clock: Clock::default(),
        said: BTreeMap::new(),
        shown: None,
        written: None,
        recorder,
        leads: false,
        options,
    };
    let result = reconciler.go(reload, leading).await;
    // The next one must not wait until the Lease runs out.
    let _ = stop.send(true);
    let rest = async { while tasks.len() > 1 && tasks.join_next().await.is_some() {} };
    let _ = timeout(Duration::from_secs(4), rest).await;
    result
}

struct Reconciler {
    control: Control,
    source: Client,
    /// Whether what is decided is done here, and then which candidates were recalled.
    recalled: watch::Sender<Option<BTreeSet<Candidate>>>,
    shared: Arc<Shared>,
    events: EventWriter,
    clock: Clock,
    /// What was said last of each pod that waits.
    said: BTreeMap<String, (&'static str, Option<String>)>,
    /// When metrics and the status were last brought up to date.
    shown: Option<Instant>,
    /// The status that was last written, and when.
    written: Option<(Instant, Status)>,
    recorder: Option<Recorder>,
    leads: bool,
    options: Options,
}

impl Reconciler {
    async fn go(
        mut self,
        mut reload: Reload,
        mut leading: watch::Receiver<bool>,
    ) -> Result<(), RunError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
        let (mut facts, mut watches) = self.watch();
        self.record_config();
        let mut pause = AT_LEAST_EVERY;
        let mut looked = Instant::now();
        loop {
            let fact = tokio::select! {
                fact = facts.recv() => fact,
                () = tokio::time::sleep(pause) => None,
                _ = leading.changed() => None,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            };
            if let Some(fact) = fact {
                self.take(fact);
                let settled = Instant::now() + SETTLE;
                while let Ok(Some(fact)) = timeout_at(settled, facts.recv()).await {
                    self.take(fact);
                }
            }
            let holds = *leading.borrow_and_update();
            let leads = holds && (self.leads || self.go_on_from_handover().await);
            self.leads = leads;
            let may_act = leads && !self.options.dry_run;
            self.shared.metrics.leads(may_act);
            if !may_act {
                self.recalled
                    .send_if_modified(|recalled| recalled.take().is_some());
            }
            if looked.elapsed() >= SHOW_EVERY {
                looked = Instant::now();
                self.watch_clock();
                if let Some(config) = self.reload(&mut reload) {
                    watches.shutdown().await;
                    self.control.configure(config);
                    (facts, watches) = self.watch();
                    self.record_config();
                }
            }
            let is_ready = self.control.state.observer.is_ready();
            self.shared.looped(is_ready);
            pause = AT_LEAST_EVERY;
            if !is_ready || !leads {
                continue;
            }
            let began = std::time::Instant::now();
            let now = self.clock.now();
            let decision = self.control.decide(now);
            self.shared.metrics.took(began.elapsed());
            let until = decision.look_again.map(|time| now.duration_until(time));
            let until = until.and_then(|until| Duration::try_from(until).ok());
            pause = until.map_or(AT_LEAST_EVERY, |until| until.clamp(SETTLE, AT_LEAST_EVERY));
            self.record(|| Line::Decision(now, Box::new(decision.clone())));
            if may_act {
                let recalled = Some(decision.recalled.clone());
                self.recalled.send_if_modified(|known| {
                    let is_new = *known != recalled;
                    known.clone_from(&recalled);
                    is_new
                });
            }
            self.tell(&decision, now);
            if !self.options.dry_run {
                self.act(&decision, now).await;
            }
            self.show(&decision, now).await;
            // However much there is to decide, half of the time is for seeing.
            tokio::time::sleep(began.elapsed().min(AT_LEAST_EVERY)).await;
        }
        watches.shutdown().await;
        if let Some(recorder) = &mut self.recorder {
            let path = self.options.record.clone().unwrap_or_default();
            recorder
                .flush()
                .map_err(|source| RunError::Record { path, source })?;
        }
        tracing::info!("stops");
        Ok(())
    }

    fn watch(&self) -> (Receiver<Fact>, JoinSet<()>) {
        let (sender, facts) = channel(1024);
        let mut watches = JoinSet::new();
        for index in 0..self.control.config.clusters.len() {
            watches.spawn(follow(
                Arc::clone(&self.control.config),
                Arc::clone(&self.control.engine),
                index,
                sender.clone(),
            ));
        }
        let unsticker = Unsticker {
            engine: Arc::clone(&self.control.engine),
            config: Arc::clone(&self.control.config),
            source: self.source.clone(),
            shared: Arc::clone(&self.shared),
            recalled: self.recalled.subscribe(),
        };
        let (onward, passed_on) = channel(1024);
        watches.spawn(unsticker.pass_on(facts, onward));
        (passed_on, watches)
    }

    fn take(&mut self, fact: Fact) {
        let now = self.clock.now();
        self.record(|| Line::Fact(now, fact.clone()));
        self.control.take(fact, now);
    }

    fn record_config(&mut self) {
        let config = Arc::clone(&self.control.config);
        self.record(|| Line::Config(Box::new(ReconcilerConfig::clone(&config))));
    }

    fn record(&mut self, line: impl FnOnce() -> Line) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        let line = line();
        let flush = matches!(line, Line::Decision(..));
        let written = recorder.write(&line);
        let written = written.and_then(|()| if flush { recorder.flush() } else { Ok(()) });
        if let Err(error) = written {
            tracing::error!(%error, "the record ends here");
            self.recorder = None;
        }
    }

    /// Goes on from what the leader before left; says whether that is known. Without it a budget that is
    /// used up would count as whole, so nothing is decided until then.
    async fn go_on_from_handover(&mut self) -> bool {
        match timeout(REQUEST, act::read_handover(&self.maps())).await {
            Ok(Ok(handover)) => {
                if let Some(handover) = handover {
                    self.take(Fact::TookOver(Box::new(handover)));
                }
                true
            }
            Ok(Err(error)) => {
                self.shared.metrics.failed("handover");
                tracing::error!(%error, "nothing is decided: what was spent before is not known");
                false
            }
            Err(_) => {
                self.shared.metrics.failed("handover");
                tracing::warn!("nothing is decided: what was spent before did not come in time");
                false
            }
        }
    }

    fn watch_clock(&self) {
        let jump = -self.clock.ahead_of(Timestamp::now());
        self.shared.metrics.clock(jump);
        if jump.abs() > JUMP {
            tracing::warn!(
                seconds = jump,
                "the clock of the machine jumped; what is decided goes by the time before"
            );
        }
    }

    /// A configuration that changed and is understood. Of one that is not, nothing is taken over.
    fn reload(&mut self, reload: &mut Reload) -> Option<ReconcilerConfig> {
        let read = reload()?;
        self.shared.metrics.config(read.is_ok());
        match read {
            Ok(config) => {
                tracing::info!("the configuration changed");
                Some(config)
            }
            Err(problem) => {
                tracing::error!(
                    %problem,
                    "the new configuration is not understood; the old one stays"
                );
                None
            }
        }
    }

    /// Brings metrics and the status up to date.
    async fn show(&mut self, decision: &Decision, now: Timestamp) {
        if self.shown.is_some_and(|at| at.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let (observation, memory) = (
            &self.control.state.observer.observation,
            &self.control.state.memory,
        );
        self.shared
            .metrics
            .decided(observation, &self.control.config, memory, decision, now);
        let status = status(
            observation,
            &self.control.config,
            memory,
            decision,
            &self.options.identity,
            now,
        );
        self.shared.set_status(status.clone());
        let is_due = |(at, _): &(Instant, _)| at.elapsed() >= STATUS_EVERY;
        let is_due = self.written.as_ref().is_none_or(is_due);
        let is_new = self.written.as_ref().is_none_or(|(_, written)| {
            (&written.clusters, &written.tiers, &written.waiting)
                != (&status.clusters, &status.tiers, &status.waiting)
        });
        if (is_due || is_new) && !self.options.dry_run {
            let spending = self.control.state.memory.saved_spending(now);
            let maps = self.maps();
            // What was spent comes first: an older one must not stand beside a newer status.
            let work = async {
                act::write_spending(&maps, &spending).await?;
                act::write_status(&maps, &status).await
            };
            match timeout(REQUEST, work).await {
                Ok(Ok(())) => {}
                failed => {
                    self.shared.metrics.failed("status");
                    tracing::warn!(?failed, "the status was not written");
                }
            }
            self.written = Some((Instant::now(), status));
        }
    }

    fn maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.source.clone(), &self.options.namespace)
    }
}
