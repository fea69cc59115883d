//! What istiod sends to the proxy of a pod, asked for as the proxy would.

use crate::cluster::Cluster;
use crate::deployment::tokens;
use crate::istiod;
use crate::tools::output;
use anyhow::{Context, Result};
use hcb_spec::model::Quantity;
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, Pod, ProjectedVolumeSource};
use kube::ResourceExt;
use kube::api::Api;
use serde_json::{Map, Value, json};
use std::fs;
use std::net::IpAddr;
use std::process::Command;

/// The name of the container that istiod adds.
pub const SIDECAR: &str = "istio-proxy";
/// What begins the names of variables that become metadata of the proxy.
const METADATA: &str = "ISTIO_META_";

/// All that istiod sends to one proxy, each a list in the form of Envoy's API.
#[derive(Debug)]
pub struct Sent(Value);

impl Sent {
    /// A cluster by name.
    ///
    /// # Errors
    /// Where istiod sent none of the name.
    pub fn cluster(&self, name: &str) -> Result<&Value> {
        self.named("clusters", "name", name)
    }

    /// The endpoints of a cluster by its name.
    ///
    /// # Errors
    /// Where istiod sent none of the name.
    pub fn endpoints(&self, cluster: &str) -> Result<Vec<Endpoint>> {
        let assignment = self.named("endpoints", "cluster_name", cluster)?;
        let localities = assignment["endpoints"].as_array();
        let mut endpoints = Vec::new();
        for locality in localities.into_iter().flatten() {
            for endpoint in locality["lb_endpoints"].as_array().into_iter().flatten() {
                let socket = &endpoint["endpoint"]["address"]["socket_address"];
                endpoints.push(Endpoint {
                    address: socket["address"].as_str().unwrap_or_default().to_owned(),
                    port: socket["port_value"].as_u64().unwrap_or_default(),
                    region: text(&locality["locality"]["region"]),
                    priority: locality["priority"].as_u64().unwrap_or_default(),
                    tls_mode: text(
                        &endpoint["metadata"]["filter_metadata"]["envoy.transport_socket_match"]["tlsMode"],
                    ),
                });
            }
        }
        Ok(endpoints)
    }

    /// A listener by name.
    ///
    /// # Errors
    /// Where istiod sent none of the name.
    pub fn listener(&self, name: &str) -> Result<&Value> {
        self.named("listeners", "name", name)
    }

    fn named(&self, list: &str, key: &str, name: &str) -> Result<&Value> {
        let all = self.0[list].as_array().context("a list")?;
        let found = all.iter().find(|resource| resource[key] == name);
        found.with_context(|| {
            let names: Vec<_> = all.iter().map(|resource| text(&resource[key])).collect();
            format!("istiod sent no {name}, only {list} {}", names.join(", "))
        })
    }
}

/// Where a proxy sends requests to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: String,
    /// The port.
    pub port: u64,
    /// The region that it is in.
    pub region: String,
    /// Which are tried first: those with the lowest.
    pub priority: u64,
    /// `istio` where the proxy speaks mutual TLS to it.
    pub tls_mode: String,
}

/// Asks the istiod of a cluster for what it sends to the proxy of one of the cluster's pods.
///
/// # Errors
/// Where the pod has no proxy, or istiod refuses it.
pub async fn sent(cluster: &Cluster, pod: &Pod) -> Result<Sent> {
    let namespace = pod.namespace().context("a namespace")?;
    let spec = pod.spec.as_ref().context("a spec")?;
    let account = spec.service_account_name.as_deref().unwrap_or("default");
    let volume = volume(pod, "istio-token").context("the volume of the proxy's token")?;
    let token = tokens(cluster, &namespace, account, volume).await?;
    let token = token.get("istio-token").context("the proxy's token")?;
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &namespace);
    // istiod puts it into every namespace; proxies mount it.
    let root = maps.get("istio-ca-root-cert").await?.data.context("data")?;
    let root = root.get("root-cert.pem").context("the root of the mesh")?;
    let file = |kind: &str| cluster.file(&format!("{}.{kind}", pod.name_any()));
    fs::write(file("token"), token)?;
    fs::write(file("root"), root)?;
    fs::write(file("node"), node(pod)?.to_string())?;
    let address = format!("127.0.0.1:{}", istiod::port(cluster, "secureGRPCAddr")?);
    let mut command = Command::new(istiod::binary("xds").await?);
    command.args(["-address", &address]);
    for kind in ["token", "root", "node"] {
        command.arg(format!("-{kind}")).arg(file(kind));
    }
    let shown = tokio::task::spawn_blocking(move || output(&mut command)).await??;
    Ok(Sent(serde_json::from_str(&shown)?))
}

/// A projected volume of a pod by name.
pub(crate) fn volume<'p>(pod: &'p Pod, name: &str) -> Option<&'p ProjectedVolumeSource> {
    let volumes = pod.spec.as_ref()?.volumes.as_ref()?;
    let volume = volumes.iter().find(|volume| volume.name == name)?;
    volume.projected.as_ref()
}

/// The proxies of a pod, each with whether it is a native sidecar.
pub fn proxies(pod: &Pod) -> Vec<(&Container, bool)> {
    let Some(spec) = &pod.spec else {
        return Vec::new();
    };
    let is_proxy = |container: &&Container| container.name == SIDECAR;
    let before = spec.init_containers.iter().flatten().filter(is_proxy);
    before
        .map(|container| {
            (
                container,
                container.restart_policy.as_deref() == Some("Always"),
            )
        })
        .chain(
            spec.containers
                .iter()
                .filter(is_proxy)
                .map(|container| (container, false)),
        )
        .collect()
}

/// What the proxy of a pod tells of itself, as `pilot-agent` reads it from the container's environment.
fn node(pod: &Pod) -> Result<Value> {
    let proxies = proxies(pod);
    let (container, _) = proxies.first().context("a proxy")?;
    let environment = environment(pod, container);
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let mut metadata: Map<String, Value> = environment
        .iter()
        .filter_map(|(name, value)| {
            Some((
                name.strip_prefix(METADATA)?.to_owned(),
                value.as_str().into(),
            ))
        })
        .collect();
    let mut set = |name: &str, value: Value| drop(metadata.insert(name.to_owned(), value));
    set("NAME", pod.name_any().into());
    set("NAMESPACE", variable("POD_NAMESPACE").into());
    set("SERVICE_ACCOUNT", variable("SERVICE_ACCOUNT").into());
    set("INSTANCE_IPS", variable("INSTANCE_IP").into());
    set("LABELS", json!(pod.labels()));
    set(
        "PROXY_CONFIG",
        serde_json::from_str(variable("PROXY_CONFIG")).unwrap_or(json!({})),
    );
    let kind = container
        .args
        .iter()
        .flatten()
        .nth(1)
        .map_or("sidecar", String::as_str);
    let (address, namespace) = (variable("INSTANCE_IP"), variable("POD_NAMESPACE"));
    address.parse::<IpAddr>().context("the pod's address")?;
    Ok(json!({
        "id": format!("{kind}~{address}~{}.{namespace}~{namespace}.svc.cluster.local", pod.name_any()),
        "cluster": format!("{}.{namespace}", variable("ISTIO_META_WORKLOAD_NAME")),
        "metadata": metadata,
    }))
}

/// The environment of a container, with what it is told of its pod.
pub fn environment(pod: &Pod, container: &Container) -> Vec<(String, String)> {
    let variables = container.env.iter().flatten();
    variables
        .filter_map(|variable| Some((variable.name.clone(), value(pod, container, variable)?)))
        .collect()
}

fn value(pod: &Pod, container: &Container, variable: &EnvVar) -> Option<String> {
    let Some(source) = &variable.value_from else {
        return Some(variable.value.clone().unwrap_or_default());
    };
    if let Some(field) = &source.field_ref {
        let (spec, status) = (pod.spec.as_ref()?, pod.status.as_ref());
        return match field.field_path.as_str() {
            "metadata.name" => Some(pod.name_any()),
            "metadata.namespace" => pod.namespace(),
            "spec.nodeName" => spec.node_name.clone(),
            "spec.serviceAccountName" => spec.service_account_name.clone(),
            "status.podIP" => status?.pod_ip.clone(),
            "status.hostIP" => status?.host_ip.clone(),
            _ => None,
        };
    }
    let resource = &source.resource_field_ref.as_ref()?.resource;
    let limits = container.resources.as_ref()?.limits.as_ref()?;
    // A kubelet tells whole units, rounded up.
    let limit = Quantity::parse(&limits.get(resource.strip_prefix("limits.")?)?.0)?;
    Some(limit.milli().unsigned_abs().div_ceil(1000).to_string())
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
