//! What a node of a pool is like.

use crate::amounts::Amounts;
use crate::config::Pool;
use crate::labels::POOL;
use crate::requirements::{PodRequirements, Taint};
use std::collections::BTreeMap;

/// Whether a pod fits on an empty node of a pool.
pub fn fits_empty(pool: &Pool, shape: &PodRequirements) -> bool {
    pool.max > 0 && shape.fits(&whole(pool)) && admits(pool, shape)
}

/// What a node of a pool has; its number of pods is what Kubernetes has as default.
pub fn whole(pool: &Pool) -> Amounts {
    let mut amounts = pool.allocatable.clone();
    amounts.entry("pods".into()).or_insert(110_000);
    // Disks are not in the spec; the provider's are large enough for what it lets pods ask for.
    amounts
        .entry("ephemeral-storage".into())
        .or_insert(i128::from(i64::MAX));
    amounts
}

/// Whether labels and taints of a node of a pool let a pod in.
pub fn admits(pool: &Pool, shape: &PodRequirements) -> bool {
    let mut labels: BTreeMap<String, String> = pool.labels.clone();
    labels.insert(POOL.into(), pool.name.clone());
    if let Some(product) = &pool.gpu_product {
        labels.insert("nvidia.com/gpu.product".into(), product.clone());
    }
    let taints: Vec<_> = pool
        .taints
        .iter()
        .map(|taint| Taint {
            key: taint.key.clone(),
            value: taint.value.clone().unwrap_or_default(),
            effect: format!("{:?}", taint.effect),
        })
        .collect();
    shape.is_admitted(&labels, &taints)
}
