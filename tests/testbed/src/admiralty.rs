//! Admiralty as it is released: its agent and scheduler as processes, its chart as it is.

use crate::access::get;
use crate::apply::{Applier, documents};
use crate::cluster::Cluster;
use crate::deployment;
use crate::helm;
use crate::hybrid;
use crate::ports::Port;
use crate::process::Isolation;
use crate::tools::Tools;
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Names a folder with what Admiralty releases: the programs `agent` and `scheduler`, and the chart in
/// `charts/multicluster-scheduler`. CONTRIBUTING.md says how to get them.
pub const VARIABLE: &str = "HCB_ADMIRALTY";
/// Where it is installed.
pub const NAMESPACE: &str = "admiralty";
/// The Deployment of the agent.
const AGENT: &str = "admiralty-controller-manager";
/// Where the agent listens for questions about its health, and for webhooks (Admiralty 0.17,
/// `cmd/agent/main.go`; the latter is the default of its library). It has no setting for either.
const HEALTH: u16 = 8080;
const WEBHOOK: u16 = 9443;
/// Where it finds the certificate of its webhook, below the folder for temporary files.
const CERTIFICATES: &str = "k8s-webhook-server/serving-certs";

/// Admiralty's programs and chart.
#[derive(Debug, Clone)]
pub struct Admiralty {
    folder: PathBuf,
    chart: PathBuf,
}

impl Admiralty {
    /// Finds it. `None` where the environment does not name it, or this machine gives its agents no network
    /// namespaces of their own: then the caller skips what needs it, which is said here.
    ///
    /// # Errors
    /// Where a folder is named that does not have all of it: that is never taken for "not there".
    pub fn get() -> Result<Option<Self>> {
        let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let Some(folder) = named.map(PathBuf::from) else {
            crate::say(&format!(
                "SKIPPED, what needs Admiralty: {VARIABLE} names no folder with its programs and its chart; CONTRIBUTING.md says how to get them"
            ));
            return Ok(None);
        };
        let folder = folder
            .canonicalize()
            .with_context(|| format!("{VARIABLE}={}", folder.display()))?;
        let chart = folder.join("charts/multicluster-scheduler");
        for file in [
            folder.join("agent"),
            folder.join("scheduler"),
            chart.join("Chart.yaml"),
        ] {
            anyhow::ensure!(
                file.is_file(),
                "{VARIABLE}: {} is not there",
                file.display()
            );
        }
        if let Some(problem) = Isolation::problem(&Tools::get()?)? {
            crate::say(&format!(
                "SKIPPED, what needs Admiralty: all its agents listen on the same ports, and this machine gives them no network namespaces of their own: {problem}"
            ));
            return Ok(None);
        }
        Ok(Some(Self { folder, chart }))
    }

    /// A binary: `agent` or `scheduler`.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The objects of the chart with `values`, as Helm renders them.
    ///
    /// # Errors
    /// Where Helm refuses the values.
    pub fn render(&self, tools: &Tools, values: &Value) -> Result<Vec<Value>> {
        helm::template(tools, "admiralty", &self.chart, NAMESPACE, values)
    }

    /// Installs the chart in a cluster as the testbed can: objects of cert-manager are left out, since
    /// the testbed hands out certificates itself, and the webhook is called on loopback.
    ///
    /// # Errors
    /// What the API server says against an object.
    pub async fn install(&self, cluster: &Cluster, values: &Value) -> Result<()> {
        let objects = self.render(&cluster.tools, values)?;
        let (definitions, objects): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| object["kind"] == "CustomResourceDefinition");
        let applier = Applier::new(cluster);
        applier.apply_definitions(&definitions).await?;
        cluster.create_namespace(NAMESPACE, &[]).await?;
        let webhook_port = Port::reserve()?;
        for mut object in objects {
            let kind = object["kind"].as_str().unwrap_or_default();
            let is_hook = object["metadata"]["annotations"]
                .get("helm.sh/hook")
                .is_some();
            if is_hook || matches!(kind, "Certificate" | "Issuer") {
                continue;
            }
            if kind == "MutatingWebhookConfiguration" {
                let ca = k8s_openapi::ByteString(cluster.ca().into_bytes());
                for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
                    let path = webhook["clientConfig"]["service"]["path"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned();
                    webhook["clientConfig"] = json!({
                        "url": format!("https://127.0.0.1:{}{path}", webhook_port.number),
                        "caBundle": ca,
                    });
                }
            }
            let is_namespaced = applier
                .api(&object)
                .await?
                .0
                .resource_url()
                .contains("/namespaces/");
            if is_namespaced && object["metadata"].get("namespace").is_none() {
                object["metadata"]["namespace"] = NAMESPACE.into();
            }
            applier.apply(&object).await?;
        }
        cluster.keep(webhook_port);
        Ok(())
    }

    /// Runs the agent, which is the chart's Deployment `admiralty-controller-manager`, in a network namespace
    /// of its own.
    ///
    /// # Errors
    /// Where the Deployment is not there or the agent does not become ready.
    pub async fn run_agent(&self, cluster: &Cluster) -> Result<()> {
        let binary = self.binary("agent");
        let mut program = deployment::program(cluster, NAMESPACE, AGENT, binary).await?;
        let temporary = cluster.file(&format!("{AGENT}.root")).join("tmp");
        let certificates = temporary.join(CERTIFICATES);
        fs::create_dir_all(&certificates)?;
        let identity = cluster.certificate("admiralty")?;
        fs::write(certificates.join("tls.crt"), identity.certificate)?;
        fs::write(certificates.join("tls.key"), identity.key)?;
        // Elections are about replicas; there is one.
        program
            .arguments
            .retain(|argument| argument != "--leader-elect");
        program.environment.extend([
            ("POD_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
            ("TMPDIR".to_owned(), temporary.display().to_string()),
        ]);
        let health = Port::reserve()?;
        let isolation = Isolation {
            reaches: api_servers(cluster).await?,
            serves: vec![
                (health.number, HEALTH),
                (webhook_port(cluster).await?, WEBHOOK),
            ],
        };
        cluster.run_in("admiralty-agent", program, Some(isolation))?;
        crate::wait_for(
            &format!("Admiralty's agent in {}", cluster.name),
            Duration::from_secs(60),
            async || hybrid::get(health.number, "/readyz").await.map(|_| true),
        )
        .await?;
        cluster.keep(health);
        Ok(())
    }

    /// Runs a scheduler by the name of its Deployment, with the configuration that it mounts.
    ///
    /// # Errors
    /// Where the Deployment or its configuration is not there.
    pub async fn run_scheduler(&self, cluster: &Cluster, name: &str) -> Result<()> {
        let mut program =
            deployment::program(cluster, NAMESPACE, name, self.binary("scheduler")).await?;
        // In a pod it finds the API server by files at fixed paths, which a process cannot have.
        let mut known = program.environment.iter();
        let (_, kubeconfig) = known
            .find(|(name, _)| name == "KUBECONFIG")
            .context("a kubeconfig")?;
        for file in deployment::mounted(&program) {
            let mut config: Value = serde_saphyr::from_str(&fs::read_to_string(&file)?)?;
            config["clientConnection"]["kubeconfig"] = kubeconfig.as_str().into();
            config["leaderElection"] = json!({"leaderElect": false});
            fs::write(&file, config.to_string())?;
        }
        program.arguments.push("--secure-port=0".into());
        cluster.run_as(name, program)
    }
}

/// The port that the cluster's webhook configuration calls. Where it calls a service, as in a cluster
/// that an engine delivers to, that is answered by a port of this machine from now on.
async fn webhook_port(cluster: &Cluster) -> Result<u16> {
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/admiralty";
    let configuration: Value = cluster.client.request(get(path)?).await?;
    let service = &configuration["webhooks"][0]["clientConfig"]["service"];
    if let (Some(name), Some(namespace)) = (service["name"].as_str(), service["namespace"].as_str())
    {
        let port = Port::reserve()?;
        let number = port.number;
        let services = json!({format!("{name}.{namespace}.svc"): format!("127.0.0.1:{number}")});
        fs::write(cluster.file(crate::cluster::SERVICES), services.to_string())?;
        cluster.keep(port);
        return Ok(number);
    }
    let url = configuration["webhooks"][0]["clientConfig"]["url"]
        .as_str()
        .unwrap_or_default();
    let port = url
        .rsplit(':')
        .next()
        .and_then(|rest| rest.split('/').next());
    port.and_then(|port| port.parse().ok())
        .context("the port of the webhook")
}

/// The ports of the API servers that the agent of a cluster speaks to: its own, and those of the kubeconfigs
/// that it is given. It reads those when it starts; where they change, it is started again.
async fn api_servers(cluster: &Cluster) -> Result<Vec<u16>> {
    let mut servers = vec![cluster.server.clone()];
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    for secret in secrets.list(&ListParams::default()).await? {
        for value in secret.data.unwrap_or_default().into_values() {
            // What is no kubeconfig is something else.
            let text = String::from_utf8(value.0).unwrap_or_default();
            for kubeconfig in documents(&text).unwrap_or_default() {
                let clusters = kubeconfig["clusters"].as_array().into_iter().flatten();
                servers.extend(
                    clusters.filter_map(|one| one["cluster"]["server"].as_str().map(str::to_owned)),
                );
            }
        }
    }
    let ports = servers.iter().filter_map(|server| {
        let port = server.strip_prefix("https://127.0.0.1:")?;
        port.trim_end_matches('/').parse().ok()
    });
    let ports: BTreeSet<_> = ports.collect();
    Ok(ports.into_iter().collect())
}
