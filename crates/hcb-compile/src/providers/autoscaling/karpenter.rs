//! Karpenter: a `NodePool` a pool.
//!
//! Source: the API `karpenter.sh/v1` of kubernetes-sigs/karpenter, and the chart of
//! aws/karpenter-provider-aws.

use super::interface::{Autoscaling, Scaling};
use crate::unit::{Chart, Item};
use hcb_spec::model::Quantity;
use hcb_spec::spec::Karpenter;
use serde_json::json;

/// Where Karpenter runs; its documentation asks for this namespace.
const NAMESPACE: &str = "kube-system";

impl Autoscaling for Karpenter {
    fn add_objects(&self, scaling: &mut Scaling<'_>) {
        let cluster_name = scaling.cluster_name(self.cluster_name.as_deref());
        let autoscaler = scaling.autoscaler;
        if let Some(install) = &self.install {
            let context = json!({
                "clusterName": cluster_name,
                "roleArn": install.role_arn,
                "interruptionQueue": install.interruption_queue,
            });
            scaling.unit.charts.push(Chart {
                release: "karpenter".to_owned(),
                name: "karpenter",
                repository: "oci://public.ecr.aws/karpenter".to_owned(),
                version: install.version.clone(),
                namespace: NAMESPACE.to_owned(),
                values: Item {
                    template: "autoscaling/karpenter/values.yaml",
                    context,
                    origin: autoscaler.location,
                },
                live_fields: Vec::new(),
            });
        }
        let mut by_price = scaling.pools();
        by_price.sort_by(|a, b| {
            let price =
                |pool: &&hcb_spec::model::NodePool| pool.price_per_hour.unwrap_or(f64::INFINITY);
            price(a)
                .total_cmp(&price(b))
                .then_with(|| a.name.cmp(&b.name))
        });
        for pool in scaling.pools() {
            // Karpenter tries the pool of the highest weight first: the cheapest gets it.
            let rank = by_price.iter().position(|other| other.name == pool.name);
            let weight = 100_usize.saturating_sub(rank.unwrap_or_default()).max(1);
            let limit = |all: Quantity, each: Quantity| all.min(each.times(pool.max));
            let mut limits = json!({
                "cpu": limit(autoscaler.max_cpu, pool.cpu),
                "memory": limit(autoscaler.max_memory, pool.memory),
                "nodes": scaling.max_nodes(pool).to_string(),
            });
            if let Some(gpu) = &pool.gpu {
                let most = (gpu.count * pool.max).min(autoscaler.max_gpus);
                limits[gpu.resource.as_str()] = most.to_string().into();
            }
            scaling.unit.add(
                "autoscaling/karpenter/node-pool.yaml",
                pool.location,
                json!({
                    "name": pool.name,
                    "weight": weight,
                    "limits": limits,
                    "labels": Scaling::labels(pool),
                    "taints": pool.taints,
                    "nodeClass": {
                        "group": self.node_class.group,
                        "kind": self.node_class.kind,
                        "name": self.node_class.name,
                    },
                    "instanceType": pool.instance_type,
                    "capacityType": if pool.spot { "spot" } else { "on-demand" },
                    "consolidateAfter": autoscaler.scale_down_after,
                }),
            );
        }
    }
}
