//! The configuration that istiod reads, and what it sends to proxies.

use anyhow::{Context, Result};
use hcb_testbed::apply::Applier;
use hcb_testbed::container::{End, ended};
use hcb_testbed::hybrid::{Hybrid, Setup};
use hcb_testbed::istiod::analyze;
use hcb_testbed::xds::{Endpoint, Sent, proxies, sent};
use hcb_testbed::{Cluster, mesh, wait_for};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) const SOON: Duration = Duration::from_secs(90);
pub(super) const STORE_NAMESPACE: &str = "storage";
pub(super) const STORE: &str = "minio";
const STORE_CLUSTER: &str = "outbound|9000||minio.storage.svc.cluster.local";
const NAMESPACE: &str = "ml";

/// What `istioctl analyze` says that is as it should be: the code and the object. Here each API server has a
/// port of its own, so that the Services which stand for them differ.
const EXPECTED: &[(&str, &str)] = &[("IST0170", "Service default/kubernetes")];

pub(super) fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mesh")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds Istio first: docs/mesh.md has the command"]
async fn each_istiod_serves_the_mesh_that_the_tree_describes() -> Result<()> {
    let Some(hybrid) = Hybrid::of_spec(&spec(), Setup::Reconciled, Duration::ZERO).await? else {
        return Ok(());
    };
    keep(&hybrid, "mesh", control_planes(&hybrid).await).await
}

/// Keeps what can be looked into where a test failed.
pub(super) async fn keep(hybrid: &Hybrid, name: &str, result: Result<()>) -> Result<()> {
    if result.is_err() {
        let kept = hybrid.testbed.keep(name).await?;
        hcb_testbed::say(&format!("logs and objects are in {}", kept.display()));
    }
    result
}

async fn control_planes(hybrid: &Hybrid) -> Result<()> {
    let (private, public) = (
        hybrid.testbed.cluster("private"),
        hybrid.testbed.cluster("public"),
    );
    see_each_other(hybrid).await?;
    install_store(private).await?;
    let first = run(hybrid, "first", private).await?;
    let second = run(hybrid, "second", public).await?;
    one_native_sidecar(hybrid, &[(private, &first), (public, &second)]).await?;
    store_is_behind_the_gateway(hybrid, &second).await?;
    for (cluster, pod) in [(private, &first), (public, &second)] {
        refuses_plain_text(&sent(cluster, pod).await?)?;
    }
    fails_over(hybrid, &first, &second).await?;
    analysis_is_clean(hybrid).await?;
    ends(hybrid, "first", private, &first).await?;
    ends(hybrid, "second", public, &second).await
}

/// Each istiod reads the other cluster, by the remote secret that the tree asks for.
pub(super) async fn see_each_other(hybrid: &Hybrid) -> Result<()> {
    for (cluster, other) in [("private", "public"), ("public", "private")] {
        let what = format!("the istiod of {cluster} to have read {other}");
        wait_for(&what, SOON, async || {
            let mut seen = mesh::clusters_seen(hybrid.testbed.cluster(cluster)).await?;
            seen.sort();
            let mut expected = [(cluster.to_owned(), true), (other.to_owned(), true)];
            expected.sort();
            anyhow::ensure!(seen == expected, "{cluster} sees {seen:?}");
            Ok(true)
        })
        .await?;
    }
    Ok(())
}

/// The object store, as its owner would install it.
pub(super) async fn install_store(cluster: &Cluster) -> Result<Pod> {
    let applier = Applier::new(cluster);
    let labels = json!({"app": STORE});
    applier
        .apply(&json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": STORE, "namespace": STORE_NAMESPACE},
        }))
        .await?;
    applier
        .apply(&json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": STORE, "namespace": STORE_NAMESPACE},
            "spec": {"selector": labels, "ports": [{"name": "http-s3", "port": 9000, "targetPort": 9000}]},
        }))
        .await?;
    store_pod(cluster).await
}

/// A pod of the object store.
async fn store_pod(cluster: &Cluster) -> Result<Pod> {
    let name = format!("{STORE}-0");
    let account = if cluster.name == "private" {
        STORE
    } else {
        "default"
    };
    Applier::new(cluster)
        .apply(&json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": STORE_NAMESPACE, "labels": {"app": STORE}},
            "spec": {
                "serviceAccountName": account,
                "containers": [{
                    "name": "store",
                    "image": "registry.example.com/minio:1.0.0",
                    "ports": [{"containerPort": 9000}],
                    "resources": {"requests": {"cpu": "100m"}},
                }],
            },
        }))
        .await?;
    mesh::ready(cluster, STORE_NAMESPACE, &name).await
}

/// Creates the Job of a workload and returns the pod that runs it, which must be in `cluster`.
pub(super) async fn run(hybrid: &Hybrid, workload: &str, cluster: &Cluster) -> Result<Pod> {
    let job = job(hybrid, workload)?;
    Applier::new(hybrid.source()).apply(job).await?;
    let name = job["metadata"]["name"].as_str().context("a name")?;
    let mut found = None;
    let what = format!("a pod of {workload} in {}", cluster.name);
    wait_for(&what, SOON, async || {
        let pods = cluster.pods().await?;
        let is_running = |pod: &Pod| {
            let status = pod.status.as_ref();
            status.is_some_and(|status| status.phase.as_deref() == Some("Running"))
        };
        found = pods
            .into_iter()
            .find(|pod| is_delegate(pod) && is_running(pod) && pod.name_any().starts_with(name));
        Ok(found.is_some())
    })
    .await?;
    found.context("a pod")
}

fn job<'h>(hybrid: &'h Hybrid, workload: &str) -> Result<&'h Value> {
    let found = hybrid.jobs.iter().find(|(name, _)| name == workload);
    Ok(&found.context("a Job")?.1)
}

/// Whether Admiralty created a pod for one of the source cluster.
fn is_delegate(pod: &Pod) -> bool {
    pod.labels()
        .contains_key("multicluster.admiralty.io/parent-uid")
}

/// The pod that runs has one proxy, which does not keep its Job from ending; the one in the source cluster,
/// which runs nothing, has none.
async fn one_native_sidecar(hybrid: &Hybrid, delegates: &[(&Cluster, &Pod)]) -> Result<()> {
    for (cluster, pod) in delegates {
        let proxies: Vec<_> = proxies(pod).iter().map(|(_, native)| *native).collect();
        anyhow::ensure!(
            proxies == [true],
            "{} in {} has the proxies (whether native) {proxies:?}",
            pod.name_any(),
            cluster.name
        );
    }
    let sources = hybrid.source().pods().await?;
    let mut sources = sources
        .iter()
        .filter(|pod| pod.namespace().as_deref() == Some(NAMESPACE) && !is_delegate(pod))
        .peekable();
    anyhow::ensure!(sources.peek().is_some(), "no pod of a Job");
    for pod in sources {
        anyhow::ensure!(proxies(pod).is_empty(), "{} has a proxy", pod.name_any());
    }
    Ok(())
}

/// A pod in public reaches the store by private's gateway, with mutual TLS under the store's name.
async fn store_is_behind_the_gateway(hybrid: &Hybrid, pod: &Pod) -> Result<()> {
    let cluster = hybrid.testbed.cluster("public");
    let gateway = mesh::address(&hybrid.model, "private").to_string();
    wait_for("the store behind the gateway", SOON, async || {
        let sent = sent(cluster, pod).await?;
        let endpoints = sent.endpoints(STORE_CLUSTER)?;
        let [endpoint] = endpoints.as_slice() else {
            anyhow::bail!("{endpoints:?}");
        };
        anyhow::ensure!(
            (endpoint.address.as_str(), endpoint.port) == (gateway.as_str(), mesh::MEETING_PORT),
            "{endpoint:?}"
        );
        anyhow::ensure!(endpoint.tls_mode == "istio", "{endpoint:?}");
        speaks_mutual_tls(sent.cluster(STORE_CLUSTER)?)?;
        Ok(true)
    })
    .await
}

/// The name that a proxy asks gateways for, the certificate that it shows, and the one that it wants.
fn speaks_mutual_tls(cluster: &Value) -> Result<()> {
    let matches = cluster["transport_socket_matches"].as_array();
    let matched = matches.into_iter().flatten();
    let socket = matched
        .filter(|candidate| candidate["match"]["tlsMode"] == "istio")
        .map(|candidate| &candidate["transport_socket"])
        .next()
        .unwrap_or(&cluster["transport_socket"]);
    let tls = &socket["typed_config"];
    anyhow::ensure!(
        tls["sni"] == "outbound_.9000_._.minio.storage.svc.cluster.local",
        "{socket}"
    );
    let common = &tls["common_tls_context"];
    let certificate = &common["tls_certificate_sds_secret_configs"][0]["name"];
    anyhow::ensure!(certificate == "default", "{common}");
    let validation = &common["combined_validation_context"];
    let root = &validation["validation_context_sds_secret_config"]["name"];
    anyhow::ensure!(root == "ROOTCA", "{common}");
    let wanted = validation["default_validation_context"].to_string();
    anyhow::ensure!(
        wanted.contains("spiffe://cluster.local/ns/storage/sa/minio"),
        "{wanted}"
    );
    Ok(())
}

/// No connection without the certificate of a client gets in.
fn refuses_plain_text(sent: &Sent) -> Result<()> {
    let listener = sent.listener("virtualInbound")?;
    anyhow::ensure!(listener["default_filter_chain"].is_null(), "{listener}");
    let chains = listener["filter_chains"].as_array().context("chains")?;
    // What is sent to the proxy's own port goes nowhere.
    let (dead, open): (Vec<_>, Vec<_>) = chains
        .iter()
        .partition(|chain| chain["name"] == "virtualInbound-blackhole");
    anyhow::ensure!(dead.len() == 1 && !open.is_empty(), "{listener}");
    for chain in open {
        anyhow::ensure!(
            chain["filter_chain_match"]["transport_protocol"] == "tls"
                && chain["transport_socket"]["typed_config"]["require_client_certificate"] == true,
            "{chain}"
        );
    }
    Ok(())
}

/// With a store in both clusters each pod goes to its own first; without it, to the other one.
async fn fails_over(hybrid: &Hybrid, first: &Pod, second: &Pod) -> Result<()> {
    let (private, public) = (
        hybrid.testbed.cluster("private"),
        hybrid.testbed.cluster("public"),
    );
    let here = store_pod(public).await?;
    let there = mesh::ready(private, STORE_NAMESPACE, &here.name_any()).await?;
    let address = |pod: &Pod| pod.status.as_ref().and_then(|status| status.pod_ip.clone());
    let gateway = |name| mesh::address(&hybrid.model, name).to_string();
    let both = [
        (
            public,
            second,
            [
                (address(&here).context("an address")?, 9000, 0),
                (gateway("private"), mesh::MEETING_PORT, 1),
            ],
        ),
        (
            private,
            first,
            [
                (address(&there).context("an address")?, 9000, 0),
                (gateway("public"), mesh::MEETING_PORT, 1),
            ],
        ),
    ];
    for (cluster, pod, expected) in both {
        wait_for("two stores in their order", SOON, async || {
            ordered(&sent(cluster, pod).await?, &expected)
        })
        .await?;
    }
    let pods: Api<Pod> = Api::namespaced(public.client.clone(), STORE_NAMESPACE);
    let now = DeleteParams {
        grace_period_seconds: Some(0),
        ..DeleteParams::default()
    };
    pods.delete(&here.name_any(), &now).await?;
    wait_for("the store that is left", SOON, async || {
        let left = [(gateway("private"), mesh::MEETING_PORT, 0)];
        ordered(&sent(public, second).await?, &left)
    })
    .await
}

fn ordered(sent: &Sent, expected: &[(String, u64, u64)]) -> Result<bool> {
    let mut endpoints = sent.endpoints(STORE_CLUSTER)?;
    endpoints.sort_by_key(|endpoint| endpoint.priority);
    let seen: Vec<_> = endpoints
        .iter()
        .map(
            |Endpoint {
                 address,
                 port,
                 priority,
                 ..
             }| (address.clone(), *port, *priority),
        )
        .collect();
    anyhow::ensure!(seen == expected, "{endpoints:?}, not {expected:?}");
    Ok(true)
}

/// `istioctl analyze` finds nothing to warn of, from each cluster with the other.
async fn analysis_is_clean(hybrid: &Hybrid) -> Result<()> {
    for (cluster, other) in [("private", "public"), ("public", "private")] {
        let of = |name| hybrid.testbed.cluster(name);
        let messages = analyze(of(cluster), of(other)).await?;
        let messages: Vec<_> = messages
            .iter()
            .filter(|message| message["level"] != "Info")
            .filter(|message| {
                let is = |(code, origin): &(&str, &str)| {
                    message["code"] == *code && message["origin"] == *origin
                };
                !EXPECTED.iter().any(is)
            })
            .map(|message| {
                let part = |key: &str| message[key].as_str().unwrap_or_default();
                format!("{} {}: {}", part("code"), part("origin"), part("message"))
            })
            .collect();
        anyhow::ensure!(
            messages.is_empty(),
            "in {cluster}:\n{}",
            messages.join("\n")
        );
    }
    Ok(())
}

/// A Job with a sidecar completes when its program ends.
async fn ends(hybrid: &Hybrid, workload: &str, cluster: &Cluster, pod: &Pod) -> Result<()> {
    ended(cluster, pod, End::Exited(0)).await?;
    let jobs: Api<Job> = Api::namespaced(hybrid.source().client.clone(), NAMESPACE);
    let name = job(hybrid, workload)?["metadata"]["name"]
        .as_str()
        .context("a name")?;
    wait_for(&format!("the end of {workload}"), SOON, async || {
        let status = jobs.get(name).await?.status.context("a status")?;
        Ok(status.succeeded == Some(1) && status.completion_time.is_some())
    })
    .await
}
