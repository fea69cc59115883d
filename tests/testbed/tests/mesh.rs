//! The mesh as real istiods see it: the tree's charts, certificates and remote secrets, with one istiod for
//! each cluster. `docs/mesh.md` says what this proves and what it does not.

use anyhow::{Context, Result};
use hcb_testbed::hybrid::{Hybrid, Setup};
use hcb_testbed::mesh;
use hcb_testbed::wait_for;
use hcb_testbed::xds::{Sent, sent};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);
const STORE: &str = "minio.storage.svc.cluster.local";
const STORE_CLUSTER: &str = "outbound|9000||minio.storage.svc.cluster.local";

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mesh")
}

#[tokio::test(flavor = "multi_thread")]
async fn istiods_run_what_the_tree_says_for_a_mesh() -> Result<()> {
    let Some(hybrid) = Hybrid::of_spec(&spec(), Setup::Reconciled, Duration::ZERO).await? else {
        return Ok(());
    };
    let result = control_planes(&hybrid).await;
    if result.is_err() {
        let kept = hybrid.testbed.keep("mesh").await?;
        hcb_testbed::say(&format!("logs and objects are in {}", kept.display()));
    }
    result
}

async fn control_planes(hybrid: &Hybrid) -> Result<()> {
    see_each_other(hybrid).await?;
    Ok(())
}

/// Each istiod reads the other cluster, by the remote secret that the tree asks for.
async fn see_each_other(hybrid: &Hybrid) -> Result<()> {
    for (cluster, other) in [("private", "public"), ("public", "private")] {
        let what = format!("the istiod of {cluster} to have read {other}");
        wait_for(&what, SOON, async || {
            let seen = mesh::clusters_seen(hybrid.testbed.cluster(cluster)).await?;
            let mut expected = [(cluster.to_owned(), true), (other.to_owned(), true)];
            expected.sort();
            let mut sorted = seen.clone();
            sorted.sort();
            anyhow::ensure!(sorted == expected, "{cluster} sees {seen:?}");
            Ok(true)
        })
        .await?;
    }
    Ok(())
}
