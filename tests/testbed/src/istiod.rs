//! Istio's control plane, one process for each cluster: what the charts render with the values of the tree,
//! applied to the cluster's API server, and istiod with the arguments, the environment, the certificates and
//! the rights of its Deployment.

use crate::access::get;
use crate::apply::Applier;
use crate::cluster::Cluster;
use crate::deployment;
use crate::hybrid::install_order;
use crate::ports::Port;
use crate::process::Program;
use crate::tools::{Tools, go};
use crate::{helm, hybrid, network};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Where it is installed.
pub const NAMESPACE: &str = "istio-system";
/// The Go module of its programs and charts.
const MODULE: &str = "istio.io/istio";
/// How long it may take to have its certificates and to have read both clusters.
const READY: Duration = Duration::from_secs(120);

/// A release of one of Istio's charts.
#[derive(Debug, Clone, Copy)]
pub struct Release {
    name: &'static str,
    /// Below the folder of the charts.
    chart: &'static str,
}

impl Release {
    /// Its name.
    pub fn name(self) -> &'static str {
        self.name
    }
}

/// Definitions, and the account that other clusters read with.
pub const BASE: Release = Release {
    name: "istio-base",
    chart: "base",
};
/// The control plane.
pub const CONTROL_PLANE: Release = Release {
    name: "istiod",
    chart: "istio-control/istio-discovery",
};
/// The gateway that other networks come in by.
pub const GATEWAY: Release = Release {
    name: "istio-eastwestgateway",
    chart: "gateway",
};

/// What an istiod serves, by the names of its flags.
const SERVED: [&str; 5] = [
    "httpAddr",
    "httpsAddr",
    "grpcAddr",
    "secureGRPCAddr",
    "monitoringAddr",
];

/// How istiod runs, beside what its Deployment says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where pods reach it.
    pub address: IpAddr,
    /// Further variables.
    pub environment: Vec<(String, String)>,
}

/// Installs the definitions and the control plane in a cluster and runs istiod, once the CA is there.
///
/// # Errors
/// What the API server says against an object, or where istiod does not become ready.
pub async fn install(cluster: &Cluster, tree: &Path, options: &Options) -> Result<()> {
    for served in SERVED {
        let port = Port::reserve()?;
        fs::write(port_file(cluster, served), port.number.to_string())?;
        cluster.keep(port);
    }
    install_chart(cluster, tree, BASE).await?;
    install_chart(cluster, tree, CONTROL_PLANE).await?;
    cluster.run_as("istiod", program(cluster, options).await?)?;
    crate::wait_for(&format!("istiod of {}", cluster.name), READY, async || {
        Ok(debug(cluster, "/ready").await.is_ok() && calls_are_trusted(cluster).await?)
    })
    .await
}

/// Applies a chart as the tree says, with webhooks that are called on loopback.
///
/// # Errors
/// What Helm or the API server says against it.
pub async fn install_chart(cluster: &Cluster, tree: &Path, release: Release) -> Result<()> {
    let mut values = helm::values(tree, &cluster.name, release.name)?;
    if release.name == CONTROL_PLANE.name {
        network::suit_envoy(&mut values);
    }
    let tools = cluster.tools.clone();
    let mut objects = tokio::task::spawn_blocking(move || {
        let chart = module()?.join("manifests/charts").join(release.chart);
        helm::template(&tools, release.name, &chart, NAMESPACE, &values)
    })
    .await??;
    let port = port(cluster, "httpsAddr")?;
    for object in &mut objects {
        let webhooks = object.get_mut("webhooks").and_then(Value::as_array_mut);
        for webhook in webhooks.into_iter().flatten() {
            let path = webhook["clientConfig"]["service"]["path"].as_str();
            let url = format!("https://localhost:{port}{}", path.unwrap_or_default());
            webhook["clientConfig"] = json!({ "url": url });
        }
    }
    let (definitions, mut objects): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .partition(|object| object["kind"] == "CustomResourceDefinition");
    let applier = Applier::new(cluster);
    applier.apply_definitions(&definitions).await?;
    objects.sort_by_key(|object| install_order(object["kind"].as_str().unwrap_or_default()));
    for mut object in objects {
        let api = applier.api(&object).await?.0;
        let is_namespaced = api.resource_url().contains("/namespaces/");
        if is_namespaced && object["metadata"].get("namespace").is_none() {
            object["metadata"]["namespace"] = NAMESPACE.into();
        }
        applier.apply(&object).await?;
    }
    Ok(())
}

/// One of Istio's programs, built if it is not.
pub(crate) async fn binary(name: &'static str) -> Result<PathBuf> {
    let tools = tokio::task::spawn_blocking(Tools::istio).await??;
    Ok(tools.binary(name))
}

/// The folder of Istio's Go module.
pub(crate) fn module() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("istio");
    let root = go(&folder, &["list", "-m", "-f", "{{.Dir}}", MODULE])?;
    Ok(PathBuf::from(root.trim()))
}

/// What the Deployment of istiod runs, with the addresses of this machine.
async fn program(cluster: &Cluster, options: &Options) -> Result<Program> {
    let binary = binary("pilot-discovery").await?;
    let mut program = deployment::program(cluster, NAMESPACE, "istiod", binary).await?;
    // The kubeconfig of another cluster is mounted where there is one; here it is the account's own.
    program
        .environment
        .retain(|(name, value)| name != "KUBECONFIG" || Path::new(value).exists());
    let server = cluster.server.trim_start_matches("https://");
    let (host, port_of_server) = server.rsplit_once(':').context("a port")?;
    let addresses = [
        // What every pod is told.
        ("KUBERNETES_SERVICE_HOST", host),
        ("KUBERNETES_SERVICE_PORT", port_of_server),
        // The API server calls webhooks by this name.
        ("ISTIOD_CUSTOM_HOST", "localhost"),
    ];
    program
        .environment
        .extend(addresses.map(|(name, value)| (name.to_owned(), value.to_owned())));
    program.environment.extend(options.environment.clone());
    for served in SERVED {
        let address = match served {
            "secureGRPCAddr" => options.address,
            _ => IpAddr::from([127, 0, 0, 1]),
        };
        let port = port(cluster, served)?;
        program
            .arguments
            .push(format!("--{served}={address}:{port}"));
    }
    program.arguments.push("--ctrlz_port=0".to_owned());
    Ok(in_folder(&cluster.file("istiod.root"), program))
}

/// The program with a working directory, by which Istio's programs find what their pods mount.
pub(crate) fn in_folder(folder: &Path, mut program: Program) -> Program {
    let before = [
        format!("--chdir={}", folder.display()),
        program.binary.display().to_string(),
    ];
    program.arguments.splice(0..0, before);
    program.binary = "/usr/bin/env".into();
    program
}

/// Whether istiod has written by what its webhooks are trusted.
async fn calls_are_trusted(cluster: &Cluster) -> Result<bool> {
    let group = "/apis/admissionregistration.k8s.io/v1";
    for (kind, name) in [
        ("mutatingwebhookconfigurations", "istio-sidecar-injector"),
        (
            "validatingwebhookconfigurations",
            "istiod-default-validator",
        ),
        (
            "validatingwebhookconfigurations",
            "istio-validator-istio-system",
        ),
    ] {
        let request = get(&format!("{group}/{kind}/{name}"))?;
        let configuration: Value = cluster.client.request(request).await?;
        let webhooks = configuration["webhooks"].as_array();
        let is_trusted = |webhook: &Value| webhook["clientConfig"]["caBundle"].is_string();
        if !webhooks.is_some_and(|webhooks| webhooks.iter().all(is_trusted)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn port_file(cluster: &Cluster, served: &str) -> PathBuf {
    cluster.file(&format!("istiod.{served}.port"))
}

/// The port that istiod serves something at, by the name of the flag.
///
/// # Errors
/// Where istiod is not installed.
pub fn port(cluster: &Cluster, served: &str) -> Result<u16> {
    let port = fs::read_to_string(port_file(cluster, served))?;
    Ok(port.parse()?)
}

/// What istiod says of itself at a path of its port for people.
///
/// # Errors
/// Where it does not answer.
pub async fn debug(cluster: &Cluster, path: &str) -> Result<String> {
    hybrid::get(port(cluster, "httpAddr")?, path).await
}

/// What `istioctl analyze` says of all namespaces of a cluster, seen together with another one.
///
/// # Errors
/// Where it cannot do its work.
pub async fn analyze(cluster: &Cluster, other: &Cluster) -> Result<Vec<Value>> {
    let read = |cluster: &Cluster| -> Result<Value> {
        let text = fs::read_to_string(cluster.file("admin.kubeconfig"))?;
        Ok(serde_json::from_str(&text)?)
    };
    let (mut both, more) = (read(cluster)?, read(other)?);
    for list in ["clusters", "users", "contexts"] {
        let added = more[list].as_array().cloned().unwrap_or_default();
        if let Some(list) = both[list].as_array_mut() {
            list.extend(added);
        }
    }
    let kubeconfig = cluster.file("analyze.kubeconfig");
    fs::write(&kubeconfig, both.to_string())?;
    let mut command = Command::new(binary("istioctl").await?);
    command
        .args([
            "analyze",
            "--all-namespaces",
            "--output=json",
            "--timeout=2m",
        ])
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--context={}", cluster.name))
        .arg(format!("--remote-contexts={}", other.name));
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    // It fails where it finds something; what it found is on its output all the same.
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    serde_json::from_str(&out).with_context(|| format!("istioctl analyze: {out}{err}"))
}
