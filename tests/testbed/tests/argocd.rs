//! Argo CD delivers what `hcb compile --engine argocd` wrote: its real controller and repo server, on real API
//! servers, from a Git repository and registries of charts behind a proxy.

use anyhow::{Context, Result};
use hcb::spec::GitOpsEngine;
use hcb_testbed::admiralty::Admiralty;
use hcb_testbed::argocd::{self, Application};
use hcb_testbed::delivery::Delivery;
use hcb_testbed::{say, wait_for};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a machine with two cores takes for two clusters from nothing.
const BOOTSTRAP: Duration = Duration::from_secs(900);
const SOON: Duration = Duration::from_secs(300);
/// How long the load lasts, in minutes.
const MINUTES: &str = "HCB_DELIVERY_MINUTES";

type Applications = BTreeMap<String, Application>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "has not passed as a whole yet"]
async fn argo_cd_delivers_the_tree_and_fights_nobody() -> Result<()> {
    if !hcb_testbed::is_available() || !argocd::is_available() {
        return Ok(());
    }
    let Some(admiralty) = tokio::task::spawn_blocking(Admiralty::get).await?? else {
        return Ok(());
    };
    let mut delivery = Delivery::start(GitOpsEngine::Argocd).await?;
    let result = scenario(&mut delivery, &admiralty).await;
    if result.is_err() {
        say(&described(
            &argocd::applications(delivery.hub())
                .await
                .unwrap_or_default(),
        ));
    }
    delivery.testbed.run("argocd", async |_| result).await
}

async fn scenario(delivery: &mut Delivery, admiralty: &Admiralty) -> Result<()> {
    bootstrap(delivery).await.context("bootstrap")?;
    delivery.run_programs(admiralty).await?;
    change(delivery).await.context("a change of the spec")?;
    remove(delivery).await.context("a removed workload")?;
    replace(delivery).await.context("a changed Job")?;
    heal(delivery).await.context("an edit by hand")?;
    live(delivery).await.context("live fields under load")
}

/// Waits for something while what is around the clusters goes on.
async fn meanwhile<T>(
    delivery: &Delivery,
    something: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        result = something => result,
        result = delivery.surroundings() => Err(result.err().context("the surroundings ended")?),
    }
}

/// From empty clusters, in the order of README, and nobody helps.
async fn bootstrap(delivery: &Delivery) -> Result<()> {
    let hub = delivery.hub();
    let began = Instant::now();
    argocd::install(hub).await?;
    argocd::run(hub, &delivery.internet.environment()).await?;
    delivery.bootstrap().await?;
    let expected = expected(delivery)?;
    let all = meanwhile(
        delivery,
        settled(delivery, BOOTSTRAP, |all| {
            expected.iter().all(|name| all.contains_key(name))
        }),
    )
    .await?;
    anyhow::ensure!(all.keys().eq(&expected), "{:?}", all.keys());
    let refused = delivery.internet.refused()?;
    anyhow::ensure!(refused.is_empty(), "the tree asks for {refused:?}");
    say(&format!(
        "{} Applications are synced and healthy after {} s",
        all.len(),
        began.elapsed().as_secs()
    ));
    Ok(())
}

/// The Applications of the tree.
fn expected(delivery: &Delivery) -> Result<BTreeSet<String>> {
    let tree = delivery.repository.tree(&delivery.output);
    let mut names = BTreeSet::new();
    for folder in ["gitops", "bootstrap"] {
        for (_, object) in hcb_testbed::apply::manifests(&tree.join(folder))? {
            if object["kind"] == "Application" {
                names.insert(
                    object["metadata"]["name"]
                        .as_str()
                        .context("a name")?
                        .to_owned(),
                );
            }
        }
    }
    Ok(names)
}

/// Waits until all Applications are as declared and well, and `also` holds.
async fn settled(
    delivery: &Delivery,
    most: Duration,
    also: impl Fn(&Applications) -> bool,
) -> Result<Applications> {
    let mut last = Applications::new();
    let mut told = Instant::now();
    let result = wait_for("the Applications", most, async || {
        last = argocd::applications(delivery.hub()).await?;
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            let open = last.values().filter(|one| !one.is_settled()).count();
            say(&format!(
                "{open} of {} Applications are not settled",
                last.len()
            ));
        }
        Ok(!last.is_empty() && last.values().all(Application::is_settled) && also(&last))
    })
    .await;
    result.with_context(|| described(&last))?;
    Ok(last)
}

/// Waits until a commit is delivered.
async fn delivered(delivery: &Delivery, commit: &str) -> Result<Applications> {
    let of_git = |all: &Applications| {
        // Those of charts are of a version.
        all.values()
            .all(|one| one.revision.len() != 40 || one.revision == commit)
    };
    meanwhile(delivery, settled(delivery, SOON, of_git)).await
}

fn described(all: &Applications) -> String {
    let open = all.iter().filter(|(_, one)| !one.is_settled());
    open.map(|(name, one)| format!("{name}: {one:#?}\n"))
        .collect()
}

/// A setting of the reconciler reaches its configuration in the cluster.
async fn change(delivery: &mut Delivery) -> Result<()> {
    let read = async |delivery: &Delivery| -> Result<BTreeMap<String, String>> {
        let maps: Api<ConfigMap> = Api::namespaced(delivery.hub().client.clone(), "hcb-system");
        Ok(maps.get("hcb-reconciler").await?.data.unwrap_or_default())
    };
    let before = read(delivery).await?;
    delivery
        .repository
        .replace("cloud.yaml", "after: 0s", "after: 1s")?;
    let commit = delivery.push("Burst a second later")?;
    delivered(delivery, &commit).await?;
    anyhow::ensure!(
        read(delivery).await? != before,
        "the configuration is the old one"
    );
    Ok(())
}

async fn jobs(delivery: &Delivery) -> Result<BTreeSet<String>> {
    let api: Api<Job> = Api::all(delivery.hub().client.clone());
    let list = api.list(&ListParams::default()).await?;
    Ok(list.iter().map(ResourceExt::name_any).collect())
}

/// A workload that is removed is pruned, with its pods.
async fn remove(delivery: &mut Delivery) -> Result<()> {
    let extra = |names: &BTreeSet<String>| names.iter().any(|name| name.starts_with("extra-"));
    anyhow::ensure!(extra(&jobs(delivery).await?), "there is no Job to remove");
    delivery.repository.remove("workloads/extra.yaml")?;
    let commit = delivery.push("Without the extra workload")?;
    delivered(delivery, &commit).await?;
    let now = jobs(delivery).await?;
    anyhow::ensure!(!extra(&now), "{now:?}");
    Ok(())
}

/// A Job whose template changed is another Job, and no Application says that a field is immutable.
async fn replace(delivery: &mut Delivery) -> Result<()> {
    let before = jobs(delivery).await?;
    delivery
        .repository
        .replace("workloads/train.yaml", "train:1.0.0", "train:1.0.1")?;
    let commit = delivery.push("The next version of the training")?;
    let all = delivered(delivery, &commit).await?;
    let now = jobs(delivery).await?;
    anyhow::ensure!(
        now != before && now.len() == before.len(),
        "{before:?}, then {now:?}"
    );
    for (name, one) in &all {
        anyhow::ensure!(!one.operation.1.contains("immutable"), "{name}: {one:?}");
    }
    Ok(())
}

/// What a person changes by hand is put back.
async fn heal(delivery: &Delivery) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(delivery.hub().client.clone(), "hcb-system");
    let replicas = async || -> Result<Option<i32>> {
        Ok(api
            .get("hcb-reconciler")
            .await?
            .spec
            .and_then(|spec| spec.replicas))
    };
    let declared = replicas().await?;
    let edit = json!({"spec": {"replicas": declared.unwrap_or(1) + 3}});
    api.patch(
        "hcb-reconciler",
        &PatchParams::default(),
        &Patch::Merge(edit),
    )
    .await?;
    anyhow::ensure!(replicas().await? != declared, "the edit did not count");
    let back = wait_for("the edit to be reverted", SOON, async || {
        Ok(replicas().await? == declared)
    });
    meanwhile(delivery, back).await?;
    meanwhile(delivery, settled(delivery, SOON, |_| true)).await?;
    Ok(())
}

/// The reconciler and Admiralty do their work for a while, and no Application is synced for it.
async fn live(delivery: &Delivery) -> Result<()> {
    let minutes: u64 = std::env::var(MINUTES).map_or(Ok(1), |text| text.parse())?;
    let before = argocd::applications(delivery.hub()).await?;
    let events = operations(delivery).await?;
    let mut drifts = BTreeMap::<String, usize>::new();
    let load = delivery.load(Duration::from_secs(60 * minutes));
    let watch = async {
        loop {
            for (name, one) in argocd::applications(delivery.hub()).await? {
                if one.sync != "Synced" {
                    *drifts
                        .entry(format!("{name}: {:?}", one.troubled))
                        .or_default() += 1;
                }
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let (count, elsewhere) = tokio::select! {
        result = meanwhile(delivery, load) => result?,
        result = watch => { let result: Result<(usize, usize)> = result; result? }
    };
    let after = argocd::applications(delivery.hub()).await?;
    let synced: Vec<_> = after
        .iter()
        .filter(|(name, one)| {
            before.get(*name).map(|one| (&one.started, one.history))
                != Some((&one.started, one.history))
        })
        .map(|(name, _)| name)
        .collect();
    let operations = operations(delivery).await? - events;
    say(&format!(
        "{minutes} min with {count} jobs, {elsewhere} of them elsewhere: {} syncs, {operations} operations, {} drifts",
        synced.len(),
        drifts.len()
    ));
    anyhow::ensure!(elsewhere > 0, "no job burst, so nothing was live");
    anyhow::ensure!(synced.is_empty(), "synced again: {synced:?}");
    anyhow::ensure!(operations == 0, "{operations} operations");
    anyhow::ensure!(drifts.is_empty(), "{drifts:#?}");
    Ok(())
}

/// How many operations Argo CD has told of as Events.
async fn operations(delivery: &Delivery) -> Result<i32> {
    let api: Api<Event> = Api::namespaced(delivery.hub().client.clone(), argocd::NAMESPACE);
    let events = api.list(&ListParams::default()).await?;
    let begun = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("OperationStarted"));
    Ok(begun.map(|event| event.count.unwrap_or(1)).sum())
}
