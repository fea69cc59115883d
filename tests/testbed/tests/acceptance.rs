//! Every manifest that hcb generates for the examples is one that a real API server takes, by
//! server-side apply with strict field validation and with the real definitions of every kind.

use anyhow::{Context, Result};
use futures::stream::{StreamExt, iter};
use hcb_testbed::apply::{Applier, manifests};
use hcb_testbed::{ClusterPlan, Testbed, definitions};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How many objects are on their way at a time.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_takes_every_manifest_of_the_examples() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let definitions = tokio::task::spawn_blocking(definitions::all).await??;
    let testbed = Testbed::start(&[ClusterPlan {
        name: "any".into(),
        ..ClusterPlan::default()
    }])
    .await?;
    testbed
        .run("acceptance", async |testbed| {
            let cluster = testbed.cluster("any");
            let applier = Applier::new(cluster);
            applier.apply_definitions(&definitions).await?;
            let mut count = 0;
            let mut refused = Vec::new();
            for example in ["seed", "large"] {
                for engine in ["argocd", "flux"] {
                    let tree = Path::new(env!("CARGO_MANIFEST_DIR"))
                        .join("../../generated")
                        .join(example)
                        .join(engine);
                    let objects =
                        manifests(&tree).with_context(|| format!("{}", tree.display()))?;
                    for name in namespaces(&objects) {
                        cluster.create_namespace(&name, &[]).await?;
                    }
                    count += objects.len();
                    let failures = iter(&objects)
                        .map(async |(path, object)| {
                            applier
                                .apply(object)
                                .await
                                .err()
                                .map(|error| failure(example, engine, path, &error))
                        })
                        .buffer_unordered(AT_ONCE)
                        .filter_map(async |failure| failure);
                    refused.extend(failures.collect::<Vec<_>>().await);
                }
            }
            anyhow::ensure!(count > 1300, "only {count} manifests");
            refused.sort();
            anyhow::ensure!(
                refused.is_empty(),
                "{} of {count} are refused:\n{}",
                refused.len(),
                refused.join("\n")
            );
            Ok(())
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_refused() -> Result<()> {
    if !hcb_testbed::is_available() {
        return Ok(());
    }
    let testbed = Testbed::start(&[ClusterPlan {
        name: "any".into(),
        ..ClusterPlan::default()
    }])
    .await?;
    testbed
        .run("refusal", async |testbed| {
            let applier = Applier::new(testbed.cluster("any"));
            let mut object: Value = serde_json::from_str(
                r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": {"a": "b"}}"#,
            )?;
            applier.apply(&object).await?;
            object["dat"] = object["data"].take();
            let error = applier.apply(&object).await.expect_err("a field that does not exist");
            anyhow::ensure!(format!("{error:#}").contains("dat"), "{error:#}");
            Ok(())
        })
        .await
}

fn failure(example: &str, engine: &str, path: &Path, error: &anyhow::Error) -> String {
    format!(
        "{}: {error:#}",
        PathBuf::from(example).join(engine).join(path).display()
    )
}

/// Every namespace that an object is in: the engines' own come with the engines.
fn namespaces(objects: &[(PathBuf, Value)]) -> Vec<String> {
    let mut names: Vec<_> = objects
        .iter()
        .filter_map(|(_, object)| object["metadata"]["namespace"].as_str().map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}
