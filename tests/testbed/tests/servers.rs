//! The testbed itself: the servers that it starts work, and none of them survives a test.

use anyhow::{Context, Result};
use hcb_testbed::hybrid::{get, is_ready};
use hcb_testbed::ports::Port;
use hcb_testbed::process::{Isolation, Program};
use hcb_testbed::tools::Tools;
use hcb_testbed::{Cluster, ClusterPlan, NodePool, Testbed, wait_for};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, PostParams};
use serde_json::json;
use std::fs;
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

/// Runs etcd in a network of its own, on the ports that etcd has where it is told of no others. Returns the
/// port of this machine that leads to it.
fn run_isolated(cluster: &Cluster, name: &str) -> Result<u16> {
    let port = Port::reserve()?;
    let number = port.number;
    let program = Program {
        name: name.to_owned(),
        binary: cluster.binary("etcd"),
        arguments: vec![format!("--data-dir={}", cluster.file(name).display())],
        environment: Vec::new(),
    };
    let isolation = Isolation {
        serves: vec![(number, 2379)],
        ..Isolation::default()
    };
    cluster.run_in(name, program, Some(isolation))?;
    cluster.keep(port);
    Ok(number)
}

/// Whether programs can have networks of their own here. Where they cannot, that is said.
async fn can_isolate() -> Result<bool> {
    let problem = tokio::task::spawn_blocking(|| Isolation::problem(&Tools::get()?)).await??;
    if let Some(problem) = &problem {
        hcb_testbed::say(&format!(
            "SKIPPED, programs in network namespaces of their own: {problem}"
        ));
    }
    Ok(problem.is_none())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_programs_listen_on_the_same_port_each_in_a_network_of_its_own() -> Result<()> {
    if !hcb_testbed::is_available() || !can_isolate().await? {
        return Ok(());
    }
    let testbed = Testbed::start(&[plan("one", 0)]).await?;
    testbed
        .run("isolated", async |testbed| {
            let cluster = testbed.cluster("one");
            for name in ["first", "second"] {
                let port = run_isolated(cluster, name)?;
                wait_for(name, SOON, async || {
                    Ok(get(port, "/health").await?.contains("true"))
                })
                .await?;
            }
            for name in ["first", "second"] {
                let runs = cluster.with_process(name, |process| Ok(process.is_running()))?;
                anyhow::ensure!(runs, "{name} ended");
            }
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_isolated_program_reaches_the_ports_that_it_is_given_and_no_others() -> Result<()> {
    if !hcb_testbed::is_available() || !can_isolate().await? {
        return Ok(());
    }
    let testbed = Testbed::start(&[plan("one", 0)]).await?;
    testbed
        .run("isolated-reach", async |testbed| {
            let cluster = testbed.cluster("one");
            let port = cluster
                .server
                .rsplit(':')
                .next()
                .context("a port")?
                .parse()?;
            for (name, reaches, answer) in [
                ("with", vec![port], "ok"),
                ("without", Vec::new(), "refused"),
            ] {
                let kubeconfig = cluster.file("admin.kubeconfig");
                let program = Program {
                    name: name.to_owned(),
                    binary: cluster.binary("kubectl"),
                    arguments: vec![
                        format!("--kubeconfig={}", kubeconfig.display()),
                        "get".to_owned(),
                        "--raw=/readyz".to_owned(),
                    ],
                    environment: Vec::new(),
                };
                let isolation = Isolation {
                    reaches,
                    ..Isolation::default()
                };
                cluster.run_in(name, program, Some(isolation))?;
                wait_for("its end", SOON, async || {
                    cluster.with_process(name, |process| Ok(!process.is_running()))
                })
                .await?;
                let said = fs::read_to_string(cluster.file(&format!("{name}.log")))?;
                anyhow::ensure!(said.contains(answer), "{name}: {said}");
            }
            Ok(())
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
    if can_isolate().await? {
        run_isolated(testbed.cluster("one"), "isolated")?;
    }
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
    let count = if can_isolate().await? { 5 } else { 4 };
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
        processes.len() == count && processes.iter().all(runs),
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
