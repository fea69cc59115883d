//! Runs what istiod put into a pod: the rules that redirect its traffic, `pilot-agent`, and Envoy below it.

use crate::cluster::Cluster;
use crate::deployment::tokens;
use crate::istiod::{binary, in_folder};
use crate::network::{attach, inside};
use crate::process::Program;
use crate::tools::output;
use crate::xds::{environment, proxies, volume};
use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::Api;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a proxy has until it has its certificate and its configuration.
const READY: Duration = Duration::from_secs(90);
/// The group of proxies, by which their own traffic is known.
const GROUP: &str = "1337";

/// A pod on its network, with its proxy.
#[derive(Debug)]
pub struct ProxiedPod {
    /// The name of its namespace of the kernel.
    pub namespace: String,
    hosts: PathBuf,
}

impl ProxiedPod {
    /// Puts a pod onto its network and runs its proxy. `hosts` are names with addresses, as DNS would have
    /// them.
    ///
    /// # Errors
    /// Where the proxy does not become ready.
    pub async fn start(
        cluster: &Cluster,
        pod: &Pod,
        envoy: &Path,
        hosts: &[(String, String)],
    ) -> Result<Self> {
        let namespace = attach(cluster, pod)?;
        let root = cluster.file(&format!("{}.root", pod.name_any()));
        mount(cluster, pod, &root).await?;
        let lines: Vec<_> = hosts
            .iter()
            .map(|(name, address)| format!("{address} {name}\n"))
            .collect();
        let hosts = root.join("hosts");
        fs::write(&hosts, format!("127.0.0.1 localhost\n{}", lines.concat()))?;
        let started = Self { namespace, hosts };
        let agent = binary("pilot-agent").await?;
        started.redirect(pod, &agent).await?;
        let program = started.proxy(pod, &agent, envoy, &root)?;
        cluster.run_as(&format!("proxy-{}", pod.name_any()), program)?;
        let what = format!("the proxy of {} in {}", pod.name_any(), cluster.name);
        crate::wait_for(&what, READY, async || {
            started
                .curl(&["--fail", "http://127.0.0.1:15021/healthz/ready"])
                .await
                .map(|_| true)
        })
        .await?;
        Ok(started)
    }

    /// What `curl` prints in the pod.
    ///
    /// # Errors
    /// Where it fails.
    pub async fn curl(&self, arguments: &[&str]) -> Result<String> {
        let mut words = inside(&self.namespace, &self.hosts);
        let options = ["curl", "--silent", "--show-error", "--max-time", "10"];
        words.extend(options.map(str::to_owned));
        words.extend(arguments.iter().map(|word| (*word).to_owned()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        tokio::task::spawn_blocking(move || output(&mut command)).await?
    }

    /// A program of the pod's own.
    pub fn program(&self, name: &str, binary: &Path, arguments: &[String]) -> Program {
        let mut words = inside(&self.namespace, &self.hosts);
        let program = words.remove(0);
        words.push(binary.display().to_string());
        words.extend_from_slice(arguments);
        Program {
            name: name.to_owned(),
            binary: program.into(),
            arguments: words,
            environment: Vec::new(),
        }
    }

    /// Does what the container `istio-init` does. Gateways have none: nothing is redirected there.
    async fn redirect(&self, pod: &Pod, agent: &Path) -> Result<()> {
        let containers = pod
            .spec
            .iter()
            .flat_map(|spec| spec.init_containers.iter().flatten());
        for container in containers.filter(|container| container.name == "istio-init") {
            let mut words = inside(&self.namespace, &self.hosts);
            words.push(agent.display().to_string());
            words.extend(container.args.iter().flatten().cloned());
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]);
            tokio::task::spawn_blocking(move || output(&mut command)).await??;
        }
        Ok(())
    }

    /// `pilot-agent` with the arguments and the environment of the pod's proxy.
    fn proxy(&self, pod: &Pod, agent: &Path, envoy: &Path, root: &Path) -> Result<Program> {
        let proxies = proxies(pod);
        let (container, _) = proxies.first().context("a proxy")?;
        let mut environment = environment(pod, container);
        let mut config = json!({});
        for (name, value) in &mut environment {
            if name == "PROXY_CONFIG" {
                config = serde_json::from_str(value).unwrap_or(config);
                config["binaryPath"] = json!(envoy);
                *value = config.to_string();
            }
        }
        if config["binaryPath"].is_null() {
            environment.push((
                "PROXY_CONFIG".into(),
                json!({"binaryPath": envoy}).to_string(),
            ));
        }
        let expanded = |argument: &String| {
            environment
                .iter()
                .fold(argument.clone(), |text, (name, value)| {
                    text.replace(&format!("$({name})"), value)
                })
        };
        let mut arguments = vec![
            format!("--regid={GROUP}"),
            "--clear-groups".to_owned(),
            agent.display().to_string(),
        ];
        arguments.extend(container.args.iter().flatten().map(expanded));
        let program = self.program("proxy", Path::new("setpriv"), &arguments);
        Ok(in_folder(
            root,
            Program {
                environment,
                ..program
            },
        ))
    }
}

/// Lays out what the proxy of a pod mounts, and what its image has.
async fn mount(cluster: &Cluster, pod: &Pod, root: &Path) -> Result<()> {
    let namespace = pod.namespace().context("a namespace")?;
    let spec = pod.spec.as_ref().context("a spec")?;
    let account = spec.service_account_name.as_deref().unwrap_or("default");
    for folder in [
        "etc/istio/proxy",
        "etc/istio/pod",
        "var/lib/istio/data",
        "var/lib/istio/envoy",
        "var/run/secrets/istio",
        "var/run/secrets/tokens",
        "var/run/secrets/workload-spiffe-uds",
        "var/run/secrets/workload-spiffe-credentials",
        "var/run/secrets/credential-uds",
    ] {
        fs::create_dir_all(root.join(folder))?;
    }
    let source = volume(pod, "istio-token").context("the volume of the proxy's token")?;
    for (path, token) in tokens(cluster, &namespace, account, source).await? {
        fs::write(root.join("var/run/secrets/tokens").join(path), token)?;
    }
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &namespace);
    let map = maps.get("istio-ca-root-cert").await?;
    for (key, text) in map.data.unwrap_or_default() {
        fs::write(root.join("var/run/secrets/istio").join(key), text)?;
    }
    for (file, values) in [("labels", pod.labels()), ("annotations", pod.annotations())] {
        let lines: Vec<_> = values
            .iter()
            .map(|(key, value)| format!("{key}={}", Value::from(value.as_str())))
            .collect();
        fs::write(root.join("etc/istio/pod").join(file), lines.join("\n"))?;
    }
    let template = binary("envoy_bootstrap.json").await?;
    fs::copy(
        template,
        root.join("var/lib/istio/envoy/envoy_bootstrap_tmpl.json"),
    )?;
    Ok(())
}
