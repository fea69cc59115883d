//! The testbed itself: what it starts works, and nothing of it survives.

use anyhow::Result;
use hcb_testbed::{ClusterPlan, NodePool, Testbed, wait_for};
use std::time::Duration;

fn plan(name: &str, nodes: u32) -> ClusterPlan {
    ClusterPlan {
        name: name.into(),
        pools: vec![NodePool { name: "cpu".into(), nodes, cpu: "4".into(), memory: "16Gi".into(), ..NodePool::default() }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_with_ready_nodes_run_a_job_to_its_end() -> Result<()> {
    let testbed = Testbed::start(&[plan("one", 2), plan("two", 1)]).await?;
    testbed
        .run("two_clusters", async |testbed| {
            for cluster in &testbed.clusters {
                wait_for("ready nodes", Duration::from_secs(60), async || {
                    let nodes = cluster.nodes().await?;
                    Ok(nodes.iter().all(|node| {
                        let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
                        conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
                    }))
                })
                .await?;
            }
            Ok(())
        })
        .await
}
