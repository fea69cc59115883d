//! External Secrets, the operator itself, with Kubernetes as its store.
//!
//! Newer versions are many modules of one repository that replace each other by path, which no registry
//! serves; the newest that one module holds whole has the same reconcilers of the same kinds. The version
//! that hcb installs runs where the environment names its program.

use crate::apply::documents;
use crate::cluster::Cluster;
use crate::ports::Port;
use crate::process::Program;
use crate::tools::{build, cached, copy_source, output, served, short};
use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names a folder with another version: its program `external-secrets`, and its definitions in `bases/`.
pub const FOLDER_VARIABLE: &str = "EXTERNAL_SECRETS";
/// Where it is installed.
pub const NAMESPACE: &str = "external-secrets";
/// The module in the registry, with the newest version that is one whole module.
const MODULE: &str = "github.com/external-secrets/external-secrets@v0.16.2";
/// Who it is for the API server.
const ACCOUNT: &str = "system:serviceaccount:external-secrets:external-secrets";
/// What registers itself with the operator, by the files that say so: of thirty providers the one that is
/// needed, and no generator. The libraries of all clouds take longer to build than Kubernetes.
const REGISTERED: &[(&str, &str)] = &[
    (
        "pkg/provider/register/register.go",
        "package register\n\nimport _ \"github.com/external-secrets/external-secrets/pkg/provider/kubernetes\"\n",
    ),
    ("pkg/generator/register/register.go", "package register\n"),
];

/// The operator's program and definitions.
#[derive(Debug, Clone)]
pub struct ExternalSecrets {
    folder: PathBuf,
}

impl ExternalSecrets {
    /// Builds it where it can be had. `None` where the registry does not serve it and the environment
    /// names no other: then the caller skips what needs it, which is said here.
    ///
    /// # Errors
    /// Where it is there and cannot be built: that is never taken for "not there".
    pub fn get() -> Result<Option<Self>> {
        let named = std::env::var_os(FOLDER_VARIABLE).filter(|value| !value.is_empty());
        if let Some(folder) = named.map(PathBuf::from) {
            let program = folder.join("external-secrets");
            anyhow::ensure!(program.is_file(), "{} is not there", program.display());
            return Ok(Some(Self { folder }));
        }
        let Some(module) = served(MODULE) else {
            crate::say(&format!(
                "SKIPPED, what needs External Secrets: the module registry does not serve {MODULE}, and {FOLDER_VARIABLE} names no folder with it"
            ));
            return Ok(None);
        };
        let mut hash = Sha256::new();
        hash.update(fs::read(module.join("go.sum"))?);
        hash.update(format!("{MODULE} {REGISTERED:?}"));
        let folder = cached(&format!("external-secrets-{}", short(hash)), |folder| {
            build_module(&module, folder)
        })?;
        Ok(Some(Self { folder }))
    }

    /// Its `CustomResourceDefinitions`, of its version.
    ///
    /// # Errors
    /// Where it has none.
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
        // Conversion asks a webhook, which only older versions of the kinds need.
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
        let binary = self.folder.join("external-secrets");
        let help = output(Command::new(&binary).arg("--help"))?;
        let mut arguments = vec![
            "--concurrent=4".to_owned(),
            "--enable-cluster-external-secret-reconciler=false".to_owned(),
            "--enable-cluster-push-secret-reconciler=false".to_owned(),
            "--loglevel=info".to_owned(),
        ];
        // A pod has an address of its own, a process has not.
        for flag in ["--metrics-addr", "--live-addr"] {
            if help.contains(flag) {
                let port = Port::reserve()?;
                arguments.push(format!("{flag}=127.0.0.1:{}", port.number));
                cluster.keep(port);
            }
        }
        cluster.run_as(
            "external-secrets",
            Program {
                name: "external-secrets".into(),
                binary,
                arguments,
                environment: vec![("KUBECONFIG".into(), kubeconfig.display().to_string())],
            },
        )
    }
}

fn build_module(module: &Path, folder: &Path) -> Result<()> {
    let unpacked = tempfile::tempdir()?;
    let source = unpacked.path().join("source");
    copy_source(module, &source)?;
    for (file, content) in REGISTERED {
        let path = source.join(file);
        anyhow::ensure!(path.is_file(), "{} is not there", path.display());
        fs::write(path, content)?;
    }
    build(&source, ".", &folder.join("external-secrets")).context("building External Secrets")?;
    copy_source(&source.join("config/crds/bases"), &folder.join("bases"))
}
