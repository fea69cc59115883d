//! Cluster API: a `MachineDeployment` a pool, scaled by the cluster-autoscaler.
//!
//! Sources: the cluster-autoscaler's documentation of its provider `clusterapi` (annotations, scale
//! from zero), and the API `cluster.x-k8s.io/v1beta2`.

use super::cluster_autoscaler::chart;
use super::interface::{Autoscaling, Scaling};
use hcb_spec::model::NodePool;
use hcb_spec::spec::{ClusterApi, TemplateReference};
use serde_json::{Map, Value, json};

impl Autoscaling for ClusterApi {
    fn add_objects(&self, scaling: &mut Scaling<'_>) {
        let cluster_name = scaling.cluster_name(self.cluster_name.as_deref());
        for pool in scaling.pools() {
            let name = format!("{cluster_name}-{}", pool.name);
            scaling.unit.add(
                "autoscaling/cluster-api/machine-deployment.yaml",
                pool.location,
                json!({
                    "name": name,
                    "namespace": self.namespace,
                    "clusterName": cluster_name,
                    "annotations": annotations(pool),
                    "version": self.version,
                    "labels": Scaling::labels(pool),
                    "bootstrap": reference(&self.bootstrap, pool),
                    "infrastructure": reference(&self.infrastructure, pool),
                    "taints": pool.taints,
                }),
            );
        }
        let mut values = json!({
            "cloudProvider": "clusterapi",
            "autoDiscovery": { "clusterName": cluster_name, "namespace": self.namespace },
            "extraArgs": scaling.cluster_autoscaler_arguments(),
            "expanderPriorities": scaling.expander_priorities(|pool| {
                format!("MachineDeployment/{}/{cluster_name}-{}", self.namespace, pool.name)
            }),
        });
        if scaling.own {
            values["clusterAPIMode"] = "incluster-incluster".into();
        } else {
            // Cluster API keeps the kubeconfig of each cluster in this Secret.
            values["clusterAPIMode"] = "kubeconfig-incluster".into();
            values["clusterAPIKubeconfigSecret"] = format!("{cluster_name}-kubeconfig").into();
        }
        let release = format!("cluster-autoscaler-{}", scaling.cluster.name);
        chart(scaling, &release, &self.namespace, &values);
    }
}

/// The limits of the pool, and what a node of it has, since the autoscaler cannot look at a node
/// where there is none yet.
fn annotations(pool: &NodePool) -> Map<String, Value> {
    let capacity = "capacity.cluster-autoscaler.kubernetes.io";
    let group = "cluster.x-k8s.io/cluster-api-autoscaler-node-group";
    let mut annotations = Map::new();
    let mut set = |key: String, value: String| annotations.insert(key, value.into());
    set(format!("{group}-min-size"), pool.min.to_string());
    set(format!("{group}-max-size"), pool.max.to_string());
    set(format!("{capacity}/cpu"), pool.cpu.to_string());
    set(format!("{capacity}/memory"), pool.memory.to_string());
    if let Some(gpu) = &pool.gpu {
        set(format!("{capacity}/gpu-type"), gpu.resource.clone());
        set(format!("{capacity}/gpu-count"), gpu.count.to_string());
    }
    let labels: Vec<_> = Scaling::labels(pool)
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    set(format!("{capacity}/labels"), labels.join(","));
    if !pool.taints.is_empty() {
        set(
            format!("{capacity}/taints"),
            Scaling::written_taints(pool).join(","),
        );
    }
    annotations
}

fn reference(template: &TemplateReference, pool: &NodePool) -> Value {
    json!({
        "apiGroup": template.api_group,
        "kind": template.kind,
        "name": template.name.replace("{pool}", &pool.name),
    })
}
