//! What adds and removes nodes: one provider a file, whose `mod` is all that is added here.

mod aks;
mod cluster_api;
mod cluster_autoscaler;
mod eks;
mod gke;
mod interface;
mod karpenter;

use crate::unit::{Unit, Wave};
use hcb_api::node_pool::Described;
use hcb_spec::model::{Cluster, ClusterIndex, Model, NodePool, Provider};
use interface::{Autoscaling, Scaling};

/// What the autoscalers need in a cluster: its own, and those of clusters whose provider's objects
/// it holds.
pub(crate) fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
    model
        .clusters
        .iter()
        .enumerate()
        .filter_map(|(other, cluster)| Some((other, cluster, cluster.autoscaler.as_ref()?)))
        .filter_map(|(other, cluster, autoscaler)| {
            let own = other == index;
            let holds_objects = autoscaler.management == index;
            (own || holds_objects).then_some((cluster, autoscaler, own, holds_objects))
        })
        .map(|(cluster, autoscaler, own, holds_objects)| {
            let name = if own {
                "autoscaling".to_owned()
            } else {
                format!("autoscaling-{}", cluster.name)
            };
            let mut scaling = Scaling {
                cluster,
                autoscaler,
                own,
                unit: Unit::new(index, name, Wave::Platform, autoscaler.location),
            };
            let provider = of(&autoscaler.provider);
            if holds_objects {
                provider.add_objects(&mut scaling);
            }
            if own {
                provider.add_to_scaled_cluster(&mut scaling);
            }
            scaling.unit
        })
        .collect()
}

/// An autoscaler by its settings.
fn of(provider: &Provider) -> &dyn Autoscaling {
    hcb_spec::with_provider_settings!(provider, settings => settings)
}

/// A pool of a cluster, for what its nodes will be like.
pub(crate) fn described<'a>(cluster: &Cluster, pool: &'a NodePool) -> Described<'a> {
    let autoscaler = cluster.autoscaler.as_ref().filter(|_| pool.is_scaled);
    Described {
        additions: autoscaler.map_or(&[], |autoscaler| autoscaler.provider.additions()),
        labels: &pool.labels,
        taints: &pool.taints,
        has_gpus: pool.gpu.is_some(),
        is_spot: pool.spot,
    }
}
