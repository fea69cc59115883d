//! The quick part of the experiment: jobs that fit in private stay there with the generated tree, and
//! some burst without it. `examples/experiment.rs` runs all of it.

use anyhow::Result;
use hcb_testbed::hybrid::{Hybrid, Setup};
use hcb_testbed::judge::{Verdict, judge};
use std::time::Duration;

/// How long nothing must change for a scenario to be over. A node that is bought takes half of that to be there.
const PATIENCE: Duration = Duration::from_secs(40);

async fn run(name: &str, setup: Setup) -> Result<Option<Verdict>> {
    let Some((scenario, hybrid)) = Hybrid::of(name, setup).await? else {
        return Ok(None);
    };
    scenario.play(&hybrid, PATIENCE).await?;
    // Where what follows fails, this is what it is looked into with.
    hybrid.testbed.keep(&setup.logs_of(name)).await?;
    judge(&hybrid).map(Some)
}

/// Nobody leaves, and no candidate is made elsewhere, while an earlier tier has room.
fn keeps_its_promise(verdict: &Verdict) -> Result<()> {
    let counts = (verdict.premature_bursts, verdict.speculative_candidates);
    anyhow::ensure!(counts == (0, 0), "premature and speculative: {counts:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_hcb_some_jobs_burst_although_all_fit_in_private() -> Result<()> {
    let Some(verdict) = run("fits-beside-nodes", Setup::Stock).await? else {
        return Ok(());
    };
    anyhow::ensure!(
        verdict.premature_bursts > 0,
        "the published flaw did not show: {:?}",
        verdict.placed
    );
    anyhow::ensure!(
        verdict.speculative_candidates >= 12,
        "{} speculative candidates",
        verdict.speculative_candidates
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_generated_tree_jobs_that_fit_stay_in_private() -> Result<()> {
    let Some(verdict) = run("fits-beside-nodes", Setup::Static).await? else {
        return Ok(());
    };
    anyhow::ensure!(
        verdict.placed.get("private") == Some(&12),
        "{:?}",
        verdict.placed
    );
    keeps_its_promise(&verdict)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_reconciler_exactly_the_jobs_that_do_not_fit_burst() -> Result<()> {
    let Some(verdict) = run("other-pods", Setup::Reconciled).await? else {
        return Ok(());
    };
    let placed = |cluster: &str| verdict.placed.get(cluster).copied().unwrap_or_default();
    anyhow::ensure!(
        (placed("private"), placed("public")) == (8, 4),
        "{:?}",
        verdict.placed
    );
    keeps_its_promise(&verdict)?;
    // One holds them all; the autoscaler may have decided on a second before the first was there.
    anyhow::ensure!(
        (1..=2).contains(&verdict.nodes_bought),
        "{} nodes bought",
        verdict.nodes_bought
    );
    Ok(())
}
