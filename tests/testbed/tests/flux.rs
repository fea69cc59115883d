//! Flux delivers what `hcb compile --engine flux` wrote: its real controllers, on real API servers, from a
//! Git repository and registries of charts behind a proxy.

use anyhow::Result;
use hcb_spec::spec::GitOpsEngine;
use hcb_testbed::admiralty::Admiralty;
use hcb_testbed::delivery::Delivery;
use hcb_testbed::delivery::steps::Engine;
use hcb_testbed::flux;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long, and builds Flux first: docs/delivery.md has the command"]
async fn flux_delivers_the_tree_and_fights_no_controller() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let Some(admiralty) = tokio::task::spawn_blocking(Admiralty::get).await?? else {
        return Ok(());
    };
    let mut delivery = Delivery::start(GitOpsEngine::Flux).await?;
    let result = Box::pin(scenario(&mut delivery, &admiralty)).await;
    delivery.testbed.run("flux", async |_| result).await
}

async fn scenario(delivery: &mut Delivery, admiralty: &Admiralty) -> Result<()> {
    flux::install(delivery.hub()).await?;
    flux::run(delivery.hub(), &delivery.internet.environment()).await?;
    let engine = Engine {
        look: async |hub: &_| flux::look(hub).await,
        kinds: flux::DELIVERING,
    };
    Box::pin(engine.play(delivery, admiralty)).await
}
