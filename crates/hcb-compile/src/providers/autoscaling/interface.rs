//! What the compiler asks of an autoscaler, and what it gives to it.

use crate::unit::Unit;
use hcb_api::node_pool;
use hcb_spec::model::{Autoscaler, Cluster, NodePool};
use hcb_spec::spec::TaintEffect;
use serde_json::{Map, Value, json};

/// The settings of an autoscaler, as the compiler uses them.
pub(super) trait Autoscaling {
    /// Adds what belongs into the cluster that holds the provider's objects.
    fn add_objects(&self, scaling: &mut Scaling<'_>);

    /// Adds what belongs into the cluster that is scaled, wherever the provider's objects are.
    fn add_to_scaled_cluster(&self, _scaling: &mut Scaling<'_>) {}
}

/// What a provider works with.
pub(super) struct Scaling<'a> {
    /// The cluster that is scaled.
    pub(super) cluster: &'a Cluster,
    /// Its autoscaler.
    pub(super) autoscaler: &'a Autoscaler,
    /// Whether this is about the scaled cluster itself.
    pub(super) own: bool,
    /// Where to add to.
    pub(super) unit: Unit,
}

impl<'a> Scaling<'a> {
    /// The name of the cluster for its provider: the one that the settings give, or else the cluster's own.
    pub(super) fn cluster_name(&self, named: Option<&str>) -> String {
        named.unwrap_or(&self.cluster.name).to_owned()
    }

    /// The most nodes that a pool may have, within the limit of the cluster.
    pub(super) fn max_nodes(&self, pool: &NodePool) -> u32 {
        pool.max.min(self.autoscaler.max_nodes)
    }

    /// The pools that are scaled.
    pub(super) fn pools(&self) -> Vec<&'a NodePool> {
        self.cluster
            .pools
            .iter()
            .filter(|pool| pool.is_scaled)
            .collect()
    }

    /// The labels that the manifest of a pool gives its nodes.
    pub(super) fn labels(pool: &NodePool) -> Map<String, Value> {
        let product = pool.gpu.as_ref().and_then(|gpu| gpu.product.as_deref());
        let labels = node_pool::labels(&pool.name, &pool.labels, product).into_iter();
        labels.map(|(key, value)| (key, value.into())).collect()
    }

    /// The taints of a pool's nodes with their effects as Google and AWS spell them.
    pub(super) fn shouted_taints(pool: &NodePool) -> Vec<Value> {
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
    pub(super) fn written_taints(pool: &NodePool) -> Vec<String> {
        pool.taints
            .iter()
            .map(|taint| {
                let value = taint.value.as_deref().unwrap_or_default();
                format!("{}={value}:{:?}", taint.key, taint.effect)
            })
            .collect()
    }

    /// What the cluster-autoscaler is told, whatever its provider.
    pub(super) fn cluster_autoscaler_arguments(&self) -> Value {
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
    pub(super) fn expander_priorities(
        &self,
        group: impl Fn(&NodePool) -> String,
    ) -> Map<String, Value> {
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
