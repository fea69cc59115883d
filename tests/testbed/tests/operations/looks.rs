//! Runs a procedure and checks its outcome.

use crate::SOON;
use anyhow::{Context, Result};
use hcb_testbed::operations::Site;
use hcb_testbed::procedure::Procedure;
use hcb_testbed::wait_for;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod, Secret};
use kube::api::Api;
use serde_json::Value;
use std::collections::BTreeMap;

pub(crate) async fn steps(
    site: &mut Site,
    procedure: &Procedure,
    which: std::ops::Range<usize>,
) -> Result<()> {
    for step in &procedure.steps[which] {
        site.step(step).await?;
    }
    Ok(())
}

/// How many steps a procedure has, so that none of the page is left out.
pub(crate) fn expect(procedure: &Procedure, count: usize) -> Result<()> {
    let found = procedure.steps.len();
    anyhow::ensure!(
        found == count,
        "the page has {found} steps, the test knows {count}"
    );
    Ok(())
}

/// Waits until a replica of the reconciler leads.
pub(crate) async fn leader(site: &Site) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(site.source().client.clone(), "hcb-system");
    wait_for("a leader", SOON, async || {
        let lease = leases.get_opt("hcb-reconciler").await?;
        let spec = lease.and_then(|lease| lease.spec);
        let Some(renewed) = spec.and_then(|spec| spec.renew_time) else {
            return Ok(false);
        };
        let age = renewed.0.duration_until(jiff::Timestamp::now());
        Ok(age.as_secs() < 10)
    })
    .await
}

pub(crate) async fn gate_is(
    site: &Site,
    cluster: &str,
    value: Option<&str>,
    what: &str,
) -> Result<()> {
    let nodes: Api<Node> = Api::all(site.source().client.clone());
    let name = hcb_compile::providers::scheduling::admiralty::virtual_node_name(cluster);
    wait_for(what, SOON, async || {
        let node = nodes.get(&name).await?;
        let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
        let gate = taints.iter().find(|taint| taint.key == hcb_api::gate::GATE);
        Ok(gate.and_then(|taint| taint.value.as_deref()) == value)
    })
    .await
}

/// How many pods of jobs were ever bound to a cluster, of those that are still listed.
pub(crate) async fn ran(site: &Site, cluster: &str) -> Result<usize> {
    let node = hcb_compile::providers::scheduling::admiralty::virtual_node_name(cluster);
    let pods = site.source().pods().await?;
    let is_there =
        |pod: &&Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref()) == Some(&node);
    Ok(pods.iter().filter(is_there).count())
}

pub(crate) async fn secret(
    site: &Site,
    cluster: &str,
    namespace: &str,
    name: &str,
) -> Result<Secret> {
    let client = site.testbed.cluster(cluster).client.clone();
    let api: Api<Secret> = Api::namespaced(client, namespace);
    api.get(name)
        .await
        .with_context(|| format!("{namespace}/{name} in {cluster}"))
}

pub(crate) fn texts(secret: &Secret) -> Result<BTreeMap<String, String>> {
    let data = secret.data.clone().unwrap_or_default();
    data.into_iter()
        .map(|(key, value)| Ok((key, String::from_utf8(value.0)?)))
        .collect()
}

/// Whether a kubeconfig leads to a cluster, which knows its holder by this account.
pub(crate) async fn works(
    site: &Site,
    cluster: &str,
    kubeconfig: &str,
    account: &str,
) -> Result<()> {
    let config: Value = serde_saphyr::from_str(kubeconfig)?;
    let server = &site.testbed.cluster(cluster).server;
    let leads = config["clusters"][0]["cluster"]["server"].as_str();
    anyhow::ensure!(leads == Some(server.as_str()), "{leads:?} is not {server}");
    let name = who(site, cluster, token(kubeconfig)?.as_str()).await?;
    anyhow::ensure!(name == format!("system:serviceaccount:{account}"), "{name}");
    Ok(())
}

/// Whom a cluster takes the holder of a token for.
pub(crate) async fn who(site: &Site, cluster: &str, token: &str) -> Result<String> {
    let kubeconfig = site
        .testbed
        .cluster(cluster)
        .token_kubeconfig("tried", token)?;
    let ask = format!(
        "kubectl --kubeconfig {} auth whoami -o jsonpath='{{.status.userInfo.username}}'",
        kubeconfig.display()
    );
    site.bash(&ask).await
}

/// The token in a kubeconfig.
pub(crate) fn token(kubeconfig: &str) -> Result<String> {
    let config: Value = serde_saphyr::from_str(kubeconfig)?;
    let token = config["users"][0]["user"]["token"].as_str();
    Ok(token.context("a token")?.to_owned())
}
