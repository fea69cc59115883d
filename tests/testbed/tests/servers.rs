//! The testbed itself: the servers that it starts work, and none of them survives a test.

use anyhow::{Context, Result};
use hcb_testbed::hybrid::is_ready;
use hcb_testbed::{ClusterPlan, NodePool, Testbed, wait_for};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PostParams};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);

fn plan(name: &str, nodes: u32) -> ClusterPlan {
    ClusterPlan {
        name: name.into(),
        pools: vec![NodePool {
            name: "cpu".into(),
            nodes,
            cpu: "4".into(),
            memory: "16Gi".into(),
            ..NodePool::default()
        }],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clusters_at_once_run_jobs_to_completion() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let testbed = Testbed::start(&[plan("one", 2), plan("two", 1)]).await?;
    testbed
        .run("side-by-side", async |testbed| {
            for (cluster, count) in testbed.clusters.iter().zip([2, 1]) {
                wait_for("ready nodes", SOON, async || {
                    let nodes = cluster.nodes().await?;
                    Ok(nodes.len() == count && nodes.iter().all(is_ready))
                })
                .await?;
                let jobs: Api<Job> = Api::namespaced(cluster.client.clone(), "default");
                let job = json!({
                    "metadata": {"name": "short"},
                    "spec": {"completions": 2, "parallelism": 2, "template": {
                        "metadata": {"annotations": {"testbed.hcb.dev/runs-for": "1s"}},
                        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "any"}]},
                    }},
                });
                jobs.create(&PostParams::default(), &serde_json::from_value(job)?).await?;
                wait_for("the Job's end", SOON, async || {
                    let status = jobs.get("short").await?.status.context("a status")?;
                    Ok(status.succeeded == Some(2) && status.completion_time.is_some())
                })
                .await?;
            }
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_killed_comes_back_with_its_data() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let testbed = Testbed::start(&[plan("one", 1)]).await?;
    testbed
        .run("killed-api-server", async |testbed| {
            let cluster = testbed.cluster("one");
            cluster.with_process("kube-apiserver", |process| {
                process.kill();
                Ok(())
            })?;
            anyhow::ensure!(cluster.nodes().await.is_err(), "it still answers");
            cluster.with_process("kube-apiserver", hcb_testbed::process::Process::resume)?;
            wait_for("the API server", SOON, async || {
                Ok(cluster.nodes().await?.len() == 1)
            })
            .await
        })
        .await
}

/// Not a test: what [`no_process_or_folder_survives_a_killed_test`] kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by another test"]
async fn victim() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let testbed = Testbed::start(&[plan("one", 1)]).await?;
    let mut out = std::io::stdout();
    for process in testbed.cluster("one").processes().iter() {
        writeln!(out, "process {}", process.id()?)?;
    }
    writeln!(out, "server {}", testbed.cluster("one").server)?;
    writeln!(out, "folder {}", testbed.folder().display())?;
    writeln!(out, "ready")?;
    tokio::time::sleep(Duration::from_secs(600)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_process_or_folder_survives_a_killed_test() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let mut victim = Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "victim", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut processes, mut port, mut folder) = (Vec::new(), 0, String::new());
    for line in BufReader::new(victim.stdout.take().context("its output")?).lines() {
        let line = line?;
        match line.split_once(' ') {
            Some(("process", id)) => processes.push(id.to_owned()),
            Some(("server", url)) => port = url.rsplit(':').next().context("a port")?.parse()?,
            Some(("folder", path)) => path.clone_into(&mut folder),
            _ if line == "ready" => break,
            _ => {}
        }
    }
    let runs = |id: &String| Path::new("/proc").join(id).exists();
    anyhow::ensure!(
        processes.len() == 4 && processes.iter().all(runs),
        "no servers: {processes:?}"
    );
    anyhow::ensure!(
        std::net::TcpListener::bind(("127.0.0.1", port)).is_err(),
        "port {port} is not in use"
    );
    victim.kill()?;
    victim.wait()?;
    wait_for("the end of everything", SOON, async || {
        let is_free = std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        Ok(!processes.iter().any(runs) && is_free && !Path::new(&folder).exists())
    })
    .await
}
