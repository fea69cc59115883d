//! Plays a kubelet for one pod: runs its container's command as a process of this machine, with exactly the
//! environment and the arguments of the pod, and tells the API server how it ended.

use crate::cluster::Cluster;
use crate::xds::SIDECAR;
use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use kube::ResourceExt;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exited(i32),
    /// Its pod was evicted under it.
    Evicted,
}

/// The environment of a pod's only container, with the values that it takes from Secrets.
///
/// # Errors
/// Where a Secret is not there, or a variable is of a kind that hcb does not write.
pub async fn environment(cluster: &Cluster, pod: &Pod) -> Result<Vec<(String, String)>> {
    let namespace = pod.namespace().context("a namespace")?;
    let secrets: Api<Secret> = Api::namespaced(cluster.client.clone(), &namespace);
    let mut environment = Vec::new();
    for variable in container(pod)?.env.iter().flatten() {
        let name = variable.name.clone();
        if let Some(value) = &variable.value {
            environment.push((name, value.clone()));
            continue;
        }
        let source = variable
            .value_from
            .as_ref()
            .context("a value or where it is from")?;
        let Some(reference) = &source.secret_key_ref else {
            bail!("{name} is from something else than a Secret");
        };
        // Admiralty brings the Secrets of a pod after it; a kubelet waits for them too.
        let what = format!("the Secret {} in {}", reference.name, cluster.name);
        let mut secret = None;
        crate::wait_for(&what, Duration::from_secs(60), async || {
            secret = secrets.get_opt(&reference.name).await?;
            Ok(secret.is_some())
        })
        .await?;
        let value = secret
            .context("a Secret")?
            .data
            .and_then(|mut data| data.remove(&reference.key));
        let value =
            value.with_context(|| format!("{} has no {}", reference.name, reference.key))?;
        environment.push((name, String::from_utf8(value.0)?));
    }
    Ok(environment)
}

/// What a kubelet would run: the command and the arguments of the pod's only container, below a folder that
/// stands for that of its image, and no variable but the pod's. `path` is the image's `PATH`.
///
/// # Errors
/// Where the pod has no command.
pub fn command(
    pod: &Pod,
    environment: &[(String, String)],
    folder: &Path,
    path: &str,
) -> Result<Command> {
    let container = container(pod)?;
    let mut words = container
        .command
        .iter()
        .flatten()
        .chain(container.args.iter().flatten());
    let mut command = Command::new("/usr/bin/env");
    command
        .arg(words.next().context("a command")?)
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    Ok(command)
}

fn container(pod: &Pod) -> Result<&Container> {
    let spec = pod.spec.as_ref().context("a spec")?;
    let mut containers = spec.containers.iter();
    let own = containers.find(|container| container.name != SIDECAR);
    own.context("a container")
}

/// Writes how a pod ended, as its kubelet would.
///
/// # Errors
/// Where the API server refuses it.
pub async fn ended(cluster: &Cluster, pod: &Pod, end: End) -> Result<()> {
    let code = match end {
        End::Exited(code) => code,
        // That of a program that SIGKILL ends.
        End::Evicted => 137,
    };
    let current = pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.clone());
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let container = container(pod)?;
    // A pod ends with the last of its containers, and what goes on in another keeps it. Native sidecars are
    // no such containers: the kubelet ends them after the others.
    let others = pod.spec.iter().flat_map(|spec| &spec.containers);
    let goes_on = others.count() > 1;
    let mut status = json!({
        "phase": match code {
            _ if goes_on => "Running",
            0 => "Succeeded",
            _ => "Failed",
        },
        "containerStatuses": [{
            "name": container.name,
            "image": container.image,
            "imageID": "",
            "ready": false,
            "restartCount": 0,
            "state": {"terminated": {
                "exitCode": code,
                "reason": if code == 0 { "Completed" } else { "Error" },
                "startedAt": current,
                "finishedAt": now,
            }},
        }],
    });
    if end == End::Evicted {
        status["conditions"] = json!([{
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "TerminationByKubelet",
            "lastTransitionTime": now,
        }]);
    }
    let namespace = pod.namespace().context("a namespace")?;
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), &namespace);
    let patch = Patch::Strategic(json!({"status": status}));
    pods.patch_status(&pod.name_any(), &PatchParams::default(), &patch)
        .await?;
    Ok(())
}
