//! External Secrets, the operator itself, with Kubernetes as its store.
//!
//! Its module has no tag that Go's registry serves in the version that hcb installs, and its parts are
//! modules of one repository that replace each other by path, so it is built from a checkout.

use crate::apply::documents;
use crate::cluster::Cluster;
use crate::ports::Port;
use crate::process::Program;
use crate::tools::{build, cached, output, short};
use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the source: a folder, or a `.tar.gz` of one.
pub const SOURCE_VARIABLE: &str = "EXTERNAL_SECRETS_SOURCE";
/// The version that hcb installs, a tag `helm-chart-VERSION` of the repository.
pub const VERSION: &str = "2.9.0";
/// Where it is installed.
pub const NAMESPACE: &str = "external-secrets";
/// Who it is for the API server.
const ACCOUNT: &str = "system:serviceaccount:external-secrets:external-secrets";

/// The operator's binary and definitions.
#[derive(Debug, Clone)]
pub struct ExternalSecrets {
    folder: PathBuf,
}

impl ExternalSecrets {
    /// Builds it where its source is named. `None` where it is not: then the caller skips what needs it,
    /// which is said here.
    ///
    /// # Errors
    /// Where a source is named that cannot be built: that is never taken for "not there".
    pub fn get() -> Result<Option<Self>> {
        let named = std::env::var_os(SOURCE_VARIABLE).filter(|value| !value.is_empty());
        let Some(named) = named.map(PathBuf::from) else {
            crate::say(&format!(
                "SKIPPED, what needs External Secrets: {SOURCE_VARIABLE} names no source; \
                 `git clone --depth 1 --branch helm-chart-{VERSION} https://github.com/external-secrets/external-secrets` gets it"
            ));
            return Ok(None);
        };
        let mut hash = Sha256::new();
        let identity = if named.is_file() {
            fs::read(&named)
        } else {
            hash.update(named.to_string_lossy().as_bytes());
            fs::read(named.join("go.sum"))
        };
        hash.update(identity.with_context(|| format!("{SOURCE_VARIABLE}={}", named.display()))?);
        let folder = cached(&format!("external-secrets-{}", short(hash)), |folder| {
            build_source(&named, folder)
        })?;
        Ok(Some(Self { folder }))
    }

    /// Its `CustomResourceDefinitions`, of its version.
    ///
    /// # Errors
    /// Where the source has none.
    pub fn definitions(&self) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder.join("bases"))? {
            let objects = documents(&fs::read_to_string(entry?.path())?)?;
            found.extend(
                objects
                    .into_iter()
                    .filter(|object| object["kind"] == "CustomResourceDefinition"),
            );
        }
        anyhow::ensure!(found.len() > 5, "only {} definitions", found.len());
        // Conversion asks a webhook, which only versions that are no longer served need.
        for definition in &mut found {
            if let Some(spec) = definition["spec"].as_object_mut() {
                spec.remove("conversion");
            }
        }
        Ok(found)
    }

    /// Runs it for a cluster, under the name that policies know it by.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub async fn run(&self, cluster: &Cluster) -> Result<()> {
        cluster.client_as(ACCOUNT).await?;
        let kubeconfig = cluster.file(&format!("{}.kubeconfig", ACCOUNT.replace(':', "-")));
        let ports = [Port::reserve()?, Port::reserve()?];
        let arguments = vec![
            format!("--metrics-addr=127.0.0.1:{}", ports[0].number),
            format!("--live-addr=127.0.0.1:{}", ports[1].number),
            "--concurrent=4".to_owned(),
            "--enable-cluster-external-secret-reconciler=false".to_owned(),
            "--enable-cluster-push-secret-reconciler=false".to_owned(),
            "--loglevel=info".to_owned(),
        ];
        cluster.run_as(
            "external-secrets",
            Program {
                name: "external-secrets".into(),
                binary: self.folder.join("external-secrets"),
                arguments,
                environment: vec![("KUBECONFIG".into(), kubeconfig.display().to_string())],
            },
        )?;
        for port in ports {
            cluster.keep(port);
        }
        Ok(())
    }
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
        let entry = fs::read_dir(unpacked.path())?.next();
        entry.context("an empty archive")??.path()
    } else {
        named.to_owned()
    };
    let chart = fs::read_to_string(root.join("deploy/charts/external-secrets/Chart.yaml"))?;
    anyhow::ensure!(
        chart.lines().any(|line| {
            let version = line.strip_prefix("version:").map(str::trim);
            version.map(|version| version.trim_matches('"')) == Some(VERSION)
        }),
        "{} is not External Secrets {VERSION}",
        named.display()
    );
    // Without build tags its providers are Kubernetes alone.
    build(&root, ".", &folder.join("external-secrets"))?;
    output(
        Command::new("cp")
            .arg("-r")
            .arg(root.join("config/crds/bases"))
            .arg(folder),
    )
    .map(drop)
}
