//! Follows every cluster, as long as it answers. What its watches see becomes facts.

use super::connect;
use crate::core::facts::Fact;
use crate::engine::Engine;
use hcb_api::config::ReconcilerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

/// How often a cluster is asked whether it is there.
const PING: Duration = Duration::from_secs(5);
/// How long it takes from one question to the next while a cluster does not answer.
const PING_AGAIN: Duration = Duration::from_secs(1);

/// Why a cluster does not answer.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("{0}")]
    Refused(#[from] kube::Error),
    #[error("no answer within {} s", PING.as_secs())]
    Late,
}

/// Watches one cluster until the receiver is dropped. A cluster that does not answer is connected to
/// anew once it does: a watch of before may hang without a word, and what it said last may be wrong.
pub(super) async fn follow(
    config: Arc<ReconcilerConfig>,
    engine: Arc<dyn Engine>,
    cluster: usize,
    facts: Sender<Fact>,
) {
    let name = &config.clusters[cluster].name;
    let mut is_said = false;
    while !facts.is_closed() {
        let connected = match &config.clusters[cluster].kubeconfig {
            None => connect::source().await,
            Some(path) => connect::target(path).await,
        };
        let client = match connected {
            Ok(client) => client,
            Err(error) => {
                if !std::mem::replace(&mut is_said, true) {
                    tracing::warn!(cluster = name, %error, "a cluster cannot be reached");
                }
                tokio::time::sleep(PING_AGAIN).await;
                continue;
            }
        };
        if let Err(error) = ask(&client).await {
            if !std::mem::replace(&mut is_said, true) {
                tracing::warn!(cluster = name, %error, "a cluster does not answer");
            }
            tokio::time::sleep(PING_AGAIN).await;
            continue;
        }
        if std::mem::take(&mut is_said) {
            tracing::info!(cluster = name, "a cluster answers again");
        }
        let mut watches = JoinSet::new();
        for watch in engine.watches(&config, cluster) {
            watches.spawn(watch.run(client.clone(), name.clone(), facts.clone()));
        }
        while !facts.is_closed() {
            match ask(&client).await {
                Ok(()) => drop(facts.send(Fact::Alive(cluster)).await),
                Err(error) => {
                    tracing::warn!(cluster = name, %error, "a cluster does not answer");
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

async fn ask(client: &kube::Client) -> Result<(), Silence> {
    match tokio::time::timeout(PING, client.apiserver_version()).await {
        Ok(answer) => Ok(answer.map(drop)?),
        Err(_) => Err(Silence::Late),
    }
}
