//! Credentials and authorities that are replaced.

use crate::looks::{expect, secret, steps, texts, works};
use crate::{ROOM, SOON};
use anyhow::Result;
use hcb_testbed::operations::{Jobs, SOURCE, Site};
use hcb_testbed::procedure::Procedure;
use hcb_testbed::wait_for;
use std::time::Duration;

pub(crate) async fn rotate_credentials(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 2)?;
    let read = async |site: &Site| -> Result<(String, String)> {
        let target = texts(&secret(site, SOURCE, "admiralty", "target-public").await?)?;
        let reader = texts(&secret(site, SOURCE, "hcb-system", "hcb-target-public").await?)?;
        Ok((target["config"].clone(), reader["config"].clone()))
    };
    let before = read(site).await?;
    // Two run in public while its credentials change.
    site.submit("rotate-a", ROOM + 2, Duration::from_secs(30))
        .await?;
    let full = |jobs: &Jobs| jobs.running.values().sum::<usize>() == ROOM + 2;
    site.wait_for_jobs("rotate-a", SOON, full).await?;
    steps(site, procedure, 0..2).await?;
    wait_for("the new tokens", SOON, async || {
        let now = read(site).await?;
        Ok(now.0 != before.0 && now.1 != before.1)
    })
    .await?;
    site.refresh().await?;
    let now = read(site).await?;
    works(site, "public", &now.0, "admiralty:hcb-source").await?;
    anyhow::ensure!(
        works(site, "public", &before.0, "admiralty:hcb-source")
            .await
            .is_err(),
        "the old token still works"
    );
    let done = site
        .wait_for_jobs("rotate-a", SOON, |jobs| jobs.done == ROOM + 2)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    site.wait_for_nodes(&[SOURCE, "public", "extra"]).await?;
    // And again.
    site.submit("rotate-b", ROOM + 4, Duration::from_secs(3))
        .await?;
    let done = site
        .wait_for_jobs("rotate-b", SOON, |jobs| jobs.done == ROOM + 4)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    Ok(())
}

pub(crate) async fn rotate_ca(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 1)?;
    let before = texts(&secret(site, "public", "istio-system", "cacerts").await?)?;
    steps(site, procedure, 0..1).await?;
    wait_for("the new CA", SOON, async || {
        let now = texts(&secret(site, "public", "istio-system", "cacerts").await?)?;
        Ok(now["ca-cert.pem"] != before["ca-cert.pem"]
            && now["root-cert.pem"] == before["root-cert.pem"])
    })
    .await?;
    site.bash("openssl verify -CAfile root-cert.pem public-ca-cert.pem")
        .await?;
    Ok(())
}
