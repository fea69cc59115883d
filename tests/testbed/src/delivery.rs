//! A cloud that an engine delivers, whichever: its repository and clusters, and what is around them that
//! no process of this machine can be: the secret store's operator, the cloud's load balancers and metrics,
//! and the programs of jobs, which end after a moment.

mod played;
pub mod steps;

use crate::admiralty::Admiralty;
use crate::apply::{Applier, manifests};
use crate::cluster::{Cluster, Purpose};
use crate::hybrid::{
    RECONCILER, RECONCILER_NAMESPACE, hcb_binary, plan, run_admiralty, run_replica,
};
use crate::internet::Internet;
use crate::process::Program;
use crate::repository::{Repository, compiled};
use crate::scenario::copy;
use crate::secrets::Store;
use crate::testbed::Testbed;
use crate::{definitions, deployment};
use anyhow::{Context, Result};
use hcb_compile::compile::Output;
use hcb_spec::spec::GitOpsEngine;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::ResourceExt;
use kube::api::{Api, ListParams, PostParams};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;
use tokio::sync::Mutex;

/// Groups of definitions that are in the clusters before hcb, since the spec says so.
const GROUPS: &[&str] = &[
    "acme.cert-manager.io",
    "cert-manager.io",
    "external-secrets.io",
    "monitoring.coreos.com",
];
/// How long a job of the load runs. The scheduler places one in a second or two, so that shorter ones would
/// end before the first tier is full.
const A_WHILE: Duration = Duration::from_secs(30);
/// How long between two waves of the load.
const PAUSE: Duration = Duration::from_secs(30);
/// How many jobs a large wave of the load has: more than the first tier has room for. That holds six to eight
/// of the spec's, and so is full long before the first of them ends, on a slow machine too.
const LARGE_WAVE: usize = 14;
/// How many jobs a small wave has.
const SMALL_WAVE: usize = 3;

/// A cloud before anything is delivered to it.
#[derive(Debug)]
pub struct Delivery {
    /// Its clusters.
    pub testbed: Testbed,
    /// The team's repository.
    pub repository: Repository,
    /// Where the engine finds the repository and the charts.
    pub internet: Internet,
    /// What was compiled last.
    pub output: Output,
    store: Mutex<Store>,
    /// What the reconciler's Deployment runs, once it does.
    reconciler: OnceLock<PathBuf>,
}

impl Delivery {
    /// Starts empty clusters, and pushes the spec in `tests/testbed/delivery` with what it compiles to.
    ///
    /// # Errors
    /// Where a server does not start or the spec does not compile.
    pub async fn start(engine: GitOpsEngine) -> Result<Self> {
        // Its build may take minutes, in which nothing has to wait for it yet.
        tokio::task::spawn_blocking(hcb_binary).await??;
        let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("delivery");
        let planned = compiled(&spec, Some(engine))?;
        let plans: Vec<_> = planned.model.clusters.iter().map(plan).collect();
        let testbed = Testbed::start_for(Purpose::Delivery, &plans).await?;
        let repository = Repository::create(testbed.folder(), engine)?;
        for entry in ["cloud.yaml", "workloads/train.yaml", "workloads/extra.yaml"] {
            let mut text = fs::read_to_string(spec.join(entry))?;
            for cluster in &planned.model.clusters {
                if let Some(url) = &cluster.api_server {
                    text = text.replace(url, &testbed.cluster(&cluster.name).server);
                }
            }
            repository.write(entry, &text)?;
        }
        let (_, output) = repository.push("The cloud")?;
        let internet = Internet::start(&testbed, &repository.bare, &output).await?;
        let delivery = Self {
            testbed,
            repository,
            internet,
            output,
            store: Mutex::new(Store::new(Vec::new())),
            reconciler: OnceLock::new(),
        };
        delivery.prepare().await?;
        Ok(delivery)
    }

    /// Compiles and pushes what was edited, and returns the commit.
    ///
    /// # Errors
    /// Where the spec is wrong.
    pub fn push(&mut self, message: &str) -> Result<String> {
        let (commit, output) = self.repository.push(message)?;
        self.output = output;
        Ok(commit)
    }

    /// The cluster that jobs are created in, and that the engine runs in.
    pub fn hub(&self) -> &Cluster {
        self.testbed.cluster(&self.output.model.source().name)
    }

    /// What is in the clusters before hcb, and what a person puts into the store.
    async fn prepare(&self) -> Result<()> {
        let all = tokio::task::spawn_blocking(definitions::all).await??;
        let before: Vec<_> = all
            .into_iter()
            .filter(|definition| {
                let group = definition["spec"]["group"].as_str().unwrap_or_default();
                GROUPS.contains(&group)
            })
            .map(|mut definition| {
                // Conversion asks a webhook, which only older versions of the kinds need.
                if let Some(spec) = definition["spec"].as_object_mut() {
                    spec.remove("conversion");
                }
                definition
            })
            .collect();
        for cluster in &self.testbed.clusters {
            Applier::new(cluster).apply_definitions(&before).await?;
        }
        // Whatever no cluster pushes, a person puts there.
        let mut store = self.store.lock().await;
        let objects = manifests(&self.repository.tree(&self.output).join("clusters"))?;
        let pushed: BTreeSet<_> = objects
            .iter()
            .filter(|(_, object)| object["kind"] == "PushSecret")
            .flat_map(|(_, object)| keys(object, "/match/remoteRef", "remoteKey"))
            .map(|(key, _)| key)
            .collect();
        for (_, object) in objects
            .iter()
            .filter(|(_, object)| object["kind"] == "ExternalSecret")
        {
            for (key, property) in keys(object, "/remoteRef", "key") {
                if !pushed.contains(&key) {
                    store.put(&key, &property, b"by-a-person");
                }
            }
        }
        Ok(())
    }

    /// Applies `bootstrap/` as README says, and puts the tokens that it makes into the store.
    ///
    /// # Errors
    /// What an API server says against an object.
    pub async fn bootstrap(&self) -> Result<()> {
        let tree = self.repository.tree(&self.output);
        for cluster in &self.testbed.clusters {
            let folder = tree.join("bootstrap").join(&cluster.name);
            if !folder.is_dir() {
                continue;
            }
            let applier = Applier::new(cluster);
            for (_, object) in manifests(&folder)? {
                applier.apply_beside_others(&object, "hcb").await?;
            }
        }
        let objects = manifests(&tree.join("clusters"))?;
        let access = objects.iter().filter(|(path, object)| {
            object["kind"] == "PushSecret" && path.iter().any(|part| part == "gitops-access")
        });
        for (path, object) in access {
            let cluster = path.iter().next().context("a cluster")?;
            let cluster = self.testbed.cluster(&cluster.to_string_lossy());
            let key = keys(object, "/match/remoteRef", "remoteKey").remove(0).0;
            let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
            let name = object["spec"]["selector"]["secret"]["name"].as_str();
            let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), namespace);
            let mut data = BTreeMap::new();
            crate::wait_for("the engine's token", Duration::from_secs(30), async || {
                let secret = secrets.get(name.context("a name")?).await?;
                data = secret.data.unwrap_or_default();
                Ok(data.contains_key("token"))
            })
            .await?;
            let mut store = self.store.lock().await;
            for (property, value) in &data {
                store.put(&key, property, &value.0);
            }
        }
        Ok(())
    }

    /// Plays what is around the clusters, until it fails.
    ///
    /// # Errors
    /// Where an API server does not answer as it should.
    pub async fn surroundings(&self) -> Result<()> {
        let namespace = self.job()?["metadata"]["namespace"]
            .as_str()
            .context("a namespace")?
            .to_owned();
        loop {
            for cluster in &self.testbed.clusters {
                let mut store = self.store.lock().await;
                store.push(cluster).await?;
                store.pull(cluster).await?;
                drop(store);
                played::secrets_are_told(cluster).await?;
                played::cloud(cluster).await?;
                played::certificates_are_told(cluster).await?;
                played::authorities(cluster).await?;
                played::programs_end(cluster, &namespace).await?;
            }
            if let Some(binary) = self.reconciler.get() {
                // What is mounted follows what is in the cluster, as a kubelet has it.
                self.reconciler(binary.clone()).await?;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// What the reconciler's Deployment runs, with the files that are mounted.
    async fn reconciler(&self, binary: PathBuf) -> Result<Program> {
        deployment::program(self.hub(), RECONCILER_NAMESPACE, RECONCILER, binary).await
    }

    /// Runs Admiralty and the reconciler by the Deployments that were delivered.
    ///
    /// # Errors
    /// Where one is not there.
    pub async fn run_programs(&self, admiralty: &Admiralty) -> Result<()> {
        let hub = self.hub();
        for cluster in self
            .testbed
            .clusters
            .iter()
            .filter(|other| other.name != hub.name)
        {
            run_admiralty(admiralty, cluster, false).await?;
        }
        run_admiralty(admiralty, hub, true).await?;
        let binary = tokio::task::spawn_blocking(hcb_binary).await??;
        let program = self.reconciler(binary.clone()).await?;
        self.reconciler.get_or_init(|| binary);
        for replica in 0..self.output.model.scheduling.reconciler.replicas {
            run_replica(hub, replica, program.clone())?;
        }
        Ok(())
    }

    /// The Job of a workload of the spec.
    ///
    /// # Errors
    /// Where the tree has none.
    pub fn job(&self) -> Result<Value> {
        let tree = self.repository.tree(&self.output).join("clusters");
        let found = manifests(&tree.join(&self.hub().name))?
            .into_iter()
            .find(|(_, object)| object["kind"] == "Job");
        Ok(found.context("a Job in the tree")?.1)
    }

    /// Creates and waits for jobs, now few and now many, and returns how many there were and how many
    /// pods ran outside of the source.
    ///
    /// # Errors
    /// Where one fails, or they do not end.
    pub async fn load(&self, most: Duration) -> Result<(usize, usize)> {
        let hub = self.hub();
        let template = self.job()?;
        let namespace = template["metadata"]["namespace"]
            .as_str()
            .context("a namespace")?;
        let api: Api<Job> = Api::namespaced(hub.client.clone(), namespace);
        let began = std::time::Instant::now();
        let mut number = 0;
        for round in 0.. {
            if began.elapsed() >= most {
                break;
            }
            let count = if round % 2 == 0 {
                LARGE_WAVE
            } else {
                SMALL_WAVE
            };
            for _ in 0..count {
                let job = copy(&template, &format!("load-{number}"), A_WHILE);
                api.create(&PostParams::default(), &serde_json::from_value(job)?)
                    .await?;
                number += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let mut open = Vec::new();
        let done = crate::wait_for(
            "the jobs of the load",
            Duration::from_secs(300),
            async || {
                let jobs = api.list(&ListParams::default()).await?.items;
                let of_load = jobs
                    .iter()
                    .filter(|job| job.name_any().starts_with("load-"));
                open = of_load
                    .filter(|job| {
                        job.status.as_ref().and_then(|status| status.succeeded) != Some(1)
                    })
                    .map(ResourceExt::name_any)
                    .collect();
                Ok(open.is_empty())
            },
        )
        .await;
        done.with_context(|| format!("{} of {number} are not done: {open:?}", open.len()))?;
        let mut elsewhere = 0;
        for cluster in self
            .testbed
            .clusters
            .iter()
            .filter(|other| other.name != hub.name)
        {
            let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
            let pods = pods.list(&ListParams::default()).await?.items;
            elsewhere += pods
                .iter()
                .filter(|pod| pod.name_any().starts_with("load-"))
                .count();
        }
        Ok((number, elsewhere))
    }
}

/// The keys of the store that an object names, with the properties.
fn keys(object: &Value, at: &str, key: &str) -> Vec<(String, String)> {
    let data = object["spec"]["data"].as_array().into_iter().flatten();
    data.filter_map(|item| {
        let reference = item.pointer(at)?;
        let property = reference["property"].as_str().unwrap_or_default();
        Some((reference[key].as_str()?.to_owned(), property.to_owned()))
    })
    .collect()
}
