//! Rotation of credentials and CAs.

use crate::looks::{expect, secret, steps, texts, token, who};
use crate::{LATER, ROOM, SOON};
use anyhow::{Context, Result};
use hcb_testbed::operations::{Jobs, SOURCE, Site};
use hcb_testbed::procedure::Procedure;
use hcb_testbed::wait_for;
use serde_json::Value;
use std::time::Duration;

pub(crate) async fn rotate_credentials(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 2)?;
    let before = credentials(site).await?;
    // Some run in public while its credentials change.
    site.submit("rotate-a", ROOM + 4, Duration::from_secs(90))
        .await?;
    let full = |jobs: &Jobs| jobs.running.values().sum::<usize>() == ROOM + 4;
    site.wait_for_jobs("rotate-a", SOON, full).await?;
    steps(site, procedure, 0..2).await?;
    wait_for("the new tokens", SOON, async || {
        site.work().await?;
        let now = credentials(site).await?;
        let mut both = now.iter().zip(&before);
        anyhow::ensure!(both.all(|(now, before)| now.1 != before.1), "some are old");
        Ok(true)
    })
    .await?;
    for (account, token) in credentials(site).await? {
        let name = who(site, "public", &token).await?;
        anyhow::ensure!(name == format!("system:serviceaccount:{account}"), "{name}");
    }
    for (account, token) in before {
        // API servers remember for some seconds whom they let in.
        wait_for(
            &format!("the end of the old token of {account}"),
            SOON,
            async || {
                let answer = who(site, "public", &token).await;
                let said = answer
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default();
                Ok(said.contains("Unauthorized") || said.contains("must be logged in"))
            },
        )
        .await?;
    }
    let done = site
        .wait_for_jobs("rotate-a", LATER, |jobs| jobs.done == ROOM + 4)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    let placed = site.placed("rotate-a").await?;
    anyhow::ensure!(placed.contains_key("public"), "{placed:?}");
    let pods = placed.values().sum::<usize>();
    anyhow::ensure!(pods == ROOM + 4, "a job began twice: {placed:?}");
    site.wait_for_nodes(&[SOURCE, "public", "extra"]).await?;
    // And again.
    site.submit("rotate-b", ROOM + 4, Duration::from_secs(3))
        .await?;
    let done = site
        .wait_for_jobs("rotate-b", LATER, |jobs| jobs.done == ROOM + 4)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    Ok(())
}

/// The tokens by which others use `public`, with the accounts that they are of.
async fn credentials(site: &Site) -> Result<Vec<(&'static str, String)>> {
    let reader = "istio-system:istio-reader-service-account";
    let remote = "istio-remote-secret-public";
    let mut found = Vec::new();
    for (cluster, namespace, name, key, account) in [
        (
            SOURCE,
            "admiralty",
            "target-public",
            "config",
            "admiralty:hcb-source",
        ),
        (
            SOURCE,
            "hcb-system",
            "hcb-target-public",
            "config",
            "hcb-system:hcb-reader",
        ),
        (SOURCE, "istio-system", remote, "public", reader),
        ("extra", "istio-system", remote, "public", reader),
    ] {
        let secret = texts(&secret(site, cluster, namespace, name).await?)?;
        found.push((account, token(&secret[key])?));
    }
    let engine = texts(&secret(site, SOURCE, "argocd", "cluster-public").await?)?;
    let config: Value = serde_json::from_str(&engine["config"])?;
    let token = config["bearerToken"].as_str().context("a token")?;
    found.push(("kube-system:hcb-gitops", token.to_owned()));
    Ok(found)
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
