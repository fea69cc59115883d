//! Following a job: what becomes of it, as it happens, with its logs.

use super::access::{Access, span, time};
use super::output::OutputStyle;
use super::show;
use super::source_cluster::{StatusReader, find_job, virtual_nodes};
use crate::jobs::{State, cluster_of, placed_at, state};
use anyhow::Context;
use futures::{AsyncBufReadExt, TryStreamExt};
use hcb_api::explanation::{DECISION, Explanation};
use hcb_api::labels::{JOB_NAME, PARENT_UID};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use kube::{Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_secs(1);
/// How long the end of a log is waited for once its pod is over.
const LAST_LINES: Duration = Duration::from_secs(5);
/// How long the source cluster may take to find a log where its target can be asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which logs are read.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct LogAccess {
    /// A context of the kubeconfig for a target cluster, whose API server is asked for logs where the
    /// source's cannot serve them. May be given several times.
    #[arg(long = "target", value_name = "CLUSTER=CONTEXT")]
    targets: Vec<String>,
}

impl LogAccess {
    fn context_of(&self, cluster: &str) -> Option<String> {
        let mut pairs = self.targets.iter().filter_map(|text| text.split_once('='));
        let found = pairs.find(|(name, _)| *name == cluster);
        found.map(|(_, context)| context.to_owned())
    }

    /// Refuses what is no pair.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match self.targets.iter().find(|text| !text.contains('=')) {
            Some(text) => anyhow::bail!("`{text}` is not CLUSTER=CONTEXT"),
            None => Ok(()),
        }
    }
}

/// A job and its pods in the source cluster.
pub(super) struct FollowedJob {
    pub(super) client: Client,
    pub(super) access: Access,
    pub(super) logs: LogAccess,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) system_namespace: String,
}

/// The job and its pods at one time.
pub(super) struct JobSnapshot {
    pub(super) job: Job,
    /// The pods, the oldest first.
    pub(super) pods: Vec<Pod>,
    pub(super) clusters: BTreeMap<String, String>,
}

impl JobSnapshot {
    /// The state of the job, and why it is so where there is something to say.
    pub(super) fn state(&self) -> (State, Option<String>) {
        let pods: Vec<_> = self.pods.iter().collect();
        state(&self.job, &pods)
    }
}

impl FollowedJob {
    /// Connects, and finds the namespace where none is named.
    pub(super) async fn find(
        access: &Access,
        logs: &LogAccess,
        job: &str,
        namespace: Option<&str>,
        system_namespace: &str,
    ) -> anyhow::Result<Self> {
        logs.check()?;
        let client = access.client().await?;
        let namespace = match namespace {
            Some(namespace) => namespace.to_owned(),
            None => find_job(&client, job).await?,
        };
        Ok(Self {
            client,
            access: access.clone(),
            logs: logs.clone(),
            namespace,
            name: job.to_owned(),
            system_namespace: system_namespace.to_owned(),
        })
    }

    /// Connects, and reads a job whose logs nobody asks for.
    pub(super) async fn find_with_snapshot(
        access: &Access,
        job: &str,
        namespace: Option<&str>,
    ) -> anyhow::Result<(Self, JobSnapshot, State)> {
        let watched = Self::find(access, &LogAccess::default(), job, namespace, "").await?;
        let seen = watched.snapshot().await?;
        let state = seen.state().0;
        Ok((watched, seen, state))
    }

    /// The job and its pods as they are now.
    pub(super) async fn snapshot(&self) -> anyhow::Result<JobSnapshot> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), &self.namespace);
        let job = jobs
            .get(&self.name)
            .await
            .with_context(|| format!("the Job {} in {}", self.name, self.namespace))?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut pods = pods
            .list(&ListParams::default().labels(&format!("{JOB_NAME}={}", self.name)))
            .await?
            .items;
        pods.sort_by_key(|pod| (pod.creation_timestamp(), pod.name_any()));
        Ok(JobSnapshot {
            job,
            pods,
            clusters: virtual_nodes(&self.client).await,
        })
    }

    /// Says what becomes of the job, and prints what its pods print, until it is over.
    pub(super) async fn follow(&self, style: OutputStyle) -> anyhow::Result<JobSnapshot> {
        let mut told = BTreeSet::new();
        let mut waits = String::new();
        let mut logs: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
        let mut over: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            let seen = match self.snapshot().await {
                Ok(seen) => seen,
                // It goes on without being looked at.
                Err(error) if is_passing(&error) => {
                    if told.insert("lost".to_owned()) {
                        show::say(&format!(
                            "the API server does not answer; the job goes on: {error:#}"
                        ));
                    }
                    tokio::time::sleep(EVERY).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            told.remove("lost");
            let (state, reason) = seen.state();
            for pod in &seen.pods {
                self.report(pod, &seen, &mut told, &mut waits).await;
                let phase = pod
                    .status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref());
                let is_over = matches!(phase, Some("Succeeded" | "Failed"));
                let name = pod.name_any();
                if (is_over || phase == Some("Running"))
                    && style.format == super::output::Format::Text
                {
                    let log = logs
                        .entry(name.clone())
                        .or_insert_with(|| self.stream(pod, cluster_of(pod, &seen.clusters), true));
                    // Its kubelet may be gone, and never end the log; the next pod's lines come after.
                    if is_over
                        && over.entry(name).or_insert_with(Instant::now).elapsed() > LAST_LINES
                    {
                        log.abort();
                    }
                }
            }
            if state.is_final() {
                for (_, log) in logs {
                    let _ = tokio::time::timeout(LAST_LINES, log).await;
                }
                let now = Timestamp::now();
                let created = seen.job.creation_timestamp().map_or(now, |time| time.0);
                let reason = reason
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default();
                show::say(&format!(
                    "{} {}, {} after it was created{reason}",
                    self.name,
                    state.word(),
                    span(created, now)
                ));
                return Ok(seen);
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Says what is new of a pod.
    async fn report(
        &self,
        pod: &Pod,
        seen: &JobSnapshot,
        told: &mut BTreeSet<String>,
        waits: &mut String,
    ) {
        let now = Timestamp::now();
        let name = pod.name_any();
        let mut once = |what: &str, text: &dyn Fn() -> String| {
            if told.insert(format!("{name} {what}")) {
                show::say(&text());
            }
        };
        let at = |text: &str| format!("{} UTC  {name} {text}", time(now, now));
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        let Some(cluster) = cluster_of(pod, &seen.clusters) else {
            once("waits", &|| at("is queued"));
            let reader = StatusReader::new(&self.client, &self.system_namespace);
            if let Some(why) = reader.explanation(&self.namespace, &name).await
                && *waits != why.why
            {
                show::say(&format!("{} UTC  {name} {}", time(now, now), why.why));
                waits.clone_from(&why.why);
            }
            return;
        };
        once("placed", &|| {
            let created = pod.creation_timestamp().map_or(now, |time| time.0);
            let placed = placed_at(pod).unwrap_or(now);
            let why = pod
                .annotations()
                .get(DECISION)
                .and_then(|text| serde_json::from_str::<Explanation>(text).ok());
            let why = why.map_or_else(
                || "it never left the first tier, which had room".to_owned(),
                |why| because(&why),
            );
            at(&format!(
                "was placed in {cluster} after {}: {why}",
                span(created, placed)
            ))
        });
        match phase {
            Some("Running") => once("runs", &|| at(&format!("runs in {cluster}"))),
            Some("Failed") => once("failed", &|| {
                let status = pod.status.as_ref();
                let reason =
                    status.and_then(|status| status.reason.clone().or(status.message.clone()));
                let reason = reason.map(|reason| format!(": {reason}"));
                at(&match disruption(pod) {
                    Some(why) => format!("was evicted from {cluster} ({why})"),
                    None => format!("failed{}", reason.unwrap_or_default()),
                })
            }),
            _ => {}
        }
    }

    /// Prints what a pod prints, to stdout.
    pub(super) fn stream(
        &self,
        pod: &Pod,
        cluster: Option<String>,
        follow: bool,
    ) -> JoinHandle<()> {
        let (client, access) = (self.client.clone(), self.access.clone());
        let context = cluster
            .as_deref()
            .and_then(|cluster| self.logs.context_of(cluster));
        let (namespace, name) = (self.namespace.clone(), pod.name_any());
        let uid = pod.uid().unwrap_or_default();
        tokio::spawn(async move {
            let mut printed = 0;
            // With another way to go, one that leads nowhere is not waited for.
            let patience = context.as_ref().map(|_| PATIENCE);
            let source = print(&client, &namespace, &name, follow, patience, &mut printed).await;
            let Err(error) = source else { return };
            let error = match context {
                None => error,
                Some(context) => {
                    let target = target(&access, &context, &namespace, &uid).await;
                    let target = match target {
                        Ok((client, delegate)) => {
                            print(&client, &namespace, &delegate, follow, None, &mut printed).await
                        }
                        Err(error) => Err(error),
                    };
                    match target {
                        Ok(()) => return,
                        Err(error) => error,
                    }
                }
            };
            let cluster = cluster.unwrap_or_else(|| "CLUSTER".to_owned());
            show::say(&format!(
                "the logs of {name} cannot be read here ({error:#}); with `--target {cluster}=CONTEXT`, the API server of {cluster} is asked"
            ));
        })
    }
}

/// Why a pod was ended from outside, if it was.
fn disruption(pod: &Pod) -> Option<&str> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let disrupted = conditions
        .iter()
        .find(|condition| condition.type_ == "DisruptionTarget" && condition.status == "True");
    disrupted?.reason.as_deref()
}

/// The cluster that was chosen, of all that were considered.
fn because(why: &Explanation) -> String {
    let considered = why.clusters.iter().map(|cluster| {
        let mark = if cluster.chosen { "chosen, " } else { "" };
        format!("{}: {mark}{}", cluster.cluster, cluster.why)
    });
    format!(
        "it {} ({})",
        why.why,
        considered.collect::<Vec<_>>().join("; ")
    )
}

/// Whether the API server may answer again in a moment.
fn is_passing(error: &anyhow::Error) -> bool {
    let answered = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<kube::Error>());
    match answered {
        Some(kube::Error::Api(status)) => status.code >= 500,
        Some(_) => true,
        None => false,
    }
}

/// Prints the log of a pod, without the lines that were printed.
async fn print(
    client: &Client,
    namespace: &str,
    pod: &str,
    follow: bool,
    patience: Option<Duration>,
    printed: &mut usize,
) -> anyhow::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let parameters = LogParams {
        follow,
        container: Some("main".to_owned()),
        ..LogParams::default()
    };
    let opened = pods.log_stream(pod, &parameters);
    let log = match patience {
        Some(patience) => tokio::time::timeout(patience, opened)
            .await
            .context("the API server does not find the log")??,
        None => opened.await?,
    };
    let mut lines = log.lines();
    let mut number = 0;
    while let Some(line) = lines.try_next().await? {
        number += 1;
        if number > *printed {
            *printed = number;
            show::data(&format!("{line}\n"))?;
        }
    }
    Ok(())
}

/// The pod in a target cluster that runs for one in the source.
async fn target(
    access: &Access,
    context: &str,
    namespace: &str,
    uid: &str,
) -> anyhow::Result<(Client, String)> {
    let client = access.other(context).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let found = pods
        .list(&ListParams::default().labels(&format!("{PARENT_UID}={uid}")))
        .await?;
    let delegate = found.items.iter().find(|pod| {
        pod.spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some())
    });
    let delegate = delegate.with_context(|| format!("the context {context} has no pod for it"))?;
    Ok((client, delegate.name_any()))
}

/// The outcome of a job for the exit code.
pub(super) fn outcome(seen: &JobSnapshot) -> super::output::Outcome {
    let pods: Vec<_> = seen.pods.iter().collect();
    match state(&seen.job, &pods).0 {
        State::Failed | State::Cancelled => super::output::Outcome::Findings,
        _ => super::output::Outcome::Ok,
    }
}
