//! x
use anyhow::Result;
use hcb_testbed::admiralty::Admiralty;
use hcb_testbed::hybrid::{Hybrid, Setup};
use std::path::Path;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn starts() -> Result<()> {
    let Some(admiralty) = Admiralty::get()? else { return Ok(()) };
    for setup in [Setup::Static, Setup::Stock] {
        let hybrid = Hybrid::start(Path::new("scenarios/plain"), setup, &admiralty, Duration::from_secs(5)).await?;
        hybrid_testbed(&hybrid).await?;
    }
    Ok(())
}

async fn hybrid_testbed(hybrid: &Hybrid) -> Result<()> {
    for node in hybrid.source().nodes().await? {
        println!("{:?} {:?}", node.metadata.name, node.spec.and_then(|s| s.taints));
    }
    Ok(())
}
