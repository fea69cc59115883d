//! Argo CD: installed by its own manifest, with what delivers as processes on loopback: Redis, the repo
//! server and the application controller, with the rights that its manifest gives.

use crate::apply::{Applier, documents};
use crate::cluster::Cluster;
use crate::delivery::steps::{Part, Seen};
use crate::ports::Port;
use crate::process::Program;
use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The namespace that its manifest is written for.
pub const NAMESPACE: &str = "argocd";
/// The process that applies.
pub const CONTROLLER: &str = "argocd-application-controller";
/// The process that renders what is in Git and in charts.
pub const REPO_SERVER: &str = "argocd-repo-server";
/// The process that keeps what was rendered.
const REDIS: &str = "redis-server";
/// How soon a change in Git is looked for. Argo CD itself looks every three minutes, for a test too late.
const LOOKS_EVERY: &str = "3s";
const READY: Duration = Duration::from_secs(120);

/// The kinds of its objects in a tree that say how a delivery goes.
pub const DELIVERING: &[&str] = &["Application"];

/// Whether Redis is there. Where it is not, a test skips, which is said here.
pub fn is_available() -> bool {
    let output = Command::new(REDIS).arg("--version").output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        crate::say(
            "SKIPPED, what Argo CD delivers: there is no redis-server, which it keeps its cache in",
        );
    }
    is_there
}

/// Applies Argo CD's manifest, as its guide says, and what its server writes at its first start.
///
/// # Errors
/// What the API server says against an object.
pub async fn install(hub: &Cluster) -> Result<()> {
    let text = fs::read_to_string(hub.tools.file("install.yaml"))?;
    let mut objects = documents(&text)?;
    hub.create_namespace(NAMESPACE, &[]).await?;
    let applier = Applier::new(hub);
    let (definitions, mut rest): (Vec<_>, Vec<_>) = objects
        .drain(..)
        .partition(|object| object["kind"] == "CustomResourceDefinition");
    applier.apply_definitions(&definitions).await?;
    // The manifest names no namespace but in bindings of roles of the cluster.
    for object in &mut rest {
        let is_of_cluster = object["kind"]
            .as_str()
            .is_some_and(|kind| kind.starts_with("Cluster"));
        if !is_of_cluster {
            object["metadata"]["namespace"] = NAMESPACE.into();
        }
        applier.apply_beside_others(object, "kubectl").await?;
    }
    let key: String = (0..32)
        .map(|_| char::from(rand::random_range(b'a'..=b'z')))
        .collect();
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "argocd-secret", "namespace": NAMESPACE},
        "data": {"server.secretkey": ByteString(key.into_bytes())},
    });
    applier
        .apply_beside_others(&secret, "argocd-server")
        .await?;
    Ok(())
}

/// Runs what delivers. `outside` is the environment in which the repo server reaches Git and charts.
///
/// # Errors
/// Where something cannot be started or does not become ready.
pub async fn run(hub: &Cluster, outside: &[(String, String)]) -> Result<()> {
    let redis = run_redis(hub).await?;
    let repo_server = run_repo_server(hub, redis, outside).await?;
    run_controller(hub, redis, repo_server).await
}

async fn run_redis(hub: &Cluster) -> Result<u16> {
    let port = Port::reserve()?;
    let number = port.number;
    let program = Program {
        name: REDIS.to_owned(),
        binary: which(REDIS)?,
        arguments: [
            "--bind",
            "127.0.0.1",
            "--port",
            &number.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
        ]
        .map(str::to_owned)
        .into(),
        environment: Vec::new(),
    };
    hub.run_as(REDIS, program)?;
    hub.keep(port);
    listens(REDIS, number).await?;
    Ok(number)
}

async fn run_repo_server(hub: &Cluster, redis: u16, outside: &[(String, String)]) -> Result<u16> {
    let (port, metrics) = (Port::reserve()?, Port::reserve()?);
    let folder = hub.file(REPO_SERVER);
    // It calls `helm` by its name.
    let programs = folder.join("bin");
    let temporary = folder.join("tmp");
    for folder in [&programs, &temporary] {
        fs::create_dir_all(folder)?;
    }
    let helm = programs.join("helm");
    if !helm.exists() {
        std::os::unix::fs::symlink(hub.tools.binary("helm"), helm)?;
    }
    let mut path = programs.into_os_string();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut environment = common(&folder);
    environment.extend([
        ("PATH".to_owned(), path.to_string_lossy().into_owned()),
        ("TMPDIR".to_owned(), temporary.display().to_string()),
        (
            "ARGOCD_ASK_PASS_SOCK".to_owned(),
            folder.join("ask.sock").display().to_string(),
        ),
        // Signatures of commits are not asked for, and keys would need a program that may not be here.
        ("ARGOCD_GPG_ENABLED".to_owned(), "false".to_owned()),
    ]);
    environment.extend(outside.iter().cloned());
    // Git knows an authority by a variable of its own.
    let authority = outside.iter().find(|(name, _)| name == "SSL_CERT_FILE");
    environment.extend(authority.map(|(_, file)| ("GIT_SSL_CAINFO".to_owned(), file.clone())));
    let number = port.number;
    let program = Program {
        name: REPO_SERVER.to_owned(),
        binary: hub.tools.binary("argocd"),
        arguments: vec![
            "--address=127.0.0.1".to_owned(),
            format!("--port={number}"),
            "--metrics-address=127.0.0.1".to_owned(),
            format!("--metrics-port={}", metrics.number),
            format!("--redis=127.0.0.1:{redis}"),
            "--disable-tls".to_owned(),
            format!("--revision-cache-expiration={LOOKS_EVERY}"),
        ],
        environment: named(REPO_SERVER, environment),
    };
    hub.run_as(REPO_SERVER, program)?;
    hub.keep(port);
    hub.keep(metrics);
    listens(REPO_SERVER, number).await?;
    Ok(number)
}

async fn run_controller(hub: &Cluster, redis: u16, repo_server: u16) -> Result<()> {
    let metrics = Port::reserve()?;
    let folder = hub.file(CONTROLLER);
    fs::create_dir_all(&folder)?;
    let kubeconfig = hub
        .service_account_kubeconfig(NAMESPACE, CONTROLLER)
        .await?;
    let mut environment = common(&folder);
    environment.extend([
        ("KUBECONFIG".to_owned(), kubeconfig.display().to_string()),
        // A process is in no pod, where the cluster's own API server is found by files and variables.
        ("ARGOCD_FAKE_IN_CLUSTER".to_owned(), "true".to_owned()),
        (
            "ARGOCD_RECONCILIATION_TIMEOUT".to_owned(),
            LOOKS_EVERY.to_owned(),
        ),
        ("ARGOCD_RECONCILIATION_JITTER".to_owned(), "0s".to_owned()),
    ]);
    let number = metrics.number;
    let program = Program {
        name: CONTROLLER.to_owned(),
        binary: hub.tools.binary("argocd"),
        arguments: vec![
            format!("--namespace={NAMESPACE}"),
            format!("--redis=127.0.0.1:{redis}"),
            format!("--repo-server=127.0.0.1:{repo_server}"),
            "--repo-server-plaintext".to_owned(),
            format!("--metrics-port={number}"),
        ],
        environment: named(CONTROLLER, environment),
    };
    hub.run_as(CONTROLLER, program)?;
    hub.keep(metrics);
    listens(CONTROLLER, number).await
}

/// One binary plays all parts; a variable says which.
fn named(name: &str, mut environment: Vec<(String, String)>) -> Vec<(String, String)> {
    environment.push(("ARGOCD_BINARY_NAME".to_owned(), name.to_owned()));
    environment
}

/// Folders that are at fixed paths in a pod.
fn common(folder: &Path) -> Vec<(String, String)> {
    ["TLS", "SSH", "GPG"]
        .map(|what| {
            let path = folder.join(what.to_lowercase());
            (
                format!("ARGOCD_{what}_DATA_PATH"),
                path.display().to_string(),
            )
        })
        .into()
}

async fn listens(name: &str, port: u16) -> Result<()> {
    crate::wait_for(name, READY, async || {
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok())
    })
    .await
}

fn which(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("no {name}"))
}

/// How Argo CD of a hub is: its Applications, and how many operations it has told of.
///
/// # Errors
/// Where the API server does not answer.
pub async fn look(hub: &Cluster) -> Result<Seen> {
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications");
    let list: Value = hub.client.request(crate::access::get(&path)?).await?;
    let applications = list["items"].as_array().into_iter().flatten();
    let parts = applications.map(|application| {
        let name = application["metadata"]["name"].as_str().unwrap_or_default();
        (name.to_owned(), part(&application["status"]))
    });
    let events: Api<Event> = Api::namespaced(hub.client.clone(), NAMESPACE);
    let events = events.list(&ListParams::default()).await?;
    let begun = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("OperationStarted"));
    Ok(Seen {
        parts: parts.collect(),
        actions: begun.map(|event| i64::from(event.count.unwrap_or(1))).sum(),
    })
}

fn part(status: &Value) -> Part {
    let text = |path: &str| {
        let value = status.pointer(path).and_then(Value::as_str);
        value.unwrap_or_default()
    };
    let (sync, health) = (text("/sync/status"), text("/health/status"));
    let phase = text("/operationState/phase");
    let troubled = status["resources"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|resource| {
            let health = resource["health"]["status"].as_str();
            resource["status"] != "Synced" || health.is_some_and(|health| health != "Healthy")
        });
    let troubled: Vec<_> = troubled
        .map(|resource| {
            let text = |key: &str| resource[key].as_str().unwrap_or_default();
            format!("{} {} {}", text("kind"), text("name"), text("status"))
        })
        .collect();
    let revision = text("/sync/revision");
    // Those of charts are versions.
    let is_commit = revision.len() == 40 && revision.chars().all(|c| c.is_ascii_hexdigit());
    Part {
        is_settled: sync == "Synced" && health == "Healthy" && phase == "Succeeded",
        is_drifted: sync == "OutOfSync",
        commit: is_commit.then(|| revision.to_owned()),
        said: format!(
            "{sync}, {health}, {phase}: {} {} {troubled:?}",
            text("/operationState/message"),
            status["conditions"]
        ),
    }
}
