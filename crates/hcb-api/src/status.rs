//! The status that the reconciler writes and the command line reads, and in it what the next leader continues
//! from. It stands in a `ConfigMap` of the reconciler's namespace.

use crate::explanation::{Explanation, Written};
use crate::money::Money;
pub use crate::spending::Ledger;
use crate::spending::Spending;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The `ConfigMap` that holds the status.
pub const CONFIG_MAP: &str = crate::names::STATUS;
/// The most that is written of it, in bytes. A `ConfigMap` may hold 1 MiB.
pub const LONGEST: usize = 256 * 1024;
/// The key of the status in [`CONFIG_MAP`].
pub const KEY: &str = "status.json";

impl Status {
    /// Reads the status in a [`CONFIG_MAP`]. There is none before a reconciler has written one.
    ///
    /// # Errors
    /// Where the text is not a status.
    pub fn of_map(map: &ConfigMap) -> Result<Option<Self>, serde_json::Error> {
        let text = map.data.as_ref().and_then(|data| data.get(KEY));
        text.map(|text| serde_json::from_str(text)).transpose()
    }

    /// What the next leader goes on from, with what each cluster cost an hour. `spending` is what was read from its own
    /// object, where it is there; where 0.1.0 has counted on since, that holds.
    fn handover(&self, spending: Option<Spending>) -> Handover {
        let mut spending = spending.unwrap_or_default();
        let burst = self.tiers.iter().map(|tier| tier.name.as_str());
        let burst: Vec<_> = burst.collect();
        let clusters = self.clusters.iter();
        let clusters = clusters.filter(|cluster| burst.contains(&cluster.tier.as_str()));
        let costs = clusters.map(|cluster| {
            // 0.1.0 says of a cluster that it cannot see what that cost when it could.
            let is_known = cluster.seen || cluster.hourly_cost > 0.0;
            let per_hour = is_known.then(|| Money::of_number(cluster.hourly_cost));
            (cluster.name.as_str(), per_hour)
        });
        spending.take_over(&self.handover.ledger, costs);
        Handover {
            spending: Some(spending),
            ..self.handover.clone()
        }
    }

    /// As JSON of at most so many bytes: with fewer pods that wait, where all of them would be too long. The rest grows
    /// with the number of clusters only, by less than a kilobyte for each.
    ///
    /// # Errors
    /// Where it cannot be JSON.
    pub fn to_bounded_json(&self, most: usize) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string(self)?;
        let mut shorter = self.clone();
        while text.len() > most && !shorter.longest.is_empty() {
            shorter.longest.truncate(shorter.longest.len() / 2);
            text = serde_json::to_string(&shorter)?;
        }
        Ok(text)
    }
}

/// The status of a hybrid cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The name of the hybrid cloud.
    pub cloud: String,
    /// When this was so.
    pub at: Timestamp,
    /// The replica that says so.
    pub leader: String,
    /// The clusters, in the order in which they are filled.
    pub clusters: Vec<ClusterStatus>,
    /// The tiers after the first.
    pub tiers: Vec<TierStatus>,
    /// How many pods wait, by what was decided of them.
    pub waiting: BTreeMap<String, usize>,
    /// Those that wait longest, one by one.
    pub longest: Vec<WaitingPod>,
    /// What bursting costs.
    pub cost: Cost,
    /// What the next leader continues from.
    #[serde(rename = "legacy")]
    pub handover: Handover,
}

/// The status of a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Its name.
    pub name: String,
    /// Its tier.
    pub tier: String,
    /// Whether it can be seen.
    pub seen: bool,
    /// Whether it is drained: no further pod goes there.
    #[serde(default)]
    pub drain: bool,
    /// Its nodes, without virtual ones.
    pub nodes: usize,
    /// Nodes of no pool of the spec that Workloads could use, by name, as far as they are listed. Each costs as much as
    /// the cluster's dearest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown_nodes: Vec<String>,
    /// What pods can use of them.
    pub allocatable: Written,
    /// What is left of that.
    pub free: Written,
    /// The share of the CPUs that is in use, from 0 to 1.
    pub used: f64,
    /// Pods of jobs that are placed there.
    pub running: usize,
    /// Pods of jobs that may go there and wait.
    pub coming: usize,
    /// The weight of the spec.
    pub spec_weight: u32,
    /// The weight now.
    pub weight: LiveWeight,
    /// What its nodes cost an hour.
    pub hourly_cost: f64,
}

/// The status of a tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierStatus {
    /// Its name.
    pub name: String,
    /// Whether it is open, and since when.
    #[serde(flatten)]
    pub state: TierState,
}

/// A pod that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The Job that made it.
    pub job: Option<String>,
    /// Since when it waits.
    pub since: Timestamp,
    /// What was decided, and why.
    pub explanation: Explanation,
}

/// What bursting costs, in the currency of the budget.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// The currency, where there is a budget.
    pub currency: Option<String>,
    /// What the nodes of the later tiers cost an hour.
    pub hour: f64,
    /// What was spent this month.
    pub month: f64,
    /// What will have been spent at its end if it goes on as now.
    pub forecast: f64,
    /// The most an hour.
    pub hour_limit: Option<f64>,
    /// The most a month.
    pub month_limit: Option<f64>,
}

/// Whether pods may leave for a tier at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierState {
    /// Whether they may: otherwise each must have waited as long as the spec says.
    pub is_open: bool,
    /// Since when it is so.
    pub since: Option<Timestamp>,
    /// When a pod last waited for it.
    pub wanted: Option<Timestamp>,
}

/// The weight of a cluster now, and what made it so. Factors are multiplied; 1 changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveWeight {
    /// The weight that pods are shared out by.
    pub weight: f64,
    /// More than 1 where nodes are cheaper than the tier's mean, by CPU.
    pub price: f64,
    /// Less than 1 where little is left of what the cluster may grow to.
    pub load: f64,
    /// Less than 1 where pods were lost with their nodes of late.
    pub failures: f64,
}

/// What outlives a leader and a configuration, by the names of clusters and tiers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Handover {
    /// What was spent this month, as 0.1.0 reads it.
    pub ledger: Ledger,
    /// What was spent, where it is known from [`crate::spending::CONFIG_MAP`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spending: Option<Spending>,
    /// By how much each cluster is behind its share.
    pub credits: BTreeMap<String, f64>,
    /// The tiers, as they were left.
    pub tiers: BTreeMap<String, TierState>,
}

impl Handover {
    /// What the next leader goes on from, of what was saved. There is nothing where nothing was.
    pub fn of_saved(status: Option<&Status>, spending: Option<Spending>) -> Option<Self> {
        match status {
            Some(status) => Some(status.handover(spending)),
            None => spending.map(|spending| Self {
                spending: Some(spending),
                ..Self::default()
            }),
        }
    }
}
