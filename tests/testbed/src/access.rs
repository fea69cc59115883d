//! How a cluster's API server is reached, and as whom.

use crate::certificates::{Authority, Identity};
use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

/// A request that reads.
pub(crate) fn get(path: &str) -> Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

/// A request that creates.
pub(crate) fn post(path: &str, body: &Value) -> Result<http::Request<Vec<u8>>> {
    let request = http::Request::post(path).header("content-type", "application/json");
    Ok(request.body(serde_json::to_vec(body)?)?)
}

/// A client for a kubeconfig.
pub(crate) async fn client(kubeconfig: &str) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// How a client proves who it is.
pub(crate) enum Access {
    /// By a certificate.
    Certificate(Identity),
    /// By a token.
    Token(String),
}

/// A kubeconfig for one cluster, as JSON, which is YAML.
pub(crate) fn kubeconfig(
    name: &str,
    server: &str,
    authority: &Authority,
    access: &Access,
) -> String {
    let base64 = |text: &str| {
        serde_json::to_value(k8s_openapi::ByteString(text.as_bytes().to_vec())).unwrap_or_default()
    };
    let user = match access {
        Access::Certificate(identity) => json!({
            "client-certificate-data": base64(&identity.certificate),
            "client-key-data": base64(&identity.key),
        }),
        Access::Token(token) => json!({ "token": token }),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": base64(&authority.certificate())}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    })
    .to_string()
}
