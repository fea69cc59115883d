//! What a node of a pool will be like: the one table from which the manifests of pools, the node selectors of
//! jobs and the reconciler's view of nodes to come are made.
//!
//! Three things come together on a node:
//! - what the spec says of its pool: labels, taints, resources;
//! - what hcb adds to every pool: [`POOL`] and, where the spec names the product of the GPUs, [`GPU_PRODUCT`];
//! - what the provider adds by itself ([`Addition`]), which its own settings say.
//!
//! The compiler writes the first and the last into the pool of the configuration, and the first two into the
//! provider's manifest. Where the provider makes no nodes from a manifest of hcb's (pools of a fixed size, node
//! groups that exist), whoever makes them gives them the labels.

use crate::amounts::Amounts;
use crate::config::Pool;
use crate::labels::{GPU_PRODUCT, POOL};
use crate::requirements::{PodRequirements, Taint};
use hcb_kubernetes::{Taint as PoolTaint, TaintEffect};
use std::collections::BTreeMap;

/// The pools of a provider that it adds something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolsWith {
    /// Those whose nodes have GPUs.
    Gpus,
    /// Those whose nodes the provider can take back.
    Spot,
}

/// What a provider adds to the nodes of some pools by itself, as far as it keeps pods away or lets them in.
#[derive(Debug, Clone, Copy)]
pub struct Addition {
    /// The pools.
    pub to: PoolsWith,
    /// A label: key and value.
    pub label: Option<(&'static str, &'static str)>,
    /// A taint: key, value and effect.
    pub taint: (&'static str, &'static str, TaintEffect),
}

/// A pool as the spec describes it.
#[derive(Debug, Clone, Copy)]
pub struct Described<'a> {
    /// What the provider adds to its nodes.
    pub additions: &'a [Addition],
    /// Labels of the spec.
    pub labels: &'a BTreeMap<String, String>,
    /// Taints of the spec.
    pub taints: &'a [PoolTaint],
    /// Whether its nodes have GPUs.
    pub has_gpus: bool,
    /// Whether the provider can take its nodes back.
    pub is_spot: bool,
}

impl Described<'_> {
    /// Labels of its nodes without those of [`labels`]: the spec's, and the provider's own.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        for (key, value) in self.additions().filter_map(|addition| addition.label) {
            labels.insert(key.to_owned(), value.to_owned());
        }
        labels
    }

    /// Taints of its nodes: the spec's, and the provider's own.
    pub fn taints(&self) -> Vec<PoolTaint> {
        let mut taints = self.taints.to_vec();
        for (key, value, effect) in self.additions().map(|addition| addition.taint) {
            // A node has one taint of a key and an effect.
            if !taints
                .iter()
                .any(|known| known.key == key && known.effect == effect)
            {
                taints.push(PoolTaint {
                    key: key.to_owned(),
                    value: Some(value.to_owned()),
                    effect,
                });
            }
        }
        taints
    }

    fn additions(&self) -> impl Iterator<Item = &Addition> {
        self.additions.iter().filter(|addition| match addition.to {
            PoolsWith::Gpus => self.has_gpus,
            PoolsWith::Spot => self.is_spot,
        })
    }
}

/// The labels that the nodes of a pool have by hcb's manifests: those that are `known` of it, its name, and the
/// product of its GPUs, in this order. The later wins where two have one key.
pub fn labels(
    pool: &str,
    known: &BTreeMap<String, String>,
    gpu_product: Option<&str>,
) -> Vec<(String, String)> {
    let product = gpu_product.map(|product| (GPU_PRODUCT, product));
    let own = [Some((POOL, pool)), product].into_iter().flatten();
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let known = known
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    known.chain(own).collect()
}

/// Whether a pod fits on an empty node of a pool.
pub fn fits_empty(pool: &Pool, shape: &PodRequirements) -> bool {
    pool.max > 0 && shape.fits(&whole(pool)) && admits(pool, shape)
}

/// What a node of a pool has; its number of pods is what Kubernetes has as default.
pub fn whole(pool: &Pool) -> Amounts {
    let mut amounts = pool.amounts();
    amounts.entry("pods".into()).or_insert(110_000);
    // Disks are not in the spec; the provider's are large enough for what it lets pods ask for.
    amounts
        .entry("ephemeral-storage".into())
        .or_insert(i128::from(i64::MAX));
    amounts
}

/// Whether labels and taints of a node of a pool let a pod in.
pub fn admits(pool: &Pool, shape: &PodRequirements) -> bool {
    let labels = labels(&pool.name, &pool.labels, pool.gpu_product.as_deref());
    let taints: Vec<_> = pool
        .taints
        .iter()
        .map(|taint| Taint {
            key: taint.key.clone(),
            value: taint.value.clone().unwrap_or_default(),
            effect: format!("{:?}", taint.effect),
        })
        .collect();
    shape.is_admitted(&labels.into_iter().collect(), &taints)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_GPUS: Addition = Addition {
        to: PoolsWith::Gpus,
        label: Some(("example.com/gpus", "yes")),
        taint: ("example.com/gpus", "yes", TaintEffect::NoSchedule),
    };

    fn pool<'a>(labels: &'a BTreeMap<String, String>, taints: &'a [PoolTaint]) -> Described<'a> {
        Described {
            additions: &[OF_GPUS],
            labels,
            taints,
            has_gpus: true,
            is_spot: false,
        }
    }

    #[test]
    fn a_taint_that_the_provider_adds_and_the_spec_names_is_there_once() {
        let labels = BTreeMap::new();
        let added = pool(&labels, &[]).taints();
        assert_eq!(added.len(), 1);
        assert_eq!(added[0].value.as_deref(), Some("yes"));
        assert_eq!(pool(&labels, &added).taints(), added);
    }

    #[test]
    fn a_provider_adds_to_the_pools_that_it_says_and_to_no_others() {
        let labels = BTreeMap::new();
        let mut described = pool(&labels, &[]);
        assert_eq!(described.labels()["example.com/gpus"], "yes");
        described.has_gpus = false;
        described.is_spot = true;
        assert!(described.labels().is_empty());
        assert!(described.taints().is_empty());
    }
}
