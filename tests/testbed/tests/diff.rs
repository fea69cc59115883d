//! `hcb diff --live` with real API servers: what they already have is no difference, their refusals are
//! reported with their messages, and objects of others are ignored.

use anyhow::{Context, Result, ensure};
use futures::stream::{StreamExt, iter};
use hcb_testbed::apply::{Applier, manifests};
use hcb_testbed::hybrid::hcb_binary;
use hcb_testbed::{ClusterPlan, NodePool, Testbed, definitions};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What Argo CD applies as.
const ENGINE: &str = "argocd-controller";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn apply(applier: &Applier<'_>, object: &Value) -> Result<()> {
    let (api, name) = applier.api(object).await?;
    let parameters = PatchParams::apply(ENGINE).force();
    api.patch(&name, &parameters, &Patch::Apply(object))
        .await
        .with_context(|| format!("{} {name}", object["kind"]))?;
    Ok(())
}

fn diff(binary: &Path, spec: &Path, kubeconfigs: &str) -> Result<(Output, Value)> {
    let output = Command::new(binary)
        .args(["diff", "--live", "--format", "json"])
        .arg(spec)
        .env("KUBECONFIG", kubeconfigs)
        .output()?;
    let report = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok((output, report))
}

/// The impacts of a rule.
fn impacts<'a>(report: &'a Value, rule: &str) -> Vec<&'a Value> {
    let impacts = report["impacts"].as_array().into_iter().flatten();
    impacts.filter(|impact| impact["rule"] == rule).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_diff_asks_the_clusters_what_a_change_does() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let binary = tokio::task::spawn_blocking(hcb_binary).await??;
    let definitions = tokio::task::spawn_blocking(definitions::all).await??;
    let plan = |name: &str, pool: &str, nodes: u32| ClusterPlan {
        name: name.into(),
        pools: vec![NodePool {
            name: pool.into(),
            nodes,
            cpu: "4".into(),
            memory: "16Gi".into(),
            labels: vec![("hcb.dev/pool".into(), pool.into())],
            ..NodePool::default()
        }],
    };
    let testbed = Testbed::start(&[plan("private", "cpu", 1), plan("public", "burst", 3)]).await?;
    testbed
        .run("diff-live", async |testbed| {
            let tree = root().join("generated/seed/argocd");
            let mut kubeconfigs = Vec::new();
            for cluster in &testbed.clusters {
                kubeconfigs.push(cluster.file("admin.kubeconfig").display().to_string());
                let applier = Applier::new(cluster);
                applier.apply_definitions(&definitions).await?;
                for namespace in ["argocd", "storage"] {
                    cluster.create_namespace(namespace, &[]).await?;
                }
                // The chart of Istio makes it; without it, its token is taken away again.
                cluster.create_namespace("istio-system", &[]).await?;
                let account = json!({
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": { "name": "istio-reader-service-account", "namespace": "istio-system" },
                });
                apply(&applier, &account).await?;
                for folder in ["clusters", "gitops", "bootstrap"] {
                    let mut objects = manifests(&tree.join(folder).join(&cluster.name)).unwrap_or_default();
                    // As the engine does: a token without its account would be taken away again.
                    let (first, rest): (Vec<_>, Vec<_>) =
                        objects.drain(..).partition(|(_, object)| {
                            object["kind"] == "Namespace" || object["kind"] == "ServiceAccount"
                        });
                    for kind in ["Namespace", "ServiceAccount"] {
                        for (_, object) in first.iter().filter(|(_, object)| object["kind"] == kind) {
                            apply(&applier, object).await?;
                        }
                    }
                    let failures: Vec<_> = iter(&rest)
                        .map(async |(_, object)| apply(&applier, object).await.err())
                        .buffer_unordered(8)
                        .filter_map(async |failure| failure)
                        .collect()
                        .await;
                    ensure!(failures.is_empty(), "{failures:#?}");
                }
            }
            let kubeconfigs = kubeconfigs.join(":");

            // What was applied is no difference, whatever the API servers added to it.
            let seed = root().join("examples/seed");
            let (output, report) = diff(&binary, &seed, &kubeconfigs)?;
            ensure!(report["changes"] == json!([]), "{report:#}");
            ensure!(report["impacts"] == json!([]), "{report:#}");
            ensure!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));

            // Two ConfigMaps that the tree does not have: one of hcb's, one of somebody else's.
            let private = testbed.cluster("private");
            let applier = Applier::new(private);
            let map = |name: &str, labels: Value| json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": { "name": name, "namespace": "ml", "labels": labels },
            });
            let ours = json!({ "app.kubernetes.io/managed-by": "hcb", "app.kubernetes.io/part-of": "seed" });
            apply(&applier, &map("left-over", ours)).await?;
            apply(&applier, &map("of-others", json!({}))).await?;

            let folder = tempfile::tempdir()?;
            let edit = |file: &str, edits: &[(&str, &str)]| -> Result<()> {
                let mut text = std::fs::read_to_string(seed.join(file))?;
                for (from, to) in edits {
                    ensure!(text.contains(from), "{file} has no {from}");
                    text = text.replacen(from, to, 1);
                }
                let path = folder.path().join(file);
                std::fs::create_dir_all(path.parent().context("a folder")?)?;
                Ok(std::fs::write(path, text)?)
            };
            edit(
                "cloud.yaml",
                &[
                    ("max: 8", "max: 2"),
                    ("nodes: 8", "nodes: 2"),
                    ("  scheduling:\n", "  scheduling:\n    priorities: {low: 0, normal: 7, high: 10000}\n"),
                ],
            )?;
            edit("workloads/train-mnist.yaml", &[("keras-mnist:1.0.0", "keras-mnist:1.1.0")])?;
            edit("workloads/train-digits.yaml", &[])?;
            let (_, report) = diff(&binary, folder.path(), &kubeconfigs)?;

            let refused = impacts(&report, "refused");
            ensure!(refused.len() == 1, "{report:#}");
            ensure!(refused[0]["subject"].as_str().is_some_and(|it| it.contains("PriorityClass hcb-normal")), "{report:#}");
            // In the API server's own words.
            let details = refused[0]["details"].to_string();
            ensure!(details.contains("PriorityClass") && details.contains("value"), "{report:#}");

            let pools = impacts(&report, "node-pool");
            ensure!(pools.len() == 1 && pools[0]["level"] == "danger", "{report:#}");
            ensure!(pools[0]["details"].to_string().contains("3 are there now"), "{report:#}");

            let jobs = impacts(&report, "job-replaced");
            ensure!(jobs.len() == 1, "{report:#}");
            ensure!(jobs[0]["effect"].as_str().is_some_and(|it| it.contains("runs now")), "{report:#}");
            let limits = impacts(&report, "capacity-limit");
            ensure!(limits.len() == 1 && limits[0]["level"] == "danger", "{report:#}");

            let pruned = impacts(&report, "pruned");
            let text = report.to_string();
            ensure!(pruned.len() == 1 && pruned[0]["subject"] == "ConfigMap ml/left-over (private)", "{report:#}");
            ensure!(!text.contains("of-others"), "{report:#}");
            for noise in ["managedFields", "resourceVersion", "uid", "creationTimestamp"] {
                ensure!(!text.contains(noise), "{noise} in {report:#}");
            }

            // Nothing was changed by asking.
            let (api, _) = applier.api(&map("left-over", json!({}))).await?;
            ensure!(api.get_opt("left-over").await?.is_some());

            // A cluster that cannot be reached is an error, and not "no difference".
            let one = kubeconfigs.split(':').next().unwrap_or_default();
            let output = Command::new(&binary).args(["diff", "--live"]).arg(&seed).env("KUBECONFIG", one).output()?;
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.code() == Some(2) && text.contains("public:"), "{text}");
            Ok(())
        })
        .await
}
