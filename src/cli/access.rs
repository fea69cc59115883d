//! How commands that ask a cluster reach it: as `kubectl` would.

use anyhow::Context;
use jiff::Timestamp;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::{Path, PathBuf};

/// Which cluster is asked.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Access {
    /// The kubeconfig. Default: as for kubectl.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the source cluster. Default: the current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Access {
    /// Connects to the cluster of another context of the same kubeconfig.
    pub(super) async fn other(&self, context: &str) -> anyhow::Result<Client> {
        let other = Self {
            context: Some(context.to_owned()),
            ..self.clone()
        };
        let described = || format!("the context `{context}` of the kubeconfig");
        other.client().await.with_context(described)
    }

    /// Connects.
    pub(super) async fn client(&self) -> anyhow::Result<Client> {
        connect(self.kubeconfig.as_deref(), self.context.as_deref())
            .await
            .context("how to reach the source cluster")
    }
}

/// Connects by a context of a kubeconfig. Without either, as kubectl would.
pub(super) async fn connect(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> anyhow::Result<Client> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path);
            let read = read.with_context(|| format!("the kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(read, &options).await?
        }
        None if context.is_some() => kube::Config::from_kubeconfig(&options).await?,
        None => return Ok(Client::try_default().await?),
    };
    Ok(Client::try_from(config)?)
}

/// Runs requests to a cluster, on one thread.
pub(super) fn ask<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// Runs requests that also move much data, on all cores.
pub(super) fn ask_many<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

/// A time of today, or with its day.
pub(super) fn time(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let format = if day(at) == day(now) {
        "%H:%M:%S"
    } else {
        "%Y-%m-%d %H:%M:%S"
    };
    at.strftime(format).to_string()
}

/// A span in words, such as `42 s` or `3 h 5 min`.
pub(super) fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = from.duration_until(to).as_secs().max(0);
    match (
        seconds / 86400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    ) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}
