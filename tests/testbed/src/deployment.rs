//! What a Deployment would run, as a process of this machine: its arguments, its environment, the
//! configuration that it mounts and the rights of its service account, all read from the cluster.

use crate::cluster::Cluster;
use crate::process::Program;
use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, ProjectedVolumeSource, Secret};
use kube::api::Api;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The program of the only container of a Deployment: `binary`, which is the entry point of its image, or the one
/// beside it that the container's command names.
///
/// # Errors
/// Where the Deployment, or something that it mounts, is not there.
pub async fn program(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
    binary: PathBuf,
) -> Result<Program> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
    let deployment = deployments
        .get(name)
        .await
        .with_context(|| format!("{name} in {}", cluster.name))?;
    let pod = deployment
        .spec
        .and_then(|spec| spec.template.spec)
        .context("a pod template")?;
    let container = pod.containers.first().context("a container")?;
    let account = pod.service_account_name.as_deref().unwrap_or("default");
    let kubeconfig = cluster
        .service_account_kubeconfig(namespace, account)
        .await?;

    // Paths in the container become paths of a folder that stands for its file system.
    let root = cluster.file(&format!("{name}.root"));
    let mut mounts = Vec::new();
    let mut files_of: Vec<(PathBuf, BTreeMap<String, Vec<u8>>)> = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = pod
            .volumes
            .iter()
            .flatten()
            .find(|volume| volume.name == mount.name)
            .context("the volume of a mount")?;
        let files = if let Some(source) = &volume.config_map {
            let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), namespace);
            let map = if source.optional == Some(true) {
                maps.get_opt(&source.name).await?
            } else {
                Some(maps.get(&source.name).await?)
            };
            map.and_then(|map| map.data)
                .unwrap_or_default()
                .into_iter()
                .map(|(key, value)| (key, value.into_bytes()))
                .collect()
        } else if let Some(source) = volume
            .secret
            .as_ref()
            .and_then(|source| source.secret_name.as_ref())
        {
            secret(cluster, namespace, source).await?
        } else if let Some(source) = &volume.projected {
            tokens(cluster, namespace, account, source).await?
        } else {
            BTreeMap::new()
        };
        let local = root.join(mount.mount_path.trim_start_matches('/'));
        fs::create_dir_all(&local)?;
        files_of.push((local.clone(), files));
        mounts.push((mount.mount_path.clone(), local));
    }
    let localized = |text: &str| localize(text, &mounts);
    for (local, files) in files_of {
        for (key, content) in files {
            // Files name files of other mounts.
            let content = match String::from_utf8(content) {
                Ok(text) => localized(&text).into_bytes(),
                Err(error) => error.into_bytes(),
            };
            fs::write(local.join(key), content)?;
        }
    }
    let arguments = container
        .command
        .iter()
        .flatten()
        .skip(1)
        .chain(container.args.iter().flatten());
    let command = container.command.iter().flatten().next();
    let named = command.map(|command| binary.with_file_name(command));
    let binary = named.filter(|named| named.is_file()).unwrap_or(binary);
    let mut environment = vec![("KUBECONFIG".to_owned(), kubeconfig.display().to_string())];
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(variable, name, namespace, account) {
            environment.push((variable.name.clone(), localized(&value)));
        }
    }
    Ok(Program {
        name: name.to_owned(),
        binary,
        arguments: arguments.map(|argument| localized(argument)).collect(),
        environment,
    })
}

/// The files that a program's arguments name.
pub fn mounted(program: &Program) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for argument in &program.arguments {
        let path = PathBuf::from(
            argument
                .split_once('=')
                .map_or(argument.as_str(), |(_, path)| path),
        );
        if path.is_file() {
            found.push(path);
        }
    }
    found
}

/// The tokens of a projected volume.
pub(crate) async fn tokens(
    cluster: &Cluster,
    namespace: &str,
    account: &str,
    volume: &ProjectedVolumeSource,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let sources = volume.sources.iter().flatten();
    for source in sources.filter_map(|source| source.service_account_token.as_ref()) {
        let audience = source.audience.as_deref().unwrap_or_default();
        let token = cluster
            .service_account_token(namespace, account, audience)
            .await?;
        files.insert(source.path.clone(), token.into_bytes());
    }
    Ok(files)
}

/// A Secret that is not there, such as one that another tool makes, is an empty one.
async fn secret(
    cluster: &Cluster,
    namespace: &str,
    name: &str,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let secret: Option<Secret> = Api::namespaced(cluster.client.clone(), namespace)
        .get_opt(name)
        .await?;
    let data = secret.and_then(|secret| secret.data).unwrap_or_default();
    Ok(data
        .into_iter()
        .map(|(key, value)| (key, value.0))
        .collect())
}

/// A text with the paths of mounts as they are here: an argument, a value, or a configuration.
fn localize(text: &str, mounts: &[(String, PathBuf)]) -> String {
    let mut text = text.to_owned();
    for (path, local) in mounts {
        let (from, to) = (format!("{path}/"), format!("{}/", local.display()));
        if let Some(rest) = text.strip_prefix(&from) {
            text = format!("{to}{rest}");
        }
        // Only whole paths: `--config=/etc/x/file`, not `/srv/etc/x/file`.
        for before in [" ", "="] {
            text = text.replace(&format!("{before}{from}"), &format!("{before}{to}"));
        }
    }
    text
}

fn value(variable: &EnvVar, name: &str, namespace: &str, account: &str) -> Option<String> {
    if let Some(value) = &variable.value {
        return Some(value.clone());
    }
    let field = variable.value_from.as_ref()?.field_ref.as_ref()?;
    match field.field_path.as_str() {
        "metadata.name" => Some(format!("{name}-0")),
        "metadata.namespace" => Some(namespace.to_owned()),
        "spec.serviceAccountName" => Some(account.to_owned()),
        "status.podIP" => Some("127.0.0.1".to_owned()),
        _ => None,
    }
}
