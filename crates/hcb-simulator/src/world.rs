//! A run: steps in virtual time, and what must hold after each of them.

mod checks;
mod strikes;

use crate::api_server::Kind;
use crate::cluster::Cluster;
use crate::engine::{Scheduler, candidate};
use crate::faults::{ALL, Counts, Phase};
use crate::reconciler::{Reconciler, Reply, Saved};
use crate::scenario::{JobPlan, Scenario, at};
use fastrand::Rng;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::GATE;
use hcb_api::labels::{ELECT, TARGET};
use hcb_reconciler::control::Purpose;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// A step of virtual time.
const STEP: SignedDuration = SignedDuration::from_millis(250);
/// How long room in the first tier must have been there for a release elsewhere to be premature: watches of a healthy
/// cluster are faster.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// How long after the last fault a job that can run may still wait.
const RUNS_WITHIN: i64 = 4 * 3600;

/// What became of a run.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What was broken, with its time in seconds since the beginning; none where all invariants held.
    pub broken: Option<String>,
    /// Events that changed something: of objects, and facts.
    pub events: u64,
    /// Faults.
    pub counts: Counts,
    /// Jobs that ran to their end.
    pub ended: usize,
    /// Releases to later tiers.
    pub released: usize,
}

/// A job, as it goes.
#[derive(Debug, Clone)]
struct Job {
    plan: JobPlan,
    /// The name of its pod; none before it is created, and once it is over.
    pod: Option<String>,
    tries: u32,
    /// Where and since when its pod runs.
    runs: Option<(usize, Timestamp)>,
    is_over: bool,
}

/// A hybrid cloud in virtual time.
#[derive(Debug)]
pub struct World {
    rng: Rng,
    scenario: Scenario,
    config: ReconcilerConfig,
    names: Vec<String>,
    now: Timestamp,
    clusters: Vec<Cluster>,
    scheduler: Scheduler,
    reconciler: Option<Reconciler>,
    /// When the next leader comes, where there is none.
    leads_at: Timestamp,
    clock: SignedDuration,
    saved: Saved,
    jobs: Vec<Job>,
    /// When silent clusters answer again.
    silent_until: Vec<Option<Timestamp>>,
    refused_pods: BTreeSet<String>,
    next_replies: Vec<Reply>,
    /// Since when the gate of a cluster is open that was lost.
    open_since: BTreeMap<usize, Timestamp>,
    /// Since when the first tier has had room for this many thousandths of a CPU.
    room_since: BTreeMap<i64, Timestamp>,
    /// When something last hid things from the reconciler, or changed what it goes by.
    disturbed: Timestamp,
    /// Pods that were released to later tiers, by name, with the clusters.
    released: BTreeMap<String, BTreeSet<usize>>,
    /// Whether a leader had another clock: what it counted cannot be held against the real time.
    had_other_clock: bool,
    counts: Counts,
    events: u64,
    releases: usize,
    broken: Option<String>,
}

impl World {
    /// The world of a scenario, before anything happens.
    pub fn new(scenario: Scenario) -> Self {
        let config = scenario.config.clone();
        let now = at(0);
        let mut clusters: Vec<_> = config
            .clusters
            .iter()
            .map(|cluster| Cluster::new(cluster.clone(), now))
            .collect();
        let names: Vec<_> = config
            .clusters
            .iter()
            .map(|cluster| cluster.name.clone())
            .collect();
        for (index, cluster) in config.clusters.iter().enumerate() {
            let is_first = config.tier(cluster) == 0;
            let gate = json!([{"key": GATE, "value": cluster.name, "effect": "NoSchedule"}]);
            let taints = if is_first { json!([]) } else { gate };
            put_virtual_node(&mut clusters[0], &names[index], &taints);
        }
        let jobs = scenario.jobs.iter().map(|plan| Job {
            plan: plan.clone(),
            pod: None,
            tries: 0,
            runs: None,
            is_over: false,
        });
        Self {
            rng: Rng::with_seed(scenario.seed ^ 0x5eed),
            jobs: jobs.collect(),
            silent_until: vec![None; names.len()],
            config,
            names,
            now,
            clusters,
            scheduler: Scheduler::default(),
            reconciler: None,
            leads_at: now,
            clock: SignedDuration::ZERO,
            saved: Saved::default(),
            refused_pods: BTreeSet::new(),
            next_replies: Vec::new(),
            open_since: BTreeMap::new(),
            room_since: BTreeMap::new(),
            disturbed: now,
            released: BTreeMap::new(),
            had_other_clock: false,
            counts: Counts::default(),
            events: 0,
            releases: 0,
            broken: None,
            scenario,
        }
    }

    /// Plays to the end, or until an invariant breaks.
    pub fn play(mut self) -> Outcome {
        let end = at(self.scenario.faults_for + RUNS_WITHIN);
        let calm = at(self.scenario.faults_for);
        while self.broken.is_none() && self.now < end && !self.is_over() {
            let before = self.now;
            self.now += STEP;
            let versions = self.versions();
            if self.now < calm && self.now.subsec_nanosecond() == 0 {
                if self.rng.u32(0..1000) < self.scenario.faults {
                    let fault = ALL[self.rng.usize(0..ALL.len())];
                    self.strike(fault);
                }
            } else if before < calm && self.now >= calm {
                self.heal();
            }
            self.end_silence();
            self.run_jobs();
            for cluster in &mut self.clusters {
                cluster.tick(before, self.now, &mut self.rng);
            }
            let bound = self
                .scheduler
                .tick(&mut self.clusters, &self.names, self.now);
            for (pod, cluster) in bound {
                self.start(&pod, cluster);
            }
            self.note_room();
            self.reconcile();
            self.check();
            self.events += self.versions() - versions;
        }
        if self.broken.is_none() {
            self.check_end();
        }
        Outcome {
            broken: self.broken,
            events: self.events,
            counts: self.counts,
            ended: self.jobs.iter().filter(|job| job.is_over).count(),
            released: self.releases,
        }
    }

    fn versions(&self) -> u64 {
        let events = self
            .clusters
            .iter()
            .map(|cluster| cluster.api.events.len() as u64);
        events.sum()
    }

    fn seconds(&self) -> i64 {
        at(0).duration_until(self.now).as_secs()
    }

    fn breaks(&mut self, what: impl Into<String>) {
        let seconds = self.seconds();
        let what = what.into();
        self.broken.get_or_insert(format!("{seconds} s: {what}"));
    }

    fn is_over(&self) -> bool {
        self.now >= at(self.scenario.faults_for) && self.jobs.iter().all(|job| job.is_over)
    }

    // --- jobs

    fn run_jobs(&mut self) {
        for index in 0..self.jobs.len() {
            let job = &self.jobs[index];
            if job.is_over || job.plan.at > self.now {
                continue;
            }
            if job.pod.is_none() {
                self.create(index);
                continue;
            }
            if let Some((_, since)) = job.runs
                && self.now >= since + SignedDuration::from_secs(job.plan.runs)
            {
                self.end(index, true);
            }
        }
    }

    fn create(&mut self, index: usize) {
        let job = &mut self.jobs[index];
        job.tries += 1;
        let pod = format!("job-{index}-{}", job.tries);
        job.pod = Some(pod.clone());
        let uid = format!("uid-{index}");
        if job.tries == 1 {
            self.clusters[0].api.put(
                Kind::Job,
                json!({
                    "metadata": {"name": format!("job-{index}"), "namespace": "ml", "uid": uid},
                    "spec": {"activeDeadlineSeconds": job.plan.deadline},
                    "status": {"startTime": self.now.to_string()},
                }),
            );
        }
        let containers = json!([{"name": "main", "resources": {"requests": {"cpu": format!("{}m", job.plan.cpu)}}}]);
        let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": pod, "namespace": "ml"}, "spec": {"containers": containers}});
        self.clusters[0].api.put(
            Kind::Pod,
            json!({
                "metadata": {
                    "name": pod, "namespace": "ml", "uid": format!("uid-{pod}"),
                    "creationTimestamp": self.now.to_string(),
                    "annotations": {ELECT: "", "multicluster.admiralty.io/sourcepod-manifest": manifest.to_string()},
                    "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": format!("job-{index}"), "uid": uid, "controller": true}],
                },
                "spec": {"containers": containers, "tolerations": [], "priority": job.plan.priority},
                "status": {"phase": "Pending"},
            }),
        );
    }

    fn job_of(&self, pod: &str) -> Option<usize> {
        self.jobs
            .iter()
            .position(|job| job.pod.as_deref() == Some(pod))
    }

    fn start(&mut self, pod: &str, cluster: usize) {
        let node = format!("admiralty-{}", self.names[cluster]);
        self.clusters[0].api.update(Kind::Pod, pod, |proxy| {
            proxy["spec"]["nodeName"] = node.into();
        });
        if let Some(index) = self.job_of(pod) {
            if self.jobs[index].runs.is_some() {
                self.breaks(format!("{pod} runs twice"));
            }
            self.jobs[index].runs = Some((cluster, self.now));
        }
        let is_released = self
            .released
            .get(pod)
            .is_some_and(|clusters| clusters.contains(&cluster));
        let tier = self.config.tier(&self.config.clusters[cluster]);
        let is_lost = self.open_since.contains_key(&cluster);
        if tier > 0 && !is_released && !is_lost {
            self.breaks(format!(
                "{pod} runs in {}, which it was not released to",
                self.names[cluster]
            ));
        }
    }

    /// The pod of a job ends: it did its work, or was lost, and comes again then.
    fn end(&mut self, index: usize, is_done: bool) {
        let Some(pod) = self.jobs[index].pod.take() else {
            return;
        };
        for cluster in &mut self.clusters {
            cluster.remove(&candidate(&pod));
        }
        self.clusters[0].api.delete(Kind::Pod, &pod);
        self.jobs[index].runs = None;
        if is_done {
            self.jobs[index].is_over = true;
            self.clusters[0]
                .api
                .delete(Kind::Job, &format!("job-{index}"));
        }
    }

    // --- the reconciler

    fn reconcile(&mut self) {
        if self.reconciler.is_none() && self.now >= self.leads_at {
            self.disturbed = self.now;
            let started = Reconciler::start(&self.config, &self.saved, self.clock, self.now);
            self.reconciler = Some(started);
        }
        let Some(mut reconciler) = self.reconciler.take() else {
            return;
        };
        self.events += reconciler.see(&self.clusters, self.now) as u64;
        if let Some(decision) = reconciler.decide(self.now) {
            let refused = &self.refused_pods;
            let replies = &mut self.next_replies;
            let is_source_there = self.clusters[0].answers;
            let done =
                reconciler.act(
                    &decision,
                    &mut self.clusters,
                    self.now,
                    |purpose| match purpose {
                        _ if !is_source_there => Reply::Refuse,
                        Purpose::Release { name, .. } if refused.contains(name) => Reply::Refuse,
                        _ => replies.pop().unwrap_or(Reply::AsItShould),
                    },
                );
            for (purpose, is_done) in done {
                if let (Purpose::Release { name, cluster, .. }, true) = (purpose, is_done) {
                    self.note_release(&name, cluster);
                }
            }
            reconciler.save(&decision, &mut self.saved, self.now);
            self.check_spending(&reconciler);
        }
        self.reconciler = Some(reconciler);
    }

    fn note_release(&mut self, pod: &str, cluster: usize) {
        self.released
            .entry(pod.to_owned())
            .or_default()
            .insert(cluster);
        if self.config.tier(&self.config.clusters[cluster]) == 0 {
            return;
        }
        self.releases += 1;
        let Some(index) = self.job_of(pod) else {
            return;
        };
        let cpu = self.jobs[index].plan.cpu;
        let is_calm = self.now > self.disturbed + SignedDuration::from_secs(30);
        let is_premature = self
            .room_since
            .iter()
            .any(|(room, since)| *room >= cpu && self.now >= *since + NOTICED_WITHIN);
        if is_calm && is_premature {
            self.breaks(format!(
                "{pod} is released to {} although the first tier has room",
                self.names[cluster]
            ));
        }
        self.check_budget(pod, cluster);
    }

    /// Names of pods that wait.
    fn waiting(&self) -> Vec<String> {
        let jobs = self.jobs.iter().filter(|job| job.runs.is_none());
        jobs.filter_map(|job| job.pod.clone()).collect()
    }

    /// The phases that pods are in.
    fn phases(&self) -> BTreeSet<Phase> {
        let phase = |job: &Job| {
            let pod = job.pod.as_ref()?;
            let candidate = candidate(pod);
            Some(if job.runs.is_some() {
                Phase::Running
            } else if self
                .clusters
                .iter()
                .any(|cluster| cluster.is_reserved(&candidate))
            {
                Phase::Reserved
            } else if self.released.contains_key(pod) {
                Phase::Released
            } else if self
                .clusters
                .iter()
                .any(|cluster| cluster.api.get(Kind::Pod, &candidate).is_some())
            {
                Phase::Waiting
            } else {
                Phase::New
            })
        };
        self.jobs.iter().filter_map(phase).collect()
    }
}

fn put_virtual_node(source: &mut Cluster, cluster: &str, taints: &Value) {
    source.api.put(
        Kind::Node,
        json!({
            "metadata": {"name": format!("admiralty-{cluster}"), "labels": {TARGET: cluster}},
            "spec": {"taints": taints},
            "status": {},
        }),
    );
}
