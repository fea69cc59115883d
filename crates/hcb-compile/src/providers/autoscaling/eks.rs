//! EKS: a managed node group a pool, by AWS Controllers for Kubernetes, scaled by the
//! cluster-autoscaler.
//!
//! Source: the CRD `nodegroups.eks.services.k8s.aws`. The annotation that leaves the size to the
//! autoscaler is the controller's own.

use super::cluster_autoscaler::chart;
use super::interface::{Autoscaling, Scaling};
use hcb_spec::spec::Eks;
use serde_json::json;

impl Autoscaling for Eks {
    fn add_objects(&self, scaling: &mut Scaling<'_>) {
        let cluster_name = scaling.cluster_name(self.cluster_name.as_deref());
        for pool in scaling.pools() {
            scaling.unit.add(
            "autoscaling/eks/nodegroup.yaml",
            pool.location,
            json!({
                "name": format!("{cluster_name}-{}", pool.name),
                "pool": pool.name,
                "namespace": self.namespace,
                "region": self.region,
                "clusterName": cluster_name,
                "nodeRole": self.node_role_arn,
                "subnets": self.subnets,
                "min": pool.min,
                "max": scaling.max_nodes(pool),
                "instanceType": pool.instance_type,
                "amiType": if pool.gpu.is_some() { "AL2023_x86_64_NVIDIA" } else { "AL2023_x86_64_STANDARD" },
                "capacityType": if pool.spot { "SPOT" } else { "ON_DEMAND" },
                "labels": Scaling::labels(pool),
                "taints": Scaling::shouted_taints(pool),
                "tags": {
                    "k8s.io/cluster-autoscaler/enabled": "true",
                    format!("k8s.io/cluster-autoscaler/{cluster_name}"): "owned",
                },
            }),
        );
        }
    }

    /// The autoscaler is found by the tags of the groups, and runs in the cluster that it scales.
    fn add_to_scaled_cluster(&self, scaling: &mut Scaling<'_>) {
        let cluster_name = scaling.cluster_name(self.cluster_name.as_deref());
        let values = json!({
            "cloudProvider": "aws",
            "awsRegion": self.region,
            "autoDiscovery": { "clusterName": cluster_name },
            "extraArgs": scaling.cluster_autoscaler_arguments(),
            // AWS names the groups `eks-NODEGROUP-UUID`.
            "expanderPriorities": scaling
                .expander_priorities(|pool| format!("eks-{}-", pool.name))
                .into_iter()
                .map(|(rank, patterns)| {
                    let pattern = patterns[0].as_str().unwrap_or_default().replace('$', ".*");
                    (rank, json!([pattern]))
                })
                .collect::<serde_json::Map<_, _>>(),
            "rbac": { "serviceAccount": { "annotations": {
                "eks.amazonaws.com/role-arn": self.autoscaler_role_arn,
            } } },
        });
        chart(scaling, "cluster-autoscaler", "kube-system", &values);
    }
}
