//! Karpenter with its KWOK provider: the autoscaler itself decides, only the machines are simulated.

use crate::apply::{Applier, documents};
use crate::cluster::Cluster;
use crate::node_stages;
use crate::ports::Port;
use anyhow::Result;
use hcb_spec::model::{NodePool, Quantity};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// Its definitions, beside the binary.
const DEFINITIONS: &[&str] = &[
    "karpenter.sh_nodepools.yaml",
    "karpenter.sh_nodeclaims.yaml",
    "karpenter.sh_nodeoverlays.yaml",
    "karpenter.kwok.sh_kwoknodeclasses.yaml",
    "autoscaling.x-k8s.io_capacitybuffers.yaml",
];
/// What Karpenter's KWOK provider takes off each node for the kubelet: CPU in thousandths, memory in bytes.
const RESERVED: (i128, i128) = (100, 10 << 20);

/// The definitions that Karpenter needs.
///
/// # Errors
/// Where a file of the module is no YAML.
pub fn definitions(cluster: &Cluster) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for name in DEFINITIONS {
        found.extend(documents(&fs::read_to_string(cluster.tools.file(name))?)?);
    }
    Ok(found)
}

/// Runs Karpenter for the pools of a cluster. A node registers `delay` after it is bought, and is ready some
/// time later.
///
/// # Errors
/// Where it cannot be started.
pub async fn run(
    cluster: &Cluster,
    node_class: &str,
    pools: &[NodePool],
    delay: Duration,
) -> Result<()> {
    let class = json!({
        "apiVersion": "karpenter.kwok.sh/v1alpha1",
        "kind": "KWOKNodeClass",
        "metadata": {"name": node_class},
        "spec": {"nodeRegistrationDelay": format!("{}s", delay.as_secs())},
    });
    let applier = Applier::new(cluster);
    applier.apply(&class).await?;
    for object in node_stages::registration() {
        applier.apply(&object).await?;
    }
    let types = cluster.file("instance-types.json");
    let known: Vec<_> = pools
        .iter()
        .filter(|pool| pool.is_scaled)
        .map(instance_type)
        .collect();
    fs::write(&types, Value::from(known).to_string())?;
    let (metrics, health) = (Port::reserve()?, Port::reserve()?);
    let environment = [
        (
            "KUBECONFIG",
            cluster.file("admin.kubeconfig").display().to_string(),
        ),
        ("INSTANCE_TYPES_FILE_PATH", types.display().to_string()),
        ("METRICS_PORT", metrics.number.to_string()),
        ("HEALTH_PROBE_PORT", health.number.to_string()),
        ("DISABLE_LEADER_ELECTION", "true".to_owned()),
        ("SYSTEM_NAMESPACE", "kube-system".to_owned()),
        ("KARPENTER_SERVICE", "karpenter".to_owned()),
    ];
    cluster.run("karpenter", &environment, &[])?;
    cluster.keep(metrics);
    cluster.keep(health);
    Ok(())
}

/// The machine type of a pool, such that its nodes have what the spec says.
fn instance_type(pool: &NodePool) -> Value {
    let capacity = if pool.spot { "spot" } else { "on-demand" };
    let requirement =
        |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    let mut resources = json!({
        "cpu": format!("{}m", pool.cpu.milli() + RESERVED.0),
        "memory": (pool.memory.milli() / 1000 + RESERVED.1).to_string(),
        "ephemeral-storage": "1Ti",
        "pods": "110",
    });
    if let Some(gpu) = &pool.gpu {
        resources[&gpu.resource] = Quantity::whole(gpu.count.into()).to_string().into();
    }
    json!({
        "name": pool.instance_type,
        "architecture": "amd64",
        "operatingSystems": ["linux"],
        "resources": resources,
        "offerings": [{
            "Price": pool.price_per_hour.unwrap_or(1.0),
            "Available": true,
            "Requirements": [
                requirement("karpenter.sh/capacity-type", capacity),
                requirement("topology.kubernetes.io/zone", "zone-a"),
            ],
        }],
    })
}
