//! What cannot wait for a decision: conditions that Admiralty would take for refusals.
//!
//! A candidate that did not fit when it was first tried says so in a condition. Its scheduler leaves the
//! condition when it keeps a place for the pod later, until the pod is bound; and Admiralty, which binds it,
//! takes it for a refusal and would only do so after a time-out of half a minute. When a node comes, the
//! source's scheduler looks at the pods that wait for one within a tenth of a second. Who still looks
//! refused then is tried again two seconds later, so this is done as the fact is seen, beside all else. The
//! last decision says for whom not: an earlier tier has room for those.

use super::act::{attempt, json_patch};
use super::decision::Candidate;
use super::facts::Fact;
use super::fields::{Chaperons, Kind};
use super::run::connect;
use super::serve::Shared;
use hcb_api::config::ReconcilerConfig;
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The condition of a pod that says whether it has a place.
const CONDITION: &str = "PodScheduled";
/// How often what is still to be done is begun again.
const AGAIN: Duration = Duration::from_secs(2);

/// Hands facts on as they come, and forgets failures on the way.
pub(super) struct Forgetter {
    pub(super) config: Arc<ReconcilerConfig>,
    /// The client of the source cluster.
    pub(super) source: Client,
    pub(super) shared: Arc<Shared>,
    /// Who is held back; none where this replica does not lead, or has decided nothing yet.
    pub(super) held: watch::Receiver<Option<BTreeSet<Candidate>>>,
}

impl Forgetter {
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
                    let seen = outdated(&fact);
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
                changed = self.held.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    open.iter().cloned().collect()
                }
                _ = again.tick() => open.iter().cloned().collect(),
            };
            begin.retain(|candidate| {
                let held = self.held.borrow_and_update();
                let is_held = held.as_ref().is_none_or(|held| held.contains(candidate));
                !is_held && !begun.contains(candidate)
            });
            for candidate in begin {
                if let Some(client) = self.client(&mut clients, candidate.0).await {
                    begun.insert(candidate.clone());
                    works.spawn(forget(client, Arc::clone(&self.shared), candidate));
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
        let path = self.config.clusters[cluster].kubeconfig.clone()?;
        match connect(path).await {
            Ok(client) => Some(clients.entry(cluster).or_insert(client).clone()),
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "a cluster cannot be reached");
                None
            }
        }
    }
}

/// The candidate that a place is kept for, and whether it still says that it fits nowhere.
fn outdated(fact: &Fact) -> Option<(Candidate, bool)> {
    let Fact::Place {
        cluster,
        key,
        is_kept,
        is_outdated,
    } = fact
    else {
        return None;
    };
    Some(((*cluster, key.clone()), *is_kept && *is_outdated))
}

/// Takes the condition off one pod, and says whether that went well.
async fn forget(client: Client, shared: Arc<Shared>, candidate: Candidate) -> (Candidate, bool) {
    let key = &candidate.1;
    let work = forget_failure(&client, key);
    let done = attempt(&shared.metrics, "forget-failure", &key.1, work).await;
    (candidate, done.is_some())
}

/// The condition is the pod's, and Admiralty's agent copies it to the pod's chaperon, which the source's
/// scheduler looks at. The agent makes five requests a second and waits for one where its write met another,
/// so the chaperon's is taken off here too; after the pod's, or the agent would write it back.
/// Source: Admiralty 0.17.0, `pkg/controllers/chaperon/controller.go`.
async fn forget_failure(
    client: &Client,
    (namespace, name): &(String, String),
) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"status": {"conditions": [{"type": CONDITION, "$patch": "delete"}]}});
    let patch = Patch::Strategic(patch);
    let parameters = PatchParams::default();
    pods.patch_status(name, &parameters, &patch).await?;
    let kind = GroupVersionKind::gvk(Chaperons::GROUP, Chaperons::VERSION, Chaperons::NAME);
    let resource = ApiResource::from_gvk_with_plural(&kind, Chaperons::PLURAL);
    let chaperons: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    forget_of_chaperon(&chaperons, name).await
}

async fn forget_of_chaperon(chaperons: &Api<DynamicObject>, name: &str) -> Result<(), kube::Error> {
    // A pod that has no place has no other condition, as a rule.
    match remove(chaperons, name, 0).await {
        Err(kube::Error::Api(status)) if status.code == 422 => {}
        done => return done,
    }
    let chaperon = chaperons.get(name).await?;
    let conditions = chaperon.data["status"]["conditions"].as_array();
    let is_outdated = |condition: &Value| condition["type"] == CONDITION;
    match conditions.and_then(|all| all.iter().position(is_outdated)) {
        Some(index) => remove(chaperons, name, index).await,
        // Somebody was faster.
        None => Ok(()),
    }
}

/// Takes the condition off that stands at a place, if it does.
async fn remove(
    chaperons: &Api<DynamicObject>,
    name: &str,
    index: usize,
) -> Result<(), kube::Error> {
    let path = format!("/status/conditions/{index}");
    let operations = json!([
        {"op": "test", "path": format!("{path}/type"), "value": CONDITION},
        {"op": "remove", "path": path},
    ]);
    let patch = json_patch(operations)?;
    let parameters = PatchParams::default();
    chaperons
        .patch_status(name, &parameters, &patch)
        .await
        .map(drop)
}
