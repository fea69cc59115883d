//! The reconciler in the source cluster, and the access it needs to the others.

use crate::access::{Access, Target, kubeconfig};
use crate::providers::Providers;
use crate::providers::autoscaling::described;
use crate::providers::scheduling::SchedulingEngine;
use crate::unit::{LiveField, Unit, Wave};
use hcb_api::config::{self, After, Budget, Limits, ReconcilerConfig, Weights, WhenReconcilerDown};
use hcb_api::names;
use hcb_spec::model::{Cluster, ClusterIndex, Model, NodePool};
use serde_json::json;

/// How the reconciler reads nodes and pods of the target clusters.
const READER: Access = Access {
    purpose: "reconciler",
    account: names::READER,
    namespace: names::SYSTEM_NAMESPACE,
};

pub(super) fn plan(model: &Model, providers: &Providers<'_>, index: ClusterIndex) -> Vec<Unit> {
    let cluster = &model.clusters[index];
    let engine = &*providers.scheduling;
    let rights = engine.rights();
    let mut unit = Unit::new(index, "reconciler", Wave::Services, cluster.location);
    if index == model.source {
        source(&mut unit, model, engine);
    } else {
        READER.grant(&mut unit, model, cluster, true);
        unit.add(
            "reconciler/reader-role.yaml",
            cluster.location,
            json!({
                "account": READER.account,
                "namespace": READER.namespace,
                "engineReads": rights.reads,
            }),
        );
        for namespace in &model.namespaces {
            unit.add(
                "reconciler/reader-workload-role.yaml",
                namespace.location,
                json!({
                    "account": READER.account,
                    "namespace": READER.namespace,
                    "workloadNamespace": namespace.name,
                    "engineChanges": rights.changes,
                }),
            );
        }
    }
    vec![unit]
}

fn source(unit: &mut Unit, model: &Model, engine: &dyn SchedulingEngine) {
    let rights = engine.rights();
    let origin = model.scheduling.location;
    let reconciler = &model.scheduling.reconciler;
    let targets: Vec<_> = model.peers(model.source).map(|peer| &peer.name).collect();
    for peer in model.peers(model.source) {
        let target = Target {
            name: names::target_secret(&peer.name),
            namespace: names::SYSTEM_NAMESPACE,
            labels: json!({}),
            annotations: json!({}),
            data: json!({ "config": kubeconfig(peer) }),
        };
        READER.receive(unit, model, peer, &target);
    }
    let context = json!({
        "namespace": names::SYSTEM_NAMESPACE,
        "byTheReconciler": format!(
            "request.userInfo.username == 'system:serviceaccount:{}:{}'",
            names::SYSTEM_NAMESPACE,
            names::RECONCILER,
        ),
        "image": reconciler.image,
        "open": model.scheduling.when_reconciler_down == WhenReconcilerDown::Open,
        "virtualNodes": model
            .clusters
            .iter()
            .map(|cluster| engine.stand_in(&cluster.name))
            .collect::<Vec<_>>(),
        "engineReads": rights.reads,
        "podNotes": rights.pod_notes,
        "replicas": reconciler.replicas,
        "kubeconfigs": targets
            .iter()
            .map(|name| json!({ "cluster": name, "secret": names::target_secret(name) }))
            .collect::<Vec<_>>(),
        "config": written(&config(model, engine)),
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
        name: Some(names::STATUS.to_owned()),
        pointers: vec!["/data"],
    });
    for policy in rights.policies {
        unit.add(policy, origin, context.clone());
    }
    for namespace in &model.namespaces {
        unit.add(
            "reconciler/release-role.yaml",
            namespace.location,
            json!({
                "namespace": names::SYSTEM_NAMESPACE,
                "workloadNamespace": namespace.name,
                "engineChanges": rights.changes,
            }),
        );
    }
}

/// A configuration as its `ConfigMap` holds it.
fn written(config: &ReconcilerConfig) -> String {
    match serde_json::to_value(config) {
        Ok(value) => hcb_source::yaml::to_string(&value),
        Err(error) => unreachable!("a configuration that cannot be JSON: {error}"),
    }
}

/// What the reconciler goes by.
fn config(model: &Model, engine: &dyn SchedulingEngine) -> ReconcilerConfig {
    let scheduling = &model.scheduling;
    let after = |seconds: hcb_spec::model::Seconds| After {
        after: seconds.into(),
    };
    ReconcilerConfig {
        api_version: config::API_VERSION.to_owned(),
        kind: config::KIND.to_owned(),
        cloud: model.name.clone(),
        engine: scheduling.engine,
        tiers: model.tiers.clone(),
        burst: after(scheduling.burst_after),
        fall_back: after(scheduling.fall_back_after),
        when_down: scheduling.when_reconciler_down,
        weights: Weights {
            min_factor: scheduling.weights.min_factor,
            max_factor: scheduling.weights.max_factor,
        },
        budget: scheduling.budget.as_ref().map(|budget| Budget {
            currency: budget.currency.clone(),
            per_hour: budget.per_hour,
            per_month: budget.per_month,
        }),
        clusters: model
            .by_tier()
            .into_iter()
            .map(|cluster| cluster_config(model, engine, cluster))
            .collect(),
    }
}

fn cluster_config(
    model: &Model,
    engine: &dyn SchedulingEngine,
    cluster: &Cluster,
) -> config::Cluster {
    let is_source = cluster.name == model.source().name;
    config::Cluster {
        name: cluster.name.clone(),
        tier: model.tiers[cluster.tier].clone(),
        weight: cluster.weight,
        virtual_node: engine.stand_in(&cluster.name),
        kubeconfig: (!is_source).then(|| names::target_kubeconfig(&cluster.name)),
        pools: cluster
            .pools
            .iter()
            .map(|pool| pool_config(cluster, pool))
            .collect(),
        limits: cluster.autoscaler.as_ref().map(|autoscaler| Limits {
            nodes: autoscaler.max_nodes,
            cpu: autoscaler.max_cpu,
            memory: autoscaler.max_memory,
            gpus: autoscaler.max_gpus,
        }),
        drain: cluster.drain,
    }
}

fn pool_config(cluster: &Cluster, pool: &NodePool) -> config::Pool {
    let described = described(cluster, pool);
    config::Pool {
        name: pool.name.clone(),
        min: pool.min,
        max: pool.max,
        allocatable: pool.allocatable(),
        gpu_product: pool.gpu.as_ref().and_then(|gpu| gpu.product.clone()),
        price_per_hour: pool.price_per_hour,
        labels: described.labels(),
        taints: described.taints(),
    }
}
