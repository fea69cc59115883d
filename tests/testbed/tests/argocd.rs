//! Argo CD delivers what `hcb compile --engine argocd` wrote: its real controller and repo server, on real API
//! servers, from a Git repository and registries of charts behind a proxy.

use anyhow::Result;
use hcb_spec::spec::GitOpsEngine;
use hcb_testbed::admiralty::Admiralty;
use hcb_testbed::argocd;
use hcb_testbed::delivery::Delivery;
use hcb_testbed::delivery::steps::Engine;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long, and builds Argo CD first: docs/delivery.md has the command"]
async fn argo_cd_delivers_the_tree_and_fights_no_controller() -> Result<()> {
    if !hcb_testbed::is_available() || !argocd::is_available() {
        return Ok(());
    }
    let Some(admiralty) = tokio::task::spawn_blocking(Admiralty::get).await?? else {
        return Ok(());
    };
    let mut delivery = Delivery::start(GitOpsEngine::Argocd).await?;
    let result = Box::pin(scenario(&mut delivery, &admiralty)).await;
    delivery.testbed.run("argocd", async |_| result).await
}

async fn scenario(delivery: &mut Delivery, admiralty: &Admiralty) -> Result<()> {
    argocd::install(delivery.hub()).await?;
    argocd::run(delivery.hub(), &delivery.internet.environment()).await?;
    let engine = Engine {
        look: async |hub: &_| argocd::look(hub).await,
        kinds: argocd::DELIVERING,
    };
    Box::pin(engine.play(delivery, admiralty)).await
}
