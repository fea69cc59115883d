//! What the rights that hcb gives the reconciler allow, and what they do not: on pods as a Job makes them, and on
//! pods as Admiralty changes them.

use anyhow::{Context, Result};
use hcb_testbed::hybrid::{Hybrid, Setup};
use k8s_openapi::api::core::v1::{ConfigMap, Node, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::time::Duration;

/// What is said of a request that the API server refuses.
fn refusal<T>(result: kube::Result<T>) -> Result<String> {
    match result {
        Ok(_) => anyhow::bail!("it was allowed"),
        Err(kube::Error::Api(status)) => Ok(status.message),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler_may_release_pods_and_nothing_else() -> Result<()> {
    let Some(hybrid) = Hybrid::without_admiralty("fits-beside-nodes", Setup::Static).await? else {
        return Ok(());
    };
    rights_are_as_meant(&hybrid).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler_may_do_no_more_to_pods_that_admiralty_changed() -> Result<()> {
    let Some((_, hybrid)) = Hybrid::of("fits-beside-nodes", Setup::Static).await? else {
        return Ok(());
    };
    rights_are_as_meant(&hybrid).await
}

/// Waits until the API server judges by the policies, which it does a moment after it has them.
async fn wait_for_policies(client: &kube::Client, pod: &str) -> Result<()> {
    let asked = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let change = Patch::Merge(json!({"metadata": {"labels": {"other": "label"}}}));
    let pods = Api::<Pod>::namespaced(client.clone(), "ml");
    let nodes = Api::<Node>::all(client.clone());
    let is_refused = |answer: kube::Result<()>| -> Result<bool> {
        match answer {
            Ok(()) => Ok(false),
            Err(kube::Error::Api(status)) => Ok(status.message.contains("changes no metadata")),
            Err(error) => Err(error.into()),
        }
    };
    hcb_testbed::wait_for("the policies", Duration::from_secs(30), async || {
        let of_pods = pods.patch(pod, &asked, &change).await.map(drop);
        let of_nodes = nodes.patch("admiralty-private", &asked, &change).await;
        Ok(is_refused(of_pods)? && is_refused(of_nodes.map(drop))?)
    })
    .await
}

async fn rights_are_as_meant(hybrid: &Hybrid) -> Result<()> {
    let source = hybrid.source();
    let (_, job) = hybrid.jobs.first().context("a Job")?;
    hcb_testbed::apply::Applier::new(source).apply(job).await?;
    hcb_testbed::wait_for("the Job's pod", Duration::from_secs(30), async || {
        Ok(!source.pods().await?.is_empty())
    })
    .await?;
    let pods = source.pods().await?;
    let pod = pods
        .iter()
        .find(|pod| pod.metadata.owner_references.is_some())
        .context("the Job's pod")?;
    let name = pod.metadata.name.as_deref().context("a name")?;

    let client = source
        .service_account_client("hcb-system", "hcb-reconciler")
        .await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "ml");
    let change = async |patch: Value| {
        pods.patch(name, &PatchParams::default(), &Patch::Strategic(patch))
            .await
    };

    wait_for_policies(&client, name).await?;

    let gate = json!({"key": "hcb.dev/gate", "operator": "Equal", "value": "public", "effect": "NoSchedule"});
    let mut tolerations = serde_json::to_value(
        pod.spec
            .as_ref()
            .context("a spec")?
            .tolerations
            .clone()
            .unwrap_or_default(),
    )?;
    tolerations.as_array_mut().context("a list")?.push(gate);
    change(json!({"spec": {"tolerations": tolerations}}))
        .await
        .context("a toleration for a gate")?;
    change(json!({"metadata": {"annotations": {"hcb.dev/woken": "now"}}}))
        .await
        .context("a note")?;

    let mut more = tolerations.clone();
    more.as_array_mut()
        .context("a list")?
        .push(json!({"key": "other", "operator": "Exists"}));
    let image = json!({"spec": {"containers": [{"name": "main", "image": "evil"}]}});
    for (patch, message) in [
        (
            json!({"spec": {"tolerations": more}}),
            "adds tolerations of hcb.dev/gate",
        ),
        (image, "changes nothing of a pod but its tolerations"),
        (
            json!({"metadata": {"annotations": {"other": "note"}}}),
            "changes no metadata",
        ),
        (
            json!({"metadata": {"labels": {"other": "label"}}}),
            "changes no metadata",
        ),
    ] {
        let found = refusal(change(patch.clone()).await).with_context(|| patch.to_string())?;
        anyhow::ensure!(found.contains(message), "{patch}: {found}");
    }
    // Two policies hold this; either may be the one that is named.
    let manifest = json!({"metadata": {"annotations": {"multicluster.admiralty.io/sourcepod-manifest": "{}"}}});
    let found = refusal(change(manifest).await)?;
    anyhow::ensure!(
        found.contains("changes no metadata") || found.contains("of a pod does not change"),
        "{found}"
    );

    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "Other"});
    let status = json!({"status": {"conditions": [condition]}});
    let found = refusal(
        pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(status))
            .await,
    )?;
    anyhow::ensure!(found.contains("takes conditions off"), "{found}");

    // Of virtual nodes it may change the gate: it closes the first tier's to a crowd, and those of
    // clusters that are drained. Other taints, and all other nodes, are not its own.
    let nodes = Api::<Node>::all(client.clone());
    let first = "admiralty-private";
    let taints = serde_json::to_value(nodes.get(first).await?.spec.and_then(|spec| spec.taints))?;
    let with = |more: Value| {
        let mut taints = taints.clone();
        taints.as_array_mut().expect("a list").push(more);
        json!({"spec": {"taints": taints}})
    };
    let patch = async |patch: Value| {
        nodes
            .patch(first, &PatchParams::default(), &Patch::Merge(patch))
            .await
    };
    let gate = json!({"key": "hcb.dev/gate", "value": "private", "effect": "NoSchedule"});
    patch(with(gate))
        .await
        .context("a gate of the first tier")?;
    patch(json!({"spec": {"taints": taints}}))
        .await
        .context("the gate taken away")?;
    let other = json!({"key": "other", "effect": "NoExecute"});
    for (change, message) in [
        (with(other), "changes no taint of a node but hcb.dev/gate"),
        (
            json!({"spec": {"taints": []}}),
            "changes no taint of a node",
        ),
        (json!({"spec": {"unschedulable": true}}), "changes no taint"),
        (
            json!({"metadata": {"labels": {"other": "label"}}}),
            "changes no metadata of a node",
        ),
    ] {
        let found = refusal(patch(change.clone()).await).with_context(|| change.to_string())?;
        anyhow::ensure!(found.contains(message), "{change}: {found}");
    }

    let unwanted = json!({"spec": {"taints": [{"key": "other", "effect": "NoExecute"}]}});
    let found = refusal(
        nodes
            .patch(
                "admiralty-public",
                &PatchParams::default(),
                &Patch::Merge(unwanted),
            )
            .await,
    )?;
    anyhow::ensure!(
        found.contains("changes no taint of a node but hcb.dev/gate"),
        "{found}"
    );

    let map = json!({"metadata": {"name": "other"}});
    let forbidden = [
        refusal(
            Api::<ConfigMap>::namespaced(client.clone(), "hcb-system")
                .create(&PostParams::default(), &serde_json::from_value(map)?)
                .await,
        )?,
        refusal(pods.delete(name, &DeleteParams::default()).await)?,
        refusal(
            Api::<Pod>::namespaced(client.clone(), "kube-system")
                .patch("any", &PatchParams::default(), &Patch::Merge(json!({})))
                .await,
        )?,
        refusal(
            Api::<Node>::all(client.clone())
                .patch(
                    "private-0",
                    &PatchParams::default(),
                    &Patch::Merge(json!({})),
                )
                .await,
        )?,
        refusal(
            Api::<Secret>::all(client.clone())
                .list(&ListParams::default())
                .await,
        )?,
        refusal(
            Api::<Secret>::namespaced(client, "hcb-system")
                .get("hcb-target-public")
                .await,
        )?,
    ];
    for message in forbidden {
        anyhow::ensure!(message.contains("forbidden"), "{message}");
    }
    Ok(())
}
