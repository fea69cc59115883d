//! Upgrades.

use crate::looks::{expect, steps};
use crate::{LATER, ROOM, SOON};
use anyhow::Result;
use hcb_testbed::operations::{Jobs, Site};
use hcb_testbed::procedure::Procedure;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) async fn upgrade_istio(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 2)?;
    let versions = async |site: &Site| -> Result<BTreeMap<String, String>> {
        let found = site
            .bash("grep -rh -A3 'chart: istiod' generated/gitops -r --include='application-*-chart-istiod.yaml' -H | grep targetRevision")
            .await?;
        Ok(found
            .lines()
            .filter_map(|line| {
                let cluster = ["private", "public", "extra"]
                    .into_iter()
                    .find(|name| line.contains(&format!("application-{name}-chart")))?;
                Some((
                    cluster.to_owned(),
                    line.rsplit(' ').next()?.trim_matches('"').to_owned(),
                ))
            })
            .collect())
    };
    steps(site, procedure, 0..1).await?;
    let found = versions(site).await?;
    anyhow::ensure!(
        found["public"] == "1.31.4" && found["private"] == "1.30.4",
        "{found:?}"
    );
    steps(site, procedure, 1..2).await?;
    let found = versions(site).await?;
    anyhow::ensure!(
        found.len() == 3 && found.values().all(|version| version == "1.31.4"),
        "{found:?}"
    );
    Ok(())
}

pub(crate) async fn upgrade_admiralty(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 1)?;
    // Some run, here and elsewhere, and some wait while the scheduler is replaced.
    let count = ROOM + 10;
    site.submit("upgrade", count, Duration::from_secs(25))
        .await?;
    let some = |jobs: &Jobs| jobs.running.len() > 1 && jobs.waiting > 1;
    site.wait_for_jobs("upgrade", SOON, some).await?;
    let before = scheduler(site)?;
    steps(site, procedure, 0..1).await?;
    anyhow::ensure!(scheduler(site)? != before, "the scheduler was not replaced");
    let done = site
        .wait_for_jobs("upgrade", LATER, |jobs| jobs.done == count)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    Ok(())
}

fn scheduler(site: &Site) -> Result<u32> {
    site.source()
        .with_process("admiralty-proxy-scheduler", |process| process.id())
}
