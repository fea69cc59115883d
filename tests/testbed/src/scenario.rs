//! What happens in an experiment, and when.

use crate::cluster::{API_SERVER, Cluster};
use crate::deployment;
use crate::hybrid::{Hybrid, RECONCILER, Setup};
use crate::process::Process;
use anyhow::{Context, Result};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, PostParams};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The annotation that says how long a pod of the testbed runs.
pub(crate) const RUNS_FOR: &str = "testbed.hcb.dev/runs-for";

/// Something that happens.
#[derive(Debug, Clone)]
pub enum Act {
    /// Jobs of a workload are created, one every `every`.
    Jobs {
        /// The workload in the spec.
        workload: &'static str,
        /// How many.
        count: u32,
        /// The time between two.
        every: Duration,
        /// How long each runs once it has started.
        run_for: Duration,
    },
    /// Pods that are none of hcb's business take room in a cluster.
    OtherPods {
        /// The cluster.
        cluster: &'static str,
        /// How many.
        count: u32,
        /// CPUs of each.
        cpu: u32,
        /// How long they run.
        run_for: Duration,
    },
    /// A node breaks, and its pods with it.
    LoseNode {
        /// The cluster.
        cluster: &'static str,
        /// The node.
        node: &'static str,
    },
    /// The replica of the reconciler that leads is killed, where there is one, and comes back later.
    LoseLeader {
        /// When it comes back.
        back_after: Duration,
    },
    /// The API server of a cluster is killed, and comes back later.
    LoseServer {
        /// The cluster.
        cluster: &'static str,
        /// When it comes back.
        back_after: Duration,
    },
    /// A cluster is to be drained: the reconcilers find it in their configuration, as after a merged pull
    /// request.
    Drain {
        /// The cluster.
        cluster: &'static str,
    },
    /// Nobody hears from the API server of a cluster for a while; what it was told waits.
    Silence {
        /// The cluster.
        cluster: &'static str,
        /// How long.
        lasts: Duration,
    },
}

/// An experiment: a spec, and what happens on it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The folder with its spec; the plain one where there is none of this name.
    pub spec: &'static str,
    /// What it shows, in one sentence.
    pub title: &'static str,
    /// What happens, each with the time after the start.
    pub acts: Vec<(Duration, Act)>,
    /// From a node's being bought to its being there.
    pub node_delay: Duration,
    /// When the experiment ends, even if jobs still wait.
    pub most: Duration,
}

impl Scenario {
    /// How many jobs it creates.
    pub fn jobs(&self) -> u32 {
        let counts = self.acts.iter().map(|(_, act)| {
            if let Act::Jobs { count, .. } = act {
                *count
            } else {
                0
            }
        });
        counts.sum()
    }

    /// Plays it, until every job is done, nothing changes for `patience`, or it has taken the most.
    ///
    /// # Errors
    /// Where the API server refuses something.
    pub async fn play(&self, hybrid: &Hybrid, patience: Duration) -> Result<()> {
        let start = Instant::now();
        let mut acts: Vec<_> = self.acts.iter().collect();
        acts.sort_by_key(|(at, _)| *at);
        let mut number = 0;
        for (at, act) in acts {
            tokio::time::sleep_until((start + *at).into()).await;
            act.play(hybrid, &mut number).await?;
        }
        let jobs: Api<Job> = Api::all(hybrid.source().client.clone());
        let (mut last, mut since) = ((0, 0), Instant::now());
        while start.elapsed() < self.most {
            let all = jobs.list(&ListParams::default()).await?.items;
            let is_done = |job: &&Job| {
                job.status.as_ref().is_some_and(|status| {
                    status.completion_time.is_some() || status.failed.unwrap_or_default() > 0
                })
            };
            let done = all.iter().filter(is_done).count();
            let pods: Vec<Pod> = hybrid.source().pods().await?;
            let running = pods
                .iter()
                .filter(|pod| {
                    pod.spec
                        .as_ref()
                        .is_some_and(|spec| spec.node_name.is_some())
                })
                .count();
            if done == all.len() {
                break;
            }
            if last != (done, running) {
                (last, since) = ((done, running), Instant::now());
            } else if since.elapsed() > patience {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Ok(())
    }
}

impl Act {
    /// Does it. `number` counts what it makes.
    ///
    /// # Errors
    /// Where the API server refuses something.
    pub async fn play(&self, hybrid: &Hybrid, number: &mut u32) -> Result<()> {
        match self {
            Self::Jobs {
                workload,
                count,
                every,
                run_for,
            } => {
                let start = Instant::now();
                let template = hybrid.jobs.iter().find(|(name, _)| name == workload);
                let (_, template) =
                    template.with_context(|| format!("the tree has no Job of {workload}"))?;
                let namespace = template["metadata"]["namespace"]
                    .as_str()
                    .context("a namespace")?;
                let api: Api<Job> = Api::namespaced(hybrid.source().client.clone(), namespace);
                for index in 0..*count {
                    tokio::time::sleep_until((start + *every * index).into()).await;
                    *number += 1;
                    let job = copy(template, &format!("{workload}-{number:04}"), *run_for);
                    api.create(&PostParams::default(), &serde_json::from_value(job)?)
                        .await?;
                }
            }
            Self::OtherPods {
                cluster,
                count,
                cpu,
                run_for,
            } => {
                let cluster = hybrid.testbed.cluster(cluster);
                cluster.create_namespace("others", &[]).await?;
                let api: Api<Pod> = Api::namespaced(cluster.client.clone(), "others");
                // The default account appears a moment after its namespace.
                let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> =
                    Api::namespaced(cluster.client.clone(), "others");
                crate::wait_for("the default account", Duration::from_secs(30), async || {
                    Ok(accounts.get_opt("default").await?.is_some())
                })
                .await?;
                for _ in 0..*count {
                    *number += 1;
                    let pod = json!({
                        "metadata": {"name": format!("other-{number:04}"), "annotations": {RUNS_FOR: seconds(*run_for)}},
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "other", "resources": {"requests": {"cpu": cpu.to_string(), "memory": "128Mi"}}}]},
                    });
                    api.create(&PostParams::default(), &serde_json::from_value(pod)?)
                        .await?;
                }
            }
            Self::LoseNode { cluster, node } => {
                hybrid.testbed.cluster(cluster).lose_node(node).await?;
            }
            Self::LoseLeader { back_after } => {
                if hybrid.setup == Setup::Reconciled {
                    let leader = hybrid.leader().await?.context("nobody leads")?;
                    crash(hybrid.source(), &leader, *back_after).await?;
                }
            }
            Self::LoseServer {
                cluster,
                back_after,
            } => {
                let cluster = hybrid.testbed.cluster(cluster);
                crash(cluster, API_SERVER, *back_after).await?;
                cluster.wait_until_ready().await?;
            }
            Self::Drain { cluster } => drain(hybrid, cluster)?,
            Self::Silence { cluster, lasts } => {
                let cluster = hybrid.testbed.cluster(cluster);
                cluster.with_process(API_SERVER, |server| server.signal("STOP"))?;
                tokio::time::sleep(*lasts).await;
                cluster.with_process(API_SERVER, |server| server.signal("CONT"))?;
            }
        }
        Ok(())
    }
}

/// Has every replica of the reconciler read that a cluster is drained.
fn drain(hybrid: &Hybrid, cluster: &str) -> Result<()> {
    let files = |process: &Process| deployment::mounted(&process.program);
    let replicas = hybrid.source().processes();
    let replicas = replicas
        .iter()
        .filter(|process| process.program.name.starts_with(RECONCILER));
    let is_configuration = |file: &PathBuf| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    };
    for file in replicas.flat_map(files).filter(is_configuration) {
        let mut config: Value = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
        let clusters = config["clusters"].as_array_mut();
        let mut clusters = clusters.context("clusters")?.iter_mut();
        let found = clusters.find(|one| one["name"] == cluster);
        found.with_context(|| format!("no cluster {cluster}"))?["drain"] = true.into();
        fs::write(&file, config.to_string())?;
    }
    Ok(())
}

/// Kills a process and starts it again later.
async fn crash(cluster: &Cluster, name: &str, back_after: Duration) -> Result<()> {
    cluster.with_process(name, |process| {
        process.kill();
        Ok(())
    })?;
    tokio::time::sleep(back_after).await;
    cluster.with_process(name, Process::resume)
}

/// A Job of its own like one of the tree's.
pub fn copy(template: &Value, name: &str, run_for: Duration) -> Value {
    let mut job = template.clone();
    job["metadata"]["name"] = name.into();
    job["spec"]["template"]["metadata"]["annotations"][RUNS_FOR] = seconds(run_for).into();
    job
}

fn seconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
