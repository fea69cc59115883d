//! What is done where no reconciler is there for a while.

use super::act;
use super::connect::{self, ConnectError};
use crate::core::demand::Demand;
use crate::core::facts::Fact;
use crate::engine::Engine;
use hcb_api::config::{Cluster, ReconcilerConfig, WhenReconcilerDown};
use hcb_api::gate::Gate;
use hcb_api::names::LEASE;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::Api;
use kube::{Client, ResourceExt};
use std::fmt;
use std::time::Duration;
use tokio::time::Instant;

/// How often the Lease is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long a Lease must not have been renewed until nobody is there.
pub const DOWN_AFTER: Duration = Duration::from_secs(30);

/// Why nothing could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The source cluster cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The source cluster does not answer, or refuses.
    #[error("the source cluster: {0}")]
    Source(#[from] kube::Error),
}

/// What was opened since no reconciler is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Opened {
    /// Gates of the first tier that were closed.
    pub gates: usize,
    /// Demands that were released.
    pub pods: usize,
}

impl fmt::Display for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gates, pods } = *self;
        let [gate, pod] = [gates, pods].map(|count| if count == 1 { "" } else { "s" });
        write!(
            formatter,
            "opened: {gates} gate{gate}; released: {pods} pod{pod}"
        )
    }
}

/// What was done, as a sentence.
pub fn summary(opened: Option<Opened>) -> String {
    opened.map_or_else(
        || "a reconciler is running; nothing was opened".to_owned(),
        |opened| format!("no reconciler is running; {opened}"),
    )
}

/// Sees to it that nothing waits for a reconciler which is not there for a while. Gates of the first tier
/// are opened in any case; where the spec asks for it, all that waits is released to every cluster. Says how
/// many gates were opened and how much was released; none where a reconciler is there.
///
/// # Errors
/// Where the source cluster does not answer.
pub async fn open_if_down(
    config: &ReconcilerConfig,
    engine: &dyn Engine,
    namespace: &str,
    patience: Duration,
) -> Result<Option<Opened>, OpenError> {
    let source = connect::source().await?;
    let leases: Api<Lease> = Api::namespaced(source.clone(), namespace);
    let version = async || -> Result<_, kube::Error> {
        let lease = leases.get_opt(LEASE).await?;
        Ok(lease.and_then(|lease| lease.resource_version()))
    };
    let before = version().await?;
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
        if version().await? != before {
            return Ok(None);
        }
    }
    let mut opened = Opened::default();
    let first = config
        .clusters
        .iter()
        .filter(|cluster| config.tier(cluster) == 0 && !cluster.drain);
    for cluster in first {
        opened.gates += usize::from(open_gate(&source, engine, cluster).await?);
    }
    if config.when_down == WhenReconcilerDown::Hold {
        return Ok(Some(opened));
    }
    let demands = demands(&source, engine, config).await?;
    let now = Timestamp::now();
    for demand in demands.iter().filter(|demand| demand.waits()) {
        let clusters: Vec<_> = config
            .clusters
            .iter()
            .filter(|cluster| may_be_opened(cluster, demand, config))
            .collect();
        if clusters.is_empty() {
            continue;
        }
        let change = engine.admit(demand, &clusters, None, now);
        match act::make(&source, &change).await {
            Ok(_) => opened.pods += 1,
            Err(error) => tracing::warn!(pod = demand.name, %error, "not released"),
        }
    }
    Ok(Some(opened))
}

fn may_be_opened(cluster: &Cluster, demand: &Demand, config: &ReconcilerConfig) -> bool {
    config.tier(cluster) > 0
        && !cluster.drain
        && demand.requirements.may_run_in(&cluster.name)
        && !demand.released.contains_key(&cluster.name)
}

/// Opens the gate of a cluster, and says whether it was closed.
async fn open_gate(
    source: &Client,
    engine: &dyn Engine,
    cluster: &Cluster,
) -> Result<bool, kube::Error> {
    match engine.set_gate(cluster, Gate::Open) {
        Some(change) => act::make(source, &change).await,
        None => Ok(false),
    }
}

/// What waits or runs in the source cluster, once.
async fn demands(
    source: &Client,
    engine: &dyn Engine,
    config: &ReconcilerConfig,
) -> Result<Vec<Demand>, kube::Error> {
    let mut demands = Vec::new();
    for watch in engine.watches(config, config.source()) {
        if watch.makes_demands() {
            let facts = watch.list(source.clone()).await?;
            demands.extend(facts.into_iter().filter_map(|fact| match fact {
                Fact::Demand(_, demand) => Some(*demand),
                _ => None,
            }));
        }
    }
    Ok(demands)
}
