//! What the reconciler sees: of each cluster what is free, of each pod of a job what it asks for. Only
//! the few fields that decisions need, so that memory stays bounded.

use super::config::Amounts;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is seen at one time.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// Clusters by name. One that cannot be seen is not in here.
    pub clusters: BTreeMap<String, ClusterState>,
    /// Pods of jobs in the source cluster.
    pub pods: Vec<JobPod>,
}

impl Observation {
    /// The cluster that keeps a place for a pod.
    pub fn keeper(&self, pod: &JobPod) -> Option<&String> {
        let mut clusters = self.clusters.iter();
        let keeper = clusters.find(|(_, state)| state.delegates.contains(&pod.uid));
        keeper.map(|(name, _)| name)
    }
}

/// What is seen of a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterState {
    /// Its nodes, without virtual ones.
    pub nodes: Vec<NodeState>,
    /// Requests of pods that a place is kept for, on which node is not known yet.
    pub reserved: Vec<Amounts>,
    /// The uids of source pods whose delegate has a place here.
    pub delegates: BTreeSet<String>,
}

/// What is seen of a node.
#[derive(Debug, Clone, Default)]
pub struct NodeState {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Taints that keep pods away: key, value, effect.
    pub taints: Vec<Taint>,
    /// Whether it is ready and takes pods.
    pub takes_pods: bool,
    /// What pods can use of it.
    pub allocatable: Amounts,
    /// What pods on it asked for.
    pub used: Amounts,
}

/// A taint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
    /// The effect.
    pub effect: String,
}

/// A pod of a job, in the source cluster.
#[derive(Debug, Clone)]
pub struct JobPod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The version of it that was seen: what is done to it holds for no other.
    pub version: String,
    /// The Job that made it.
    pub job: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// Higher goes first.
    pub priority: i32,
    /// What it asks for, shared by all pods that ask for the same.
    pub shape: Arc<Shape>,
    /// The clusters whose gates it may pass.
    pub released: BTreeSet<String>,
    /// The cluster that it was bound to.
    pub placed: Option<String>,
    /// Whether it ended.
    pub ended: bool,
}

impl JobPod {
    /// Whether it waits to be placed.
    pub fn waits(&self) -> bool {
        self.placed.is_none() && !self.ended
    }
}

/// What a pod asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    /// Its requests.
    pub requests: Amounts,
    /// What it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Labels that its node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Requirements on its node: one of these groups must hold as a whole. None where there is none.
    pub affinity: Vec<Vec<Requirement>>,
    /// The clusters that it may run in; all where empty.
    pub clusters: BTreeSet<String>,
}

/// A toleration. What is empty stands for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Requirement {
    /// The key of the label.
    pub key: String,
    /// `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt` or `Lt`.
    pub operator: String,
    /// What it is compared with.
    pub values: Vec<String>,
}

impl Shape {
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

/// What is left of `allocatable` after `used`.
pub fn free(allocatable: &Amounts, used: &Amounts) -> Amounts {
    let left = |(resource, amount): (&String, &i128)| {
        (
            resource.clone(),
            amount - used.get(resource).copied().unwrap_or_default(),
        )
    };
    allocatable.iter().map(left).collect()
}

/// Whether so much free is enough for `requests`.
pub fn suffices(free: &Amounts, requests: &Amounts) -> bool {
    requests.iter().all(|(resource, amount)| {
        *amount == 0 || free.get(resource).is_some_and(|free| free >= amount)
    })
}

/// Takes `requests` from what is free.
pub fn take(free: &mut Amounts, requests: &Amounts) {
    for (resource, amount) in requests {
        if let Some(free) = free.get_mut(resource) {
            *free -= amount;
        }
    }
}
