//! How clusters are reached.

use kube::Client;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use std::path::{Path, PathBuf};

/// Why a cluster cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is neither an account of a pod nor a kubeconfig.
    #[error("the API server of the source cluster: {0}")]
    Source(#[source] Box<kube::Error>),
    /// There is nothing to reach it by.
    #[error("the API server of the source cluster: {0}")]
    NoConfig(#[source] Box<InferConfigError>),
    /// Its kubeconfig is not understood.
    #[error("the kubeconfig {path}: {source}")]
    Kubeconfig {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: Box<KubeconfigError>,
    },
    /// No client can be made of its kubeconfig.
    #[error("the kubeconfig {path}: {source}")]
    Client {
        /// Where it is.
        path: PathBuf,
        /// Why.
        source: Box<kube::Error>,
    },
}

/// A client of the cluster that this runs in, or of the kubeconfig of who runs it.
pub(super) async fn source() -> Result<Client, ConnectError> {
    let config = kube::Config::infer()
        .await
        .map_err(|error| ConnectError::NoConfig(Box::new(error)))?;
    Client::try_from(config).map_err(|error| ConnectError::Source(Box::new(error)))
}

/// A client of the cluster of a kubeconfig, with the credentials that stand in it now.
pub(super) async fn target(path: &Path) -> Result<Client, ConnectError> {
    let not_read = |source: KubeconfigError| ConnectError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(not_read)?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(not_read)?;
    Client::try_from(config).map_err(|source| ConnectError::Client {
        path: path.to_owned(),
        source: Box::new(source),
    })
}
