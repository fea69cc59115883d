//! Judges an experiment by the API servers' records: where each job went, when, and what was free then.

use crate::hybrid::{Hybrid, Setup};
use crate::record::{ClusterRecord, PodRecord, has_room};
use anyhow::Result;
use hcb_spec::model::Model;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// What Admiralty marks the pods that it makes in a target cluster with.
const JOB_NAME: &str = "multicluster.admiralty.io/job-name";
/// The scheduler of such pods.
const CANDIDATE_SCHEDULER: &str = "admiralty-candidate";
/// A job that waits longer than this at a stretch beside room for it, while nobody is placed anywhere, is
/// stranded. Pauses of some seconds add up over minutes of any large run, and strand nobody.
const STRANDED_AFTER: f64 = 30.0;
/// Admiralty's scheduler places one pod after another, in a second or two each: who waits for his turn is
/// not stranded. For so long after each binding it is at work.
const PACE: Duration = Duration::from_secs(5);
/// What an earlier tier got free less than this before is held against nobody, in any set-up: Admiralty
/// takes a second or two for each of its decisions, and asks for what is free at their beginning.
const REACTION: Duration = Duration::from_secs(2);

/// When the last of the pods that hold room in the first tier at a time is bound.
fn filled(model: &Model, records: &[ClusterRecord], full: Timestamp) -> Timestamp {
    let first = model.clusters.iter().zip(records);
    let pods = first
        .filter(|(cluster, _)| cluster.tier == 0)
        .flat_map(|(_, record)| &record.pods);
    pods.filter(|pod| pod.holds_at(full))
        .filter_map(|pod| pod.bound.as_ref().map(|(bound, _)| *bound))
        .fold(full, Timestamp::max)
}

/// What became of a job's pod.
#[derive(Debug, Clone, Serialize)]
pub struct Placement {
    /// The job.
    pub job: String,
    /// When it was created, in seconds after the start.
    pub created: f64,
    /// The cluster that it runs in; none where it still waits.
    pub cluster: Option<String>,
    /// The node that it runs on.
    pub node: Option<String>,
    /// When it was bound, in seconds after the start.
    pub bound: Option<f64>,
    /// An earlier tier had room for it when it was sent there.
    pub premature: bool,
    /// Candidates in a later tier that were made while an earlier tier had room.
    pub speculative_candidates: usize,
    /// The most seconds at a stretch that it waited while a cluster that it may run in had a node with room,
    /// and nobody was placed.
    pub waited_beside_room: f64,
}

/// What a cluster used and had, at one time.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Load {
    /// Seconds after the start.
    pub time: f64,
    /// CPUs requested by pods of jobs.
    pub jobs_cpu: f64,
    /// CPUs requested by other pods.
    pub other_cpu: f64,
    /// CPUs of its nodes.
    pub capacity_cpu: f64,
}

/// What one set-up did.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// How jobs were scheduled.
    pub setup: &'static str,
    /// Pods of jobs, in the order in which their jobs were created.
    pub placements: Vec<Placement>,
    /// Pods that ran, by cluster.
    pub placed: BTreeMap<String, usize>,
    /// Pods that went to a later tier while an earlier one had room.
    pub premature_bursts: usize,
    /// Candidates made in a later tier while an earlier one had room.
    pub speculative_candidates: usize,
    /// Nodes that an autoscaler bought.
    pub nodes_bought: usize,
    /// What they cost, in the currency of the spec: the time from each node's being there to its end, or
    /// to the end of the experiment.
    pub cost: f64,
    /// Seconds from the first tier's being full, with a job waiting, to the first binding in a later one.
    /// It is full once the last of the pods that fill it is bound.
    pub first_burst_after: Option<f64>,
    /// Seconds from the first bought node's being there to the first binding on one.
    pub first_burst_after_node: Option<f64>,
    /// Seconds from when the first bought node took pods (ready, without the taints of a node's first
    /// moments) to the first binding on one.
    pub first_burst_after_ready: Option<f64>,
    /// Jobs that waited for more than half a minute at a stretch beside room while nobody was placed, or to
    /// the end.
    pub stranded: usize,
    /// Jobs that never ran.
    pub never_ran: usize,
    /// The longest wait from a job's creation to its binding, in seconds.
    pub longest_wait: f64,
    /// Loads over time, by cluster.
    pub loads: BTreeMap<String, Vec<Load>>,
    /// Jobs that waited, over time.
    pub waiting: Vec<(f64, usize)>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A pod of a job in a target cluster.
struct Candidate<'a> {
    cluster: usize,
    job: &'a str,
    pod: &'a PodRecord,
}

/// Reads the records of a hybrid cloud and judges them.
///
/// # Errors
/// Where a record cannot be read.
pub fn judge(hybrid: &Hybrid) -> Result<Verdict> {
    let log = |cluster: &str| hybrid.testbed.cluster(cluster).audit_log();
    judge_logs(&hybrid.model, hybrid.setup, log, Some(Timestamp::now()))
}

/// Reads the audit log of each cluster and judges them. Without `end`, they end with their last event.
///
/// # Errors
/// Where a log cannot be read.
pub fn judge_logs(
    model: &Model,
    setup: Setup,
    log: impl Fn(&str) -> PathBuf,
    end: Option<Timestamp>,
) -> Result<Verdict> {
    let clusters = model.clusters.iter();
    let records = clusters
        .map(|cluster| ClusterRecord::read(&log(&cluster.name)))
        .collect::<Result<Vec<_>>>()?;
    let last = records.iter().filter_map(|record| record.last).max();
    Ok(verdict(
        model,
        setup,
        &records,
        end.or(last).unwrap_or_else(Timestamp::now),
    ))
}

/// Judges records, in the order of the model's clusters, that end at `end`.
pub fn verdict(model: &Model, setup: Setup, records: &[ClusterRecord], end: Timestamp) -> Verdict {
    let source = &records[model.source];
    let start = source.jobs.values().min().copied().unwrap_or(end);
    let seconds = |time: Timestamp| (time.as_microsecond() - start.as_microsecond()) as f64 / 1e6;
    let mut candidates = Vec::new();
    for (cluster, record) in records.iter().enumerate() {
        for pod in record
            .pods
            .iter()
            .filter(|pod| pod.scheduler == CANDIDATE_SCHEDULER)
        {
            if let Some(job) = pod.labels.get(JOB_NAME) {
                candidates.push(Candidate { cluster, job, pod });
            }
        }
    }
    let may_run_in = |job: &str| -> Vec<usize> {
        let name = workload_of(job);
        let workload = model.workloads.iter().find(|known| known.name == name);
        workload.map_or_else(
            || (0..records.len()).collect(),
            |workload| workload.clusters.clone(),
        )
    };
    let bindings: Vec<_> = candidates
        .iter()
        .filter_map(|candidate| candidate.pod.bound.as_ref().map(|(bound, _)| *bound))
        .collect();
    let at_work_until = |bound: &Timestamp| bound.checked_add(PACE).unwrap_or(Timestamp::MAX);
    let is_at_work = |time: Timestamp| {
        let mut bindings = bindings.iter();
        bindings.any(|bound| (*bound..at_work_until(bound)).contains(&time))
    };
    // The moments at which room appears or goes, or the scheduler has nothing more to do.
    let mut moments: Vec<Timestamp> = records
        .iter()
        .flat_map(|record| {
            let pods = record
                .pods
                .iter()
                .flat_map(|pod| [pod.bound.as_ref().map(|(time, _)| *time), pod.ended]);
            let nodes = record
                .nodes
                .iter()
                .flat_map(|node| [Some(node.created), node.ready, node.removed]);
            pods.chain(nodes).flatten()
        })
        .chain(source.jobs.values().copied())
        .chain(bindings.iter().map(at_work_until))
        .chain([end])
        .filter(|time| (start..=end).contains(time))
        .collect();
    moments.sort();
    moments.dedup();

    let earlier_has_room = |job: &str, cluster: usize, pod: &PodRecord, time: Timestamp| {
        let tier = model.clusters[cluster].tier;
        let since = time.saturating_sub(REACTION).unwrap_or(time);
        let between = moments
            .iter()
            .copied()
            .filter(|moment| (since..=time).contains(moment));
        let times: Vec<_> = [since, time].into_iter().chain(between).collect();
        may_run_in(job).iter().any(|&earlier| {
            model.clusters[earlier].tier < tier
                && times
                    .iter()
                    .all(|time| records[earlier].has_room_at(pod, *time))
        })
    };

    // What was free then, once for all jobs.
    let free: Vec<Vec<_>> = moments
        .iter()
        .map(|time| records.iter().map(|record| record.free_at(*time)).collect())
        .collect();

    let mut placements = Vec::new();
    let mut full_since: Option<Timestamp> = None;
    for ((_, job), created) in &source.jobs {
        let own: Vec<_> = candidates
            .iter()
            .filter(|candidate| candidate.job == job)
            .collect();
        // Of the pods that ran one after another, the first says how the job was placed.
        let ran = own
            .iter()
            .filter(|candidate| candidate.pod.bound.is_some())
            .min_by_key(|candidate| candidate.pod.bound.clone());
        let bound = ran.and_then(|candidate| candidate.pod.bound.clone());
        // A job that was never tried asks for what the others of its workload ask for. Its own pod would
        // not do: Admiralty has bound it to virtual nodes.
        let same = |candidate: &&Candidate| workload_of(candidate.job) == workload_of(job);
        let shape = own
            .first()
            .copied()
            .or_else(|| candidates.iter().find(same))
            .map(|candidate| candidate.pod);
        let until = bound.as_ref().map_or(end, |(time, _)| *time);
        let allowed = may_run_in(job);
        let (mut waited_beside_room, mut stretch) = (0.0_f64, 0.0);
        if let Some(shape) = shape {
            for (index, time) in moments
                .iter()
                .enumerate()
                .filter(|(_, time)| **time >= *created && **time < until)
            {
                let room_in = |cluster: usize| has_room(&free[index][cluster], shape);
                if !is_at_work(*time) && allowed.iter().any(|&cluster| room_in(cluster)) {
                    let next = moments.get(index + 1).copied().unwrap_or(end);
                    stretch += seconds(next.min(until)) - seconds(*time);
                    waited_beside_room = waited_beside_room.max(stretch);
                } else {
                    stretch = 0.0;
                }
                let is_full = !allowed
                    .iter()
                    .any(|&cluster| model.clusters[cluster].tier == 0 && room_in(cluster));
                if is_full && full_since.is_none_or(|since| *time < since) {
                    full_since = Some(*time);
                }
            }
        }
        placements.push(Placement {
            job: job.clone(),
            created: seconds(*created),
            cluster: ran.map(|candidate| model.clusters[candidate.cluster].name.clone()),
            node: bound.as_ref().map(|(_, node)| node.clone()),
            bound: bound.as_ref().map(|(time, _)| seconds(*time)),
            premature: ran
                .zip(bound.as_ref())
                .is_some_and(|(candidate, (time, _))| {
                    let taken = candidate
                        .pod
                        .allowed
                        .map_or(*time, |allowed| allowed.min(*time));
                    earlier_has_room(job, candidate.cluster, candidate.pod, taken)
                }),
            speculative_candidates: own
                .iter()
                .filter(|candidate| {
                    earlier_has_room(job, candidate.cluster, candidate.pod, candidate.pod.created)
                })
                .count(),
            waited_beside_room,
        });
    }
    placements.sort_by(|left, right| {
        left.created
            .total_cmp(&right.created)
            .then_with(|| left.job.cmp(&right.job))
    });

    let mut placed = BTreeMap::new();
    for cluster in placements
        .iter()
        .filter_map(|placement| placement.cluster.clone())
    {
        *placed.entry(cluster).or_default() += 1;
    }
    let bought: Vec<_> = records
        .iter()
        .zip(&model.clusters)
        .flat_map(|(record, cluster)| {
            let price = |pool: Option<&String>| {
                let known = cluster.pools.iter().find(|known| Some(&known.name) == pool);
                known
                    .and_then(|known| known.price_per_hour)
                    .unwrap_or_default()
            };
            let nodes = record
                .nodes
                .iter()
                .filter(|node| node.labels.contains_key("karpenter.sh/nodepool"));
            nodes.map(move |node| (node, price(node.labels.get("karpenter.sh/nodepool"))))
        })
        .collect();
    let hours = |from: Timestamp, to: Timestamp| (seconds(to) - seconds(from)) / 3600.0;
    let bursts = |is_bought: bool| {
        candidates
            .iter()
            .filter(|candidate| model.clusters[candidate.cluster].tier > 0)
            .filter_map(|candidate| candidate.pod.bound.clone())
            .filter(|(_, node)| !is_bought || bought.iter().any(|(known, _)| known.name == *node))
            .map(|(time, _)| time)
            .min()
    };
    let first_node = bought.iter().map(|(node, _)| node.created).min();
    let first_ready = bought.iter().filter_map(|(node, _)| node.ready).min();
    let first_burst_after = |moment: Option<Timestamp>| {
        moment
            .zip(bursts(true))
            .map(|(moment, burst)| seconds(burst) - seconds(moment))
    };
    Verdict {
        setup: setup.name(),
        placed,
        premature_bursts: placements
            .iter()
            .filter(|placement| placement.premature)
            .count(),
        speculative_candidates: placements
            .iter()
            .map(|placement| placement.speculative_candidates)
            .sum(),
        nodes_bought: bought.len(),
        cost: 0.0
            + bought
                .iter()
                .map(|(node, price)| hours(node.created, node.removed.unwrap_or(end)) * price)
                .sum::<f64>(),
        first_burst_after: full_since
            .map(|full| filled(model, records, full))
            .zip(bursts(false))
            .map(|(full, burst)| seconds(burst) - seconds(full)),
        first_burst_after_node: first_burst_after(first_node),
        first_burst_after_ready: first_burst_after(first_ready),
        stranded: placements
            .iter()
            .filter(|placement| {
                placement.bound.is_none() || placement.waited_beside_room > STRANDED_AFTER
            })
            .count(),
        never_ran: placements
            .iter()
            .filter(|placement| placement.bound.is_none())
            .count(),
        longest_wait: placements
            .iter()
            .map(|placement| placement.bound.unwrap_or(seconds(end)) - placement.created)
            .fold(0.0, f64::max),
        waiting: moments
            .iter()
            .map(|time| (seconds(*time), waiting_at(&placements, seconds(*time))))
            .collect(),
        loads: records
            .iter()
            .zip(&model.clusters)
            .map(|(record, cluster)| (cluster.name.clone(), loads(record, &moments, &seconds)))
            .collect(),
        seconds: seconds(end),
        placements,
    }
}

/// The name of a job is its workload's, a dash and a number.
fn workload_of(job: &str) -> &str {
    job.rsplit_once('-').map_or(job, |(workload, _)| workload)
}

fn waiting_at(placements: &[Placement], time: f64) -> usize {
    placements
        .iter()
        .filter(|placement| {
            placement.created <= time && placement.bound.is_none_or(|bound| bound > time)
        })
        .count()
}

fn loads(
    record: &ClusterRecord,
    moments: &[Timestamp],
    seconds: &impl Fn(Timestamp) -> f64,
) -> Vec<Load> {
    let real = |name: Option<&str>| {
        record
            .nodes
            .iter()
            .any(|node| Some(node.name.as_str()) == name && !node.is_virtual)
    };
    let cpu = |amount: Option<&i128>| amount.copied().unwrap_or_default() as f64 / 1000.0;
    moments
        .iter()
        .map(|time| {
            let held = record
                .pods
                .iter()
                .filter(|pod| pod.holds_at(*time) && real(pod.node()));
            let (jobs, others): (Vec<_>, Vec<_>) =
                held.partition(|pod| pod.scheduler == CANDIDATE_SCHEDULER);
            let sum =
                |pods: &[&PodRecord]| pods.iter().map(|pod| cpu(pod.requests.get("cpu"))).sum();
            let nodes = record
                .nodes
                .iter()
                .filter(|node| node.is_for_jobs() && node.exists_at(*time));
            Load {
                time: seconds(*time),
                jobs_cpu: sum(&jobs),
                other_cpu: sum(&others),
                capacity_cpu: nodes.map(|node| cpu(node.allocatable.get("cpu"))).sum(),
            }
        })
        .collect()
}
