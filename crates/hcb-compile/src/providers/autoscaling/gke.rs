//! GKE: a `ContainerNodePool` a pool, by Config Connector.
//!
//! Source: the CRD `containernodepools.container.cnrm.cloud.google.com` of Config Connector. Its
//! `autoscaling` has no field `enabled`, whatever samples say.

use super::interface::{Autoscaling, Scaling};
use hcb_spec::spec::Gke;
use serde_json::json;

impl Autoscaling for Gke {
    fn add_objects(&self, scaling: &mut Scaling<'_>) {
        let cluster_name = scaling.cluster_name(self.cluster_name.as_deref());
        for pool in scaling.pools() {
            scaling.unit.add(
            "autoscaling/gke/container-node-pool.yaml",
            pool.location,
            json!({
                "name": format!("{cluster_name}-{}", pool.name),
                "pool": pool.name,
                "namespace": self.namespace,
                "project": self.project,
                "location": self.location,
                "nodeLocations": self.node_locations,
                "clusterName": cluster_name,
                "min": pool.min,
                "max": scaling.max_nodes(pool),
                "machineType": pool.instance_type,
                "serviceAccount": self.service_account,
                "spot": pool.spot,
                "labels": Scaling::labels(pool),
                "taints": Scaling::shouted_taints(pool),
                "gpu": pool.gpu.as_ref().map(|gpu| json!({ "count": gpu.count, "product": gpu.product })),
            }),
        );
        }
    }
}
