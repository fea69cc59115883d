//! What cannot wait for a decision: stale refusals, which an engine takes for fresh ones.
//!
//! A candidate that was refused when it was first tried may still say so when a place is reserved for it later. When
//! a node comes, the source's scheduler looks at the pods that wait for one within a tenth of a second. What still
//! looks refused then is tried again two seconds later, so this is done as the fact is seen, beside all else. The
//! last decision says for which candidates not: an earlier tier has room for those.

use super::act;
use super::connect;
use super::serve::Shared;
use crate::core::decision::Candidate;
use crate::core::facts::Fact;
use crate::engine::Engine;
use hcb_api::config::ReconcilerConfig;
use kube::Client;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often what is still to be done is begun again.
const AGAIN: Duration = Duration::from_secs(2);

/// Hands facts on as they come, and takes stale refusals off on the way.
pub(super) struct Unsticker {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) config: Arc<ReconcilerConfig>,
    /// The client of the source cluster.
    pub(super) source: Client,
    pub(super) shared: Arc<Shared>,
    /// Candidates that were recalled; none where this replica does not lead, or has decided nothing yet.
    pub(super) recalled: watch::Receiver<Option<BTreeSet<Candidate>>>,
}

impl Unsticker {
    /// Goes on until nobody sends facts or takes them.
    pub(super) async fn pass_on(mut self, mut facts: Receiver<Fact>, onward: Sender<Fact>) {
        let mut clients = BTreeMap::from([(self.config.source(), self.source.clone())]);
        let mut open: BTreeSet<Candidate> = BTreeSet::new();
        let mut begun: BTreeSet<Candidate> = BTreeSet::new();
        let mut works: JoinSet<(Candidate, bool)> = JoinSet::new();
        let mut again = tokio::time::interval(AGAIN);
        loop {
            let mut begin: Vec<Candidate> = tokio::select! {
                fact = facts.recv() => {
                    let Some(fact) = fact else {
                        return;
                    };
                    let seen = stale(&fact);
                    if onward.send(fact).await.is_err() {
                        return;
                    }
                    match seen {
                        Some((candidate, true)) => {
                            let is_new = open.insert(candidate.clone());
                            is_new.then_some(candidate).into_iter().collect()
                        }
                        Some((candidate, false)) => {
                            open.remove(&candidate);
                            continue;
                        }
                        None => continue,
                    }
                }
                Some(done) = works.join_next() => {
                    let Ok((candidate, is_done)) = done else {
                        continue;
                    };
                    begun.remove(&candidate);
                    // What failed stays open. A new client reads the credentials anew.
                    if !is_done && candidate.0 != self.config.source() {
                        clients.remove(&candidate.0);
                    }
                    continue;
                }
                changed = self.recalled.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    open.iter().cloned().collect()
                }
                _ = again.tick() => open.iter().cloned().collect(),
            };
            begin.retain(|candidate| {
                let recalled = self.recalled.borrow_and_update();
                let is_recalled = recalled.as_ref().is_none_or(|all| all.contains(candidate));
                !is_recalled && !begun.contains(candidate)
            });
            for candidate in begin {
                if let Some(client) = self.client(&mut clients, candidate.0).await {
                    begun.insert(candidate.clone());
                    let (engine, shared) = (Arc::clone(&self.engine), Arc::clone(&self.shared));
                    works.spawn(unstick(engine, client, shared, candidate));
                }
            }
        }
    }

    async fn client(
        &self,
        clients: &mut BTreeMap<usize, Client>,
        cluster: usize,
    ) -> Option<Client> {
        if let Some(client) = clients.get(&cluster) {
            return Some(client.clone());
        }
        let path = self.config.clusters[cluster].kubeconfig.as_ref()?;
        match connect::target(path).await {
            Ok(client) => Some(clients.entry(cluster).or_insert(client).clone()),
            Err(error) => {
                tracing::warn!(%error, "a cluster cannot be reached");
                None
            }
        }
    }
}

/// The candidate that a place is reserved for, and whether it still says that it was refused.
fn stale(fact: &Fact) -> Option<(Candidate, bool)> {
    let Fact::Reservation {
        cluster,
        key,
        is_reserved,
        is_stale,
    } = fact
    else {
        return None;
    };
    Some(((*cluster, key.clone()), *is_reserved && *is_stale))
}

/// Takes the stale refusal off one candidate, and says whether that went well.
async fn unstick(
    engine: Arc<dyn Engine>,
    client: Client,
    shared: Arc<Shared>,
    candidate: Candidate,
) -> (Candidate, bool) {
    let key = &candidate.1;
    let work = async {
        for change in engine.unstick(key) {
            act::make(&client, &change).await?;
        }
        Ok(())
    };
    let done = act::tried(&shared.metrics, "forget-failure", &key.1, work).await;
    (candidate, done.is_ok())
}
