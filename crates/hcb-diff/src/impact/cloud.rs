//! Rules on the hybrid cloud as a whole: its clusters, tiers, capacity, budget and workloads.

pub(super) mod budget;
pub(super) mod capacity;
pub(super) mod clusters;
pub(super) mod drain;
pub(super) mod monthly_cost;
pub(super) mod node_pool;
pub(super) mod placement;
pub(super) mod submitted;
pub(super) mod tiers;
pub(super) mod weights;
