//! AKS: an agent pool a pool, by Azure Service Operator. AKS runs the autoscaler itself.
//!
//! Source: the CRD `managedclustersagentpools.containerservice.azure.com`. `count` is left out: it
//! would be set back to what Git says with every reconciliation.

use super::interface::{Autoscaling, Scaling};
use hcb_spec::spec::Aks;
use serde_json::json;

impl Autoscaling for Aks {
    fn add_objects(&self, scaling: &mut Scaling<'_>) {
        for pool in scaling.pools() {
            scaling.unit.add(
                "autoscaling/aks/agent-pool.yaml",
                pool.location,
                json!({
                    "name": format!("{}-{}", scaling.cluster.name, pool.name),
                    "azureName": pool.name,
                    "namespace": self.namespace,
                    "owner": self.cluster_arm_id,
                    "subnet": self.subnet_arm_id,
                    "min": pool.min,
                    "max": scaling.max_nodes(pool),
                    "vmSize": pool.instance_type,
                    "spot": pool.spot,
                    "labels": Scaling::labels(pool),
                    "taints": Scaling::written_taints(pool),
                }),
            );
        }
    }
}
