//! Requests through real proxies: a pod in public reads from the store in private.

use crate::control::{STORE, STORE_NAMESPACE, install_store, keep, run, see_each_other, spec};
use anyhow::{Context, Result};
use hcb_testbed::hybrid::{Hybrid, Setup, hcb_binary};
use hcb_testbed::istiod::{GATEWAY, NAMESPACE};
use hcb_testbed::proxy_pod::ProxiedPod;
use hcb_testbed::store::{ACCESS_KEY, SECRET_KEY};
use hcb_testbed::tools::Tools;
use hcb_testbed::{Cluster, definitions, envoy, mesh, network, wait_for};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::Api;
use std::fs;
use std::path::Path;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(60);
const TEST: &str = "traffic::a_pod_in_public_reads_from_the_store_in_private_through_the_mesh";

#[test]
#[ignore = "builds Istio first: docs/mesh.md has the command"]
fn a_pod_in_public_reads_from_the_store_in_private_through_the_mesh() -> Result<()> {
    if network::is_inside() {
        let runtime = tokio::runtime::Runtime::new()?;
        return runtime.block_on(on_networks());
    }
    if !hcb_testbed::is_available() || !network::is_available() || envoy::get()?.is_none() {
        return Ok(());
    }
    // No registry is reached from inside.
    Tools::get()?;
    Tools::istio()?;
    definitions::all()?;
    hcb_binary()?;
    if hcb_testbed::admiralty::Admiralty::get()?.is_none() {
        return Ok(());
    }
    network::run_inside(TEST)
}

async fn on_networks() -> Result<()> {
    network::make_outer()?;
    let hybrid = Hybrid::of_spec(&spec(), Setup::Reconciled, Duration::ZERO).await?;
    let hybrid = hybrid.context("what was there outside")?;
    let result = requests(&hybrid).await;
    keep(&hybrid, "mesh-traffic", result).await
}

async fn requests(hybrid: &Hybrid) -> Result<()> {
    let envoy = envoy::get()?.context("Envoy")?;
    let (private, public) = (
        hybrid.testbed.cluster("private"),
        hybrid.testbed.cluster("public"),
    );
    see_each_other(hybrid).await?;
    let store = install_store(private).await?;
    run(hybrid, "first", private).await?;
    let job = run(hybrid, "second", public).await?;
    for cluster in [private, public] {
        network::make(&hybrid.model, cluster).await?;
    }
    let start = async |cluster: &Cluster, pod: &Pod| {
        ProxiedPod::start(cluster, pod, &envoy, &names(cluster).await?).await
    };
    let gateway = mesh::ready(private, NAMESPACE, &format!("{}-0", GATEWAY.name())).await?;
    network::open_gateway(&hybrid.model, private, &gateway)?;
    let gateway = start(private, &gateway).await?;
    let object = hybrid.testbed.folder().join("buckets/datasets/digits.npz");
    let serving = start(private, &store).await?;
    serve(private, &serving, hybrid.testbed.folder())?;
    fs::write(&object, "digits")?;
    let client = start(public, &job).await?;

    // The program of the job asks for the store by its name, in plain HTTP.
    let url =
        format!("http://{STORE}.{STORE_NAMESPACE}.svc.cluster.local:9000/datasets/digits.npz");
    let user = format!("{ACCESS_KEY}:{SECRET_KEY}");
    let signed = [
        "--aws-sigv4",
        "aws:amz:us-east-1:s3",
        "--user",
        &user,
        // S3 asks for it, and not every curl adds it.
        "--header",
        "x-amz-content-sha256: UNSIGNED-PAYLOAD",
        "--fail",
    ];
    wait_for("the data set", SOON, async || {
        let answer = client.curl(&[&signed[..], &[&url]].concat()).await?;
        anyhow::ensure!(answer == "digits", "{answer}");
        Ok(true)
    })
    .await?;
    let sent = ["--upload-file", object.to_str().context("a path in UTF-8")?];
    let result = format!("{url}.copy");
    client
        .curl(&[&signed[..], &sent, &[&result]].concat())
        .await?;
    let copy = object.with_extension("npz.copy");
    anyhow::ensure!(fs::read(copy)? == b"digits", "the upload is another");

    // It went by private's gateway. That the store answered also says who the certificate is of that it saw:
    // the tree lets workloads in by their names.
    let passed = connections(
        &gateway,
        "outbound_.9000_._.minio.storage.svc.cluster.local",
    )
    .await?;
    anyhow::ensure!(passed > 0, "the gateway passed nothing on");
    let made = connections(&client, "outbound|9000||minio.storage.svc.cluster.local").await?;
    anyhow::ensure!(made > 0, "the client's proxy sent nothing");

    // Nobody gets in without a certificate: not from beside the store, past its own proxy, nor by the gateway.
    let address = network::address(&store)?;
    let plain = format!("http://{address}:9000/datasets/digits.npz");
    let refused = gateway.curl(&[&signed[..], &[&plain]].concat()).await;
    anyhow::ensure!(refused.is_err(), "{refused:?}");
    let outside = mesh::address(&hybrid.model, "private");
    let knock = format!(
        "http://{outside}:{}/datasets/digits.npz",
        mesh::MEETING_PORT
    );
    let refused = client.curl(&[&signed[..], &[&knock]].concat()).await;
    anyhow::ensure!(refused.is_err(), "{refused:?}");
    Ok(())
}

/// Runs the object store in its pod.
fn serve(cluster: &Cluster, pod: &ProxiedPod, folder: &Path) -> Result<()> {
    let (data, attributes) = (folder.join("buckets"), folder.join("attributes"));
    fs::create_dir_all(data.join("datasets"))?;
    fs::create_dir_all(&attributes)?;
    let arguments = [
        format!("--access={ACCESS_KEY}"),
        format!("--secret={SECRET_KEY}"),
        "--port=0.0.0.0:9000".to_owned(),
        "--keep-alive".to_owned(),
        "posix".to_owned(),
        format!("--sidecar={}", attributes.display()),
        data.to_str().context("a path in UTF-8")?.to_owned(),
    ];
    let binary = cluster.binary("versitygw");
    cluster.run_as("store", pod.program("store", &binary, &arguments))
}

/// The names that DNS of a cluster has, with their addresses.
async fn names(cluster: &Cluster) -> Result<Vec<(String, String)>> {
    let mut names = Vec::new();
    for (namespace, name) in [(NAMESPACE, "istiod"), (STORE_NAMESPACE, STORE)] {
        let services: Api<Service> = Api::namespaced(cluster.client.clone(), namespace);
        let spec = services.get(name).await?.spec.context("a spec")?;
        let address = spec.cluster_ip.context("an address")?;
        let short = format!("{name}.{namespace}.svc");
        names.push((format!("{short}.cluster.local"), address.clone()));
        names.push((short, address));
    }
    Ok(names)
}

/// How many connections Envoy has made to the hosts of a cluster.
async fn connections(pod: &ProxiedPod, cluster: &str) -> Result<u64> {
    let shown = pod
        .curl(&["--fail", "http://127.0.0.1:15000/clusters"])
        .await?;
    let hosts = shown.lines().filter_map(|line| line.strip_prefix(cluster));
    let counts = hosts.filter_map(|line| line.split_once("::cx_total::"));
    Ok(counts
        .filter_map(|(_, count)| count.parse::<u64>().ok())
        .sum())
}
