//! A hybrid cloud on the testbed: the clusters of a spec, set up as hcb generates it or as Admiralty's
//! own guide does.

use crate::admiralty::Admiralty;
use crate::apply::{Applier, manifests};
use crate::cluster::{Cluster, ClusterPlan, NodePool, SYSTEM_TAINT};
use crate::ports::Port;
use crate::process::Program;
use crate::repository::compiled;
use crate::scenario::Scenario;
use crate::secrets::Store;
use crate::testbed::Testbed;
use crate::{definitions, deployment, helm, istiod, karpenter, mesh, network, scenarios};
use anyhow::{Context, Result};
use futures::future::try_join_all;
use hcb_spec::model::{Model, Provider};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How jobs are scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setup {
    /// Admiralty with the values of its chart as they are.
    Stock,
    /// What `hcb compile` wrote: its own scheduler profile and closed gates, without the reconciler.
    Static,
    /// All that `hcb compile` wrote, the reconciler too.
    Reconciled,
}

impl Setup {
    /// All, in the order of reports.
    pub const ALL: [Self; 3] = [Self::Stock, Self::Static, Self::Reconciled];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Static => "hcb, static",
            Self::Reconciled => "hcb",
        }
    }

    /// The folder that `Testbed::keep` keeps the logs of a scenario in.
    pub fn logs_of(self, scenario: &str) -> String {
        format!("{scenario}-{self:?}")
    }

    /// Units of the tree that this set-up does without. Everything else is the same in all.
    fn leaves_out(self) -> &'static [&'static str] {
        match self {
            Self::Stock => &["scheduling", "gates", "reconciler", "workloads"],
            Self::Static | Self::Reconciled => &["workloads"],
        }
    }
}

/// The namespace of the reconciler.
pub const RECONCILER_NAMESPACE: &str = "hcb-system";
/// The name of its Deployment and of its Lease.
pub const RECONCILER: &str = "hcb-reconciler";

/// A hybrid cloud that runs.
#[derive(Debug)]
pub struct Hybrid {
    /// Its clusters.
    pub testbed: Testbed,
    /// What the spec says.
    pub model: Model,
    /// The tree that hcb wrote.
    pub tree: PathBuf,
    /// How jobs are scheduled.
    pub setup: Setup,
    /// The Jobs of the tree, by the names of their workloads.
    pub jobs: Vec<(String, Value)>,
}

impl Hybrid {
    /// Compiles the spec in `folder` and brings its clusters up. `node_delay` passes from a node's
    /// being bought to its being there.
    ///
    /// # Errors
    /// Where a server does not start or refuses a manifest.
    pub async fn start(
        folder: &Path,
        setup: Setup,
        admiralty: &Admiralty,
        node_delay: Duration,
    ) -> Result<Self> {
        Self::start_with(folder, setup, Some(admiralty), node_delay).await
    }

    /// The clusters of a scenario without Admiralty, for what API servers say: its kinds and its virtual nodes
    /// are there, and nobody acts on them. None where this machine cannot build the servers, which is said.
    ///
    /// # Errors
    /// Where a server does not start or refuses a manifest.
    pub async fn without_admiralty(name: &str, setup: Setup) -> Result<Option<Self>> {
        if !crate::is_available() {
            return Ok(None);
        }
        let scenario = scenarios::named(name);
        let spec = scenarios::spec(&scenario);
        let hybrid = Self::start_with(&spec, setup, None, scenario.node_delay).await?;
        Ok(Some(hybrid))
    }

    async fn start_with(
        folder: &Path,
        setup: Setup,
        admiralty: Option<&Admiralty>,
        node_delay: Duration,
    ) -> Result<Self> {
        let output = compiled(folder, None)?;
        let plans: Vec<_> = output.model.clusters.iter().map(plan).collect();
        let testbed = Testbed::start(&plans).await?;
        let tree = testbed.folder().join("tree");
        for (path, content) in &output.tree.files {
            let path = tree.join(&**path);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(path, content.as_bytes())?;
        }
        let jobs = manifests(&tree)?
            .into_iter()
            .filter(|(_, object)| object["kind"] == "Job")
            .map(|(_, job)| {
                Ok((
                    job["metadata"]["labels"]["hcb.dev/workload"]
                        .as_str()
                        .context("a workload")?
                        .to_owned(),
                    job,
                ))
            })
            .collect::<Result<_>>()?;
        let hybrid = Self {
            testbed,
            model: output.model,
            tree,
            setup,
            jobs,
        };
        // What fails here is looked into as what fails in a scenario.
        match hybrid.install(admiralty, node_delay).await {
            Ok(()) => Ok(hybrid),
            Err(error) => {
                let name = format!("install-{setup:?}");
                let failed = hybrid
                    .testbed
                    .run(&name, async |_| Err::<(), _>(error))
                    .await;
                Err(failed.expect_err("an error is handed on"))
            }
        }
    }

    /// What a scenario is played on, set up in one way; none where this machine lacks what it
    /// takes, which is said.
    ///
    /// # Errors
    /// Where a server does not start or refuses a manifest.
    pub async fn of(name: &str, setup: Setup) -> Result<Option<(Scenario, Self)>> {
        let scenario = scenarios::named(name);
        let spec = scenarios::spec(&scenario);
        let hybrid = Self::of_spec(&spec, setup, scenario.node_delay).await?;
        Ok(hybrid.map(|hybrid| (scenario, hybrid)))
    }

    /// The clusters of the spec in a folder, set up in one way; none where this machine lacks what it
    /// takes, which is said.
    ///
    /// # Errors
    /// Where a server does not start or refuses a manifest.
    pub async fn of_spec(spec: &Path, setup: Setup, node_delay: Duration) -> Result<Option<Self>> {
        if !crate::is_available() {
            return Ok(None);
        }
        let Some(admiralty) = tokio::task::spawn_blocking(Admiralty::get).await?? else {
            return Ok(None);
        };
        Self::start(spec, setup, &admiralty, node_delay)
            .await
            .map(Some)
    }

    /// The cluster that jobs are created in.
    pub fn source(&self) -> &Cluster {
        self.testbed.cluster(&self.model.source().name)
    }

    async fn install(&self, admiralty: Option<&Admiralty>, node_delay: Duration) -> Result<()> {
        let all = tokio::task::spawn_blocking(definitions::all).await??;
        let addresses = self.model.clusters.iter().filter_map(|cluster| {
            let url = cluster.api_server.clone()?;
            Some((url, self.testbed.cluster(&cluster.name).server.clone()))
        });
        let mut store = Store::new(addresses.collect());
        if self.model.mesh.is_some() {
            mesh::put_authorities(&self.model, self.testbed.folder(), &mut store).await?;
        }
        try_join_all(
            self.testbed
                .clusters
                .iter()
                .map(|cluster| self.install_in(cluster, admiralty, &all, &store)),
        )
        .await?;
        for cluster in &self.testbed.clusters {
            store.push(cluster).await?;
        }
        for cluster in &self.testbed.clusters {
            store.pull(cluster).await?;
        }
        if let Some(admiralty) = admiralty {
            // Targets first: the source's agent looks for them.
            let source = &self.source().name;
            let targets = self
                .testbed
                .clusters
                .iter()
                .filter(|cluster| cluster.name != *source);
            try_join_all(targets.map(|cluster| run_admiralty(admiralty, cluster, false))).await?;
            run_admiralty(admiralty, self.source(), true).await?;
        } else {
            self.put_virtual_nodes().await?;
        }
        for planned in &self.model.clusters {
            if let Some(Provider::Karpenter(settings)) = planned
                .autoscaler
                .as_ref()
                .map(|autoscaler| &autoscaler.provider)
            {
                let cluster = self.testbed.cluster(&planned.name);
                karpenter::run(
                    cluster,
                    &settings.node_class.name,
                    &planned.pools,
                    node_delay,
                )
                .await?;
            }
        }
        self.wait_for_virtual_nodes().await?;
        if self.setup == Setup::Reconciled {
            self.run_reconciler().await?;
        }
        Ok(())
    }

    /// Runs what the Deployment of the reconciler would, all replicas of it, with its configuration and
    /// its rights.
    async fn run_reconciler(&self) -> Result<()> {
        let program = self.reconciler_program().await?;
        for replica in 0..self.model.scheduling.reconciler.replicas {
            run_replica(self.source(), replica, program.clone())?;
        }
        Ok(())
    }

    /// Runs one replica of the reconciler on clusters that were set up without any. It keeps what it sees and
    /// decides in a file.
    ///
    /// # Errors
    /// Where its Deployment is not there.
    pub async fn run_recorded(&self, record: &Path) -> Result<()> {
        let mut program = self.reconciler_program().await?;
        program
            .arguments
            .push(format!("--record={}", record.display()));
        run_replica(self.source(), 0, program)
    }

    /// What a replica of the reconciler serves at a path.
    ///
    /// # Errors
    /// Where it does not answer, or says that something is wrong.
    pub async fn reconciler(&self, replica: u32, path: &str) -> Result<String> {
        let file = self
            .source()
            .file(&format!("{}.port", replica_name(replica)));
        let port = fs::read_to_string(file)?;
        get(port.parse()?, path).await
    }

    /// The replica of the reconciler that holds the Lease.
    ///
    /// # Errors
    /// Where the source cluster does not answer.
    pub async fn leader(&self) -> Result<Option<String>> {
        let leases: Api<Lease> =
            Api::namespaced(self.source().client.clone(), RECONCILER_NAMESPACE);
        let lease = leases.get_opt(RECONCILER).await?;
        let holder = lease.and_then(|lease| lease.spec?.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty()))
    }

    /// What a run of the reconciler in a pod of its Deployment would be.
    ///
    /// # Errors
    /// Where hcb does not build, or the Deployment is not there.
    pub async fn reconciler_program(&self) -> Result<Program> {
        let binary = tokio::task::spawn_blocking(hcb_binary).await??;
        deployment::program(self.source(), RECONCILER_NAMESPACE, RECONCILER, binary).await
    }

    async fn install_in(
        &self,
        cluster: &Cluster,
        admiralty: Option<&Admiralty>,
        all: &[Value],
        store: &Store,
    ) -> Result<()> {
        let mut objects = manifests(&self.tree.join("clusters").join(&cluster.name))?;
        // What a person applies once, before there is an engine that could.
        let bootstrap = self.tree.join("bootstrap").join(&cluster.name);
        if bootstrap.is_dir() {
            objects.extend(manifests(&bootstrap)?);
        }
        let mut objects: Vec<_> = objects
            .into_iter()
            .filter(|(path, _)| {
                let unit = path
                    .components()
                    .next()
                    .and_then(|unit| unit.as_os_str().to_str())
                    .unwrap_or_default();
                !self.setup.leaves_out().contains(&unit)
            })
            // Pods of a schedule would take room at times of their own. Tests run what it runs.
            .filter(|(_, object)| object["kind"] != "CronJob")
            .map(|(_, object)| object)
            .collect();
        objects.sort_by_key(|object| install_order(object["kind"].as_str().unwrap_or_default()));
        let applier = Applier::new(cluster);
        // Karpenter's own definitions come with it, of the same version.
        let needed = |definition: &&Value| {
            let group = definition["spec"]["group"].as_str().unwrap_or_default();
            let is_used = objects.iter().any(|object| {
                object["apiVersion"]
                    .as_str()
                    .is_some_and(|version| version.starts_with(&format!("{group}/")))
            });
            let comes_later = match group {
                "karpenter.sh" => true,
                // Those of Admiralty come with its chart.
                "multicluster.admiralty.io" => admiralty.is_some(),
                _ => false,
            };
            is_used && !comes_later
        };
        let definitions: Vec<_> = all.iter().filter(needed).cloned().collect();
        applier.apply_definitions(&definitions).await?;
        applier
            .apply_definitions(&karpenter::definitions(cluster)?)
            .await?;
        for object in objects
            .iter()
            .filter(|object| object["kind"] == "Namespace")
        {
            applier.apply(object).await?;
        }
        // The engine's own namespace comes with the engine.
        let namespaces: BTreeSet<_> = objects
            .iter()
            .filter_map(|object| object["metadata"]["namespace"].as_str())
            .collect();
        for namespace in namespaces {
            cluster.create_namespace(namespace, &[]).await?;
        }
        if self.model.mesh.is_some() {
            // The CA is there before istiod, and istiod before all that its webhooks judge.
            let is_ca = |object: &&Value| {
                object["kind"] == "ExternalSecret" && object["metadata"]["name"] == "cacerts"
            };
            for object in objects.iter().filter(is_ca) {
                applier.apply(object).await?;
            }
            store.pull(cluster).await?;
            istiod::install(cluster, &self.tree, &network::istiod_options()).await?;
        }
        if let Some(admiralty) = admiralty {
            admiralty
                .install(cluster, &self.chart_values(&cluster.name)?)
                .await?;
        }
        for object in objects
            .iter()
            .filter(|object| object["kind"] != "Namespace")
        {
            applier.apply(object).await?;
        }
        if self.model.mesh.is_some() {
            let address = mesh::address(&self.model, &cluster.name);
            mesh::install_gateway(cluster, &self.tree, address).await?;
        }
        Ok(())
    }

    /// The values of Admiralty's chart: those of the tree, or just the name that the chart asks for.
    fn chart_values(&self, cluster: &str) -> Result<Value> {
        if self.setup == Setup::Stock {
            return Ok(json!({"clusterName": cluster}));
        }
        helm::values(&self.tree, cluster, "admiralty")
    }

    /// The virtual nodes that Admiralty would make: those of the clusters that jobs burst to are in the tree.
    /// KWOK keeps them ready, and their taint keeps pods away.
    async fn put_virtual_nodes(&self) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.source().client.clone());
        for cluster in &self.model.clusters {
            let name =
                hcb_compile::providers::scheduling::admiralty::virtual_node_name(&cluster.name);
            let marked = json!({"metadata": {"annotations": {"kwok.x-k8s.io/node": "fake"}}});
            if nodes.get_opt(&name).await?.is_some() {
                let (parameters, patch) = (PatchParams::default(), Patch::Merge(marked));
                nodes.patch(&name, &parameters, &patch).await?;
                continue;
            }
            let mut node = marked;
            node["metadata"]["name"] = name.into();
            node["metadata"]["labels"] = json!({"virtual-kubelet.io/provider": "admiralty"});
            let taint = json!({"key": "virtual-kubelet.io/provider", "value": "admiralty", "effect": "NoSchedule"});
            node["spec"] = json!({"taints": [taint]});
            let node = serde_json::from_value(node)?;
            nodes.create(&PostParams::default(), &node).await?;
        }
        Ok(())
    }

    async fn wait_for_virtual_nodes(&self) -> Result<()> {
        let expected: BTreeSet<_> = self
            .model
            .clusters
            .iter()
            .map(|cluster| {
                hcb_compile::providers::scheduling::admiralty::virtual_node_name(&cluster.name)
            })
            .collect();
        crate::wait_for("the virtual nodes", Duration::from_secs(60), async || {
            let nodes = self.source().nodes().await?;
            let ready: BTreeSet<_> = nodes
                .iter()
                .filter(|node| is_ready(node) && !is_tainted_as_new(node))
                .filter_map(|node| node.metadata.name.clone())
                .collect();
            Ok(expected.is_subset(&ready))
        })
        .await
    }
}

/// What an HTTP server of this machine answers.
///
/// # Errors
/// Where it does not answer, or says that something is wrong.
pub async fn get(port: u16, path: &str) -> Result<String> {
    // Of this version there are no answers in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    let mut stream = tokio::net::TcpStream::connect(format!("127.0.0.1:{port}")).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    let status = head.lines().next().unwrap_or_default();
    anyhow::ensure!(status.contains(" 200 "), "{path}: {status}: {body}");
    Ok(body.to_owned())
}

/// Runs a replica of the reconciler.
pub(crate) fn run_replica(source: &Cluster, replica: u32, mut program: Program) -> Result<()> {
    let name = replica_name(replica);
    let port = Port::reserve()?;
    // A pod has an address of its own, a process has not.
    program
        .arguments
        .push(format!("--listen=127.0.0.1:{}", port.number));
    for (variable, value) in &mut program.environment {
        if variable == "POD_NAME" {
            value.clone_from(&name);
        }
    }
    program.name.clone_from(&name);
    fs::write(
        source.file(&format!("{name}.port")),
        port.number.to_string(),
    )?;
    source.keep(port);
    source.run_as(&name, program)
}

/// The name of a replica of the reconciler, and of its process.
pub fn replica_name(replica: u32) -> String {
    format!("{RECONCILER}-{replica}")
}

/// Engines apply kinds in such an order. The token controller removes the Secret of a service account
/// that is not there yet.
pub(crate) fn install_order(kind: &str) -> usize {
    const FIRST: &[&str] = &[
        "Namespace",
        "PriorityClass",
        "ResourceQuota",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "ConfigMap",
        "Secret",
    ];
    FIRST
        .iter()
        .position(|first| *first == kind)
        .unwrap_or(FIRST.len())
}

/// The `hcb` of this workspace, built if it is not.
///
/// # Errors
/// Where it does not build.
pub fn hcb_binary() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // Tests and examples are in folders of the profile's.
    let profile = own
        .ancestors()
        .nth(2)
        .context("the folder of the profile")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "hcb",
        // Features of dependencies are joined over the packages that are asked for: with these two, what
        // `cargo test` has built is what is asked for here.
        "--package",
        "hcb-testbed",
        "--bin",
        "hcb",
        // The Deployment of the reconciler runs it; it is in the same image.
        "--package",
        "hcb-reconciler",
        "--bin",
        "hcb-reconciler",
    ]);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    // What cargo tells of the test's own package: the build script of `ring` would take it for news, and
    // half of the dependencies would be built again at each turn.
    let told = std::env::vars_os().map(|(name, _)| name);
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"];
    for name in told.filter(|name| {
        let name = name.to_string_lossy();
        of_package.iter().any(|prefix| name.starts_with(prefix))
    }) {
        cargo.env_remove(name);
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?;
    anyhow::ensure!(status.success(), "hcb does not build");
    Ok(profile.join("hcb"))
}

/// Whether the cluster has yet to see that a node is ready.
fn is_tainted_as_new(node: &Node) -> bool {
    let taints = node
        .spec
        .iter()
        .flat_map(|spec| spec.taints.iter().flatten());
    taints
        .into_iter()
        .any(|taint| taint.key.starts_with("node.kubernetes.io/"))
}

/// Whether a node says that it is ready.
pub fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

pub(crate) async fn run_admiralty(
    admiralty: &Admiralty,
    cluster: &Cluster,
    is_source: bool,
) -> Result<()> {
    admiralty.run_agent(cluster).await?;
    admiralty
        .run_scheduler(cluster, "admiralty-candidate-scheduler")
        .await?;
    if is_source {
        admiralty
            .run_scheduler(cluster, "admiralty-proxy-scheduler")
            .await?;
    }
    Ok(())
}

/// A cluster with the nodes that a spec says are always there. Where there are none, there is still the
/// one that Admiralty, the autoscaler and others have their pods on, which no job may use: without it
/// nobody in that cluster could take a job in, or buy a node for it.
pub(crate) fn plan(cluster: &hcb_spec::model::Cluster) -> ClusterPlan {
    let pools = cluster
        .pools
        .iter()
        .filter(|pool| !pool.is_scaled)
        .map(|pool| NodePool {
            name: pool.name.clone(),
            nodes: pool.max,
            cpu: pool.cpu.to_string(),
            memory: pool.memory.to_string(),
            resources: pool
                .gpu
                .iter()
                .map(|gpu| (gpu.resource.clone(), gpu.count))
                .collect(),
            labels: pool.labels.clone().into_iter().collect(),
            taints: pool
                .taints
                .iter()
                .map(|taint| {
                    (
                        taint.key.clone(),
                        taint.value.clone().unwrap_or_default(),
                        format!("{:?}", taint.effect),
                    )
                })
                .collect(),
        });
    let mut pools: Vec<_> = pools.collect();
    if pools.is_empty() {
        pools.push(NodePool {
            name: "system".to_owned(),
            nodes: 1,
            cpu: "2".to_owned(),
            memory: "8Gi".to_owned(),
            taints: vec![(
                SYSTEM_TAINT.to_owned(),
                String::new(),
                "NoSchedule".to_owned(),
            )],
            ..NodePool::default()
        });
    }
    ClusterPlan {
        name: cluster.name.clone(),
        pools,
    }
}
