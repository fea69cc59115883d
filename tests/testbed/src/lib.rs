//! A testbed of real servers on loopback: etcd, and for each cluster a kube-apiserver, its controllers
//! and scheduler, with nodes that KWOK simulates, Admiralty between the clusters and Karpenter to add
//! nodes. Tests and the experiment run what `hcb compile` wrote on it.
//!
//! Nothing of a testbed survives its test: see [`process`].

// Counts and times of an experiment are far below what a float holds exactly.
#![allow(clippy::cast_precision_loss)]

mod access;
pub mod admiralty;
pub mod apply;
pub mod argocd;
pub mod certificates;
pub mod cluster;
pub mod container;
pub mod definitions;
pub mod delivery;
pub mod deployment;
pub mod envoy;
pub mod external_secrets;
pub mod flux;
pub mod helm;
pub mod hybrid;
pub mod internet;
pub mod istiod;
pub mod judge;
pub mod karpenter;
pub mod mesh;
pub mod network;
pub mod node_stages;
pub mod operations;
pub mod ports;
pub mod procedure;
pub mod process;
pub mod proxy;
pub mod proxy_pod;
pub mod python;
pub mod record;
pub mod report;
pub mod repository;
pub mod scenario;
pub mod scenarios;
pub mod secrets;
pub mod store;
pub mod testbed;
pub mod tools;
pub mod xds;

pub use cluster::{Cluster, ClusterPlan, NodePool};
pub use testbed::Testbed;

use anyhow::{Result, bail};
use std::io::Write;
use std::time::{Duration, Instant};

/// Tells a person what takes so long.
pub fn say(text: &str) {
    // Not `eprintln`, which tests swallow unless they fail.
    let _ = writeln!(std::io::stderr(), "testbed: {text}");
}

/// Whether the servers can be built here. Where they cannot, a test skips, which is said here.
pub fn is_available() -> bool {
    let version = std::process::Command::new("go").arg("version").output();
    let is_there = version.is_ok_and(|output| output.status.success());
    if !is_there {
        say(
            "SKIPPED, what needs real servers: they are built with Go, which is not there; see https://go.dev/doc/install",
        );
    }
    is_there
}

/// Tries until `check` says true.
///
/// # Errors
/// After `most`, with the last error of `check`.
pub async fn wait_for(
    what: &str,
    most: Duration,
    mut check: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    loop {
        let result = check().await;
        match result {
            Ok(true) => return Ok(()),
            _ if start.elapsed() < most => tokio::time::sleep(Duration::from_millis(100)).await,
            Ok(false) => bail!("waited {} s for {what}", most.as_secs()),
            Err(error) => {
                return Err(error.context(format!("waited {} s for {what}", most.as_secs())));
            }
        }
    }
}
