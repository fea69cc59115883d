//! What the clusters of a tree cost a month: from the fewest nodes to the most.

use crate::cloud::Cloud;
use hcb_api::config::{Cluster, Pool};
use schemars::JsonSchema;
use serde::Serialize;

/// Hours of an average month: 365 days of 24 hours, by 12.
pub(crate) const HOURS: f64 = 730.0;

/// What the nodes with a price cost a month, in the currency of the budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostRange {
    /// With the fewest nodes that the pools may have.
    pub min: f64,
    /// With the most nodes that the pools and the limits of the autoscalers allow, and that the budget
    /// pays.
    pub max: f64,
    /// As `max`, but without a budget.
    pub without_budget: f64,
    /// The pools without a price, as `CLUSTER/POOL`. They count as nothing.
    pub unpriced: Vec<String>,
}

/// The costs before and after.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CostChange {
    /// The currency of all prices, where a budget names it.
    pub currency: Option<String>,
    /// Before; `None` where that tree says nothing of its clusters.
    pub before: Option<CostRange>,
    /// After.
    pub after: Option<CostRange>,
}

/// What the clusters of a tree cost a month.
pub(crate) fn of(cloud: &Cloud) -> CostRange {
    let mut range = CostRange::default();
    for cluster in &cloud.config.clusters {
        for pool in &cluster.pools {
            match pool.price_per_hour {
                Some(price) => range.min += f64::from(pool.min) * price * HOURS,
                None => range
                    .unpriced
                    .push(format!("{}/{}", cluster.name, pool.name)),
            }
        }
        range.without_budget += most(cluster) * HOURS;
    }
    let budget = cloud.config.budget.as_ref();
    let hourly = budget
        .and_then(|budget| budget.per_hour)
        .map(|most| most * HOURS);
    let monthly = budget.and_then(|budget| budget.per_month);
    range.max = [hourly, monthly]
        .into_iter()
        .flatten()
        .fold(range.without_budget, f64::min)
        // What is always there is paid whatever the budget says.
        .max(range.min);
    range
}

/// No set of nodes within the bounds of the pools and the limits costs more an hour. For each limit
/// alone, the most is found by taking the nodes that cost most for what they take of it; the lowest
/// of these bounds holds for all limits together.
fn most(cluster: &Cluster) -> f64 {
    let all = bound(&cluster.pools, f64::INFINITY, |_| 0.0);
    let Some(limits) = &cluster.limits else {
        return all;
    };
    let of = |pool: &Pool, resource: &str| pool.amount(resource) as f64;
    [
        all,
        bound(&cluster.pools, f64::from(limits.nodes), |_| 1.0),
        bound(&cluster.pools, limits.cpu.milli() as f64, |pool| {
            of(pool, "cpu")
        }),
        bound(&cluster.pools, limits.memory.milli() as f64, |pool| {
            of(pool, "memory")
        }),
    ]
    .into_iter()
    .fold(f64::INFINITY, f64::min)
}

fn bound(pools: &[Pool], limit: f64, takes: impl Fn(&Pool) -> f64) -> f64 {
    let price = |pool: &Pool| pool.price_per_hour.unwrap_or_default();
    let mut by_yield: Vec<_> = pools.iter().collect();
    by_yield.sort_by(|left, right| {
        // Price for what is taken, without dividing by zero.
        (price(right) * takes(left)).total_cmp(&(price(left) * takes(right)))
    });
    let mut left = limit;
    let mut sum = 0.0;
    for pool in by_yield {
        let each = takes(pool);
        let fit = if each > 0.0 {
            left / each
        } else {
            f64::INFINITY
        };
        let count = f64::from(pool.max).min(fit.max(0.0));
        left -= count * each;
        sum += count * price(pool);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcb_api::config::Limits;
    use hcb_kubernetes::Quantity;

    fn pool(max: u32, cpu: u64, price: f64) -> Pool {
        Pool {
            name: "a".to_owned(),
            min: 0,
            max,
            allocatable: [("cpu".to_owned(), Quantity::whole(cpu))].into(),
            gpu_product: None,
            price_per_hour: Some(price),
            labels: [].into(),
            taints: Vec::new(),
        }
    }

    #[test]
    fn the_highest_cost_respects_every_limit() {
        let limits = |nodes, cpu: u64| {
            Some(Limits {
                nodes,
                cpu: Quantity::whole(cpu),
                memory: Quantity::default(),
                gpus: 0,
            })
        };
        for (limits, expected) in [
            (None, 10.0 + 4.0 * 5.0),
            // Four dear nodes and one cheap one.
            (limits(5, 1000), 4.0 * 5.0 + 1.0),
            // Eight CPUs: one of four for 5, and four of one for 1 each, or two of four for 5 each.
            (limits(100, 8), 2.0 * 5.0),
        ] {
            let cluster = Cluster {
                name: "c".to_owned(),
                tier: "t".to_owned(),
                weight: 1,
                drain: false,
                virtual_node: String::new(),
                kubeconfig: None,
                pools: vec![pool(10, 1, 1.0), pool(4, 4, 5.0)],
                limits,
            };
            let found = most(&cluster);
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        }
    }
}
