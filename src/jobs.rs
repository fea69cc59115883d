//! What is known of a job, from its objects in the source cluster: where it is, how long it waited and
//! ran, and what it cost so far. Pure.

use hcb_api::amounts::Amounts;
use hcb_api::config::{Pool, ReconcilerConfig};
use hcb_api::labels::{CANCELLED_AT, TARGET, WORKLOAD};
use hcb_spec::model::Quantity;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// No pod of it was placed yet.
    Queued,
    /// A pod is placed and does not run yet.
    Starting,
    /// A pod runs.
    Running,
    /// It has done its work.
    Done,
    /// It was given up.
    Failed,
    /// A person stopped it.
    Cancelled,
}

impl State {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        self >= Self::Done
    }
}

/// A job in a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The workload that it is a run of.
    pub workload: Option<String>,
    /// The clusters that its pods were placed in.
    pub clusters: BTreeSet<String>,
    /// How far it is.
    pub state: State,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Seconds from then until its first pod was placed, or until now.
    pub waited_seconds: i64,
    /// Seconds from its first start until its end, or until now.
    pub ran_seconds: i64,
    /// What the nodes cost for its share of them and for as long as its pods ran, in the currency of the
    /// prices. A pod that is gone is not counted. `None` where no node that it ran on has a price.
    pub cost: Option<f64>,
}

/// The names of clusters by those of their virtual nodes.
pub fn cluster_names(nodes: &[Node]) -> BTreeMap<String, String> {
    nodes
        .iter()
        .filter_map(|node| Some((node.name_any(), node.labels().get(TARGET)?.clone())))
        .collect()
}

/// The cluster that a pod is placed in. Users who may not see nodes see the name of the virtual node.
pub fn cluster_of(pod: &Pod, clusters: &BTreeMap<String, String>) -> Option<String> {
    let node = pod.spec.as_ref()?.node_name.as_ref()?;
    Some(clusters.get(node).unwrap_or(node).clone())
}

/// Sums up a job and its pods. `config` has the prices.
pub fn summary(
    job: &Job,
    pods: &[&Pod],
    clusters: &BTreeMap<String, String>,
    config: Option<&ReconcilerConfig>,
    now: Timestamp,
) -> Summary {
    let (state, reason) = state(job, pods);
    let created = job.creation_timestamp().map(|time| time.0);
    let placed = pods.iter().filter_map(|pod| placed_at(pod)).min();
    let started = pods.iter().filter_map(|pod| started_at(pod)).min();
    let end = ended_at(job, pods).filter(|_| state.is_final());
    let from = |start: Option<Timestamp>, end: Timestamp| {
        start.map_or(0, |start| start.duration_until(end).as_secs().max(0))
    };
    let costs: Vec<_> = pods
        .iter()
        .filter_map(|pod| cost(pod, clusters, config?, end.unwrap_or(now)))
        .collect();
    Summary {
        namespace: job.namespace().unwrap_or_default(),
        name: job.name_any(),
        workload: job.labels().get(WORKLOAD).cloned(),
        clusters: pods
            .iter()
            .filter_map(|pod| cluster_of(pod, clusters))
            .collect(),
        state,
        reason,
        created,
        waited_seconds: from(created, placed.or(end).unwrap_or(now)),
        ran_seconds: from(started, end.unwrap_or(now)),
        cost: (!costs.is_empty()).then(|| costs.iter().sum()),
    }
}

/// How far a job is, and why where it failed.
pub fn state(job: &Job, pods: &[&Pod]) -> (State, Option<String>) {
    let conditions = job
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    for condition in conditions.filter(|condition| condition.status == "True") {
        match condition.type_.as_str() {
            "Complete" | "SuccessCriteriaMet" => return (State::Done, None),
            "Failed" | "FailureTarget" => {
                let reason = condition
                    .message
                    .clone()
                    .or_else(|| condition.reason.clone());
                return (State::Failed, reason);
            }
            _ => {}
        }
    }
    let is_suspended = job.spec.as_ref().and_then(|spec| spec.suspend) == Some(true);
    if is_suspended && job.annotations().contains_key(CANCELLED_AT) {
        return (State::Cancelled, None);
    }
    let is_placed = |pod: &&&Pod| {
        pod.spec
            .as_ref()
            .is_some_and(|spec| spec.node_name.is_some())
    };
    let phases = pods
        .iter()
        .filter(is_placed)
        .filter_map(|pod| pod.status.as_ref()?.phase.as_deref());
    let mut state = State::Queued;
    for phase in phases {
        match phase {
            "Running" => return (State::Running, None),
            "Pending" => state = State::Starting,
            _ => {}
        }
    }
    (state, None)
}

/// When a pod was placed.
pub fn placed_at(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let placed = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "True")?;
    Some(placed.last_transition_time.as_ref()?.0)
}

fn started_at(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let of_containers = status
        .container_statuses
        .iter()
        .flatten()
        .filter_map(|container| {
            let state = container.state.as_ref()?;
            let running = state
                .running
                .as_ref()
                .and_then(|running| running.started_at.as_ref());
            let ended = state
                .terminated
                .as_ref()
                .and_then(|ended| ended.started_at.as_ref());
            running.or(ended).map(|time| time.0)
        });
    let is_placed = placed_at(pod).is_some();
    of_containers.min().or(status
        .start_time
        .as_ref()
        .filter(|_| is_placed)
        .map(|time| time.0))
}

fn finished_at(pod: &Pod) -> Option<Timestamp> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let ended = statuses.iter().map(|container| {
        let ended = container.state.as_ref()?.terminated.as_ref()?;
        ended.finished_at.as_ref().map(|time| time.0)
    });
    // One that still runs is not over.
    ended.collect::<Option<Vec<_>>>()?.into_iter().max()
}

fn ended_at(job: &Job, pods: &[&Pod]) -> Option<Timestamp> {
    let status = job.status.as_ref();
    let completed = status.and_then(|status| status.completion_time.as_ref());
    let cancelled = job
        .annotations()
        .get(CANCELLED_AT)
        .and_then(|time| time.parse().ok());
    let mut conditions = status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    let failed = conditions.find(|condition| condition.type_ == "Failed");
    let failed = failed.and_then(|condition| condition.last_transition_time.as_ref());
    let time = |time: &Time| time.0;
    completed
        .map(time)
        .or(failed.map(time))
        .or(cancelled)
        .or_else(|| pods.iter().filter_map(|pod| finished_at(pod)).max())
}

/// What a pod cost: the share of a node that it asks for, at the price of the cheapest node of the
/// cluster that it fits on.
fn cost(
    pod: &Pod,
    clusters: &BTreeMap<String, String>,
    config: &ReconcilerConfig,
    now: Timestamp,
) -> Option<f64> {
    let cluster = cluster_of(pod, clusters)?;
    let cluster = config.clusters.iter().find(|known| known.name == cluster)?;
    let start = started_at(pod)?;
    let requests = requests(pod);
    let hourly = cluster.pools.iter().filter_map(|pool| {
        let share = share(&requests, pool).filter(|share| *share <= 1.0)?;
        Some(share * pool.price_per_hour?)
    });
    let hourly = hourly.min_by(f64::total_cmp)?;
    let end = finished_at(pod).unwrap_or(now);
    Some(hourly * start.duration_until(end).as_secs_f64().max(0.0) / 3600.0)
}

/// The share of a node that is asked for: that of the resource that is scarcest.
fn share(requests: &Amounts, pool: &Pool) -> Option<f64> {
    let shares = requests.iter().map(|(resource, asked)| {
        let there = Some(pool.amount(resource)).filter(|there| *there > 0)?;
        Some(*asked as f64 / there as f64)
    });
    let shares: Option<Vec<f64>> = shares.collect();
    shares?.into_iter().max_by(f64::total_cmp)
}

fn requests(pod: &Pod) -> Amounts {
    let mut total = Amounts::new();
    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let requests = container
            .resources
            .iter()
            .flat_map(|resources| resources.requests.iter().flatten());
        for (resource, quantity) in requests {
            // Pools say nothing of disks.
            if resource != "ephemeral-storage"
                && let Some(quantity) = Quantity::parse(&quantity.0)
            {
                *total.entry(resource.clone()).or_default() += quantity.milli();
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use hcb_source::diag::Diagnostics;
    use hcb_source::source::Sources;
    use serde_json::{Value, json};

    const PRICES: &str = r#"apiVersion: hcb.dev/v1alpha1
kind: ReconcilerConfig
cloud: seed
tiers: [private, public]
burst: {after: 0s}
fallBack: {after: 1m}
whenDown: hold
weights: {minFactor: 0.5, maxFactor: 2}
budget: {currency: EUR, perHour: 4}
clusters:
  - name: private
    tier: private
    weight: 1
    virtualNode: admiralty-private
    pools: [{name: cpu, min: 4, max: 4, allocatable: {cpu: "4", memory: 16Gi}}]
  - name: public
    tier: public
    weight: 1
    virtualNode: admiralty-public
    kubeconfig: /etc/public
    pools:
      - {name: small, min: 0, max: 8, allocatable: {cpu: "1", memory: 1Gi}, pricePerHour: 0.01}
      - {name: burst, min: 0, max: 8, allocatable: {cpu: "4", memory: 16Gi}, pricePerHour: 0.24}
      - {name: large, min: 0, max: 8, allocatable: {cpu: "16", memory: 64Gi}, pricePerHour: 1.20}
"#;

    fn prices() -> ReconcilerConfig {
        let mut sources = Sources::default();
        let file = sources.add("config.yaml", PRICES.to_owned());
        let mut diagnostics = Diagnostics::default();
        let read = ReconcilerConfig::read(file, PRICES, &mut diagnostics);
        let found: Vec<_> = diagnostics
            .sorted()
            .iter()
            .map(|found| found.message.clone())
            .collect();
        read.unwrap_or_else(|| panic!("{found:?}"))
    }

    fn job(status: &Value, more: &Value) -> Job {
        let mut job = json!({
            "metadata": {"name": "train-x", "namespace": "ml", "creationTimestamp": "2026-01-01T10:00:00Z", "labels": {WORKLOAD: "train"}},
            "spec": {"template": {"spec": {"containers": []}}},
            "status": status,
        });
        json_patch::merge(&mut job, more);
        serde_json::from_value(job).expect("a Job")
    }

    /// A pod of half a node that was placed after a minute and runs, or ended two hours later.
    fn pod(node: Option<&str>, phase: &str) -> Pod {
        let start = "2026-01-01T10:01:00Z";
        let state = match phase {
            "Running" => json!({"running": {"startedAt": start}}),
            _ => {
                json!({"terminated": {"exitCode": 0, "startedAt": start, "finishedAt": "2026-01-01T12:01:00Z"}})
            }
        };
        let scheduled =
            json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": start}]);
        let statuses = json!([{"name": "main", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "state": state}]);
        let is_placed = node.is_some();
        serde_json::from_value(json!({
            "metadata": {"name": "train-x-1", "namespace": "ml"},
            "spec": {"nodeName": node, "containers": [{"name": "main", "resources": {"requests": {"cpu": "2", "memory": "2Gi"}}}]},
            "status": {
                "phase": phase,
                "conditions": if is_placed { scheduled } else { json!([]) },
                "containerStatuses": if is_placed { statuses } else { json!([]) },
            },
        }))
        .expect("a pod")
    }

    fn summed(job: &Job, pods: &[&Pod]) -> Summary {
        let clusters =
            ["private", "public"].map(|name| (format!("admiralty-{name}"), name.to_owned()));
        let now = "2026-01-01T13:00:00Z".parse().expect("a time");
        summary(job, pods, &clusters.into(), Some(&prices()), now)
    }

    #[test]
    fn a_queued_job_costs_nothing() {
        let waits = pod(None, "Pending");
        let summary = summed(&job(&json!({}), &json!({})), &[&waits]);
        assert_eq!(
            (summary.state, summary.waited_seconds, summary.ran_seconds),
            (State::Queued, 3 * 3600, 0)
        );
        assert_eq!((summary.cost, summary.clusters.len()), (None, 0));
    }

    #[test]
    fn a_finished_pod_costs_its_share_of_the_cheapest_node_that_it_fits_on() {
        let ran = pod(Some("admiralty-public"), "Succeeded");
        let status = json!({"completionTime": "2026-01-01T12:02:00Z", "conditions": [{"type": "Complete", "status": "True"}]});
        let summary = summed(&job(&status, &json!({})), &[&ran]);
        assert_eq!(
            (summary.state, summary.waited_seconds, summary.ran_seconds),
            (State::Done, 60, 2 * 3600 + 60)
        );
        // Half of 0.24 for two hours; an eighth of 1.20 would be more, and the small node is too small.
        assert!((summary.cost.expect("a cost") - 0.24).abs() < 1e-9);
        assert_eq!(summary.clusters, ["public".to_owned()].into());
    }

    #[test]
    fn a_running_pod_costs_up_to_now_and_nothing_on_nodes_without_a_price() {
        let runs = pod(Some("admiralty-public"), "Running");
        let made = job(&json!({}), &json!({}));
        let cost = summed(&made, &[&runs]).cost.expect("a cost");
        assert!((cost - 0.12 * (2.0 + 59.0 / 60.0)).abs() < 1e-9, "{cost}");
        let at_home = pod(Some("admiralty-private"), "Running");
        assert_eq!(summed(&made, &[&at_home]).cost, None);
        // Users who may not see nodes see the names of virtual nodes, and no price.
        let clusters = BTreeMap::new();
        let summary = summary(
            &made,
            &[&runs],
            &clusters,
            Some(&prices()),
            Timestamp::now(),
        );
        assert_eq!(summary.clusters, ["admiralty-public".to_owned()].into());
    }

    #[test]
    fn a_job_with_the_cancel_annotation_counts_as_cancelled_while_it_is_suspended() {
        let noted = json!({"metadata": {"annotations": {CANCELLED_AT: "2026-01-01T11:00:00Z"}}, "spec": {"suspend": true}});
        assert_eq!(
            state(&job(&json!({}), &noted), &[]),
            (State::Cancelled, None)
        );
        let resumed = json!({"metadata": {"annotations": {CANCELLED_AT: "2026-01-01T11:00:00Z"}}, "spec": {"suspend": false}});
        assert_eq!(state(&job(&json!({}), &resumed), &[]).0, State::Queued);
    }

    #[test]
    fn a_failed_job_has_the_reason_of_its_condition() {
        let status = json!({"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit", "lastTransitionTime": "2026-01-01T11:00:00Z"}]});
        let summary = summed(&job(&status, &json!({})), &[]);
        assert_eq!(summary.state, State::Failed);
        assert_eq!(
            summary.reason.as_deref(),
            Some("Job has reached the specified backoff limit")
        );
        assert_eq!(summary.waited_seconds, 3600);
    }
}
