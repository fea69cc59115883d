//! A hybrid cloud as a platform team runs it: a Git repository with a spec, clusters of which it becomes
//! the state, and a store with the secrets. The part of an engine is played (`engine.rs`).

use crate::admiralty::Admiralty;
use crate::apply::{Applier, documents};
use crate::cluster::{Cluster, ClusterPlan, NodePool};
use crate::external_secrets::{self, ExternalSecrets};
use crate::hybrid::hcb_binary;
use crate::procedure::{Page, Step};
use crate::testbed::Testbed;
use crate::{definitions, wait_for};
use anyhow::{Context, Result};
use engine::Identity;
pub use jobs::Jobs;
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

mod engine;
mod jobs;
mod shell;

/// The cluster that jobs are created in.
pub const SOURCE: &str = "private";
/// The cluster that is the secret store.
pub const STORE: &str = "store";
/// The namespace of the store, and of what may use it.
const STORE_NAMESPACE: &str = "hcb";
/// Groups whose definitions come with what is installed before.
const GROUPS: &[&str] = &[
    "argoproj.io",
    "monitoring.coreos.com",
    "networking.istio.io",
    "security.istio.io",
];
const SOON: Duration = Duration::from_secs(240);

/// A team's clusters and repository.
#[derive(Debug)]
pub struct Site {
    /// The clusters, with the store.
    pub testbed: Testbed,
    /// The checkout.
    pub folder: PathBuf,
    binary: PathBuf,
    every: Vec<String>,
    admiralty: Admiralty,
    external_secrets: ExternalSecrets,
    definitions: Vec<Value>,
    /// Where the clusters of the pages really are.
    addresses: Vec<(String, String)>,
    /// The newest commit, and what was delivered of which to which cluster.
    commit: String,
    commits: BTreeMap<String, String>,
    delivered: BTreeMap<String, BTreeMap<Identity, Value>>,
    /// What each program was started with.
    running: BTreeMap<(String, &'static str), String>,
}

impl Site {
    /// Starts the store and clusters, and makes the repository. `None` where this machine lacks what it
    /// takes, which is said.
    ///
    /// # Errors
    /// Where a server does not start.
    pub async fn start(every: &Page) -> Result<Option<Self>> {
        if !crate::is_available() {
            return Ok(None);
        }
        let (admiralty, external_secrets) = tokio::task::spawn_blocking(|| {
            Ok::<_, anyhow::Error>((Admiralty::get()?, ExternalSecrets::get()?))
        })
        .await??;
        let (Some(admiralty), Some(external_secrets)) = (admiralty, external_secrets) else {
            return Ok(None);
        };
        let definitions = tokio::task::spawn_blocking(definitions::all).await??;
        let plans = [
            plan(STORE, 0),
            plan(SOURCE, 1),
            plan("public", 2),
            plan("extra", 2),
        ];
        let testbed = Testbed::start(&plans).await?;
        let folder = testbed.folder().join("checkout");
        let addresses = plans
            .iter()
            .map(|plan| address(&testbed, &plan.name, &plan.name));
        let site = Self {
            addresses: addresses.collect(),
            folder,
            testbed,
            binary: tokio::task::spawn_blocking(hcb_binary).await??,
            every: every.every.clone(),
            admiralty,
            external_secrets,
            definitions,
            commit: String::new(),
            commits: BTreeMap::new(),
            delivered: BTreeMap::new(),
            running: BTreeMap::new(),
        };
        site.make_repository().await?;
        site.make_store().await?;
        for name in [SOURCE, "public", "extra"] {
            site.prepare(name).await?;
        }
        site.write_kubeconfig()?;
        Ok(Some(site))
    }

    /// The source cluster.
    pub fn source(&self) -> &Cluster {
        self.testbed.cluster(SOURCE)
    }

    async fn make_repository(&self) -> Result<()> {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("operations/hybrid/cloud.yaml");
        let spec = self.localized(&fs::read_to_string(fixture)?);
        fs::create_dir_all(self.folder.join("hybrid"))?;
        fs::write(self.folder.join("hybrid/cloud.yaml"), spec)?;
        let script = "git init -q --bare -b main ../git && git init -q -b main . && git remote add origin ../git \
                      && git config user.name Test && git config user.email test@example.com \
                      && printf '*.pem\\n*.csr\\n*.srl\\n' > .gitignore";
        self.bash(script).await.map(drop)
    }

    /// The store: Secrets of a namespace, and an account that may use them.
    async fn make_store(&self) -> Result<()> {
        let store = self.testbed.cluster(STORE);
        let applier = Applier::new(store);
        for object in documents(include_str!("../operations/store.yaml"))? {
            applier.apply(&object).await?;
        }
        Ok(())
    }

    /// What is in a cluster before hcb: External Secrets with its way to the store, and the kinds of the
    /// mesh, of the engine and of the monitoring.
    async fn prepare(&self, name: &str) -> Result<()> {
        let cluster = self.testbed.cluster(name);
        let applier = Applier::new(cluster);
        let definitions: Vec<_> = self
            .definitions
            .iter()
            .filter(|definition| {
                let group = definition["spec"]["group"].as_str().unwrap_or_default();
                GROUPS.contains(&group)
            })
            .cloned()
            .chain(self.external_secrets.definitions()?)
            .collect();
        applier.apply_definitions(&definitions).await?;
        for namespace in [external_secrets::NAMESPACE, "argocd", "istio-system"] {
            cluster.create_namespace(namespace, &[]).await?;
        }
        // Istio's chart `base` brings it, and Kubernetes makes no token of an account that is not there.
        let reader = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "istio-reader-service-account", "namespace": "istio-system"},
        });
        applier.apply(&reader).await?;
        let secrets: Api<Secret> =
            Api::namespaced(self.testbed.cluster(STORE).client.clone(), STORE_NAMESPACE);
        let mut data = None;
        wait_for("the token of the store", SOON, async || {
            data = secrets.get("hcb-token").await?.data;
            Ok(data.as_ref().is_some_and(|data| data.contains_key("token")))
        })
        .await?;
        applier
            .apply(&json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "hcb-store", "namespace": external_secrets::NAMESPACE},
                "data": data,
            }))
            .await?;
        self.external_secrets.run(cluster).await
    }

    /// Loses the source cluster; an empty one comes up elsewhere.
    ///
    /// # Errors
    /// Where it does not come up.
    pub async fn lose_source(&mut self) -> Result<()> {
        self.testbed.lose(SOURCE);
        self.delivered.remove(SOURCE);
        self.commits.remove(SOURCE);
        self.running.retain(|(cluster, _), _| cluster != SOURCE);
        self.testbed.add(&plan(SOURCE, 1)).await?;
        let new = address(&self.testbed, SOURCE, "private-new");
        self.addresses.push(new);
        self.prepare(SOURCE).await?;
        self.write_kubeconfig()
    }

    /// A kubeconfig with all clusters, as a person has it: the contexts are called as they are.
    fn write_kubeconfig(&self) -> Result<()> {
        let mut all = json!({"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": [], "current-context": SOURCE});
        for cluster in &self.testbed.clusters {
            let text = fs::read_to_string(cluster.file("admin.kubeconfig"))?;
            let one: Value = serde_json::from_str(&text)?;
            for list in ["clusters", "users", "contexts"] {
                let items = one[list].as_array().cloned().unwrap_or_default();
                all[list].as_array_mut().context("a list")?.extend(items);
            }
        }
        fs::write(self.kubeconfig(), all.to_string())?;
        Ok(())
    }

    fn kubeconfig(&self) -> PathBuf {
        self.testbed.folder().join("kubeconfig")
    }

    fn localized(&self, text: &str) -> String {
        let all = self.addresses.iter();
        all.fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// Does one step of a page, to its end: what is pushed is delivered.
    ///
    /// # Errors
    /// Where a command fails, or an API server refuses something.
    pub async fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Edit(changes) => {
                let path = self.folder.join("hybrid/cloud.yaml");
                let mut all = documents(&fs::read_to_string(&path)?)?;
                let cloud = all.first_mut().context("a spec")?;
                for change in changes {
                    change.make(cloud)?;
                }
                let text: Vec<_> = all.iter().map(hcb_source::yaml::to_string).collect();
                fs::write(&path, self.localized(&text.join("---\n")))?;
                self.commit().await?;
            }
            Step::Run(commands) => {
                for command in commands {
                    self.bash_beside_engine(command).await?;
                }
            }
            Step::Apply(object) => {
                let object = self.localized(&object.to_string());
                let object: Value = serde_json::from_str(&object)?;
                for cluster in self.testbed.clusters.iter().filter(|c| c.name != STORE) {
                    Applier::new(cluster).apply(&object).await?;
                }
            }
        }
        self.work().await
    }

    /// Compiles, commits and pushes, as after each edit.
    ///
    /// # Errors
    /// Where a command fails.
    pub async fn commit(&self) -> Result<()> {
        for command in &self.every {
            self.bash(command).await?;
        }
        Ok(())
    }

    /// What goes on beside a person: the engine delivers, and what Deployments run is started.
    ///
    /// # Errors
    /// Where something cannot be delivered or does not start.
    pub async fn work(&mut self) -> Result<()> {
        self.deliver().await?;
        self.settle().await
    }
}

fn plan(name: &str, nodes: u32) -> ClusterPlan {
    let pool = NodePool {
        name: "cpu".to_owned(),
        nodes,
        cpu: "4".to_owned(),
        memory: "16Gi".to_owned(),
        ..NodePool::default()
    };
    ClusterPlan {
        name: name.to_owned(),
        pools: vec![pool],
    }
}

fn address(testbed: &Testbed, cluster: &str, host: &str) -> (String, String) {
    let url = format!("https://{host}.example.com:6443");
    (url, testbed.cluster(cluster).server.clone())
}

/// Whether a command is there.
pub fn has(command: &str) -> bool {
    let output = Command::new(command).arg("--help").output();
    let is_there = output.is_ok();
    if !is_there {
        crate::say(&format!("SKIPPED, what runs {command}: it is not there"));
    }
    is_there
}
