//! Admiralty, from where it can be had: its agent and scheduler as processes, its chart as it is.

use crate::access::get;
use crate::apply::Applier;
use crate::cluster::Cluster;
use crate::deployment;
use crate::helm;
use crate::ports::Port;
use crate::tools::{Tools, build, cached, copy_source, output, served, short};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The module in the registry, and the version that hcb installs.
const MODULE: &str = "admiralty.io/multicluster-scheduler";
/// The version of the module and of the chart.
const VERSION: &str = "v0.17.0";
/// Names the source or the binaries where the module is not served: a folder or a `.tar.gz`.
pub const SOURCE_VARIABLE: &str = "ADMIRALTY_SOURCE";
/// Where it is installed.
pub const NAMESPACE: &str = "admiralty";

/// Admiralty's binaries and chart.
#[derive(Debug, Clone)]
pub struct Admiralty {
    folder: PathBuf,
    chart: PathBuf,
}

impl Admiralty {
    /// Builds it where it can be had. `None` where the registry does not serve the module and the
    /// environment names no source: then the caller skips what needs it, which is said here.
    ///
    /// # Errors
    /// Where a source is named that cannot be built: that is never taken for "not there".
    pub fn get() -> Result<Option<Self>> {
        let named = std::env::var_os(SOURCE_VARIABLE).filter(|value| !value.is_empty());
        let module = format!("{MODULE}@{VERSION}");
        let named = named.map(PathBuf::from).or_else(|| served(&module));
        let Some(named) = named else {
            crate::say(&format!(
                "SKIPPED, what needs Admiralty: the module registry does not serve {module}, and {SOURCE_VARIABLE} names no source"
            ));
            return Ok(None);
        };
        if named.join("agent").is_file() && named.join("scheduler").is_file() {
            let chart = find_chart(&named)?;
            return Ok(Some(Self {
                folder: named,
                chart,
            }));
        }
        let mut hash = Sha256::new();
        if named.is_file() {
            hash.update(fs::read(&named)?);
        } else {
            hash.update(named.to_string_lossy().as_bytes());
            hash.update(
                fs::read(named.join("go.sum"))
                    .with_context(|| format!("{SOURCE_VARIABLE}={}", named.display()))?,
            );
        }
        let folder = cached(&format!("admiralty-{}", short(hash)), |folder| {
            build_source(&named, folder)
        })?;
        let chart = find_chart(&folder)?;
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

    /// Runs the agent, which is the chart's Deployment `admiralty-controller-manager`.
    ///
    /// # Errors
    /// Where the Deployment is not there or the agent does not become ready.
    pub async fn run_agent(&self, cluster: &Cluster) -> Result<()> {
        let certificates = cluster.file("admiralty-webhook");
        fs::create_dir_all(&certificates)?;
        let identity = cluster.certificate("admiralty")?;
        fs::write(certificates.join("tls.crt"), identity.certificate)?;
        fs::write(certificates.join("tls.key"), identity.key)?;
        let webhook = webhook_port(cluster).await?;
        let (health, kubelet) = (Port::reserve()?, Port::reserve()?);
        let mut program = deployment::program(
            cluster,
            NAMESPACE,
            "admiralty-controller-manager",
            self.binary("agent"),
        )
        .await?;
        // Elections are about replicas; there is one.
        program
            .arguments
            .retain(|argument| argument != "--leader-elect");
        program.environment.extend([
            ("POD_NAMESPACE".to_owned(), NAMESPACE.to_owned()),
            (
                "HEALTH_ADDR".to_owned(),
                format!("127.0.0.1:{}", health.number),
            ),
            ("WEBHOOK_PORT".to_owned(), webhook.to_string()),
            (
                "WEBHOOK_CERTS".to_owned(),
                certificates.display().to_string(),
            ),
            ("VK_PORT".to_owned(), kubelet.number.to_string()),
        ]);
        cluster.run_as("admiralty-agent", program)?;
        crate::wait_for(
            &format!("Admiralty's agent in {}", cluster.name),
            Duration::from_secs(60),
            async || {
                Ok(tokio::net::TcpStream::connect(("127.0.0.1", webhook))
                    .await
                    .is_ok())
            },
        )
        .await?;
        cluster.keep(health);
        cluster.keep(kubelet);
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

fn build_source(named: &Path, folder: &Path) -> Result<()> {
    let unpacked = tempfile::tempdir()?;
    let root = if named.is_file() {
        output(
            Command::new("tar")
                .arg("xzf")
                .arg(named)
                .arg("-C")
                .arg(unpacked.path()),
        )?;
        let entry = fs::read_dir(unpacked.path())?
            .next()
            .context("an empty archive")??;
        entry.path()
    } else {
        let root = unpacked.path().join("source");
        copy_source(named, &root)?;
        root
    };
    take_ports_from_the_environment(&root)?;
    for name in ["agent", "scheduler"] {
        build(&root, &format!("./cmd/{name}"), &folder.join(name))?;
    }
    output(
        Command::new("cp")
            .arg("-r")
            .arg(root.join("charts"))
            .arg(folder),
    )
    .map(drop)
}

/// As released, every agent listens on the same ports, so that only one runs on a machine. Where the
/// source still has them, they come from the environment instead.
fn take_ports_from_the_environment(root: &Path) -> Result<()> {
    let changes = [
        (
            "cmd/agent/main.go",
            "HealthProbeBindAddress: \":8080\",",
            "HealthProbeBindAddress: healthAddress(), WebhookServer: webhookServer(),",
            "cmd/agent/ports.go",
            "package main\n\nimport (\n\t\"os\"\n\t\"strconv\"\n\n\t\"sigs.k8s.io/controller-runtime/pkg/webhook\"\n)\n\n\
             func healthAddress() string { return os.Getenv(\"HEALTH_ADDR\") }\n\n\
             func webhookServer() webhook.Server {\n\tport, _ := strconv.Atoi(os.Getenv(\"WEBHOOK_PORT\"))\n\
             \treturn webhook.NewServer(webhook.Options{Port: port, CertDir: os.Getenv(\"WEBHOOK_CERTS\")})\n}\n",
        ),
        (
            "pkg/vk/http/opts.go",
            "\":10250\"",
            "kubeletAddress()",
            "pkg/vk/http/ports.go",
            "package http\n\nimport \"os\"\n\nfunc kubeletAddress() string { return \":\" + os.Getenv(\"VK_PORT\") }\n",
        ),
    ];
    for (file, from, to, added, content) in changes {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        if text.contains(from) {
            fs::write(&path, text.replace(from, to))?;
            fs::write(root.join(added), content)?;
        }
    }
    Ok(())
}

fn find_chart(folder: &Path) -> Result<PathBuf> {
    let chart = folder.join("charts/multicluster-scheduler");
    anyhow::ensure!(
        chart.join("Chart.yaml").is_file(),
        "{} has no chart at {}",
        folder.display(),
        chart.display()
    );
    Ok(chart)
}
