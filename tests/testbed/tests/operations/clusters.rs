//! Adding and removing clusters.

use crate::looks::{expect, gate_is, leader, ran, secret, steps, texts, works};
use crate::{LATER, ROOM, SOON};
use anyhow::Result;
use hcb_testbed::operations::{Jobs, SOURCE, STORE, Site};
use hcb_testbed::procedure::Procedure;
use hcb_testbed::wait_for;
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use serde_json::Value;
use std::time::Duration;

pub(crate) async fn bootstrap(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 4)?;
    site.step(&procedure.steps[0]).await?;
    site.commit().await?;
    steps(site, procedure, 1..4).await?;
    site.wait_for_nodes(&[SOURCE, "public"]).await?;
    wait_for("the secrets", SOON, async || {
        secrets_are_as_declared(site).await.map(|()| true)
    })
    .await?;
    leader(site).await?;
    // Jobs burst from the first minute on.
    site.submit("boot", ROOM + 2, Duration::from_secs(20))
        .await?;
    let done = site
        .wait_for_jobs("boot", LATER, |jobs| jobs.done == ROOM + 2)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    anyhow::ensure!(ran(site, "public").await? >= 1, "nothing ran in public");
    Ok(())
}

/// Every Secret that the tree declares is made by External Secrets, under the names, keys and labels that
/// its readers go by, with the values of the store.
async fn secrets_are_as_declared(site: &Site) -> Result<()> {
    for (cluster, peer) in [(SOURCE, "public"), ("public", SOURCE)] {
        let remote = secret(
            site,
            cluster,
            "istio-system",
            &format!("istio-remote-secret-{peer}"),
        )
        .await?;
        anyhow::ensure!(remote.labels()["istio/multiCluster"] == "true");
        anyhow::ensure!(remote.annotations()["networking.istio.io/cluster"] == peer);
        let data = texts(&remote)?;
        anyhow::ensure!(data.keys().eq([peer]), "{:?}", data.keys());
        works(
            site,
            peer,
            &data[peer],
            "istio-system:istio-reader-service-account",
        )
        .await?;
        let ca = texts(&secret(site, cluster, "istio-system", "cacerts").await?)?;
        let files = [
            "ca-cert.pem",
            "ca-key.pem",
            "cert-chain.pem",
            "root-cert.pem",
        ];
        anyhow::ensure!(ca.keys().eq(files), "{:?}", ca.keys());
        anyhow::ensure!(
            ca["root-cert.pem"] == std::fs::read_to_string(site.folder.join("root-cert.pem"))?
        );
        let own = site.folder.join(format!("{cluster}-ca-cert.pem"));
        anyhow::ensure!(ca["ca-cert.pem"] == std::fs::read_to_string(own)?);
    }
    let name = "object-store-credentials";
    let store = texts(&secret(site, SOURCE, "ml", name).await?)?;
    anyhow::ensure!(store["secretAccessKey"] == "none-of-this-is-in-git");
    let target = texts(&secret(site, SOURCE, "admiralty", "target-public").await?)?;
    works(site, "public", &target["config"], "admiralty:hcb-source").await?;
    let reader = texts(&secret(site, SOURCE, "hcb-system", "hcb-target-public").await?)?;
    works(site, "public", &reader["config"], "hcb-system:hcb-reader").await?;
    // And none of them is in Git.
    let found = site
        .bash("git grep -lE 'none-of-this-is-in-git|BEGIN [A-Z ]*(PRIVATE KEY|CERTIFICATE)|eyJhbGciOi' || true")
        .await?;
    anyhow::ensure!(found.is_empty(), "secrets are in Git: {found}");
    Ok(())
}

pub(crate) async fn add(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 4)?;
    steps(site, procedure, 0..3).await?;
    site.wait_for_nodes(&[SOURCE, "public", "extra"]).await?;
    // Drained, it gets nothing.
    site.submit("add-a", ROOM + 2, Duration::from_secs(20))
        .await?;
    site.wait_for_jobs("add-a", LATER, |jobs| jobs.done == ROOM + 2)
        .await?;
    let placed = site.placed("add-a").await?;
    anyhow::ensure!(!placed.contains_key("extra"), "{placed:?}");
    anyhow::ensure!(placed.contains_key("public"), "{placed:?}");
    steps(site, procedure, 3..4).await?;
    let config = "`drain` is taken up";
    gate_is(site, "extra", Some("extra"), config).await?;
    site.submit("add-b", ROOM + 4, Duration::from_secs(60))
        .await?;
    let done = site
        .wait_for_jobs("add-b", LATER, |jobs| jobs.done == ROOM + 4)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    let placed = site.placed("add-b").await?;
    // By the weights, one of four goes to public.
    let count = |name: &str| placed.get(name).copied().unwrap_or_default();
    let left = count("extra") + count("public");
    let share = left / 4..=left.div_ceil(4);
    anyhow::ensure!(left >= 4 && share.contains(&count("public")), "{placed:?}");
    Ok(())
}

pub(crate) async fn remove(site: &mut Site, procedure: &Procedure) -> Result<()> {
    expect(procedure, 6)?;
    // Jobs run in public; four more than there is room for elsewhere wait when it is drained.
    site.submit("remove-a", ROOM + 12, Duration::from_secs(30))
        .await?;
    let some = |jobs: &Jobs| jobs.running.get("public").is_some_and(|count| *count >= 1);
    site.wait_for_jobs("remove-a", SOON, some).await?;
    steps(site, procedure, 0..1).await?;
    gate_is(site, "public", Some("drained.public"), "public is drained").await?;
    // Who was being placed at that moment is there by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = ran(site, "public").await?;
    steps(site, procedure, 1..2).await?;
    // What ran there ran to its end, and nothing followed.
    site.submit("remove-b", ROOM + 2, Duration::from_secs(3))
        .await?;
    let done = site
        .wait_for_jobs("remove", LATER, |jobs| jobs.done == 2 * ROOM + 14)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    let after = ran(site, "public").await?;
    anyhow::ensure!(
        after == before,
        "{before} ran in public before, {after} after"
    );
    steps(site, procedure, 2..6).await?;
    nothing_is_left(site, "public").await?;
    site.submit("remove-c", ROOM + 2, Duration::from_secs(20))
        .await?;
    let done = site
        .wait_for_jobs("remove-c", LATER, |jobs| jobs.done == ROOM + 2)
        .await?;
    anyhow::ensure!(done.failed == 0, "{done:?}");
    Ok(())
}

/// No object of the source names the cluster any more, no finalizer of its target is left, and no key of
/// it is in the store.
async fn nothing_is_left(site: &Site, name: &str) -> Result<()> {
    let source = site.source();
    wait_for("what was left of it to go", SOON, async || {
        let mut left = Vec::new();
        let virtual_node = hcb_compile::providers::scheduling::admiralty::virtual_node_name(name);
        let nodes = source.nodes().await?;
        left.extend(
            nodes
                .iter()
                .map(Node::name_any)
                .filter(|node| *node == virtual_node),
        );
        let secrets: Api<Secret> = Api::all(source.client.clone());
        let secrets = secrets.list(&ListParams::default()).await?;
        let of_it = secrets.iter().map(Secret::name_any).filter(|secret| {
            ["target", "hcb-target", "istio-remote-secret"]
                .iter()
                .any(|prefix| *secret == format!("{prefix}-{name}"))
        });
        left.extend(of_it);
        let store: Api<Secret> = Api::all(site.testbed.cluster(STORE).client.clone());
        let keys = store.list(&ListParams::default()).await?;
        let of_it = format!("acme-clusters-{name}-");
        left.extend(
            keys.iter()
                .map(Secret::name_any)
                .filter(|key| key.starts_with(&of_it)),
        );
        let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
        let request = http::Request::get(path).body(Vec::new())?;
        let applications: Value = source.client.request(request).await?;
        let of_it = applications["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|item| {
                item["spec"]["destination"]["name"] == name
                    || item["metadata"]["name"] == format!("acme-{name}")
            });
        left.extend(of_it.map(|item| item["metadata"]["name"].to_string()));
        for pod in source.pods().await? {
            let finalizers = pod.finalizers().iter();
            left.extend(
                finalizers
                    .filter(|finalizer| finalizer.contains(name))
                    .cloned(),
            );
        }
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(true)
    })
    .await
}
