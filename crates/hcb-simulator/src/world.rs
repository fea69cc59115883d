//! A run: steps in virtual time, and what must hold after each of them.

use crate::api_server::Kind;
use crate::cluster::{Cluster, NextNode, asks, name};
use crate::engine::{Scheduler, candidate};
use crate::faults::{ALL, Counts, Fault, Phase};
use crate::reconciler::{Reconciler, Reply, Saved};
use crate::scenario::{JobPlan, Scenario, at};
use fastrand::Rng;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::GATE;
use hcb_api::labels::{ELECT, TARGET};
use hcb_reconciler::control::Purpose;
use hcb_reconciler::core::spending;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A step of virtual time.
const STEP: SignedDuration = SignedDuration::from_millis(250);
/// How long room in the first tier must have been there for a release elsewhere to be premature: watches of a healthy
/// cluster are faster.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_secs(5);
/// How long a gate that was lost may be open once the reconciler works again.
const CLOSED_WITHIN: SignedDuration = SignedDuration::from_secs(40);
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
    /// What was spent until which nothing is known of, for the tolerance: the clock of a new leader may be off.
    clock_error: SignedDuration,
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
            put_virtual_node(&mut clusters[0], &names[index], taints);
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
            clock_error: SignedDuration::ZERO,
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
            proxy["spec"]["nodeName"] = node.into()
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

    // --- invariants

    /// Since when the first tier has had room, by its size.
    fn note_room(&mut self) {
        let free = self.clusters[0].free();
        let most = free.values().copied().max().unwrap_or_default();
        self.room_since.retain(|room, _| *room <= most);
        self.room_since.entry(most).or_insert(self.now);
    }

    /// After a release all nodes that are there, and those that released pods still need, are within the budget of the
    /// hour. Nodes that others made do not count against the release, since it may not have seen them.
    fn check_budget(&mut self, pod: &str, cluster: usize) {
        let Some(most) = self
            .config
            .budget
            .as_ref()
            .and_then(|budget| budget.per_hour)
        else {
            return;
        };
        if self.now < self.disturbed + SignedDuration::from_secs(30) {
            return;
        }
        let mut cost = 0.0;
        for index in 1..self.clusters.len() {
            cost += self.clusters[index].own_nodes() as f64 * self.clusters[index].price();
        }
        // The release itself needs a node more at the most, where none has room.
        let asked = self.job_of(pod).map_or(0, |job| self.jobs[job].plan.cpu);
        let has_room = self.clusters[cluster]
            .free()
            .values()
            .any(|free| *free >= asked);
        if !has_room {
            cost += self.clusters[cluster].price();
        }
        if cost > most + 1e-9 && cost - self.clusters[cluster].price() > most + 1e-9 {
            self.breaks(format!(
                "{pod} is released to {} at {cost} an hour, with a budget of {most}",
                self.names[cluster]
            ));
        }
    }

    fn check(&mut self) {
        // Candidates in later tiers are of pods that were released, but where a gate was lost.
        for index in 1..self.clusters.len() {
            let pods = self.clusters[index].api.list(Kind::Pod);
            let strange = pods
                .map(|pod| name(pod).trim_end_matches("-c").to_owned())
                .find(|pod| {
                    !self
                        .released
                        .get(pod)
                        .is_some_and(|clusters| clusters.contains(&index))
                });
            if let Some(pod) = strange
                && !self.open_since.contains_key(&index)
            {
                self.breaks(format!(
                    "{pod} has a candidate in {}, which it was not released to",
                    self.names[index]
                ));
            }
        }
        // A gate that was lost is closed again. What passed it meanwhile counts as released.
        for (index, since) in self.open_since.clone() {
            let node = self.clusters[0]
                .api
                .get(Kind::Node, &format!("admiralty-{}", self.names[index]));
            let is_closed = node.is_some_and(|node| node["spec"]["taints"][0]["key"] == GATE);
            let pods = self.clusters[index].api.list(Kind::Pod);
            let passed: Vec<_> = pods
                .map(|pod| name(pod).trim_end_matches("-c").to_owned())
                .collect();
            for pod in passed {
                self.released.entry(pod).or_default().insert(index);
            }
            let since = since.max(self.disturbed);
            if is_closed {
                self.open_since.remove(&index);
            } else if self.reconciler.is_some()
                && self.clusters[0].answers
                && self.now > since + CLOSED_WITHIN
            {
                self.breaks(format!("the gate of {} stays open", self.names[index]));
            }
        }
    }

    /// What the ledger has is never less than what the nodes cost that the reconciler could see.
    fn check_spending(&mut self, reconciler: &Reconciler) {
        let own = self.now + self.clock;
        let is_seen = reconciler
            .control
            .state
            .observer
            .observation
            .clusters
            .iter()
            .all(|state| state.is_seen);
        if !is_seen || self.clock_error != SignedDuration::ZERO {
            return;
        }
        let spending = &reconciler.control.state.memory.spending;
        let spent = spending::spent(spending, own).as_number();
        let months: f64 = spending
            .months
            .values()
            .map(|spent| spent.as_number())
            .sum();
        let cost: f64 = self.clusters[1..].iter().map(|cluster| cluster.cost).sum();
        // Nodes are seen a moment after they come.
        let tolerance = 0.05 + cost * 0.02;
        if months.max(spent) + tolerance < cost {
            self.breaks(format!("{months:.3} are counted, and {cost:.3} were spent"));
        }
    }

    /// Every job ran that could: its pod fits somewhere, nobody refuses it, and no budget holds it back.
    fn check_end(&mut self) {
        let is_held_back = self.config.budget.as_ref().is_some_and(|budget| {
            budget.per_month.is_some() || budget.per_hour.is_some_and(|most| most < 8.0)
        });
        let left = self.jobs.iter().position(|job| !job.is_over);
        if let Some(index) = left {
            let fits_private = self.jobs[index].plan.cpu <= 4000;
            if fits_private && !is_held_back && !self.config.clusters[0].drain {
                let job = &self.jobs[index];
                self.breaks(format!(
                    "job-{index} waits for ever: {:?} runs {:?} of {:?}",
                    job.pod, job.runs, job.plan
                ));
            }
        }
        let _ = TARGET;
    }

    // --- faults

    fn end_silence(&mut self) {
        for index in 0..self.clusters.len() {
            if self.silent_until[index].is_some_and(|until| until <= self.now) {
                self.silent_until[index] = None;
                self.clusters[index].answers = true;
                self.disturbed = self.now;
            }
        }
    }

    /// All is well from now on.
    fn heal(&mut self) {
        for index in 0..self.clusters.len() {
            self.clusters[index].answers = true;
            self.silent_until[index] = None;
            self.clusters[index].next_node = NextNode::AsAsked;
        }
        self.refused_pods.clear();
        self.next_replies.clear();
        let mut config = self.config.clone();
        for cluster in &mut config.clusters {
            cluster.drain = false;
        }
        self.configure(config);
        self.disturbed = self.now;
    }

    fn configure(&mut self, config: ReconcilerConfig) {
        self.config = config.clone();
        self.disturbed = self.now;
        let now = self.now;
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.configure(config, now);
        }
    }

    fn strike(&mut self, fault: Fault) {
        *self.counts.faults.entry(fault).or_default() += 1;
        for phase in self.phases() {
            *self.counts.by_phase.entry((fault, phase)).or_default() += 1;
        }
        let now = self.now;
        let later = 1 + self.rng.usize(0..self.clusters.len() - 1);
        match fault {
            Fault::LateWatch | Fault::Relist => {
                let index = self.rng.usize(0..100);
                let until = now + SignedDuration::from_secs(self.rng.i64(1..20));
                let until = (fault == Fault::LateWatch).then_some(until);
                if let Some(reconciler) = &mut self.reconciler {
                    reconciler.disturb(index, until);
                }
                self.disturbed = until.unwrap_or(now);
            }
            Fault::Silence => {
                let index = self.rng.usize(0..self.clusters.len());
                self.clusters[index].answers = false;
                self.silent_until[index] =
                    Some(now + SignedDuration::from_secs(self.rng.i64(1..300)));
                self.disturbed = now;
            }
            Fault::RefusedPod => {
                let waiting = self.waiting();
                if !waiting.is_empty() {
                    let pod = waiting[self.rng.usize(0..waiting.len())].clone();
                    self.refused_pods.insert(pod);
                }
            }
            Fault::Conflict => self.next_replies.push(Reply::Conflict),
            Fault::LostAnswer => self.next_replies.push(Reply::LoseAnswer),
            Fault::Refused => self.next_replies.push(Reply::Refuse),
            Fault::Restart => {
                self.reconciler = None;
                let pause = if self.rng.bool() {
                    0
                } else {
                    self.rng.i64(1..600)
                };
                self.leads_at = now + SignedDuration::from_secs(pause);
                if self.rng.u8(0..4) == 0 {
                    self.clock = SignedDuration::from_secs(self.rng.i64(-120..120));
                    self.clock_error = SignedDuration::from_secs(1);
                }
                self.disturbed = self.leads_at;
            }
            Fault::Budget => {
                let mut config = self.config.clone();
                let more = f64::from(self.rng.u32(0..10));
                if let Some(most) = config
                    .budget
                    .as_mut()
                    .and_then(|budget| budget.per_hour.as_mut())
                {
                    *most = more;
                }
                self.configure(config);
            }
            Fault::Drain => {
                let mut config = self.config.clone();
                let drain = &mut config.clusters[later].drain;
                *drain = !*drain;
                self.configure(config);
            }
            Fault::LostNode => self.lose_node(),
            Fault::NodeByHand => {
                let name = self.clusters[later].add_node(4000);
                self.clusters[later].by_others.push(name);
            }
            Fault::NoNode => self.clusters[later].next_node = NextNode::Never,
            Fault::SmallNode => self.clusters[later].next_node = NextNode::Smaller,
            Fault::LostGate => {
                let cluster = self.names[later].clone();
                self.clusters[0]
                    .api
                    .delete(Kind::Node, &format!("admiralty-{cluster}"));
                put_virtual_node(&mut self.clusters[0], &cluster, json!([]));
                self.open_since.insert(later, now);
            }
            Fault::TouchedPod => {
                let waiting = self.waiting();
                for pod in waiting {
                    let note = now.to_string();
                    self.clusters[0].api.update(Kind::Pod, &pod, |pod| {
                        pod["metadata"]["annotations"]["example.com/note"] = note.into();
                    });
                }
            }
        }
    }

    fn lose_node(&mut self) {
        let index = self.rng.usize(0..self.clusters.len());
        // The first tier keeps its nodes: nobody would bring them back.
        if index == 0 {
            return;
        }
        let nodes = self.clusters[index].api.list(Kind::Node);
        let nodes: Vec<_> = nodes.map(|node| name(node).to_owned()).collect();
        if nodes.is_empty() {
            return;
        }
        let node = &nodes[self.rng.usize(0..nodes.len())];
        for lost in self.clusters[index].lose_node(node) {
            let pod = name(&lost).trim_end_matches("-c").to_owned();
            if let Some(job) = self.job_of(&pod) {
                self.end(job, false);
            }
        }
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

fn put_virtual_node(source: &mut Cluster, cluster: &str, taints: serde_json::Value) {
    source.api.put(
        Kind::Node,
        json!({
            "metadata": {"name": format!("admiralty-{cluster}"), "labels": {TARGET: cluster}},
            "spec": {"taints": taints},
            "status": {},
        }),
    );
}

/// What a pod asks for, for tests.
pub fn requested(pod: &serde_json::Value) -> i64 {
    asks(pod)
}
