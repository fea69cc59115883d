//! The shell around [`decide`](super::decide()): sees, decides, does, many times a second if need be.

use super::GATE;
use super::config::Config;
use super::decide::{Memory, Outcome, Release, Wake, decide};
use super::watch::{Known, start};
use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc::channel;

/// The annotation that says when and why a pod was released.
const RELEASED: &str = "hcb.dev/released";
/// The annotation that says when the scheduler was told to look at the pod again.
const WOKEN: &str = "hcb.dev/woken";
/// What comes within this is seen together.
const SETTLE: Duration = Duration::from_millis(20);
/// A decision is made at least this often.
const AT_LEAST_EVERY: Duration = Duration::from_secs(1);

/// How a reconciler runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only say what would be done.
    pub dry_run: bool,
}

/// Runs until it is told to stop.
///
/// # Errors
/// Where a cluster of the configuration has a kubeconfig that cannot be read.
pub async fn run(config: Config, options: Options) -> Result<()> {
    let (changes, mut changed) = channel(1024);
    let mut clients = Vec::new();
    for (index, cluster) in config.clusters.iter().enumerate() {
        let client = match &cluster.kubeconfig {
            None => kube::Client::try_default()
                .await
                .context("the API server of the source cluster")?,
            Some(path) => client(path).await.with_context(|| {
                format!("the kubeconfig of `{}`, {}", cluster.name, path.display())
            })?,
        };
        start(index, &client, &changes);
        clients.push(client);
    }
    let mut known = Known::new(&config);
    let source = clients[known.source()].clone();
    let mut memory = Memory::default();
    let mut said = BTreeMap::new();
    let mut pause = AT_LEAST_EVERY;
    loop {
        let change = tokio::select! {
            change = changed.recv() => change,
            () = tokio::time::sleep(pause) => None,
            result = tokio::signal::ctrl_c() => return Ok(result?),
        };
        let now = Timestamp::now();
        if let Some(change) = change {
            known.take(change, now);
            let settled = tokio::time::Instant::now() + SETTLE;
            while let Ok(Some(change)) = tokio::time::timeout_at(settled, changed.recv()).await {
                known.take(change, now);
            }
        }
        if !known.is_ready() {
            continue;
        }
        let now = Timestamp::now();
        let observation = known.observation(now);
        let decision = decide(&observation, &config, &memory, now);
        let until = decision.look_again.map(|time| now.duration_until(time));
        let until = until.and_then(|until| Duration::try_from(until).ok());
        pause = until.map_or(AT_LEAST_EVERY, |until| until.min(AT_LEAST_EVERY));
        for verdict in &decision.verdicts {
            let pod = &observation.pods[verdict.pod];
            if said.get(&pod.uid) != Some(&verdict.outcome) {
                tracing::info!(namespace = pod.namespace, pod = pod.name, outcome = %described(&verdict.outcome), "decided");
                said.insert(pod.uid.clone(), verdict.outcome.clone());
            }
        }
        let pods = observation.pods.iter();
        let waiting: HashSet<_> = pods.filter(|pod| pod.waits()).map(|pod| &pod.uid).collect();
        said.retain(|uid, _| waiting.contains(uid));
        for (cluster, namespace, name) in known.outdated() {
            if !options.dry_run {
                match forget_failure(&clients[cluster], &namespace, &name).await {
                    Ok(()) => {}
                    Err(error) => tracing::warn!(pod = name, %error, "its old condition stays"),
                }
            }
        }
        memory.see_kept(&observation, now);
        for wake in decision.wakes.iter().filter(|_| !options.dry_run) {
            match wake_up(&source, wake, now).await {
                Ok(()) => drop(memory.kept_since.insert(wake.uid.clone(), (now, true))),
                Err(error) => tracing::warn!(pod = wake.name, %error, "not woken"),
            }
        }
        for release in &decision.releases {
            if options.dry_run {
                continue;
            }
            match patch(&source, release, now).await {
                Ok(()) => {
                    known.released(&release.uid, &release.cluster);
                    memory
                        .released_at
                        .insert((release.uid.clone(), release.cluster.clone()), now);
                }
                // The pod is gone or changed: the next decision sees it as it is.
                Err(error) => {
                    tracing::warn!(pod = release.name, cluster = release.cluster, %error, "not released");
                }
            }
        }
        let there: HashSet<_> = observation.pods.iter().map(|pod| &pod.uid).collect();
        memory.released_at.retain(|(uid, _), _| there.contains(uid));
    }
}

/// Writes a note on a pod, which makes the scheduler look at it again.
async fn wake_up(source: &kube::Client, wake: &Wake, now: Timestamp) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(source.clone(), &wake.namespace);
    let note = json!({WOKEN: format!("{now:.3}")});
    let patch = json!({"metadata": {"uid": wake.uid, "annotations": note}});
    pods.patch(&wake.name, &PatchParams::default(), &Patch::Merge(patch))
        .await
        .map(drop)
}

/// Takes off the condition that a candidate did not fit when it was first tried. Its scheduler keeps a
/// place for it by now but leaves the condition until it is bound; and Admiralty, which binds it, takes
/// the condition for a refusal and would only do so after a time-out of half a minute.
async fn forget_failure(
    client: &kube::Client,
    namespace: &str,
    name: &str,
) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"status": {"conditions": [{"type": "PodScheduled", "$patch": "delete"}]}});
    pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch))
        .await
        .map(drop)
}

/// Lets a pod pass the gate of a cluster, unless somebody changed the pod since it was decided: another
/// reconciler may have let it through another gate.
async fn patch(
    source: &kube::Client,
    release: &Release,
    now: Timestamp,
) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::namespaced(source.clone(), &release.namespace);
    let toleration =
        json!({"key": GATE, "operator": "Equal", "value": release.cluster, "effect": "NoSchedule"});
    let annotation = RELEASED.replace('/', "~1");
    let patch: json_patch::Patch = serde_json::from_value(json!([
        {"op": "test", "path": "/metadata/resourceVersion", "value": release.version},
        {"op": "add", "path": "/spec/tolerations/-", "value": toleration},
        {"op": "add", "path": format!("/metadata/annotations/{annotation}"), "value": format!("{} at {now:.3}", release.cluster)},
    ]))
    .map_err(kube::Error::SerdeError)?;
    pods.patch(
        &release.name,
        &PatchParams::default(),
        &Patch::<()>::Json(patch),
    )
    .await
    .map(drop)
}

async fn client(path: &Path) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// An outcome in words.
pub fn described(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Kept(cluster) => format!("goes to {cluster}, which keeps a place for it"),
        Outcome::Fits(cluster) => format!("stays: {cluster} has room for it"),
        Outcome::Grows(cluster) => format!("stays: {cluster} can add a node for it"),
        Outcome::Waits(until) => format!("waits until {until:.0} before it may leave"),
        Outcome::Released(cluster) => format!("may go to {cluster}: nothing before it has room"),
        Outcome::Unseen(cluster) => format!("waits: {cluster} cannot be seen"),
        Outcome::Budget {
            cluster,
            hourly_cost,
        } => format!(
            "waits: a node more in {cluster} would make {hourly_cost:.2} an hour, over the budget"
        ),
        Outcome::NoRoom => {
            "waits: no cluster that it may run in has room, or can make any".to_owned()
        }
    }
}
