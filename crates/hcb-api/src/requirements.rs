//! What a pod asks of its node: requests, tolerations, selectors.

use crate::amounts::{Amounts, suffices};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What stands for no cluster among the clusters that a pod may run in. No cluster has an empty name.
const NOWHERE: &str = "";

/// A taint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The effect.
    pub effect: String,
}

/// What a pod asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PodRequirements {
    /// Its requests.
    pub requests: Amounts,
    /// What it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Requirements on its node: one of these groups must hold as a whole. None where there is none.
    pub affinity: Vec<Vec<Requirement>>,
    /// The clusters that it may run in; all where empty. [`PodRequirements::forbid_all`] is for none.
    pub clusters: BTreeSet<String>,
}

/// A toleration. What is empty stands for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Toleration {
    /// The key of the taint.
    pub key: String,
    /// The value of the taint; any where `any_value`.
    pub value: String,
    /// Whether the value does not matter.
    pub any_value: bool,
    /// The effect of the taint.
    pub effect: String,
}

/// A requirement on a label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Requirement {
    /// The key of the label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: String,
    /// What it is compared with.
    pub values: Vec<String>,
}

impl PodRequirements {
    /// Whether labels and taints of a node let the pod in.
    pub fn is_admitted(&self, labels: &BTreeMap<String, String>, taints: &[Taint]) -> bool {
        self.node_selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && taints
                .iter()
                .all(|taint| taint.effect == "PreferNoSchedule" || self.tolerates(taint))
            && (self.affinity.is_empty()
                || self
                    .affinity
                    .iter()
                    .any(|group| group.iter().all(|requirement| requirement.holds(labels))))
    }

    /// Whether so much free is enough.
    pub fn fits(&self, free: &Amounts) -> bool {
        suffices(free, &self.requests)
    }

    /// Whether it may run in a cluster.
    pub fn may_run_in(&self, cluster: &str) -> bool {
        self.clusters.is_empty() || self.clusters.contains(cluster)
    }

    /// It may run in no cluster.
    pub fn forbid_all(&mut self) {
        self.clusters = BTreeSet::from([NOWHERE.to_owned()]);
    }

    fn tolerates(&self, taint: &Taint) -> bool {
        self.tolerations.iter().any(|toleration| {
            (toleration.key.is_empty() || toleration.key == taint.key)
                && (toleration.any_value || toleration.value == taint.value)
                && (toleration.effect.is_empty() || toleration.effect == taint.effect)
        })
    }
}

impl Requirement {
    /// Whether the labels meet it, as Kubernetes reads node affinity.
    pub fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let compare = |order: std::cmp::Ordering| {
            let wanted = self
                .values
                .first()
                .and_then(|text| text.parse::<i64>().ok());
            let found = value.and_then(|text| text.parse::<i64>().ok());
            found
                .zip(wanted)
                .is_some_and(|(found, wanted)| found.cmp(&wanted) == order)
        };
        match self.operator.as_str() {
            "In" => value.is_some_and(|value| self.values.contains(value)),
            "NotIn" => value.is_none_or(|value| !self.values.contains(value)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            "Gt" => compare(std::cmp::Ordering::Greater),
            "Lt" => compare(std::cmp::Ordering::Less),
            _ => false,
        }
    }
}
