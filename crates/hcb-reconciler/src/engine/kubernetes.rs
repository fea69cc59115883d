//! What every engine reads alike: nodes, resource quotas and the deadlines of Jobs.

use super::object::{Object, WatchedKind};
use crate::core::facts::{Fact, Watched};
use crate::core::observation::{JobDeadline, NodeState};
use hcb_api::amounts::Amounts;
use hcb_api::pod_spec::amounts;
use hcb_api::requirements::Taint;
use k8s_openapi::api::core::v1::{
    NodeCondition, ResourceQuotaSpec, ResourceQuotaStatus, Taint as NodeTaint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as KubernetesQuantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What is read of the spec of a node.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NodeSpec {
    /// Whether it is cordoned.
    #[serde(default)]
    pub unschedulable: bool,
    /// Its taints.
    #[serde(default)]
    pub taints: Vec<NodeTaint>,
}

/// What is read of the status of a node.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct NodeStatus {
    /// Its conditions.
    #[serde(default)]
    pub conditions: Vec<NodeCondition>,
    /// What pods can use of it.
    #[serde(default)]
    pub allocatable: BTreeMap<String, KubernetesQuantity>,
}

/// What decisions need of a node.
pub fn node_state<K>(node: &Object<K>) -> NodeState
where
    K: WatchedKind<Spec = NodeSpec, Status = NodeStatus>,
{
    let is_ready = node
        .status
        .conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let is_open = !node.spec.unschedulable && node.metadata.deletion_timestamp.is_none();
    let taints = node.spec.taints.iter().map(|taint| Taint {
        key: taint.key.clone(),
        value: taint.value.clone().unwrap_or_default(),
        effect: taint.effect.clone(),
    });
    NodeState {
        labels: node.metadata.labels.clone().unwrap_or_default(),
        taints: taints.collect(),
        takes_pods: is_ready && is_open,
        allocatable: amounts(&node.status.allocatable),
        free: Amounts::new(),
    }
}

/// Resource quotas. The context is the index of the cluster.
#[derive(Clone, Debug)]
pub enum Quotas {}

impl WatchedKind for Quotas {
    const WATCHED: Watched = Watched::Quotas;
    const GROUP: &'static str = "";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "ResourceQuota";
    const PLURAL: &'static str = "resourcequotas";
    type Spec = ResourceQuotaSpec;
    type Status = ResourceQuotaStatus;
    type Context = usize;

    fn observed(context: &mut Self::Context, quota: &Object<Self>) -> Option<Fact> {
        let has_scopes = quota
            .spec
            .scopes
            .as_ref()
            .is_some_and(|scopes| !scopes.is_empty());
        if has_scopes || quota.spec.scope_selector.is_some() {
            // It holds for some pods only; which ones is the API server's to say.
            return None;
        }
        let mut left = BTreeMap::new();
        let used = amounts(quota.status.used.as_ref().unwrap_or(&BTreeMap::new()));
        for (resource, hard) in amounts(quota.status.hard.as_ref().unwrap_or(&BTreeMap::new())) {
            // `cpu` is short for `requests.cpu`, and so on. Limits are not looked at here.
            let name = resource.strip_prefix("requests.").unwrap_or(&resource);
            if name.starts_with("limits.") || name.starts_with("count/") {
                continue;
            }
            left.insert(
                name.to_owned(),
                hard - used.get(&resource).copied().unwrap_or_default(),
            );
        }
        Some(Fact::Quota(*context, quota.key(), left))
    }

    fn gone(context: &mut Self::Context, quota: &Object<Self>) -> Fact {
        Fact::QuotaGone(*context, quota.key())
    }
}

/// Jobs of the source cluster: until when they may run. The context is the index of the cluster.
#[derive(Clone, Debug)]
pub enum Jobs {}

/// What is read of the spec of a Job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobSpec {
    active_deadline_seconds: Option<i64>,
}

/// What is read of the status of a Job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    start_time: Option<Time>,
    completion_time: Option<Time>,
}

impl WatchedKind for Jobs {
    const WATCHED: Watched = Watched::Jobs;
    const GROUP: &'static str = "batch";
    const VERSION: &'static str = "v1";
    const NAME: &'static str = "Job";
    const PLURAL: &'static str = "jobs";
    type Spec = JobSpec;
    type Status = JobStatus;
    type Context = usize;

    fn observed(context: &mut Self::Context, job: &Object<Self>) -> Option<Fact> {
        // Most Jobs of a cluster are over.
        if job.status.completion_time.is_some() {
            return Some(Self::gone(context, job));
        }
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let deadline = JobDeadline {
            started: job.status.start_time.as_ref().map(|time| time.0),
            seconds: job.spec.active_deadline_seconds,
        };
        Some(Fact::JobDeadline(*context, uid, deadline))
    }

    fn gone(context: &mut Self::Context, job: &Object<Self>) -> Fact {
        Fact::JobGone(*context, job.metadata.uid.clone().unwrap_or_default())
    }
}
