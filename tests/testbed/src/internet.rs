//! The part of the internet that a tree refers to, on loopback: the Git repository, and the registries
//! and repositories of the charts. An engine takes the tree with its real URLs, and is only told of a
//! proxy and of the authority behind the certificates, as in a company's network.

use crate::ports::Port;
use crate::process::{Process, Program};
use crate::testbed::Testbed;
use crate::tools::{Tools, output};
use anyhow::Result;
use hcb_compile::compile::Output;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A chart that a tree installs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chart {
    /// `oci://…` or `https://…`, without the chart's name.
    pub repository: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What is served, until this is dropped.
#[derive(Debug)]
pub struct Internet {
    process: Process,
    proxy: String,
    authority: PathBuf,
    folder: PathBuf,
    _port: Port,
}

/// The charts of what was compiled.
pub fn charts(compiled: &Output) -> BTreeSet<Chart> {
    let rendered = compiled.units.iter().flat_map(|unit| &unit.charts);
    rendered
        .map(|rendered| Chart {
            repository: rendered.chart.repository.clone(),
            name: rendered.chart.name.to_owned(),
            version: rendered.chart.version.clone(),
        })
        .collect()
}

impl Internet {
    /// Serves the bare repository in `git` under the URL of the spec, and the charts where the tree
    /// asks for them. A chart that cannot be had is said, and not served.
    ///
    /// # Errors
    /// Where a server does not start, or a chart cannot be packaged.
    pub async fn start(testbed: &Testbed, git: &Path, compiled: &Output) -> Result<Self> {
        let tools = testbed.tools().clone();
        let folder = testbed.folder().join("internet");
        fs::create_dir_all(&folder)?;
        let authority = folder.join("ca.crt");
        fs::write(&authority, testbed.authority().certificate())?;
        fs::write(folder.join("ca.key"), testbed.authority().key())?;
        let charts = charts(compiled);
        let packaged = {
            let (tools, folder, charts) = (tools.clone(), folder.clone(), charts.clone());
            tokio::task::spawn_blocking(move || package(&tools, &folder, &charts)).await??
        };

        let port = Port::reserve()?;
        let address = format!("127.0.0.1:{}", port.number);
        let mut arguments = vec![
            format!("-listen={address}"),
            format!("-ca={}", authority.display()),
            format!("-ca-key={}", folder.join("ca.key").display()),
            format!(
                "-git={}={}",
                compiled.model.gitops.repository,
                git.display()
            ),
        ];
        let hosts: BTreeSet<_> = charts.iter().filter_map(registry).collect();
        arguments.extend(hosts.iter().map(|host| format!("-registry={host}")));
        let repositories: BTreeSet<_> = charts
            .iter()
            .filter(|chart| registry(chart).is_none())
            .map(|chart| &chart.repository)
            .collect();
        for (number, url) in repositories.into_iter().enumerate() {
            let files = folder.join(format!("repository-{number}"));
            fs::create_dir_all(&files)?;
            for (chart, archive) in packaged
                .iter()
                .filter(|(chart, _)| chart.repository == *url)
            {
                fs::copy(archive, files.join(archive_name(chart)))?;
            }
            output(
                Command::new(tools.binary("helm"))
                    .args(["repo", "index"])
                    .arg(&files),
            )?;
            arguments.push(format!("-files={url}={}", files.display()));
        }
        let process = Process::start(
            &tools,
            &folder,
            Program {
                name: "internet".into(),
                binary: tools.binary("internet"),
                arguments,
                environment: Vec::new(),
            },
        )?;
        crate::wait_for("the internet", Duration::from_secs(30), async || {
            Ok(tokio::net::TcpStream::connect(&address).await.is_ok())
        })
        .await?;
        let internet = Self {
            process,
            proxy: format!("http://{address}"),
            authority,
            folder,
            _port: port,
        };
        for (chart, archive) in packaged
            .iter()
            .filter(|(chart, _)| registry(chart).is_some())
        {
            // As a project publishes it.
            let mut helm = Command::new(tools.binary("helm"));
            helm.arg("push").arg(archive).arg(&chart.repository);
            output(helm.envs(internet.environment()))?;
        }
        Ok(internet)
    }

    /// What a program is told, so that it finds this internet and trusts it. API servers are reached
    /// directly.
    pub fn environment(&self) -> Vec<(String, String)> {
        let helm = |name: &str| self.folder.join(name).display().to_string();
        [
            ("HTTPS_PROXY", self.proxy.clone()),
            ("NO_PROXY", "127.0.0.1,localhost".to_owned()),
            ("SSL_CERT_FILE", self.authority.display().to_string()),
            // Helm keeps what it knows of registries there.
            ("HELM_CACHE_HOME", helm("helm-cache")),
            ("HELM_CONFIG_HOME", helm("helm-config")),
            ("HELM_DATA_HOME", helm("helm-data")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// What was asked of hosts that are not served. A tree that refers to nothing else leaves it empty.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn refused(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.process.log())?;
        let refused = log.lines().filter(|line| line.contains(" refused "));
        Ok(refused.map(str::to_owned).collect())
    }

    /// Where it logs each request.
    pub fn log(&self) -> PathBuf {
        self.process.log()
    }
}

/// The host of the registry that a chart is in, unless it is in a repository of files.
fn registry(chart: &Chart) -> Option<&str> {
    let rest = chart.repository.strip_prefix("oci://")?;
    rest.split('/').next()
}

fn archive_name(chart: &Chart) -> String {
    format!("{}-{}.tgz", chart.name, chart.version)
}

/// Packages charts: those that Go modules or this machine's environment have. Each gets the version that
/// the tree asks for, since in a source it is a placeholder, or that of the line's next release.
fn package(
    tools: &Tools,
    folder: &Path,
    charts: &BTreeSet<Chart>,
) -> Result<Vec<(Chart, PathBuf)>> {
    let (shelf, archives) = (folder.join("charts"), folder.join("archives"));
    fs::create_dir_all(&archives)?;
    let mut packaged = Vec::new();
    for chart in charts {
        // Clusters can have different versions of one chart.
        let shelf = shelf.join(&chart.version);
        let asked = format!("{}@{}", chart.name, chart.version);
        let mut shelve = Command::new(tools.binary("charts"));
        output(shelve.arg("-shelve").arg(&shelf).arg(&asked))?;
        let source = shelf.join(&chart.name);
        if !source.is_dir() {
            crate::say(&format!(
                "the chart {asked} cannot be had here; nobody serves it"
            ));
            continue;
        }
        output(
            Command::new(tools.binary("helm"))
                .arg("package")
                .arg(&source)
                .args(["--version", &chart.version, "--destination"])
                .arg(&archives),
        )?;
        let archive = archives.join(archive_name(chart));
        anyhow::ensure!(archive.is_file(), "no {}", archive.display());
        packaged.push((chart.clone(), archive));
    }
    Ok(packaged)
}
