//! A real API server accepts every manifest that hcb generates for the examples, by server-side
//! apply with strict field validation and with the real definitions of every kind.

use anyhow::{Context, Result};
use futures::stream::{StreamExt, iter};
use hcb_testbed::apply::{Applier, manifests};
use hcb_testbed::{ClusterPlan, Testbed, definitions};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// How many objects are on their way at a time.
const AT_ONCE: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_accepts_every_manifest_of_the_examples() -> Result<()> {
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
            // What enforces the policies comes when all else is there: these are two clouds and nine
            // clusters in one, and the policy of one would judge the jobs of another.
            let mut bindings = Vec::new();
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
                    let objects = objects.into_iter().map(|(path, object)| {
                        (PathBuf::from(example).join(engine).join(path), object)
                    });
                    let (enforced, others): (Vec<_>, Vec<_>) = objects.partition(|(_, object)| {
                        object["kind"] == "ValidatingAdmissionPolicyBinding"
                    });
                    bindings.extend(enforced);
                    refused.extend(refusals(&applier, &others).await);
                }
            }
            refused.extend(refusals(&applier, &bindings).await);
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
async fn the_api_server_refuses_wrong_manifests() -> Result<()> {
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

/// What the API server says about those of the objects that it refuses.
async fn refusals(applier: &Applier<'_>, objects: &[(PathBuf, Value)]) -> Vec<String> {
    iter(objects)
        .map(async |(path, object)| {
            let error = applier.apply(object).await.err()?;
            Some(format!("{}: {error:#}", path.display()))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |refusal| refusal)
        .collect()
        .await
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
