//! What adds and removes nodes: one provider a file, one line of [`plan`] each.

mod aks;
mod cluster_api;
mod cluster_autoscaler;
mod eks;
mod gke;
mod karpenter;
mod scaling;

use crate::unit::{Unit, Wave};
use hcb_api::node_pool::{Described, NodeProvider};
use hcb_spec::model::{Cluster, ClusterIndex, Model, NodePool, Provider};
use scaling::Scaling;

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
                holds_objects,
                unit: Unit::new(index, name, Wave::Platform, autoscaler.location),
            };
            match &autoscaler.provider {
                // The objects are elsewhere, but the autoscaler runs in the cluster that it scales.
                Provider::Eks(settings) => eks::plan(&mut scaling, settings),
                _ if !holds_objects => {}
                Provider::ClusterApi(settings) => cluster_api::plan(&mut scaling, settings),
                Provider::Karpenter(settings) => karpenter::plan(&mut scaling, settings),
                Provider::Gke(settings) => gke::plan(&mut scaling, settings),
                Provider::Aks(settings) => aks::plan(&mut scaling, settings),
                Provider::ClusterAutoscaler(settings) => {
                    cluster_autoscaler::plan(&mut scaling, settings);
                }
            }
            scaling.unit
        })
        .collect()
}

/// A pool of a cluster, for what its nodes will be like.
pub(crate) fn described<'a>(cluster: &Cluster, pool: &'a NodePool) -> Described<'a> {
    let autoscaler = cluster.autoscaler.as_ref().filter(|_| pool.is_scaled);
    Described {
        provider: autoscaler.map_or(NodeProvider::Fixed, |autoscaler| {
            match autoscaler.provider {
                Provider::ClusterApi(_) => NodeProvider::ClusterApi,
                Provider::Karpenter(_) => NodeProvider::Karpenter,
                Provider::Gke(_) => NodeProvider::Gke,
                Provider::Eks(_) => NodeProvider::Eks,
                Provider::Aks(_) => NodeProvider::Aks,
                Provider::ClusterAutoscaler(_) => NodeProvider::ClusterAutoscaler,
            }
        }),
        labels: &pool.labels,
        taints: &pool.taints,
        has_gpus: pool.gpu.is_some(),
        is_spot: pool.spot,
    }
}
