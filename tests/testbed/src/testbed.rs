//! Clusters that run side by side.

use crate::access::get;
use crate::certificates::Authority;
use crate::cluster::{Cluster, ClusterPlan, Purpose};
use crate::ports::Port;
use crate::process::{Folder, Process, Program};
use crate::tools::Tools;
use anyhow::{Context, Result};
use futures::future::try_join_all;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Clusters that run until this is dropped.
#[derive(Debug)]
pub struct Testbed {
    /// The clusters, in the order in which they were asked for.
    pub clusters: Vec<Cluster>,
    purpose: Purpose,
    tools: Tools,
    authority: Arc<Authority>,
    etcd_url: String,
    // Dropped in this order: first the servers, then what they wrote.
    _etcd: Process,
    _ports: Vec<Port>,
    folder: Folder,
}

impl Testbed {
    /// Starts clusters, all at once.
    ///
    /// # Errors
    /// Where a server cannot be built or does not become ready.
    pub async fn start(plans: &[ClusterPlan]) -> Result<Self> {
        Self::start_for(Purpose::Tests, plans).await
    }

    /// Starts clusters for a purpose.
    ///
    /// # Errors
    /// Where a server cannot be built or does not become ready.
    pub async fn start_for(purpose: Purpose, plans: &[ClusterPlan]) -> Result<Self> {
        let tools = tokio::task::spawn_blocking(Tools::get).await??;
        let folder = Folder::new(&tools)?;
        let ports = vec![Port::reserve()?, Port::reserve()?];
        let etcd_url = format!("http://127.0.0.1:{}", ports[0].number);
        let peer_url = format!("http://127.0.0.1:{}", ports[1].number);
        let etcd = Process::start(
            &tools,
            folder.path(),
            Program {
                name: "etcd".into(),
                binary: tools.binary("etcd"),
                arguments: vec![
                    format!("--data-dir={}", folder.path().join("etcd").display()),
                    format!("--listen-client-urls={etcd_url}"),
                    format!("--advertise-client-urls={etcd_url}"),
                    format!("--listen-peer-urls={peer_url}"),
                    format!("--initial-advertise-peer-urls={peer_url}"),
                    format!("--initial-cluster=default={peer_url}"),
                    // The data need not survive the machine.
                    "--unsafe-no-fsync".into(),
                    "--log-level=warn".into(),
                ],
                environment: Vec::new(),
            },
        )?;
        let authority = Arc::new(Authority::new()?);
        let starts = plans.iter().map(|plan| {
            let path = folder.path().join(&plan.name);
            let (tools, authority, etcd_url) = (&tools, &authority, &etcd_url);
            async move { start(plan, purpose, tools, authority, etcd_url, &path).await }
        });
        let clusters = try_join_all(starts).await?;
        Ok(Self {
            clusters,
            purpose,
            tools,
            authority,
            etcd_url,
            _etcd: etcd,
            _ports: ports,
            folder,
        })
    }

    /// Starts one more cluster, which may have the name of one that is lost: it has nothing of it.
    ///
    /// # Errors
    /// Where a server does not become ready.
    pub async fn add(&mut self, plan: &ClusterPlan) -> Result<()> {
        let mut path = self.folder.path().join(&plan.name);
        while path.exists() {
            path.as_mut_os_string().push("-new");
        }
        let (tools, authority) = (&self.tools, &self.authority);
        let cluster = start(plan, self.purpose, tools, authority, &self.etcd_url, &path).await?;
        self.clusters.push(cluster);
        Ok(())
    }

    /// Loses a cluster with all that it has.
    pub fn lose(&mut self, name: &str) {
        self.clusters.retain(|cluster| cluster.name != name);
    }

    /// A cluster by name.
    ///
    /// # Panics
    /// Where there is none.
    pub fn cluster(&self, name: &str) -> &Cluster {
        let found = self.clusters.iter().find(|cluster| cluster.name == name);
        found.unwrap_or_else(|| panic!("no cluster {name}"))
    }

    /// The binaries.
    pub fn tools(&self) -> &Tools {
        &self.tools
    }

    /// What signs its certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The folder of everything that it writes, which goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a scenario; where it fails, keeps logs, events, pods and nodes and says where.
    ///
    /// # Errors
    /// What the scenario returns.
    pub async fn run<T>(
        self,
        name: &str,
        scenario: impl AsyncFnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        let result = scenario(&self).await;
        if result.is_err() {
            match self.keep(name).await {
                Ok(path) => crate::say(&format!(
                    "{name} failed; logs and objects are in {}",
                    path.display()
                )),
                Err(error) => crate::say(&format!(
                    "{name} failed, and its logs could not be kept: {error:#}"
                )),
            }
        }
        result
    }

    /// Keeps logs, events, pods and nodes in a folder, and returns its path.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub async fn keep(&self, name: &str) -> Result<PathBuf> {
        let root = kept(name);
        let _ = fs::remove_dir_all(&root);
        for cluster in &self.clusters {
            let folder = root.join(&cluster.name);
            fs::create_dir_all(&folder)?;
            for entry in fs::read_dir(&cluster.folder)? {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "log") {
                    fs::copy(&path, folder.join(path.file_name().unwrap_or_default()))?;
                }
            }
            for (kind, path) in [
                ("events", "/api/v1/events"),
                ("pods", "/api/v1/pods"),
                ("nodes", "/api/v1/nodes"),
                ("jobs", "/apis/batch/v1/jobs"),
            ] {
                let request = get(path)?;
                match cluster.client.request_text(request).await {
                    Ok(text) => fs::write(folder.join(format!("{kind}.json")), text)?,
                    Err(error) => {
                        fs::write(folder.join(format!("{kind}.error")), error.to_string())?;
                    }
                }
            }
        }
        Ok(root.canonicalize()?)
    }
}

async fn start(
    plan: &ClusterPlan,
    purpose: Purpose,
    tools: &Tools,
    authority: &Arc<Authority>,
    etcd_url: &str,
    path: &Path,
) -> Result<Cluster> {
    let described = || {
        format!(
            "starting {}; the end of its log:\n{}",
            plan.name,
            tail(&path.join("kube-apiserver.log"), 10)
        )
    };
    Cluster::start(plan, purpose, tools, authority, etcd_url, path)
        .await
        .with_context(described)
}

/// The folder that logs are kept in under a name.
pub fn kept(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed");
    target.join(name)
}

/// The last lines of a file.
fn tail(path: &Path, lines: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
