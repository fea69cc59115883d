//! The real reconciler in a simulated cloud: watches become facts, and changes are made on simulated API servers.

use crate::api_server::{Kind, Refusal};
use crate::cluster::Cluster;
use hcb_api::config::ReconcilerConfig;
use hcb_api::status::{Handover, Status};
use hcb_reconciler::control::{Control, Failure, Purpose};
use hcb_reconciler::core::decision::{Candidate, Decision};
use hcb_reconciler::core::facts::{Fact, Watched};
use hcb_reconciler::core::status::status;
use hcb_reconciler::engine::registry;
use hcb_reconciler::engine::watch::Watch;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// How often a cluster is asked whether it is there.
const PING: SignedDuration = SignedDuration::from_secs(5);
/// How often what outlives a leader is saved.
const SAVE_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// What outlives a leader: the two objects in which it is kept, as text.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// The ledger.
    pub spending: Option<String>,
    /// The status.
    pub status: Option<String>,
}

impl Saved {
    /// What the next leader goes on from.
    ///
    /// # Panics
    /// Where what was saved is not what is read.
    pub fn handover(&self) -> Option<Handover> {
        let spending = self.spending.as_deref().map(serde_json::from_str);
        let status = self.status.as_deref().map(serde_json::from_str);
        let status: Option<Status> = status.transpose().expect("what was saved whole");
        let spending = spending.transpose().expect("what was saved whole");
        Handover::of_saved(status.as_ref(), spending)
    }
}

/// A watch of one kind of object in one cluster, and how far it is.
#[derive(Debug)]
struct Follower {
    cluster: usize,
    kind: Kind,
    watched: Watched,
    watch: Watch,
    /// The next event to be seen; none before all is listed.
    next: Option<usize>,
    /// Until then nothing comes.
    late_until: Timestamp,
}

/// A reconciler that leads.
#[derive(Debug)]
pub struct Reconciler {
    /// The real one.
    pub control: Control,
    followers: Vec<Follower>,
    pinged: Vec<Option<Timestamp>>,
    saved: Timestamp,
    /// By how much its clock is off.
    clock: SignedDuration,
    recalled: BTreeSet<Candidate>,
    stale: BTreeSet<Candidate>,
    decided: Option<Timestamp>,
    look_again: Option<Timestamp>,
    has_news: bool,
}

/// What an API server does to a request of the reconciler's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It answers as it should.
    AsItShould,
    /// It refuses.
    Refuse,
    /// It does what is asked, and its answer is lost.
    LoseAnswer,
    /// Somebody was faster.
    Conflict,
}

/// A change that was made, for the invariants.
pub type Done = (Purpose, bool);

fn watched_kind(name: &str) -> Option<(Kind, Watched)> {
    Some(match name {
        "Node" => (Kind::Node, Watched::Nodes),
        "Pod" => (Kind::Pod, Watched::Pods),
        "PodChaperon" => (Kind::Chaperon, Watched::Reservations),
        "ResourceQuota" => (Kind::Quota, Watched::Quotas),
        "Job" => (Kind::Job, Watched::Jobs),
        _ => return None,
    })
}

impl Reconciler {
    /// One that goes on from what was saved.
    pub fn start(
        config: &ReconcilerConfig,
        saved: &Saved,
        clock: SignedDuration,
        now: Timestamp,
    ) -> Self {
        let mut control = Control::new(config.clone(), registry::of(config));
        if let Some(handover) = saved.handover() {
            control.take(Fact::TookOver(Box::new(handover)), now + clock);
        }
        let mut reconciler = Self {
            followers: Vec::new(),
            pinged: vec![None; config.clusters.len()],
            control,
            saved: now,
            clock,
            recalled: BTreeSet::new(),
            stale: BTreeSet::new(),
            decided: None,
            look_again: None,
            has_news: false,
        };
        reconciler.watch(now);
        reconciler
    }

    fn watch(&mut self, now: Timestamp) {
        self.followers.clear();
        let config = &self.control.config;
        for cluster in 0..config.clusters.len() {
            for watch in self.control.engine.watches(config, cluster) {
                if let Some((kind, watched)) = watched_kind(watch.kind()) {
                    self.followers.push(Follower {
                        cluster,
                        kind,
                        watched,
                        watch,
                        next: None,
                        late_until: now,
                    });
                }
            }
        }
    }

    /// Goes by another configuration.
    pub fn configure(&mut self, config: ReconcilerConfig, now: Timestamp) {
        self.control.configure(config);
        self.pinged.fill(None);
        self.watch(now);
    }

    /// A watch brings nothing for a while, or lists all anew.
    pub fn disturb(&mut self, index: usize, late_until: Option<Timestamp>) {
        let count = self.followers.len();
        let follower = &mut self.followers[index % count];
        match late_until {
            Some(until) => follower.late_until = until,
            None => follower.next = None,
        }
    }

    fn take(&mut self, fact: Fact, now: Timestamp) {
        if let Fact::Reservation {
            cluster,
            key,
            is_reserved,
            is_stale,
        } = &fact
        {
            let candidate = (*cluster, key.clone());
            if *is_reserved && *is_stale {
                self.stale.insert(candidate);
            } else {
                self.stale.remove(&candidate);
            }
        }
        self.has_news = true;
        self.control.take(fact, now + self.clock);
    }

    /// Takes in what its watches bring. Says how many facts came.
    pub fn see(&mut self, clusters: &[Cluster], now: Timestamp) -> usize {
        let mut facts = Vec::new();
        for (index, cluster) in clusters.iter().enumerate() {
            let is_due = self.pinged[index].is_none_or(|at| now >= at + PING);
            if !is_due {
                continue;
            }
            let was_there = self.pinged[index].is_some();
            if cluster.answers {
                self.pinged[index] = Some(now);
                facts.push(Fact::Alive(index));
            } else if was_there {
                self.pinged[index] = None;
                facts.push(Fact::Lost(index));
                for follower in self
                    .followers
                    .iter_mut()
                    .filter(|follower| follower.cluster == index)
                {
                    follower.next = None;
                }
            }
        }
        for follower in &mut self.followers {
            let cluster = &clusters[follower.cluster];
            if !cluster.answers || now < follower.late_until {
                continue;
            }
            let api = &cluster.api;
            if let Some(next) = follower.next {
                for event in api.events[next..]
                    .iter()
                    .filter(|event| event.kind == follower.kind)
                {
                    let fact = follower.watch.fact(event.object.clone(), event.is_gone);
                    facts.extend(fact.ok().flatten());
                }
            } else {
                facts.push(Fact::Listing(follower.cluster, follower.watched));
                for object in api.list(follower.kind) {
                    let fact = follower.watch.fact(object.clone(), false);
                    facts.extend(fact.ok().flatten());
                }
                facts.push(Fact::Listed(follower.cluster, follower.watched));
            }
            follower.next = Some(api.events.len());
        }
        let count = facts.len();
        for fact in facts {
            self.take(fact, now);
        }
        count
    }

    /// Decides, if it is time to.
    pub fn decide(&mut self, now: Timestamp) -> Option<Decision> {
        let own = now + self.clock;
        let is_due = self
            .decided
            .is_none_or(|at| own >= at + SignedDuration::from_secs(1))
            || self.look_again.is_some_and(|at| own >= at)
            || self.has_news;
        if !is_due || !self.control.state.observer.is_ready() {
            return None;
        }
        self.has_news = false;
        self.decided = Some(own);
        let decision = self.control.decide(own);
        self.look_again = decision.look_again;
        self.recalled.clone_from(&decision.recalled);
        Some(decision)
    }

    /// Makes the changes of a decision, and says which were made.
    pub fn act(
        &mut self,
        decision: &Decision,
        clusters: &mut [Cluster],
        now: Timestamp,
        mut reply: impl FnMut(&Purpose) -> Reply,
    ) -> Vec<Done> {
        let own = now + self.clock;
        let mut all = Vec::new();
        for action in self.control.actions(decision, own) {
            let reply = reply(&action.purpose);
            let failure = match reply {
                Reply::Refuse => Some(Failure::Refused("refused by a fault".to_owned())),
                Reply::Conflict => Some(Failure::Changed),
                Reply::AsItShould | Reply::LoseAnswer => {
                    let done = clusters[0].api.change(&action.change);
                    match (done, reply) {
                        (Ok(()), Reply::LoseAnswer) => {
                            all.push((action.purpose.clone(), true));
                            Some(Failure::Unknown("no answer in time".to_owned()))
                        }
                        (Ok(()), _) => None,
                        (Err(Refusal::Forbidden(why)), _) => Some(Failure::Refused(why)),
                        (Err(_), _) => Some(Failure::Changed),
                    }
                }
            };
            match failure {
                None => {
                    self.take(action.purpose.done(), now);
                    all.push((action.purpose, true));
                }
                Some(failure) => {
                    if let Some(fact) = action.purpose.failed(&failure) {
                        self.take(fact, now);
                    }
                    all.push((action.purpose, false));
                }
            }
        }
        // What the runtime does beside the decisions: it takes stale refusals off.
        for (cluster, key) in self
            .stale
            .difference(&self.recalled)
            .cloned()
            .collect::<Vec<_>>()
        {
            if clusters[cluster].answers {
                for change in self.control.engine.unstick(&key) {
                    let _ = clusters[cluster].api.change(&change);
                }
            }
        }
        all
    }

    /// Saves what outlives it, if it is time to.
    pub fn save(&mut self, decision: &Decision, saved: &mut Saved, now: Timestamp) {
        if now < self.saved + SAVE_EVERY {
            return;
        }
        self.saved = now;
        let own = now + self.clock;
        let state = &self.control.state;
        let spending = state.memory.saved_spending(own);
        let status = status(
            &state.observer.observation,
            &self.control.config,
            &state.memory,
            decision,
            "simulated",
            own,
        );
        saved.spending = serde_json::to_string(&spending).ok();
        saved.status = status.to_bounded_json(hcb_api::status::LONGEST).ok();
    }
}
