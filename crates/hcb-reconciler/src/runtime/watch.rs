//! Watches of every cluster. What they see becomes facts.

use super::facts::Fact;
use super::fields::{Chaperons, Kind, Nodes, Pods, Quotas, Reader, Seen};
use super::observation::JobPod;
use futures::StreamExt;
use futures::future::BoxFuture;
use hcb_api::config::ReconcilerConfig;
use kube::api::{Api, ListParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

/// How often a cluster is asked whether it is there.
const PING: Duration = Duration::from_secs(5);
/// How many objects a list brings at once, so that no list is in memory as a whole.
const PAGE: u32 = 500;

/// Pods that hold no room any more are not looked at.
const UNFINISHED: &str = "status.phase!=Succeeded,status.phase!=Failed";
/// How long it takes from one question to the next while a cluster does not answer.
const PING_AGAIN: Duration = Duration::from_secs(1);

/// How a cluster is reached.
pub(super) type Connect =
    Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<kube::Client>> + Send + Sync>;

/// Watches one cluster until the receiver is dropped. A cluster that does not answer is connected to
/// anew once it does: a watch of before may hang without a word, and what it said last may be wrong.
pub(super) async fn follow(
    config: Arc<ReconcilerConfig>,
    cluster: usize,
    connect: Connect,
    facts: Sender<Fact>,
) {
    let name = &config.clusters[cluster].name;
    let mut is_said = false;
    while !facts.is_closed() {
        let client = match connect().await {
            Ok(client) => client,
            Err(error) => {
                if !std::mem::replace(&mut is_said, true) {
                    tracing::warn!(cluster = name, error = %format!("{error:#}"), "a cluster cannot be reached");
                }
                tokio::time::sleep(PING_AGAIN).await;
                continue;
            }
        };
        if let Err(error) = ask(&client).await {
            if !std::mem::replace(&mut is_said, true) {
                tracing::warn!(cluster = name, error, "a cluster does not answer");
            }
            tokio::time::sleep(PING_AGAIN).await;
            continue;
        }
        if std::mem::take(&mut is_said) {
            tracing::info!(cluster = name, "a cluster answers again");
        }
        let mut watches = JoinSet::new();
        start(&config, cluster, &client, &facts, &mut watches);
        while !facts.is_closed() {
            match ask(&client).await {
                Ok(()) => drop(facts.send(Fact::Alive(cluster)).await),
                Err(error) => {
                    tracing::warn!(cluster = name, error, "a cluster does not answer");
                    is_said = true;
                    break;
                }
            }
            tokio::time::sleep(PING).await;
        }
        watches.shutdown().await;
        let _ = facts.send(Fact::Lost(cluster)).await;
    }
}

async fn ask(client: &kube::Client) -> Result<(), String> {
    match tokio::time::timeout(PING, client.apiserver_version()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PING.as_secs())),
    }
}

fn start(
    config: &ReconcilerConfig,
    cluster: usize,
    client: &kube::Client,
    facts: &Sender<Fact>,
    watches: &mut JoinSet<()>,
) {
    let reader = || reader(config, cluster);
    watches.spawn(watch::<Nodes>(client.clone(), reader(), "", facts.clone()));
    watches.spawn(watch::<Pods>(
        client.clone(),
        reader(),
        UNFINISHED,
        facts.clone(),
    ));
    watches.spawn(watch::<Chaperons>(
        client.clone(),
        reader(),
        "",
        facts.clone(),
    ));
    watches.spawn(watch::<Quotas>(client.clone(), reader(), "", facts.clone()));
}

async fn watch<K: Kind>(
    client: kube::Client,
    mut reader: Reader,
    fields: &'static str,
    facts: Sender<Fact>,
) {
    let api: Api<Seen<K>> = Api::all(client);
    let mut config = watcher::Config::default().page_size(PAGE);
    if !fields.is_empty() {
        config = config.fields(fields);
    }
    let events = watcher::watcher(api, config).default_backoff();
    tokio::pin!(events);
    while let Some(event) = events.next().await {
        let fact = match event {
            Ok(Event::Init) => {
                reader.shapes.clear();
                Some(Fact::Listing(reader.cluster, K::WATCHED))
            }
            Ok(Event::InitDone) => Some(Fact::Listed(reader.cluster, K::WATCHED)),
            Ok(Event::Apply(object) | Event::InitApply(object)) => K::seen(&mut reader, &object),
            Ok(Event::Delete(object)) => Some(K::gone(&mut reader, &object)),
            Err(error) => {
                let cluster = &reader.names[reader.cluster];
                tracing::warn!(cluster, kind = K::NAME, %error, "a watch broke; it is taken up again");
                None
            }
        };
        if let Some(fact) = fact
            && facts.send(fact).await.is_err()
        {
            return;
        }
    }
}

/// The pods of jobs in the source cluster, once.
pub(super) async fn job_pods(
    source: &kube::Client,
    config: &ReconcilerConfig,
) -> anyhow::Result<Vec<JobPod>> {
    let api: Api<Seen<Pods>> = Api::all(source.clone());
    let mut reader = reader(config, config.source());
    let listed = api.list(&ListParams::default().fields(UNFINISHED)).await?;
    let facts = listed
        .items
        .iter()
        .filter_map(|pod| Pods::seen(&mut reader, pod));
    let pods = facts.filter_map(|fact| match fact {
        Fact::Job(_, pod) => Some(*pod),
        _ => None,
    });
    Ok(pods.collect())
}

fn reader(config: &ReconcilerConfig, cluster: usize) -> Reader {
    Reader {
        cluster,
        is_source: cluster == config.source(),
        names: config
            .clusters
            .iter()
            .map(|cluster| cluster.name.clone())
            .collect(),
        virtual_nodes: config
            .clusters
            .iter()
            .map(|cluster| (cluster.virtual_node.clone(), cluster.name.clone()))
            .collect(),
        shapes: HashMap::new(),
    }
}
