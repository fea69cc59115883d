//! What adds and removes nodes: one provider a file, one line of [`plan`] each.

mod aks;
mod cluster_api;
mod cluster_autoscaler;
mod eks;
mod gke;
mod karpenter;

use crate::plan::{Unit, Wave};
use hcb_api::node_pool::{self, Described, NodeProvider};
use hcb_spec::model::{Autoscaler, Cluster, ClusterIndex, Model, NodePool, Provider};
use hcb_spec::spec::TaintEffect;
use serde_json::{Map, Value, json};

/// What the autoscalers need in a cluster: its own, and those of clusters whose provider's objects
/// it holds.
pub fn plan(model: &Model, index: ClusterIndex) -> Vec<Unit> {
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

/// What a provider works with.
struct Scaling<'a> {
    /// The cluster that is scaled.
    cluster: &'a Cluster,
    autoscaler: &'a Autoscaler,
    /// Whether this is about the scaled cluster itself.
    own: bool,
    /// Whether this is about the cluster that holds the provider's objects.
    holds_objects: bool,
    /// Where to add to.
    unit: Unit,
}

impl<'a> Scaling<'a> {
    /// The pools that are scaled.
    fn pools(&self) -> Vec<&'a NodePool> {
        self.cluster
            .pools
            .iter()
            .filter(|pool| pool.is_scaled)
            .collect()
    }

    /// The labels that the manifest of a pool gives its nodes.
    fn labels(pool: &NodePool) -> Map<String, Value> {
        let product = pool.gpu.as_ref().and_then(|gpu| gpu.product.as_deref());
        let labels = node_pool::labels(&pool.name, &pool.labels, product).into_iter();
        labels.map(|(key, value)| (key, value.into())).collect()
    }

    /// The taints of a pool's nodes with their effects as Google and AWS spell them.
    fn shouted_taints(pool: &NodePool) -> Vec<Value> {
        pool.taints
            .iter()
            .map(|taint| {
                let effect = match taint.effect {
                    TaintEffect::NoSchedule => "NO_SCHEDULE",
                    TaintEffect::PreferNoSchedule => "PREFER_NO_SCHEDULE",
                    TaintEffect::NoExecute => "NO_EXECUTE",
                };
                let value = taint.value.as_deref().unwrap_or_default();
                json!({ "key": taint.key, "value": value, "effect": effect })
            })
            .collect()
    }

    /// The taints of a pool's nodes as `key=value:Effect`.
    fn written_taints(pool: &NodePool) -> Vec<String> {
        pool.taints
            .iter()
            .map(|taint| {
                let value = taint.value.as_deref().unwrap_or_default();
                format!("{}={value}:{:?}", taint.key, taint.effect)
            })
            .collect()
    }

    /// What the cluster-autoscaler is told, whatever its provider.
    fn cluster_autoscaler_arguments(&self) -> Value {
        let autoscaler = self.autoscaler;
        let gib = autoscaler.max_memory.units().div_ceil(1 << 30);
        json!({
            // Cheaper pools first, which the price expander of the cloud does not know for all.
            "expander": "priority,least-waste",
            "scale-down-unneeded-time": autoscaler.scale_down_after,
            "scale-down-delay-after-add": autoscaler.scale_down_after,
            "max-nodes-total": autoscaler.max_nodes,
            "cores-total": format!("0:{}", autoscaler.max_cpu.units()),
            "memory-total": format!("0:{gib}"),
            "skip-nodes-with-local-storage": false,
            "balance-similar-node-groups": true,
        })
    }

    /// Priorities of the node groups for the priority expander: the cheaper, the higher; pools
    /// without a price come last. `group` names the provider's node group of a pool.
    fn expander_priorities(&self, group: impl Fn(&NodePool) -> String) -> Map<String, Value> {
        let mut pools = self.pools();
        pools.sort_by(|a, b| {
            let price = |pool: &NodePool| pool.price_per_hour.unwrap_or(f64::INFINITY);
            price(b)
                .total_cmp(&price(a))
                .then_with(|| b.name.cmp(&a.name))
        });
        pools
            .iter()
            .enumerate()
            .map(|(rank, pool)| {
                let pattern = format!("^{}$", regex_escape(&group(pool)));
                (((rank + 1) * 10).to_string(), json!([pattern]))
            })
            .collect()
    }
}

/// A name as a pattern that matches it alone, in Go's syntax.
fn regex_escape(name: &str) -> String {
    name.chars()
        .flat_map(|c| {
            let special = r"\.+*?()|[]{}^$".contains(c);
            special.then_some('\\').into_iter().chain([c])
        })
        .collect()
}
