//! Networks of the clusters' own: namespaces of the kernel in which pods have their addresses.
//!
//! One namespace stands for what all clusters can reach, one for each cluster's network, and one for each pod.
//! The networks of two clusters use the same addresses and do not reach each other; what comes into one from
//! outside comes by the address of its gateway. Nothing leaves the outermost namespace.

use crate::cluster::Cluster;
use crate::istiod::{self, GATEWAY, Options};
use crate::mesh::{self, MEETING_PORT};
use crate::tools::output;
use anyhow::{Context, Result};
use hcb_spec::model::Model;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::ResourceExt;
use kube::api::Api;
use serde_json::{Value, json};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

/// Set where a test runs on networks of its own.
const VARIABLE: &str = "HCB_TESTBED_NETWORK";
/// The address of this machine for the networks of clusters.
const MACHINE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The last address of the pods' range, which nothing else has: their way out.
const ROUTER: &str = "10.0.255.254";
/// The programs that make networks.
const PROGRAMS: [&str; 5] = ["ip", "iptables", "unshare", "nsenter", "setpriv"];

/// Whether this process is on networks of its own, which nothing else is on.
pub fn is_inside() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// How istiod runs here. On networks of its own, pods have addresses, and their proxies are Envoy as its
/// project releases it, without the filters that Istio's build adds.
pub fn istiod_options() -> Options {
    if !is_inside() {
        return Options {
            address: IpAddr::from(Ipv4Addr::LOCALHOST),
            environment: Vec::new(),
        };
    }
    let without = ["PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER"];
    Options {
        address: IpAddr::from(Ipv4Addr::UNSPECIFIED),
        environment: without
            .map(|name| (name.to_owned(), "false".to_owned()))
            .to_vec(),
    }
}

/// Takes out of the values of istiod's chart what only Istio's build of Envoy understands: its metrics.
pub(crate) fn suit_envoy(values: &mut Value) {
    if is_inside() {
        values["telemetry"] = json!({"enabled": false});
    }
}

/// Whether this machine can make networks. Where it cannot, a test skips, which is said here.
pub fn is_available() -> bool {
    let is_root = output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let is_missing = |program: &str| {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {program}")])
            .output();
        !found.is_ok_and(|output| output.status.success())
    };
    let missing: Vec<_> = PROGRAMS
        .into_iter()
        .filter(|program| is_missing(program))
        .collect();
    if is_root && missing.is_empty() {
        return true;
    }
    crate::say(&format!(
        "SKIPPED, what sends requests: networks are made by root with {}{}",
        PROGRAMS.join(", "),
        if missing.is_empty() {
            String::new()
        } else {
            format!("; {} is missing", missing.join(", "))
        }
    ));
    false
}

/// Runs one test of this program again, on networks of its own. Whatever it needs from elsewhere must be
/// there already.
///
/// # Errors
/// Where it fails.
pub fn run_inside(test: &str) -> Result<()> {
    let mut command = Command::new("setpriv");
    // It ends with this process, whatever ends that.
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "--mount"]);
    command.arg(std::env::current_exe()?);
    command
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env(VARIABLE, "1");
    let status = command.status()?;
    anyhow::ensure!(status.success(), "{test} failed on networks of its own");
    Ok(())
}

/// Makes the network that all clusters reach. Only inside, where there is none yet.
///
/// # Errors
/// Where the kernel refuses it.
pub fn make_outer() -> Result<()> {
    anyhow::ensure!(is_inside(), "not on networks of its own");
    fs::create_dir_all("/run/netns")?;
    run(&[
        "mount -t tmpfs tmpfs /run/netns",
        "ip link set lo up",
        "ip link add wan type bridge",
        &format!("ip address add {MACHINE}/24 dev wan"),
        "ip link set wan up",
    ])
}

/// Makes the network of a cluster, with the address of its gateway, by which its pods go out too.
///
/// # Errors
/// Where the kernel refuses it.
pub async fn make(model: &Model, cluster: &Cluster) -> Result<()> {
    let name = &cluster.name;
    let address = mesh::address(model, name);
    run(&[
        &format!("ip netns add {name}"),
        &format!("ip link add w-{name} type veth peer name wan netns {name}"),
        &format!("ip link set w-{name} master wan up"),
    ])?;
    let istiod: Api<Service> = Api::namespaced(cluster.client.clone(), istiod::NAMESPACE);
    let istiod = istiod.get("istiod").await?;
    let service = istiod
        .spec
        .and_then(|spec| spec.cluster_ip)
        .context("an address")?;
    let port = istiod::port(cluster, "secureGRPCAddr")?;
    run_in(
        name,
        &[
            "ip link set lo up",
            &format!("ip address add {address}/24 dev wan"),
            "ip link set wan up",
            "ip link add pods type bridge",
            &format!("ip address add {ROUTER}/16 dev pods"),
            "ip link set pods up",
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            "iptables -t nat -A POSTROUTING -s 10.0.0.0/16 -o wan -j MASQUERADE",
            // What kube-proxy does for the one Service that proxies call without a proxy.
            &format!(
                "iptables -t nat -A PREROUTING -i pods -d {service} -p tcp --dport 15012 -j DNAT --to-destination {MACHINE}:{port}"
            ),
        ],
    )
}

/// Lets what comes to the address of a cluster's gateway in to the gateway's pod.
///
/// # Errors
/// Where the kernel refuses it.
pub fn open_gateway(model: &Model, cluster: &Cluster, pod: &Pod) -> Result<()> {
    anyhow::ensure!(pod.name_any().starts_with(GATEWAY.name()), "no gateway");
    let (outside, inside) = (mesh::address(model, &cluster.name), address(pod)?);
    run_in(
        &cluster.name,
        &[&format!(
            "iptables -t nat -A PREROUTING -i wan -d {outside} -p tcp --dport {MEETING_PORT} -j DNAT --to-destination {inside}:{MEETING_PORT}"
        )],
    )
}

/// Puts a pod onto the network of its cluster, at the address that it has.
///
/// # Errors
/// Where the kernel refuses it.
pub fn attach(cluster: &Cluster, pod: &Pod) -> Result<String> {
    let (network, address) = (&cluster.name, address(pod)?);
    let namespace = format!("{network}-{}", pod.name_any());
    let link = format!("p{}", address.replace('.', ""));
    run(&[
        &format!("ip netns add {namespace}"),
        &format!("ip -n {network} link add {link} type veth peer name eth0 netns {namespace}"),
        &format!("ip -n {network} link set {link} master pods up"),
        &format!("ip -n {namespace} link set lo up"),
        &format!("ip -n {namespace} address add {address}/16 dev eth0"),
        &format!("ip -n {namespace} link set eth0 up"),
        &format!("ip -n {namespace} route add default via {ROUTER}"),
    ])?;
    Ok(namespace)
}

/// The address of a pod.
///
/// # Errors
/// Where it has none yet.
pub fn address(pod: &Pod) -> Result<String> {
    let status = pod.status.as_ref();
    let address = status.and_then(|status| status.pod_ip.clone());
    address.with_context(|| format!("{} has no address", pod.name_any()))
}

/// What goes before a command that runs in a namespace, with a file of hosts for DNS.
pub fn inside(namespace: &str, hosts: &Path) -> Vec<String> {
    let script = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let words = [
        "nsenter",
        &format!("--net=/run/netns/{namespace}"),
        "unshare",
        "--mount",
        "sh",
        "-c",
        &script,
        "sh",
    ];
    words.map(str::to_owned).to_vec()
}

fn run(commands: &[&str]) -> Result<()> {
    for command in commands {
        output(Command::new("sh").args(["-ec", command]))?;
    }
    Ok(())
}

fn run_in(namespace: &str, commands: &[&str]) -> Result<()> {
    for command in commands {
        output(Command::new("ip").args(["netns", "exec", namespace, "sh", "-ec", command]))?;
    }
    Ok(())
}
