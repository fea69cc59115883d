//! What stands between the clusters of a mesh and the tree: the CA that a person makes, the pods of the
//! gateways and the addresses that a cloud gives them.

use crate::access::get;
use crate::cluster::Cluster;
use crate::istiod::{self, GATEWAY, NAMESPACE};
use crate::procedure::{Page, Step};
use crate::secrets::Store;
use crate::tools::output;
use anyhow::{Context, Result};
use hcb_spec::model::Model;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long pods and addresses take to be known everywhere.
const SOON: Duration = Duration::from_secs(60);
/// The port at which networks meet, which istiod fixes.
pub const MEETING_PORT: u64 = 15443;

/// Makes the root and the CA of each cluster by the commands of `docs/secrets.md`, and puts them into the
/// store under the keys that the page names.
///
/// # Errors
/// Where a command fails.
pub async fn put_authorities(model: &Model, folder: &Path, store: &mut Store) -> Result<()> {
    let folder = folder.join("authorities");
    fs::create_dir_all(&folder)?;
    let page = Page::read("secrets.md")?;
    for step in &page.procedure("The CA of the mesh")?.steps {
        let Step::Run(commands) = step else { continue };
        for command in commands {
            let mut bash = Command::new("bash");
            bash.args(["-e", "-c", command]).current_dir(&folder);
            tokio::task::spawn_blocking(move || output(&mut bash)).await??;
        }
    }
    let root = fs::read(folder.join("root-cert.pem"))?;
    store.put(&model.secrets.key("mesh/root"), "root-cert.pem", &root);
    for cluster in &model.clusters {
        let key = model
            .secrets
            .key(&format!("clusters/{}/istio-ca", cluster.name));
        for property in ["ca-cert.pem", "ca-key.pem", "cert-chain.pem"] {
            let file = folder.join(format!("{}-{property}", cluster.name));
            store.put(
                &key,
                property,
                &fs::read(&file).with_context(|| file.display().to_string())?,
            );
        }
    }
    Ok(())
}

/// The address that the cloud of a cluster gives to its gateway: one for documentation, by the place of the
/// cluster in the spec. Nothing is there unless a test puts it there.
pub fn address(model: &Model, cluster: &str) -> Ipv4Addr {
    let place = model
        .clusters
        .iter()
        .position(|known| known.name == cluster);
    let place = place
        .and_then(|place| u8::try_from(place).ok())
        .unwrap_or_default();
    Ipv4Addr::new(198, 51, 100, 10 + place)
}

/// Installs the gateway of a cluster: its chart, one of the pods of its Deployment, and an address.
///
/// # Errors
/// What the API server says against it.
pub async fn install_gateway(cluster: &Cluster, tree: &Path, address: Ipv4Addr) -> Result<()> {
    istiod::install_chart(cluster, tree, GATEWAY).await?;
    create_pod(cluster, NAMESPACE, GATEWAY.name()).await?;
    let services: Api<Service> = Api::namespaced(cluster.client.clone(), NAMESPACE);
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address.to_string()}]}}});
    services
        .patch_status(
            GATEWAY.name(),
            &PatchParams::default(),
            &Patch::Merge(status),
        )
        .await?;
    Ok(())
}

/// Creates a pod as the Deployment would, since the controllers of Deployments do not run here.
///
/// # Errors
/// Where there is no such Deployment, or the API server refuses the pod.
pub async fn create_pod(cluster: &Cluster, namespace: &str, name: &str) -> Result<Pod> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client.clone(), namespace);
    let template = deployments
        .get(name)
        .await?
        .spec
        .context("a spec")?
        .template;
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(format!("{name}-0"));
    let pod = Pod {
        metadata,
        spec: template.spec,
        status: None,
    };
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let created = pods.create(&PostParams::default(), &pod).await;
    created.with_context(|| format!("a pod of {name} in {}", cluster.name))
}

/// Waits until a pod is ready and has an address, and returns it.
///
/// # Errors
/// Where it takes too long.
pub async fn ready(cluster: &Cluster, namespace: &str, name: &str) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(cluster.client.clone(), namespace);
    let mut found = None;
    let what = format!("the pod {name} in {}", cluster.name);
    crate::wait_for(&what, SOON, async || {
        found = pods.get_opt(name).await?.filter(is_ready);
        Ok(found.is_some())
    })
    .await?;
    found.context("a pod")
}

fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let says_so = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    says_so && status.is_some_and(|status| status.pod_ip.is_some())
}

/// The other clusters that the istiod of a cluster reads, by name, and whether it has read all of each.
///
/// # Errors
/// Where it does not answer.
pub async fn clusters_seen(cluster: &Cluster) -> Result<Vec<(String, bool)>> {
    let seen: Value = serde_json::from_str(&istiod::debug(cluster, "/debug/clusterz").await?)?;
    let seen = seen.as_array().context("a list")?;
    let name_of = |cluster: &Value| crate::xds::text(&cluster["id"]);
    Ok(seen
        .iter()
        .map(|cluster| (name_of(cluster), cluster["syncStatus"] == "synced"))
        .collect())
}

/// The addresses of a Service's pods that are ready, as Kubernetes has found them out.
///
/// # Errors
/// Where the API server does not answer.
pub async fn addresses(cluster: &Cluster, namespace: &str, service: &str) -> Result<Vec<String>> {
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io/service-name={service}"
    );
    let slices: Value = cluster.client.request(get(&path)?).await?;
    let slices = slices["items"].as_array().into_iter().flatten();
    let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    Ok(endpoints
        .filter(|endpoint| endpoint["conditions"]["ready"] == true)
        .map(|endpoint| crate::xds::text(&endpoint["addresses"][0]))
        .collect())
}
