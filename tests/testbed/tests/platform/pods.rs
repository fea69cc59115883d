//! Plays the kubelet: runs pods and serves their logs.

use super::{NAMESPACE, SOON};
use anyhow::{Context, Result};
use hcb_testbed::cluster::POD_LOGS;
use hcb_testbed::container;
use hcb_testbed::hybrid::Hybrid;
use hcb_testbed::{Cluster, python, wait_for};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A pod that waits, is let go and gets a node that is bought.
const PLACED: Duration = Duration::from_secs(180);

/// Writes a line as a container runtime logs it.
pub(super) fn write_log(cluster: &Cluster, line: &str) -> Result<()> {
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(cluster.file(POD_LOGS))?;
    let now = jiff::Timestamp::now();
    writeln!(file, "{now:.9} stdout F {line}")?;
    Ok(())
}

pub(super) async fn wait_for_job(source: &Cluster) -> Result<Job> {
    let jobs: Api<Job> = Api::namespaced(source.client.clone(), NAMESPACE);
    let mut found = None;
    wait_for("the Job", SOON, async || {
        found = jobs
            .list(&ListParams::default())
            .await?
            .items
            .into_iter()
            .next();
        Ok(found.is_some())
    })
    .await?;
    found.context("the Job")
}

/// A pod in the cluster that it was placed in.
pub(super) struct Placed {
    pub(super) cluster: String,
    pub(super) pod: Pod,
}

/// Waits for the pod of a job that runs, in a target cluster, after another one.
pub(super) async fn wait_for_pod(
    hybrid: &Hybrid,
    job: &str,
    after: Option<&Pod>,
) -> Result<Placed> {
    let mut found = None;
    wait_for(&format!("a pod of {job} that runs"), PLACED, async || {
        for cluster in &hybrid.testbed.clusters {
            let runs = |pod: &Pod| {
                let is_delegate = pod
                    .labels()
                    .contains_key("multicluster.admiralty.io/parent-uid");
                let is_running = pod
                    .status
                    .as_ref()
                    .is_some_and(|status| status.phase.as_deref() == Some("Running"));
                let is_other = after.is_none_or(|after| after.uid() != pod.uid());
                is_delegate && is_running && is_other && pod.name_any().starts_with(job)
            };
            let pods = cluster.pods().await?;
            if let Some(pod) = pods.into_iter().find(runs) {
                found = Some(Placed {
                    cluster: cluster.name.clone(),
                    pod,
                });
                return Ok(true);
            }
        }
        Ok(false)
    })
    .await?;
    found.context("a pod")
}

impl Placed {
    /// Runs what its kubelet would.
    pub(super) async fn start(&self, hybrid: &Hybrid, python: &Path) -> Result<Child> {
        let environment =
            container::environment(hybrid.testbed.cluster(&self.cluster), &self.pod).await?;
        let folder = python.parent().context("a folder")?;
        let path = format!("{}:/usr/bin:/bin", folder.display());
        let mut command = container::command(&self.pod, &environment, &python::program(), &path)?;
        Ok(command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?)
    }
}
