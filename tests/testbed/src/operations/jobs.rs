//! The jobs of a cloud, as a person sees them.

use super::{SOON, SOURCE, Site};
use crate::apply::manifests;
use crate::hybrid::is_ready;
use crate::scenario::copy;
use crate::wait_for;
use anyhow::{Context, Result};
use hcb_compile::providers::scheduling::admiralty::virtual_node_name;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, PostParams};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is seen of jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jobs {
    /// Those that are done.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that run, by the cluster.
    pub running: BTreeMap<String, usize>,
    /// Those that wait.
    pub waiting: usize,
}

impl Site {
    /// Waits until the virtual nodes of these clusters are ready.
    ///
    /// # Errors
    /// Where that takes too long.
    pub async fn wait_for_nodes(&mut self, clusters: &[&str]) -> Result<()> {
        wait_for("the virtual nodes", SOON, async || {
            self.work().await?;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let nodes = self.source().nodes().await?;
            let ready: BTreeSet<_> = nodes
                .iter()
                .filter(|node| is_ready(node))
                .filter_map(|node| node.metadata.name.clone())
                .collect();
            Ok(clusters
                .iter()
                .all(|cluster| ready.contains(&virtual_node_name(cluster))))
        })
        .await
    }

    /// Creates jobs of the workload in the spec, each of which runs so long.
    ///
    /// # Errors
    /// Where the API server refuses one.
    pub async fn submit(&self, prefix: &str, count: usize, run_for: Duration) -> Result<()> {
        let tree = self.testbed.folder().join("tree/generated/clusters");
        let template = manifests(&tree.join(SOURCE))?
            .into_iter()
            .find(|(_, object)| object["kind"] == "Job")
            .context("a Job in the tree")?
            .1;
        let namespace = template["metadata"]["namespace"]
            .as_str()
            .context("a namespace")?;
        let api: Api<Job> = Api::namespaced(self.source().client.clone(), namespace);
        for number in 0..count {
            let job = copy(&template, &format!("{prefix}-{number}"), run_for);
            api.create(&PostParams::default(), &serde_json::from_value(job)?)
                .await?;
        }
        Ok(())
    }

    /// What is seen of the jobs with a prefix.
    ///
    /// # Errors
    /// Where the source cluster does not answer.
    pub async fn jobs(&self, prefix: &str) -> Result<Jobs> {
        let api: Api<Job> = Api::all(self.source().client.clone());
        let mut seen = Jobs::default();
        let mut open = BTreeSet::new();
        for job in api.list(&ListParams::default()).await?.items {
            let name = job.metadata.name.unwrap_or_default();
            if !name.starts_with(prefix) {
                continue;
            }
            let status = job.status.unwrap_or_default();
            seen.failed += usize::from(status.failed.unwrap_or_default() > 0);
            if status.completion_time.is_some() {
                seen.done += 1;
            } else {
                open.insert(name);
            }
        }
        for pod in self.source().pods().await? {
            let Some(job) = job_of(&pod).filter(|job| open.contains(*job)) else {
                continue;
            };
            let is_over = pod.metadata.deletion_timestamp.is_some()
                || pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Succeeded");
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            let placed = self
                .testbed
                .clusters
                .iter()
                .find(|cluster| Some(virtual_node_name(&cluster.name).as_str()) == node);
            if let Some(cluster) = placed.filter(|_| !is_over) {
                *seen.running.entry(cluster.name.clone()).or_default() += 1;
                open.remove(job);
            }
        }
        seen.waiting = open.len();
        Ok(seen)
    }

    /// Where the pods of the jobs with a prefix were placed, done or not: how many in which cluster.
    ///
    /// # Errors
    /// Where the source cluster does not answer.
    pub async fn placed(&self, prefix: &str) -> Result<BTreeMap<String, usize>> {
        let mut placed = BTreeMap::new();
        for pod in self.source().pods().await? {
            if !job_of(&pod).is_some_and(|job| job.starts_with(prefix)) {
                continue;
            }
            let node = pod.spec.and_then(|spec| spec.node_name);
            let clusters = self.testbed.clusters.iter();
            let mut names = clusters.map(|cluster| &cluster.name);
            if let Some(name) = names.find(|name| Some(virtual_node_name(name)) == node) {
                *placed.entry(name.clone()).or_default() += 1;
            }
        }
        Ok(placed)
    }

    /// Waits until the jobs with a prefix are as `expected` says.
    ///
    /// # Errors
    /// Where they do not become so, with what they are.
    pub async fn wait_for_jobs(
        &self,
        prefix: &str,
        most: Duration,
        expected: impl Fn(&Jobs) -> bool,
    ) -> Result<Jobs> {
        let mut last = Jobs::default();
        let result = wait_for(prefix, most, async || {
            self.restart_what_ended()?;
            last = self.jobs(prefix).await?;
            Ok(expected(&last))
        })
        .await;
        result.with_context(|| format!("{prefix}: {last:?}"))?;
        Ok(last)
    }
}

fn job_of(pod: &Pod) -> Option<&str> {
    let owner = pod.metadata.owner_references.as_ref()?.first()?;
    (owner.kind == "Job").then_some(owner.name.as_str())
}
