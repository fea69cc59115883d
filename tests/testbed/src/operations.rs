//! A hybrid cloud as a platform team runs it: a Git repository with a spec, clusters of which it becomes
//! the state, and a store with the secrets. The part of an engine is played: what is pushed is applied,
//! what is gone is pruned, and what a Deployment runs is started again when its template changes.

use crate::admiralty::Admiralty;
use crate::apply::{Applier, documents, manifests};
use crate::cluster::{Cluster, ClusterPlan, NodePool};
use crate::external_secrets::{self, ExternalSecrets};
use crate::hybrid::{
    RECONCILER, RECONCILER_NAMESPACE, hcb_binary, install_order, is_ready, replica_name,
    run_replica,
};
use crate::procedure::{Page, Step};
use crate::scenario::copy;
use crate::testbed::Testbed;
use crate::{admiralty, definitions, deployment, wait_for};
use anyhow::{Context, Result};
use hcb::scheduling::admiralty::virtual_node_name;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

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
const AGENT: &str = "admiralty-agent";
const CANDIDATES: &str = "admiralty-candidate-scheduler";
const PROXY: &str = "admiralty-proxy-scheduler";
const SOON: Duration = Duration::from_secs(90);

/// What is applied to a cluster: group, kind, namespace and name.
type Identity = (String, String, String, String);

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
    /// What was delivered last, and to which clusters.
    commit: String,
    delivered: BTreeMap<String, BTreeMap<Identity, Value>>,
    /// What each program was started with.
    running: BTreeMap<(String, &'static str), String>,
}

/// What is seen of jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Jobs {
    /// Those that are done.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that run, by the cluster.
    pub running: BTreeMap<String, usize>,
    /// Those that wait.
    pub waiting: usize,
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
                let text: Vec<_> = all.iter().map(hcb::yaml::to_string).collect();
                fs::write(&path, self.localized(&text.join("---\n")))?;
                self.commit().await?;
            }
            Step::Run(commands) => {
                for command in commands {
                    self.bash(command).await?;
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
        self.deliver().await?;
        self.settle().await
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

    /// Runs a command as the page has it, and returns what it printed.
    ///
    /// # Errors
    /// Where it fails, with what it said.
    pub async fn bash(&self, script: &str) -> Result<String> {
        let mut path = self
            .binary
            .parent()
            .context("a folder")?
            .as_os_str()
            .to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut command = tokio::process::Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(&self.folder)
            .env("PATH", path)
            .env("KUBECONFIG", self.kubeconfig())
            .env("ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("SECRET_ACCESS_KEY", "none-of-this-is-in-git")
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(150), command.output())
            .await
            .with_context(|| format!("too slow: {script}"))??;
        let said = String::from_utf8_lossy(&output.stderr);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        anyhow::ensure!(output.status.success(), "{script}\n{printed}{said}");
        Ok(printed)
    }

    /// What the engine does when something was pushed.
    async fn deliver(&mut self) -> Result<()> {
        let remote = self.bash("git remote get-url origin").await?;
        let look = format!(
            "git --git-dir {} rev-parse -q --verify main || true",
            remote.trim()
        );
        let commit = self.bash(&look).await?;
        if commit == self.commit || commit.trim().is_empty() {
            return Ok(());
        }
        let tree = self.testbed.folder().join("tree");
        let _ = fs::remove_dir_all(&tree);
        fs::create_dir_all(&tree)?;
        let get = format!(
            "git --git-dir {} archive main generated | tar x -C {}",
            remote.trim(),
            tree.display()
        );
        self.bash(&get).await?;
        let tree = tree.join("generated");
        for entry in fs::read_dir(tree.join("clusters"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            self.deliver_to(&tree, &name)
                .await
                .with_context(|| format!("delivering to {name}"))?;
        }
        self.commit = commit;
        Ok(())
    }

    async fn deliver_to(&mut self, tree: &Path, name: &str) -> Result<()> {
        let cluster = self.testbed.cluster(name);
        let applier = Applier::new(cluster);
        let mut objects: Vec<_> = manifests(&tree.join("clusters").join(name))?
            .into_iter()
            .map(|(_, object)| object)
            // Jobs of the spec would take room at times of their own, and tests make some like them.
            .filter(|object| object["kind"] != "Job")
            .collect();
        objects.sort_by_key(|object| install_order(object["kind"].as_str().unwrap_or_default()));
        let is_namespace = |object: &&Value| object["kind"] == "Namespace";
        for object in objects.iter().filter(is_namespace) {
            applier.apply(object).await?;
        }
        if !self.delivered.contains_key(name) {
            let values = chart_values(tree, name)?;
            self.admiralty.install(cluster, &values).await?;
        }
        let before = self.delivered.remove(name).unwrap_or_default();
        let mut now = BTreeMap::new();
        for object in objects {
            if object["kind"] != "Namespace" && !is_left_alone(&applier, &object).await? {
                applier.apply(&object).await?;
            }
            now.insert(identity(&object), object);
        }
        for (_, object) in before
            .iter()
            .filter(|(identity, _)| !now.contains_key(*identity))
        {
            let options = object["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
                .as_str()
                .unwrap_or_default();
            if !options.contains("Prune=false") {
                let (api, name) = applier.api(object).await?;
                match api.delete(&name, &DeleteParams::background()).await {
                    Err(kube::Error::Api(status)) if status.code == 404 => {}
                    result => drop(result?),
                }
            }
        }
        self.delivered.insert(name.to_owned(), now);
        Ok(())
    }

    /// Starts what the Deployments run, and starts it again where a template changed, or, as Admiralty's
    /// restarter does, where targets or their Secrets did. Files that are mounted are brought up to date.
    async fn settle(&mut self) -> Result<()> {
        let mut names: Vec<_> = self.delivered.keys().cloned().collect();
        // Targets first: the agent of the source looks for them.
        names.sort_by_key(|name| name == SOURCE);
        for name in names {
            let cluster = self.testbed.cluster(&name);
            if name == SOURCE {
                self.wait_for_targets().await?;
            }
            let targets = targets(cluster).await?;
            let agent = template(
                cluster,
                admiralty::NAMESPACE,
                "admiralty-controller-manager",
            )
            .await?;
            if is_new(&mut self.running, &name, AGENT, format!("{agent}{targets}")) {
                let _ = cluster.stop(AGENT);
                self.admiralty.run_agent(cluster).await?;
            }
            let schedulers: &[&'static str] = if name == SOURCE {
                &[CANDIDATES, PROXY]
            } else {
                &[CANDIDATES]
            };
            for &scheduler in schedulers {
                let mut template = template(cluster, admiralty::NAMESPACE, scheduler).await?;
                if scheduler == PROXY {
                    template.push_str(&targets);
                }
                if is_new(&mut self.running, &name, scheduler, template) {
                    let _ = cluster.stop(scheduler);
                    self.admiralty.run_scheduler(cluster, scheduler).await?;
                }
            }
            if name == SOURCE {
                self.settle_reconciler().await?;
            }
        }
        Ok(())
    }

    /// Looks again at what is mounted and what targets there are, as kubelets and Admiralty's restarter do.
    ///
    /// # Errors
    /// Where something does not start.
    pub async fn refresh(&mut self) -> Result<()> {
        self.settle().await
    }

    async fn settle_reconciler(&mut self) -> Result<()> {
        let binary = self.binary.clone();
        let template = template(self.source(), RECONCILER_NAMESPACE, RECONCILER).await?;
        // Reads what is mounted and writes it to files, as a kubelet does.
        let program =
            deployment::program(self.source(), RECONCILER_NAMESPACE, RECONCILER, binary).await?;
        if is_new(&mut self.running, SOURCE, RECONCILER, template) {
            for replica in 0..2 {
                let _ = self.source().stop(&replica_name(replica));
                run_replica(self.source(), replica, program.clone())?;
            }
        }
        Ok(())
    }

    /// Starts the reconciler when it is next looked after, since it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub fn lose_reconciler(&mut self) -> Result<()> {
        for replica in 0..2 {
            self.source().stop(&replica_name(replica))?;
        }
        self.running.remove(&(SOURCE.to_owned(), RECONCILER));
        Ok(())
    }

    /// Admiralty's agent does not start before the Secrets of its targets are there.
    async fn wait_for_targets(&self) -> Result<()> {
        let source = self.source();
        wait_for("the Secrets of the targets", SOON, async || {
            let secrets: Api<Secret> = Api::namespaced(source.client.clone(), admiralty::NAMESPACE);
            let there: BTreeSet<_> = secrets
                .list(&ListParams::default())
                .await?
                .items
                .into_iter()
                .filter_map(|secret| secret.metadata.name)
                .collect();
            let names = cluster_targets(source).await?;
            let mut remote = names.iter().filter(|name| *name != SOURCE);
            Ok(remote.all(|name| there.contains(&format!("target-{name}"))))
        })
        .await
    }

    /// Waits until the virtual nodes of these clusters are ready.
    ///
    /// # Errors
    /// Where that takes too long.
    pub async fn wait_for_nodes(&self, clusters: &[&str]) -> Result<()> {
        wait_for("the virtual nodes", SOON, async || {
            let nodes = self.source().nodes().await?;
            let ready: BTreeSet<_> = nodes
                .iter()
                .filter(|node| is_ready(node))
                .filter_map(|node| node.metadata.name.clone())
                .collect();
            Ok(clusters
                .iter()
                .all(|cluster| ready.contains(&virtual_node_name(cluster))))
        })
        .await
    }

    /// Creates jobs of the workload in the spec, each of which runs so long.
    ///
    /// # Errors
    /// Where the API server refuses one.
    pub async fn submit(&self, prefix: &str, count: usize, run_for: Duration) -> Result<()> {
        let tree = self.testbed.folder().join("tree/generated/clusters");
        let template = manifests(&tree.join(SOURCE))?
            .into_iter()
            .find(|(_, object)| object["kind"] == "Job")
            .context("a Job in the tree")?
            .1;
        let namespace = template["metadata"]["namespace"]
            .as_str()
            .context("a namespace")?;
        let api: Api<Job> = Api::namespaced(self.source().client.clone(), namespace);
        for number in 0..count {
            let job = copy(&template, &format!("{prefix}-{number}"), run_for);
            api.create(&PostParams::default(), &serde_json::from_value(job)?)
                .await?;
        }
        Ok(())
    }

    /// What is seen of the jobs with a prefix.
    ///
    /// # Errors
    /// Where the source cluster does not answer.
    pub async fn jobs(&self, prefix: &str) -> Result<Jobs> {
        let api: Api<Job> = Api::all(self.source().client.clone());
        let mut seen = Jobs::default();
        let mut open = BTreeSet::new();
        for job in api.list(&ListParams::default()).await?.items {
            let name = job.metadata.name.unwrap_or_default();
            if !name.starts_with(prefix) {
                continue;
            }
            let status = job.status.unwrap_or_default();
            seen.failed += usize::from(status.failed.unwrap_or_default() > 0);
            if status.completion_time.is_some() {
                seen.done += 1;
            } else {
                open.insert(name);
            }
        }
        for pod in self.source().pods().await? {
            let Some(job) = job_of(&pod).filter(|job| open.contains(*job)) else {
                continue;
            };
            let is_over = pod.metadata.deletion_timestamp.is_some()
                || pod.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Succeeded");
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref());
            let placed = self
                .testbed
                .clusters
                .iter()
                .find(|cluster| Some(virtual_node_name(&cluster.name).as_str()) == node);
            if let Some(cluster) = placed.filter(|_| !is_over) {
                *seen.running.entry(cluster.name.clone()).or_default() += 1;
                open.remove(job);
            }
        }
        seen.waiting = open.len();
        Ok(seen)
    }

    /// Waits until the jobs with a prefix are as `expected` says.
    ///
    /// # Errors
    /// Where they do not become so, with what they are.
    pub async fn wait_for_jobs(
        &self,
        prefix: &str,
        most: Duration,
        expected: impl Fn(&Jobs) -> bool,
    ) -> Result<Jobs> {
        let mut last = Jobs::default();
        let result = wait_for(prefix, most, async || {
            last = self.jobs(prefix).await?;
            Ok(expected(&last))
        })
        .await;
        result.with_context(|| format!("{prefix}: {last:?}"))?;
        Ok(last)
    }
}

/// Whether a program runs by something else than this, or not yet; from now on it does.
fn is_new(
    running: &mut BTreeMap<(String, &'static str), String>,
    cluster: &str,
    program: &'static str,
    by: String,
) -> bool {
    let before = running.insert((cluster.to_owned(), program), by.clone());
    before != Some(by)
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

fn job_of(pod: &Pod) -> Option<&str> {
    let owner = pod.metadata.owner_references.as_ref()?.first()?;
    (owner.kind == "Job").then_some(owner.name.as_str())
}

fn identity(object: &Value) -> Identity {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&object["apiVersion"]);
    (
        version
            .split_once('/')
            .map(|(group, _)| group.to_owned())
            .unwrap_or_default(),
        text(&object["kind"]),
        text(&object["metadata"]["namespace"]),
        text(&object["metadata"]["name"]),
    )
}

/// What an engine does not write again once it is there: virtual nodes, and what the reconciler writes.
async fn is_left_alone(applier: &Applier<'_>, object: &Value) -> Result<bool> {
    let is_live = match object["kind"].as_str() {
        Some("Node" | "Lease") => true,
        Some("ConfigMap") => object["metadata"]["name"] == "hcb-status",
        _ => false,
    };
    if !is_live {
        return Ok(false);
    }
    let (api, name) = applier.api(object).await?;
    Ok(api.get_opt(&name).await?.is_some())
}

fn chart_values(tree: &Path, cluster: &str) -> Result<Value> {
    let name = format!("{cluster}-chart-admiralty");
    let found = manifests(&tree.join("gitops"))?
        .into_iter()
        .find(|(_, object)| {
            object["kind"] == "Application" && object["metadata"]["name"] == name.as_str()
        });
    let (_, application) = found.with_context(|| format!("the Application {name}"))?;
    Ok(application["spec"]["source"]["helm"]["valuesObject"].clone())
}

/// The template of a Deployment's pods, as text.
async fn template(cluster: &Cluster, namespace: &str, name: &str) -> Result<String> {
    let api: Api<k8s_openapi::api::apps::v1::Deployment> =
        Api::namespaced(cluster.client.clone(), namespace);
    let deployment = api
        .get(name)
        .await
        .with_context(|| format!("{name} in {}", cluster.name))?;
    Ok(serde_json::to_string(
        &deployment.spec.map(|spec| spec.template),
    )?)
}

async fn cluster_targets(cluster: &Cluster) -> Result<Vec<String>> {
    let path = "/apis/multicluster.admiralty.io/v1alpha1/clustertargets";
    let list: Value = cluster.client.request(crate::access::get(path)?).await?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let names = items
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned));
    Ok(names.collect())
}

/// The targets of a cluster with what their Secrets hold: what Admiralty's restarter goes by.
async fn targets(cluster: &Cluster) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), admiralty::NAMESPACE);
    let mut text = String::new();
    for name in cluster_targets(cluster).await? {
        let secret = secrets.get_opt(&format!("target-{name}")).await?;
        let data = secret.and_then(|secret| secret.data);
        text.push_str(&name);
        text.push_str(&serde_json::to_string(&data)?);
    }
    Ok(text)
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
