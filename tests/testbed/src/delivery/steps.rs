//! What is promised of a delivery, step by step, whichever engine delivers.

use super::Delivery;
use crate::admiralty::Admiralty;
use crate::apply::manifests;
use crate::cluster::Cluster;
use crate::{say, wait_for};
use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// What a machine with two cores takes for two clusters from nothing.
const BOOTSTRAP: Duration = Duration::from_secs(1200);
const SOON: Duration = Duration::from_secs(400);
/// How long nothing may happen until all is called settled.
const QUIET: Duration = Duration::from_secs(40);
/// How long the load lasts, in minutes.
const MINUTES: &str = "HCB_DELIVERY_MINUTES";

/// One object of an engine that delivers something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Whether all of it is as declared, and well.
    pub is_settled: bool,
    /// Whether a cluster is seen not to be as declared.
    pub is_drifted: bool,
    /// The commit that was delivered last; none for a chart.
    pub commit: Option<String>,
    /// What it says of itself.
    pub said: String,
}

/// What an engine says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its objects, by name.
    pub parts: BTreeMap<String, Part>,
    /// How often it has changed something in a cluster.
    pub actions: i64,
}

/// An engine, as far as the steps have to know it.
#[derive(Debug)]
pub struct Engine<Look> {
    /// Asks it how it is.
    pub look: Look,
    /// The kinds of its objects in the tree, each of which must be settled.
    pub kinds: &'static [&'static str],
}

impl<Look: AsyncFn(&Cluster) -> Result<Seen>> Engine<Look> {
    /// Plays all steps on clusters in which the engine runs, and nothing else.
    ///
    /// # Errors
    /// Where a promise is not kept.
    pub async fn play(&self, delivery: &mut Delivery, admiralty: &Admiralty) -> Result<()> {
        self.bootstrap(delivery).await.context("bootstrap")?;
        delivery.run_programs(admiralty).await?;
        self.change(delivery)
            .await
            .context("a change of the spec")?;
        self.remove(delivery).await.context("a removed workload")?;
        self.replace(delivery).await.context("a changed Job")?;
        self.heal(delivery).await.context("an edit by hand")?;
        self.live(delivery).await.context("live fields under load")
    }

    /// From empty clusters, in the order of README, and nobody helps.
    async fn bootstrap(&self, delivery: &Delivery) -> Result<()> {
        let began = Instant::now();
        delivery.bootstrap().await?;
        let count = self.declared(delivery)?;
        let seen = meanwhile(
            delivery,
            self.settled(delivery, BOOTSTRAP, |seen| seen.parts.len() >= count),
        )
        .await?;
        let refused = delivery.internet.refused()?;
        anyhow::ensure!(refused.is_empty(), "the tree asks for {refused:?}");
        say(&format!(
            "{} objects of the engine are settled after {} s",
            seen.parts.len(),
            began.elapsed().as_secs()
        ));
        Ok(())
    }

    /// How many objects of the engine the tree has.
    fn declared(&self, delivery: &Delivery) -> Result<usize> {
        let tree = delivery.repository.tree(&delivery.output);
        let mut count = 0;
        for folder in ["gitops", "bootstrap"] {
            let objects = manifests(&tree.join(folder))?;
            let ours = objects.iter().filter(|(_, object)| {
                let kind = object["kind"].as_str().unwrap_or_default();
                self.kinds.contains(&kind)
            });
            count += ours.count();
        }
        anyhow::ensure!(count > 0, "the tree has no object of the engine");
        Ok(count)
    }

    /// Waits until everything is as declared and well, and `also` holds.
    async fn settled(
        &self,
        delivery: &Delivery,
        most: Duration,
        also: impl Fn(&Seen) -> bool,
    ) -> Result<Seen> {
        let mut last = Seen::default();
        let mut told = Instant::now();
        let result = wait_for("the engine", most, async || {
            last = (self.look)(delivery.hub()).await?;
            if told.elapsed() > Duration::from_secs(60) {
                told = Instant::now();
                say(&format!("not settled:\n{}", described(&last)));
            }
            let parts = &last.parts;
            Ok(!parts.is_empty() && parts.values().all(|part| part.is_settled) && also(&last))
        })
        .await;
        result.with_context(|| described(&last))?;
        Ok(last)
    }

    /// Waits until a commit is delivered.
    async fn delivered(&self, delivery: &Delivery, commit: &str) -> Result<Seen> {
        let is_there = |seen: &Seen| {
            let mut commits = seen
                .parts
                .values()
                .filter_map(|part| part.commit.as_deref());
            commits.all(|one| one == commit)
        };
        meanwhile(delivery, self.settled(delivery, SOON, is_there)).await
    }

    /// A setting of the reconciler reaches its configuration in the cluster.
    async fn change(&self, delivery: &mut Delivery) -> Result<()> {
        let before = configuration(delivery).await?;
        delivery
            .repository
            .replace("cloud.yaml", "after: 0s", "after: 1s")?;
        let commit = delivery.push("Burst a second later")?;
        self.delivered(delivery, &commit).await?;
        let after = configuration(delivery).await?;
        anyhow::ensure!(after != before, "the configuration is the old one");
        Ok(())
    }

    /// A workload that is removed is pruned.
    async fn remove(&self, delivery: &mut Delivery) -> Result<()> {
        let extra = |names: &BTreeSet<String>| names.iter().any(|name| name.starts_with("extra-"));
        let before = jobs(delivery).await?;
        anyhow::ensure!(extra(&before), "there is no Job to remove: {before:?}");
        delivery.repository.remove("workloads/extra.yaml")?;
        let commit = delivery.push("Without the extra workload")?;
        self.delivered(delivery, &commit).await?;
        // The Job itself goes once its pods have gone.
        let gone = wait_for("the Job to go", SOON, async || {
            Ok(!extra(&jobs(delivery).await?))
        });
        meanwhile(delivery, gone).await
    }

    /// A Job whose template changed is another Job, and nothing says that a field is immutable.
    async fn replace(&self, delivery: &mut Delivery) -> Result<()> {
        let before = jobs(delivery).await?;
        delivery
            .repository
            .replace("workloads/train.yaml", "train:1.0.0", "train:1.0.1")?;
        let commit = delivery.push("The next version of the training")?;
        let seen = self.delivered(delivery, &commit).await?;
        for (name, part) in &seen.parts {
            anyhow::ensure!(!part.said.contains("immutable"), "{name}: {part:?}");
        }
        let mut now = BTreeSet::new();
        let replaced = wait_for("the new Job in the old one's place", SOON, async || {
            now = jobs(delivery).await?;
            Ok(now.len() == before.len() && now.is_disjoint(&before))
        });
        let result = meanwhile(delivery, replaced).await;
        result.with_context(|| format!("{before:?}, then {now:?}"))
    }

    /// What a person changes by hand is put back.
    async fn heal(&self, delivery: &Delivery) -> Result<()> {
        let api: Api<Deployment> = Api::namespaced(delivery.hub().client.clone(), "hcb-system");
        let replicas = async || -> Result<Option<i32>> {
            let deployment = api.get("hcb-reconciler").await?;
            Ok(deployment.spec.and_then(|spec| spec.replicas))
        };
        let declared = replicas().await?;
        let edit = json!({"spec": {"replicas": declared.unwrap_or(1) + 3}});
        let parameters = PatchParams::default();
        api.patch("hcb-reconciler", &parameters, &Patch::Merge(edit))
            .await?;
        anyhow::ensure!(replicas().await? != declared, "the edit did not count");
        let began = Instant::now();
        let back = wait_for("the edit to be reverted", SOON, async || {
            Ok(replicas().await? == declared)
        });
        meanwhile(delivery, back).await?;
        say(&format!(
            "an edit by hand was reverted after {} s",
            began.elapsed().as_secs()
        ));
        meanwhile(delivery, self.settled(delivery, SOON, |_| true)).await?;
        Ok(())
    }

    /// The reconciler and Admiralty do their work for a while, and the engine does nothing for it.
    async fn live(&self, delivery: &Delivery) -> Result<()> {
        let minutes: u64 = std::env::var(MINUTES).map_or(Ok(1), |text| text.parse())?;
        meanwhile(delivery, self.quiet(delivery)).await?;
        let before = (self.look)(delivery.hub()).await?;
        let mut drifts = BTreeSet::new();
        let load = delivery.load(Duration::from_secs(60 * minutes));
        let watch = async {
            loop {
                let seen = (self.look)(delivery.hub()).await?;
                let drifted = seen.parts.iter().filter(|(_, part)| part.is_drifted);
                drifts.extend(drifted.map(|(name, part)| format!("{name}: {}", part.said)));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        let (count, elsewhere) = tokio::select! {
            result = meanwhile(delivery, load) => result?,
            result = watch => { let result: Result<(usize, usize)> = result; result? }
        };
        let after = (self.look)(delivery.hub()).await?;
        let actions = after.actions - before.actions;
        say(&format!(
            "{minutes} min with {count} jobs, {elsewhere} pods of them elsewhere: {actions} syncs or reverts, {} drifts",
            drifts.len()
        ));
        anyhow::ensure!(elsewhere > 0, "no job burst, so nothing was live");
        anyhow::ensure!(actions == 0, "the engine acted {actions} times");
        anyhow::ensure!(drifts.is_empty(), "{drifts:#?}");
        Ok(())
    }

    /// Waits until the engine has done nothing for a while.
    async fn quiet(&self, delivery: &Delivery) -> Result<()> {
        let mut last = (0, Instant::now());
        wait_for("the engine to have nothing to do", SOON, async || {
            let seen = (self.look)(delivery.hub()).await?;
            let is_drifted = seen.parts.values().any(|part| part.is_drifted);
            if seen.actions != last.0 || is_drifted {
                last = (seen.actions, Instant::now());
            }
            Ok(last.1.elapsed() > QUIET)
        })
        .await
    }
}

/// Waits for something while what is around the clusters goes on.
///
/// # Errors
/// Where it fails, or what is around the clusters.
pub async fn meanwhile<T>(
    delivery: &Delivery,
    something: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::select! {
        result = something => result,
        result = delivery.surroundings() => Err(result.err().context("the surroundings ended")?),
    }
}

fn described(seen: &Seen) -> String {
    let open = seen.parts.iter().filter(|(_, part)| !part.is_settled);
    let lines: Vec<_> = open
        .map(|(name, part)| format!("{name}: {}", part.said))
        .collect();
    lines.join("\n")
}

async fn configuration(delivery: &Delivery) -> Result<BTreeMap<String, String>> {
    let maps: Api<ConfigMap> = Api::namespaced(delivery.hub().client.clone(), "hcb-system");
    Ok(maps.get("hcb-reconciler").await?.data.unwrap_or_default())
}

/// The Jobs of the tree: those that a `CronJob` makes come and go by the clock.
async fn jobs(delivery: &Delivery) -> Result<BTreeSet<String>> {
    let api: Api<Job> = Api::all(delivery.hub().client.clone());
    let list = api.list(&ListParams::default()).await?;
    let own = list.iter().filter(|job| job.owner_references().is_empty());
    Ok(own.map(ResourceExt::name_any).collect())
}
