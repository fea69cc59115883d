//! One cluster: its API server, controllers, scheduler and simulated nodes.

use crate::access::{Access, client, get, kubeconfig, post};
use crate::certificates::{Authority, Identity, token_keys};
use crate::node_stages;
use crate::ports::Port;
use crate::process::{Isolation, Process, Program};
use crate::tools::Tools;
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// The controllers that run. Those of Deployments do not: their pods would take the room of the nodes
/// that a test is about, and nothing runs in them. A test runs what matters as a process of its own.
const CONTROLLERS: &[&str] = &[
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-signing-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
];

/// The controllers that run as well where an engine delivers: it asks whether Deployments are well.
const CONTROLLERS_OF_DEPLOYMENTS: &[&str] = &[
    "daemonset-controller",
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
];

/// How long a server has to become ready on a machine that does much else.
const READY: Duration = Duration::from_secs(120);

/// Nodes of one kind.
#[derive(Debug, Clone, Default)]
pub struct NodePool {
    /// The name; nodes are called `CLUSTER-POOL-NUMBER`.
    pub name: String,
    /// How many.
    pub nodes: u32,
    /// CPUs of a node, as a quantity.
    pub cpu: String,
    /// Memory of a node, as a quantity.
    pub memory: String,
    /// Further resources of a node, such as GPUs.
    pub resources: Vec<(String, u32)>,
    /// Labels of a node.
    pub labels: Vec<(String, String)>,
    /// Taints of a node: key, value, effect.
    pub taints: Vec<(String, String, String)>,
}

/// The taint of nodes for what serves the cluster itself.
pub const SYSTEM_TAINT: &str = "CriticalAddonsOnly";

/// The name of the process of a cluster's API server.
pub const API_SERVER: &str = "kube-apiserver";

/// The file of a cluster's that is served as the log of its pods, in the form of container runtimes:
/// `TIME stdout F LINE`.
pub const POD_LOGS: &str = "pods.cri";

/// A cluster to start.
#[derive(Debug, Clone, Default)]
pub struct ClusterPlan {
    /// Its name.
    pub name: String,
    /// The nodes that it starts with.
    pub pools: Vec<NodePool>,
}

/// What clusters are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What a test applies itself. What would run in pods of Deployments it runs as processes.
    Tests,
    /// What an engine delivers: Deployments have pods, which do nothing, and the API server calls the
    /// webhooks of what is installed, as far as somebody answers (see [`SERVICES`]).
    Delivery,
}

/// The file of a cluster's that says which processes answer for its services:
/// `{"NAME.NAMESPACE.svc": "127.0.0.1:PORT"}`. A webhook that none answers for allows everything.
pub const SERVICES: &str = "services.json";

/// A cluster that runs.
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// A client that may do everything.
    pub client: kube::Client,
    /// The URL of its API server.
    pub server: String,
    pub(crate) folder: PathBuf,
    pub(crate) tools: Tools,
    authority: Arc<Authority>,
    processes: Mutex<Vec<Process>>,
    ports: Mutex<Vec<Port>>,
}

impl Cluster {
    pub(crate) async fn start(
        plan: &ClusterPlan,
        purpose: Purpose,
        tools: &Tools,
        authority: &Arc<Authority>,
        etcd: &str,
        folder: &Path,
    ) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let [api_port, controllers_port, kubelet_port] = ports.each_ref().map(|port| port.number);
        let server = format!("https://127.0.0.1:{api_port}");
        let write = |name: &str, content: &str| -> Result<String> {
            let path = folder.join(name);
            fs::write(&path, content)?;
            Ok(path.to_str().context("a path in UTF-8")?.to_owned())
        };
        let identity = authority.server("kube-apiserver")?;
        let ca = write("ca.crt", &authority.certificate())?;
        let ca_key = write("ca.key", &authority.key())?;
        let certificate = write("server.crt", &identity.certificate)?;
        let key = write("server.key", &identity.key)?;
        let (private, public) = token_keys()?;
        let token_key = write("tokens.key", &private)?;
        let token_public = write("tokens.pub", &public)?;
        let audit_policy = write("audit-policy.yaml", include_str!("../audit.yaml"))?;
        let logs_file = write(POD_LOGS, "")?;
        let logs = include_str!("../logs.yaml").replace("LOGS_FILE", &logs_file);
        let logs = write("logs.yaml", &logs)?;
        let stages = write("stages.yaml", include_str!("../stages.yaml"))?;
        let initialize = fs::read_to_string(tools.file("node-initialize.yaml"))?;
        let node_stages = write("node-stages.yaml", &node_stages::stages(&initialize)?)?;
        let admin = authority.client("admin", "system:masters")?;
        let kubeconfig = write(
            "admin.kubeconfig",
            &kubeconfig(&plan.name, &server, authority, &Access::Certificate(admin)),
        )?;
        let client = client(&kubeconfig).await?;
        let cluster = Self {
            name: plan.name.clone(),
            client,
            server,
            folder: folder.to_owned(),
            tools: tools.clone(),
            authority: Arc::clone(authority),
            processes: Mutex::default(),
            ports: Mutex::new(ports.into()),
        };
        let mut arguments = vec![
            format!("--etcd-servers={etcd}"),
            format!(
                "--etcd-prefix=/{}",
                folder.file_name().unwrap_or_default().display()
            ),
            format!("--secure-port={api_port}"),
            "--bind-address=127.0.0.1".into(),
            "--advertise-address=127.0.0.1".into(),
            "--endpoint-reconciler-type=none".into(),
            format!("--tls-cert-file={certificate}"),
            format!("--tls-private-key-file={key}"),
            format!("--client-ca-file={ca}"),
            format!("--requestheader-client-ca-file={ca}"),
            "--requestheader-allowed-names=front-proxy".into(),
            "--service-account-issuer=https://kubernetes.default.svc".into(),
            format!("--service-account-key-file={token_public}"),
            format!("--service-account-signing-key-file={token_key}"),
            "--service-cluster-ip-range=10.96.0.0/16".into(),
            "--authorization-mode=RBAC".into(),
            "--allow-privileged=true".into(),
            "--profiling=false".into(),
            // By these, bought nodes register as kubelets have them.
            "--feature-gates=MutatingAdmissionPolicy=true".into(),
            "--runtime-config=admissionregistration.k8s.io/v1beta1=true".into(),
            // The names of simulated nodes are known to no DNS.
            "--kubelet-preferred-address-types=InternalIP".into(),
            format!("--audit-policy-file={audit_policy}"),
            format!("--audit-log-path={}", cluster.audit_log().display()),
        ];
        let mut environment = Vec::new();
        let mut controllers = CONTROLLERS.to_vec();
        if purpose == Purpose::Delivery {
            let egress = cluster.run_egress(&ca, &ca_key)?;
            arguments.push(format!("--egress-selector-config-file={egress}"));
            // Webhooks whose configuration names no authority are trusted as the machine's are.
            environment.push(("SSL_CERT_FILE", ca.clone()));
            controllers.extend(CONTROLLERS_OF_DEPLOYMENTS);
        }
        cluster.run(API_SERVER, &environment, &arguments)?;
        cluster.wait_until_ready().await?;
        cluster.run(
            "kube-controller-manager",
            &[],
            &[
                format!("--kubeconfig={kubeconfig}"),
                "--leader-elect=false".into(),
                format!("--secure-port={controllers_port}"),
                "--bind-address=127.0.0.1".into(),
                format!("--root-ca-file={ca}"),
                format!("--service-account-private-key-file={token_key}"),
                format!("--cluster-signing-cert-file={ca}"),
                format!("--cluster-signing-key-file={ca_key}"),
                format!("--authentication-kubeconfig={kubeconfig}"),
                format!("--authorization-kubeconfig={kubeconfig}"),
                format!("--controllers={}", controllers.join(",")),
                "--use-service-account-credentials=false".into(),
                "--concurrent-job-syncs=20".into(),
                "--kube-api-qps=500".into(),
                "--kube-api-burst=1000".into(),
            ],
        )?;
        cluster.run(
            "kube-scheduler",
            &[],
            &[
                format!("--kubeconfig={kubeconfig}"),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
            ],
        )?;
        let mut arguments = vec![
            format!("--kubeconfig={kubeconfig}"),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake".into(),
            format!("--node-name={}", plan.name),
            "--node-ip=127.0.0.1".into(),
            "--cidr=10.0.0.1/16".into(),
            format!("--config={stages}"),
            format!("--config={node_stages}"),
            format!("--config={logs}"),
            format!("--server-address=127.0.0.1:{kubelet_port}"),
            format!("--node-port={kubelet_port}"),
            format!("--tls-cert-file={certificate}"),
            format!("--tls-private-key-file={key}"),
        ];
        for stage in ["node-heartbeat.yaml", "pod-ready.yaml", "pod-delete.yaml"] {
            arguments.push(format!("--config={}", tools.file(stage).display()));
        }
        cluster.run("kwok", &[], &arguments)?;
        for pool in &plan.pools {
            cluster.add_nodes(pool, 0..pool.nodes).await?;
        }
        Ok(cluster)
    }

    /// Runs the way of the API server to the services of its cluster, and returns the file that tells it.
    fn run_egress(&self, ca: &str, ca_key: &str) -> Result<String> {
        let socket = self.file("egress.sock");
        let program = Program {
            name: "egress".to_owned(),
            binary: self.tools.binary("internet"),
            arguments: vec![
                format!("-listen=unix:{}", socket.display()),
                format!("-ca={ca}"),
                format!("-ca-key={ca_key}"),
                format!("-services={}", self.file(SERVICES).display()),
            ],
            environment: Vec::new(),
        };
        self.run_as("egress", program)?;
        // By TCP an API server wants TLS for it.
        let selection = json!({
            "apiVersion": "apiserver.k8s.io/v1beta1",
            "kind": "EgressSelectorConfiguration",
            "egressSelections": [{
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": {"uds": {"udsName": socket}},
                },
            }],
        });
        let path = self.file("egress.yaml");
        fs::write(&path, selection.to_string())?;
        Ok(path.display().to_string())
    }

    /// Waits until the API server says that it is ready.
    ///
    /// # Errors
    /// Where it takes too long.
    pub async fn wait_until_ready(&self) -> Result<()> {
        let what = format!("the API server of {}", self.name);
        crate::wait_for(&what, READY, async || {
            let answer = self.client.request_text(get("/readyz")?).await;
            answer.map(|_| true).map_err(Into::into)
        })
        .await
    }

    /// Starts one of the testbed's binaries for this cluster; it is called as the binary, its log too.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run(
        &self,
        binary: &str,
        environment: &[(&str, String)],
        arguments: &[String],
    ) -> Result<()> {
        self.run_as(
            binary,
            Program {
                name: binary.to_owned(),
                binary: self.tools.binary(binary),
                arguments: arguments.to_vec(),
                environment: environment
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect(),
            },
        )
    }

    /// Starts a program for this cluster under a name of its own.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run_as(&self, name: &str, program: Program) -> Result<()> {
        self.run_in(name, program, None)
    }

    /// Starts a program for this cluster under a name of its own, in a network namespace of its own where it
    /// is to have one.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn run_in(&self, name: &str, program: Program, isolation: Option<Isolation>) -> Result<()> {
        let program = Program {
            name: name.to_owned(),
            ..program
        };
        let process = Process::start_in(&self.tools, &self.folder, program, isolation)?;
        self.processes().push(process);
        Ok(())
    }

    /// Keeps a port reserved for as long as the cluster runs.
    ///
    /// # Panics
    /// Where another thread panicked meanwhile.
    pub fn keep(&self, port: Port) {
        self.ports
            .lock()
            .expect("no thread panics with the ports in hand")
            .push(port);
    }

    /// The processes of this cluster.
    ///
    /// # Panics
    /// Where another thread panicked with them in hand.
    pub fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes
            .lock()
            .expect("no thread panics with the processes in hand")
    }

    /// Does something to one process by name.
    ///
    /// # Errors
    /// Where no process has the name, or what `action` returns.
    pub fn with_process<T>(
        &self,
        name: &str,
        action: impl FnOnce(&mut Process) -> Result<T>,
    ) -> Result<T> {
        let mut processes = self.processes();
        let process = processes
            .iter_mut()
            .find(|process| process.program.name == name);
        action(process.with_context(|| format!("no process {name} in {}", self.name))?)
    }

    /// Ends a process for good.
    ///
    /// # Errors
    /// Where no process has the name.
    pub fn stop(&self, name: &str) -> Result<()> {
        self.with_process(name, |process| {
            process.kill();
            Ok(())
        })?;
        self.processes()
            .retain(|process| process.program.name != name);
        Ok(())
    }

    /// One of the testbed's binaries.
    ///
    /// # Panics
    /// Where no module has it.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.tools.binary(name)
    }

    /// Where a file of this cluster's is, such as `admin.kubeconfig`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The record of the API server.
    pub fn audit_log(&self) -> PathBuf {
        self.file("audit.log")
    }

    /// A server certificate of the testbed's authority.
    ///
    /// # Errors
    /// Where no key can be made.
    pub fn certificate(&self, name: &str) -> Result<Identity> {
        self.authority.server(name)
    }

    /// The certificate of the testbed's authority.
    pub fn ca(&self) -> String {
        self.authority.certificate()
    }

    /// Writes a kubeconfig that uses a token, and returns its path.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn token_kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf> {
        let path = self.file(&format!("{name}.kubeconfig"));
        let access = Access::Token(token.to_owned());
        fs::write(
            &path,
            kubeconfig(&self.name, &self.server, &self.authority, &access),
        )?;
        Ok(path)
    }

    /// A kubeconfig with the rights of a service account: what runs in the cluster has no others.
    ///
    /// # Errors
    /// Where the account does not exist.
    pub async fn service_account_kubeconfig(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<PathBuf> {
        let audience = "https://kubernetes.default.svc";
        let token = self
            .service_account_token(namespace, account, audience)
            .await?;
        self.token_kubeconfig(&format!("{namespace}-{account}"), &token)
    }

    /// A token of a service account for an audience, as a kubelet mounts it.
    ///
    /// # Errors
    /// Where the account does not exist.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        account: &str,
        audience: &str,
    ) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [audience], "expirationSeconds": 36000}});
        let response: Value = self
            .client
            .request(post(&path, &body)?)
            .await
            .with_context(|| format!("a token of {namespace}/{account} in {}", self.name))?;
        let token = response["status"]["token"].as_str();
        Ok(token.context("a token")?.to_owned())
    }

    /// A client with the rights of a service account.
    ///
    /// # Errors
    /// Where the account does not exist.
    pub async fn service_account_client(
        &self,
        namespace: &str,
        account: &str,
    ) -> Result<kube::Client> {
        let path = self.service_account_kubeconfig(namespace, account).await?;
        client(path.to_str().context("a path in UTF-8")?).await
    }

    /// A client of another name that may do everything, for what goes by who asks.
    ///
    /// # Errors
    /// Where no key can be made, or no kubeconfig written.
    pub async fn client_as(&self, user: &str) -> Result<kube::Client> {
        let identity = self.authority.client(user, "system:masters")?;
        let path = self.file(&format!("{}.kubeconfig", user.replace(':', "-")));
        fs::write(
            &path,
            kubeconfig(
                &self.name,
                &self.server,
                &self.authority,
                &Access::Certificate(identity),
            ),
        )?;
        client(path.to_str().context("a path in UTF-8")?).await
    }

    /// Creates a namespace unless it is there.
    ///
    /// # Errors
    /// Where the API server refuses it.
    pub async fn create_namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let labels: Map<_, _> = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), json!(value)))
            .collect();
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}}))?;
        match Api::all(self.client.clone())
            .create(&PostParams::default(), &namespace)
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            result => Ok(result.map(drop)?),
        }
    }

    /// Adds nodes of a pool.
    ///
    /// # Errors
    /// Where the API server refuses one.
    pub async fn add_nodes(&self, pool: &NodePool, numbers: std::ops::Range<u32>) -> Result<()> {
        let api: Api<Node> = Api::all(self.client.clone());
        for number in numbers {
            let node = node(&format!("{}-{}-{number}", self.name, pool.name), pool);
            api.create(&PostParams::default(), &serde_json::from_value(node)?)
                .await?;
        }
        Ok(())
    }

    /// Takes a node away as a machine that breaks: its pods go with it.
    ///
    /// # Errors
    /// Where there is none of the name.
    pub async fn lose_node(&self, name: &str) -> Result<()> {
        Api::<Node>::all(self.client.clone())
            .delete(name, &DeleteParams::default())
            .await?;
        let pods = self.pods().await?;
        for pod in pods.iter().filter(|pod| {
            pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(name)
        }) {
            let metadata = &pod.metadata;
            let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else {
                continue;
            };
            let parameters = DeleteParams {
                grace_period_seconds: Some(0),
                ..DeleteParams::default()
            };
            match Api::<Pod>::namespaced(self.client.clone(), namespace)
                .delete(name, &parameters)
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                result => drop(result?),
            }
        }
        Ok(())
    }

    /// All pods.
    ///
    /// # Errors
    /// Where the API server does not answer.
    pub async fn pods(&self) -> Result<Vec<Pod>> {
        Ok(Api::all(self.client.clone())
            .list(&ListParams::default())
            .await?
            .items)
    }

    /// All nodes.
    ///
    /// # Errors
    /// Where the API server does not answer.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        Ok(Api::all(self.client.clone())
            .list(&ListParams::default())
            .await?
            .items)
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, server, .. } = self;
        formatter
            .debug_struct("Cluster")
            .field("name", name)
            .field("server", server)
            .finish_non_exhaustive()
    }
}

/// A node that KWOK keeps ready.
pub(crate) fn node(name: &str, pool: &NodePool) -> Value {
    let mut labels = Map::new();
    for (key, value) in [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("testbed.hcb.dev/pool", &pool.name),
    ] {
        labels.insert(key.to_owned(), value.into());
    }
    labels.extend(
        pool.labels
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into())),
    );
    let mut resources = Map::from_iter([
        ("cpu".to_owned(), pool.cpu.as_str().into()),
        ("memory".to_owned(), pool.memory.as_str().into()),
        ("ephemeral-storage".to_owned(), "1Ti".into()),
        ("pods".to_owned(), "110".into()),
    ]);
    resources.extend(
        pool.resources
            .iter()
            .map(|(name, count)| (name.clone(), count.to_string().into())),
    );
    let taints: Vec<_> = pool
        .taints
        .iter()
        .map(|(key, value, effect)| json!({"key": key, "value": value, "effect": effect}))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}},
        "spec": {"taints": taints},
        "status": {"allocatable": resources, "capacity": resources},
    })
}
