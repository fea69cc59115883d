//! Recovery from losses.

use crate::looks::{expect, leader, ran, steps};
use crate::{LATER, ROOM, SOON};
use anyhow::Result;
use hcb_testbed::operations::{Jobs, SOURCE, Site};
use hcb_testbed::procedure::{Page, Procedure};
use hcb_testbed::wait_for;
use k8s_openapi::api::core::v1::Pod;
use std::time::Duration;

pub(crate) async fn lose_reconciler(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 1)?;
    site.lose_reconciler().await?;
    site.submit("leader", ROOM + 2, Duration::from_secs(45))
        .await?;
    let full = |jobs: &Jobs| jobs.running.values().sum::<usize>() == ROOM;
    let seen = site.wait_for_jobs("leader", SOON, full).await?;
    anyhow::ensure!(seen.waiting == 2, "{seen:?}");
    steps(site, procedure, 0..1).await?;
    leader(site).await?;
    let done = site
        .wait_for_jobs("leader", LATER, |jobs| jobs.done == ROOM + 2)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    Ok(())
}

pub(crate) async fn lose_git(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 1)?;
    std::fs::remove_dir_all(site.testbed.folder().join("git"))?;
    steps(site, procedure, 0..1).await?;
    site.submit("git", 1, Duration::from_secs(1)).await?;
    site.wait_for_jobs("git", SOON, |jobs| jobs.done == 1)
        .await?;
    Ok(())
}

pub(crate) async fn lose_source(
    site: &mut Site,
    procedure: &Procedure,
    secrets: &Page,
) -> Result<()> {
    expect(procedure, 3)?;
    // Two run in another cluster when the source goes.
    site.submit("lost", ROOM + 2, Duration::from_secs(600))
        .await?;
    let full = |jobs: &Jobs| jobs.running.values().sum::<usize>() == ROOM + 2;
    site.wait_for_jobs("lost", SOON, full).await?;
    site.lose_source().await?;
    let store = secrets.procedure("The ClusterSecretStore")?;
    steps(site, store, 0..store.steps.len()).await?;
    site.step(&procedure.steps[0]).await?;
    steps(site, procedure, 1..3).await?;
    site.wait_for_nodes(&[SOURCE, "extra"]).await?;
    leader(site).await?;
    // What ran for the lost source is ended, and its room is free.
    let extra = site.testbed.cluster("extra");
    wait_for("the orphans to end", SOON, async || {
        let pods = extra.pods().await?;
        let is_there = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
        Ok(!pods.iter().any(is_there))
    })
    .await?;
    site.submit("again", ROOM + 2, Duration::from_secs(20))
        .await?;
    let done = site
        .wait_for_jobs("again", LATER, |jobs| jobs.done == ROOM + 2)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    anyhow::ensure!(ran(site, "extra").await? >= 1, "nothing ran in extra");
    Ok(())
}
