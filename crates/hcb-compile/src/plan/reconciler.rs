//! The reconciler in the source cluster, and the access it needs to the others.

use super::access::{Access, Target, kubeconfig};
use super::{LiveField, Unit, Wave, namespaces};
use crate::providers::scheduling::admiralty::virtual_node_name;
use hcb_spec::model::{Cluster, ClusterIndex, Model};
use hcb_spec::spec::WhenReconcilerDown;
use serde_json::{Value, json};

/// How the reconciler reads nodes and pods of the target clusters.
const READER: Access = Access {
    purpose: "reconciler",
    account: "hcb-reader",
    namespace: namespaces::HCB,
};

pub(super) fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let mut unit = Unit::new(index, "reconciler", Wave::Services, cluster.location);
    if index == model.source {
        source(&mut unit, model);
    } else {
        READER.grant(&mut unit, model, cluster, true);
        unit.add(
            "reconciler/reader-role.yaml",
            cluster.location,
            json!({ "account": READER.account, "namespace": READER.namespace }),
        );
        for namespace in &model.namespaces {
            unit.add(
                "reconciler/reader-workload-role.yaml",
                namespace.location,
                json!({
                    "account": READER.account,
                    "namespace": READER.namespace,
                    "workloadNamespace": namespace.name,
                }),
            );
        }
    }
    vec![unit]
}

fn source(unit: &mut Unit, model: &Model) {
    let origin = model.scheduling.location;
    let reconciler = &model.scheduling.reconciler;
    let targets: Vec<_> = model.peers(model.source).map(|peer| &peer.name).collect();
    for peer in model.peers(model.source) {
        let target = Target {
            name: kubeconfig_secret(peer),
            namespace: namespaces::HCB,
            labels: json!({}),
            annotations: json!({}),
            data: json!({ "config": kubeconfig(peer) }),
        };
        READER.receive(unit, model, peer, &target);
    }
    let context = json!({
        "namespace": namespaces::HCB,
        "byTheReconciler": format!(
            "request.userInfo.username == 'system:serviceaccount:{}:hcb-reconciler'",
            namespaces::HCB,
        ),
        "image": reconciler.image,
        "open": model.scheduling.when_reconciler_down == WhenReconcilerDown::Open,
        "virtualNodes": model
            .clusters
            .iter()
            .map(|cluster| virtual_node_name(&cluster.name))
            .collect::<Vec<_>>(),
        "replicas": reconciler.replicas,
        "kubeconfigs": targets
            .iter()
            .map(|name| json!({ "cluster": name, "secret": format!("hcb-target-{name}") }))
            .collect::<Vec<_>>(),
        "config": hcb_source::yaml::to_string(&config(model)),
    });
    for template in [
        "reconciler/service-account.yaml",
        "reconciler/cluster-role.yaml",
        "reconciler/role.yaml",
        "reconciler/state.yaml",
        "reconciler/config-map.yaml",
        "reconciler/deployment.yaml",
        "reconciler/service.yaml",
        "reconciler/network-policy.yaml",
        "reconciler/pod-disruption-budget.yaml",
        "reconciler/open-if-down.yaml",
        "reconciler/alerts.yaml",
        "reconciler/dashboard.yaml",
    ] {
        // One replica may be evicted at any time: another start is all that it takes.
        if template.contains("disruption") && reconciler.replicas < 2 {
            continue;
        }
        unit.add(template, origin, context.clone());
    }
    unit.live_fields.push(LiveField {
        group: "",
        kind: "ConfigMap",
        name: Some("hcb-status".to_owned()),
        pointers: vec!["/data"],
    });
    unit.add("reconciler/release-policy.yaml", origin, context.clone());
    for namespace in &model.namespaces {
        unit.add(
            "reconciler/release-role.yaml",
            namespace.location,
            json!({ "namespace": namespaces::HCB, "workloadNamespace": namespace.name }),
        );
    }
}

fn kubeconfig_secret(cluster: &Cluster) -> String {
    format!("hcb-target-{}", cluster.name)
}

/// What the reconciler goes by, in a format of its own version.
fn config(model: &Model) -> Value {
    let scheduling = &model.scheduling;
    let clusters: Vec<_> = model
        .by_tier()
        .into_iter()
        .map(|cluster| {
            let is_source = cluster.name == model.source().name;
            let mut config = json!({
                "name": cluster.name,
                "tier": model.tiers[cluster.tier],
                "weight": cluster.weight,
                "virtualNode": virtual_node_name(&cluster.name),
                "kubeconfig": if is_source {
                    Value::Null
                } else {
                    format!("/etc/hcb/targets/{}/config", cluster.name).into()
                },
                "pools": cluster.pools.iter().map(pool).collect::<Vec<_>>(),
                "limits": cluster.autoscaler.as_ref().map(|autoscaler| json!({
                    "nodes": autoscaler.max_nodes,
                    "cpu": autoscaler.max_cpu,
                    "memory": autoscaler.max_memory,
                    "gpus": autoscaler.max_gpus,
                })),
            });
            if cluster.drain {
                config["drain"] = true.into();
            }
            config
        })
        .collect();
    json!({
        "apiVersion": "hcb.dev/v1alpha1",
        "kind": "ReconcilerConfig",
        "cloud": model.name,
        "tiers": model.tiers,
        "burst": { "after": scheduling.burst_after },
        "fallBack": { "after": scheduling.fall_back_after },
        "whenDown": scheduling.when_reconciler_down,
        "weights": {
            "minFactor": scheduling.weights.min_factor,
            "maxFactor": scheduling.weights.max_factor,
        },
        "budget": scheduling.budget.as_ref().map(|budget| json!({
            "currency": budget.currency,
            "perHour": budget.per_hour,
            "perMonth": budget.per_month,
        })),
        "clusters": clusters,
    })
}

fn pool(pool: &hcb_spec::model::NodePool) -> Value {
    json!({
        "name": pool.name,
        "min": pool.min,
        "max": pool.max,
        "allocatable": pool.allocatable(),
        "gpuProduct": pool.gpu.as_ref().and_then(|gpu| gpu.product.as_ref()),
        "pricePerHour": pool.price_per_hour,
        "labels": pool.labels,
        "taints": pool.taints,
    })
}
