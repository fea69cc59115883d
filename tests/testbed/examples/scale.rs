//! How the reconciler does at size, beside real API servers: what it takes of memory, from its start to
//! its first decision, and for each decision.
//!
//! `cargo run --release -p hcb-testbed --example scale -- [NODES] [PODS]`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what this prints"
)]

use anyhow::{Context, Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use hcb_testbed::cluster::{Cluster, ClusterPlan};
use hcb_testbed::ports::Port;
use hcb_testbed::process::Program;
use hcb_testbed::testbed::Testbed;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Requests that are made at once to fill the clusters.
const AT_ONCE: usize = 64;
/// Pods of jobs that wait.
const WAITING: usize = 1000;
/// How long the clusters are churned.
const CHURN: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| -> Result<usize> {
        arguments.next().map_or(Ok(default), |text| {
            text.parse()
                .with_context(|| format!("`{text}` is no number"))
        })
    };
    let (nodes, pods) = (number(10_000)?, number(100_000)?);
    let plan = |name: &str| ClusterPlan {
        name: name.to_owned(),
        pools: Vec::new(),
    };
    let testbed = Testbed::start(&[plan("private"), plan("public")]).await?;
    testbed
        .run("scale", async |testbed| measure(testbed, nodes, pods).await)
        .await
}

async fn measure(testbed: &Testbed, nodes: usize, pods: usize) -> Result<()> {
    let (private, public) = (testbed.cluster("private"), testbed.cluster("public"));
    for cluster in [private, public] {
        // Nothing may happen to what is made here but what is measured.
        for name in ["kube-controller-manager", "kube-scheduler", "kwok"] {
            cluster.stop(name)?;
        }
    }
    let began = Instant::now();
    // Most of a hybrid cloud is private.
    fill(private, nodes * 8 / 10, pods * 8 / 10).await?;
    fill(public, nodes * 2 / 10, pods * 2 / 10).await?;
    wait_for_jobs(private).await?;
    eprintln!(
        "filled: {nodes} nodes, {pods} pods, {WAITING} that wait, in {:.0} s",
        began.elapsed().as_secs_f64()
    );

    let binary = hcb_testbed::hybrid::hcb_binary()?;
    let port = Port::reserve()?;
    let config = private.file("reconciler.yaml");
    fs::write(
        &config,
        reconciler_config(&public.file("admin.kubeconfig"), nodes)?,
    )?;
    let log = private.file("hcb.log");
    private.run_as(
        "hcb",
        Program {
            name: "hcb".to_owned(),
            binary,
            arguments: vec![
                "reconcile".to_owned(),
                format!("--config={}", config.display()),
                format!("--listen=127.0.0.1:{}", port.number),
                "--dry-run".to_owned(),
            ],
            environment: vec![
                (
                    "KUBECONFIG".to_owned(),
                    private.file("admin.kubeconfig").display().to_string(),
                ),
                ("RUST_LOG".to_owned(), "warn".to_owned()),
                // As its Deployment has it.
                ("MIMALLOC_PURGE_DELAY".to_owned(), "0".to_owned()),
            ],
        },
    )?;
    let started = Instant::now();
    let id = private.with_process("hcb", |process| process.id())?;
    let first = loop {
        ensure!(
            started.elapsed() < Duration::from_secs(120),
            "no decision; see {}",
            log.display()
        );
        let seen = metric(port.number, "hcb_cluster_seen{")
            .await
            .unwrap_or_default();
        if seen >= 2.0
            && metric(port.number, "hcb_decisions_total")
                .await
                .unwrap_or_default()
                > 0.0
        {
            break started.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let at_rest = memory(id)?;
    let churned = churn(private, pods * 8 / 10).await?;
    let count = metric(port.number, "hcb_decision_duration_seconds_count").await?;
    let sum = metric(port.number, "hcb_decision_duration_seconds_sum").await?;
    let text = get(port.number, "/metrics").await?;
    let below: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| line.strip_prefix("hcb_decision_duration_seconds_bucket{le=\""))
        .filter_map(|line| line.split_once("\"} "))
        .filter_map(|(bound, below)| Some((bound.parse().ok()?, below.parse().ok()?)))
        .collect();
    let within = |bound: f64| below.iter().find(|(le, _)| *le >= bound);
    let in_time = within(0.1).map_or(0.0, |(_, below)| *below);
    let slowest = below.iter().find(|(_, below)| *below >= count);
    let slowest = slowest.map_or(f64::INFINITY, |(bound, _)| *bound);
    let (after, most) = (memory(id)?, peak(id)?);
    println!("| | measured | at most |");
    println!("| --- | --- | --- |");
    println!(
        "| from start to first decision with all clusters seen | {:.1} s | 10 s |",
        first.as_secs_f64()
    );
    println!(
        "| mean decision, of {count} under {churned} changes | {:.1} ms | 100 ms |",
        sum / count * 1000.0
    );
    println!("| decisions within 100 ms | {in_time} of {count} | all |");
    println!("| slowest decision | ≤ {} ms | 100 ms |", slowest * 1000.0);
    println!("| resident, at rest | {at_rest} MiB | 150 MiB |");
    println!("| resident, after the changes | {after} MiB | 150 MiB |");
    println!("| resident, the most ever | {most} MiB | 150 MiB |");
    Ok(())
}

async fn fill(cluster: &Cluster, nodes: usize, pods: usize) -> Result<()> {
    cluster.create_namespace("load", &[]).await?;
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client.clone(), "load");
    // No controller makes it.
    if accounts.get_opt("default").await?.is_none() {
        let account = serde_json::from_value(json!({"metadata": {"name": "default"}}))?;
        accounts.create(&PostParams::default(), &account).await?;
    }
    let api: Api<Node> = Api::all(cluster.client.clone());
    let name = &cluster.name;
    let object = |index: usize| {
        json!({
            "metadata": {
                "name": node_name(name, index),
                "labels": {
                    "hcb.dev/pool": "cpu",
                    "kubernetes.io/hostname": node_name(name, index),
                    "kubernetes.io/arch": "amd64",
                    "kubernetes.io/os": "linux",
                    "node.kubernetes.io/instance-type": "m7i.4xlarge",
                    "topology.kubernetes.io/region": "eu-central-1",
                    "topology.kubernetes.io/zone": format!("eu-central-1{}", index % 3),
                },
            },
            "status": {
                "allocatable": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"},
                "capacity": {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            },
        })
    };
    create(&api, nodes, object).await?;
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), "load");
    let object = |index: usize| {
        // All of a node's 16 CPUs are asked for where there are ten pods a node.
        json!({
            "metadata": {"name": pod_name(index), "labels": {"app": "load", "pod-template-hash": "5d8c7f9b6d"}},
            "spec": {
                "nodeName": node_name(name, index % nodes),
                "containers": [{
                    "name": "main",
                    "image": "registry.example.com/load/main:1.2.3",
                    "resources": {"requests": {"cpu": "1600m", "memory": "4Gi"}, "limits": {"memory": "4Gi"}},
                    "env": [{"name": "MODE", "value": "load"}, {"name": "LEVEL", "value": "info"}],
                }],
            },
        })
    };
    create(&api, pods, object).await
}

/// Pods of jobs of ten shapes that fit nowhere in private.
async fn wait_for_jobs(cluster: &Cluster) -> Result<()> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), "load");
    let object = |index: usize| {
        let cpu = format!("{}", 4 + index % 10);
        let containers = json!([{"name": "main", "image": "train:1", "resources": {"requests": {"cpu": cpu, "memory": "8Gi"}}}]);
        let original = json!({"spec": {"containers": containers}});
        json!({
            "metadata": {
                "name": format!("train-{index:05}"),
                "labels": {"batch.kubernetes.io/job-name": format!("train-{index:05}")},
                "annotations": {
                    "multicluster.admiralty.io/elect": "",
                    "multicluster.admiralty.io/sourcepod-manifest": original.to_string(),
                },
            },
            "spec": {"schedulerName": "admiralty-proxy", "containers": containers},
        })
    };
    create(&api, WAITING, object).await
}

/// Creates so many objects, many at once.
async fn create<K>(api: &Api<K>, count: usize, object: impl Fn(usize) -> Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + DeserializeOwned + Serialize,
{
    let create = async |index: usize| -> Result<()> {
        let object = serde_json::from_value(object(index))?;
        api.create(&PostParams::default(), &object).await?;
        Ok(())
    };
    let numbers = stream::iter(0..count).map(Ok);
    numbers.try_for_each_concurrent(AT_ONCE, create).await
}

/// Changes pods for a while; says how many.
async fn churn(cluster: &Cluster, pods: usize) -> Result<usize> {
    let api: Api<Pod> = Api::namespaced(cluster.client.clone(), "load");
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < CHURN {
        let change = |index: usize| {
            let api = api.clone();
            async move {
                let patch =
                    Patch::Merge(json!({"metadata": {"annotations": {"at": index.to_string()}}}));
                api.patch(
                    &pod_name(index * 7919 % pods),
                    &PatchParams::default(),
                    &patch,
                )
                .await
                .map(drop)
            }
        };
        stream::iter(count..count + 20)
            .map(change)
            .buffer_unordered(8)
            .try_collect::<Vec<()>>()
            .await?;
        count += 20;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(count)
}

fn reconciler_config(public: &Path, nodes: usize) -> Result<String> {
    let pool = |max: usize| json!([{"name": "cpu", "min": 0, "max": max, "allocatable": {"cpu": "16", "memory": "64Gi"}, "pricePerHour": 0.8}]);
    let config: Value = json!({
        "apiVersion": "hcb.dev/v1alpha1",
        "kind": "ReconcilerConfig",
        "cloud": "scale",
        "tiers": ["private", "public"],
        "burst": {"after": "0s"},
        "fallBack": {"after": "60s"},
        "whenDown": "hold",
        "weights": {"minFactor": 0.5, "maxFactor": 2},
        "clusters": [
            {"name": "private", "tier": "private", "weight": 1, "virtualNode": "admiralty-private", "pools": pool(0)},
            {"name": "public", "tier": "public", "weight": 1, "virtualNode": "admiralty-public", "kubeconfig": public, "pools": pool(nodes)},
        ],
    });
    Ok(serde_json::to_string_pretty(&config)?)
}

/// The sum of a metric's values.
async fn metric(port: u16, name: &str) -> Result<f64> {
    let text = get(port, "/metrics").await?;
    let values = text
        .lines()
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit_once(' '));
    Ok(values
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum())
}

async fn get(port: u16, path: &str) -> Result<String> {
    hcb_testbed::hybrid::get(port, path).await
}

/// What a process has in memory now, in MiB.
fn memory(id: u32) -> Result<u64> {
    status(id, "VmRSS:")
}

/// The most that it ever had.
fn peak(id: u32) -> Result<u64> {
    status(id, "VmHWM:")
}

fn status(id: u32, key: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .context("a line of its status")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kibibytes / 1024)
}

fn node_name(cluster: &str, index: usize) -> String {
    format!("{cluster}-node-{index:05}")
}

fn pod_name(index: usize) -> String {
    format!("load-{index:06}")
}
