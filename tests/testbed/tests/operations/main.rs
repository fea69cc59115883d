//! `docs/operations.md` and `docs/secrets.md` on real servers: each procedure runs with the edits and commands
//! of the page, and its outcome is checked. No procedure loses a job.

use anyhow::{Context, Result, bail};
use hcb_testbed::operations::{Site, has};
use hcb_testbed::procedure::Page;
use hcb_testbed::say;
use std::time::{Duration, Instant};

mod clusters;
mod looks;
mod recovery;
mod rotation;
mod upgrades;

/// How long what is asked for may take on a machine that does much else.
const SOON: Duration = Duration::from_secs(240);
/// How long jobs may take to be done, one after another.
const LATER: Duration = Duration::from_secs(480);
/// The CPUs of the source, each of which is a job.
const ROOM: usize = 4;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of an hour, and builds External Secrets first: docs/operations.md has the command"]
async fn each_documented_procedure_does_what_it_promises() -> Result<()> {
    let page = Page::read("operations.md")?;
    let secrets = Page::read("secrets.md")?;
    if !has("openssl") {
        return Ok(());
    }
    let Some(mut site) = Site::start(&page).await? else {
        return Ok(());
    };
    let result = all(&mut site, &page, &secrets).await;
    let result = site.testbed.run("operations", async |_| result).await;
    result.map(drop)
}

/// The procedures in the order of the page; one without a test is an error.
async fn all(site: &mut Site, page: &Page, secrets: &Page) -> Result<()> {
    fill(site, secrets).await?;
    // One that fails does not hide what the next would show.
    let mut failed = Vec::new();
    for procedure in &page.procedures {
        let began = Instant::now();
        let title = procedure.title.as_str();
        let done = match title {
            "Bootstrap" => clusters::bootstrap(site, procedure).await,
            "Add a cluster" => clusters::add(site, procedure).await,
            "Rotate credentials" => rotation::rotate_credentials(site, procedure).await,
            "Rotate the CA" => rotation::rotate_ca(site, procedure).await,
            "Upgrade Istio" => upgrades::upgrade_istio(site, procedure).await,
            "Upgrade Admiralty" => upgrades::upgrade_admiralty(site, procedure).await,
            "Remove a cluster" => clusters::remove(site, procedure).await,
            "Recover from the loss of the reconciler" => {
                recovery::lose_reconciler(site, procedure).await
            }
            "Recover from the loss of Git" => recovery::lose_git(site, procedure).await,
            "Recover from the loss of the source cluster" => {
                recovery::lose_source(site, procedure, secrets).await
            }
            other => bail!("no test runs the procedure `{other}`"),
        };
        let took = began.elapsed().as_secs();
        match done {
            Ok(()) => say(&format!("{title}: {took} s")),
            Err(error) => {
                say(&format!("{title} FAILED after {took} s: {error:#}"));
                failed.push(title);
            }
        }
    }
    anyhow::ensure!(failed.is_empty(), "{}", failed.join(", "));
    Ok(())
}

/// The store, as the page of the secrets fills it.
async fn fill(site: &mut Site, secrets: &Page) -> Result<()> {
    for procedure in &secrets.procedures {
        for step in &procedure.steps {
            site.step(step)
                .await
                .with_context(|| procedure.title.clone())?;
        }
    }
    Ok(())
}

/// The names that the pages use are those of the testbed.
#[test]
fn the_procedures_of_the_pages_can_be_parsed() -> Result<()> {
    let page = Page::read("operations.md")?;
    anyhow::ensure!(page.every.len() == 4, "{:?}", page.every);
    anyhow::ensure!(page.procedures.len() == 10, "{}", page.procedures.len());
    let secrets = Page::read("secrets.md")?;
    let titles: Vec<_> = secrets
        .procedures
        .iter()
        .map(|p| p.title.as_str())
        .collect();
    anyhow::ensure!(
        titles
            == [
                "The CA of the mesh",
                "Into the store",
                "The ClusterSecretStore"
            ],
        "{titles:?}"
    );
    Ok(())
}
