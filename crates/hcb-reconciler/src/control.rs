//! One reconciler without IO: facts and the time go in, changes come out, and what came of them goes in again.
//!
//! The runtime makes the changes on real clusters. The simulator makes them on simulated ones, so that what it attacks
//! is what runs.

use crate::core::decision::{Decision, NotReleased, Outcome};
use crate::core::explain::Explainer;
use crate::core::facts::{Fact, State};
use crate::core::gates::GateChange;
use crate::engine::Engine;
use crate::engine::change::Change;
use hcb_api::config::ReconcilerConfig;
use hcb_api::explanation::Explanation;
use hcb_api::gate::Gate;
use jiff::Timestamp;
use std::fmt;
use std::sync::Arc;

/// A reconciler: its configuration, its engine, and what it knows.
#[derive(Debug)]
pub struct Control {
    /// The configuration that it goes by.
    pub config: Arc<ReconcilerConfig>,
    /// The engine that it tells what was decided.
    pub engine: Arc<dyn Engine>,
    /// What it sees and remembers.
    pub state: State,
}

/// Something to do, and what it is for.
#[derive(Debug)]
pub struct Action {
    /// The change of an object of the source cluster.
    pub change: Change,
    /// What it is for.
    pub purpose: Purpose,
}

/// What an action is for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// A demand may go to a cluster.
    Release {
        /// The demand's uid.
        uid: String,
        /// Its name.
        name: String,
        /// The cluster, by its index in the configuration.
        cluster: usize,
        /// Why, as it is told once the release is done.
        why: Box<Explanation>,
    },
    /// The gate of a cluster changes.
    Gate {
        /// The cluster, by its index in the configuration.
        cluster: usize,
        /// Its name.
        name: String,
        /// What it becomes.
        gate: Gate,
    },
    /// The engine looks at a demand again.
    Nudge {
        /// The demand's uid.
        uid: String,
        /// Its name.
        name: String,
    },
}

/// Why an action was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The object is gone, or is not what it was: whoever looks next sees it as it is.
    Changed,
    /// The API server refused: the reason for people.
    Refused(String),
    /// It did not answer, so the action may be done: the reason for people.
    Unknown(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => formatter.write_str("it changed"),
            Self::Refused(why) | Self::Unknown(why) => formatter.write_str(why),
        }
    }
}

impl Purpose {
    /// In one word, as the metric of failures has it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::Gate { .. } => "gate",
            Self::Nudge { .. } => "wake",
        }
    }

    /// The name of the object that is changed, or of what it stands for.
    pub fn object(&self) -> &str {
        match self {
            Self::Release { name, .. } | Self::Nudge { name, .. } | Self::Gate { name, .. } => name,
        }
    }

    /// The fact that the action is done.
    pub fn done(&self) -> Fact {
        match self {
            Self::Release { uid, cluster, .. } => Fact::Released(uid.clone(), *cluster),
            Self::Gate { cluster, gate, .. } => Fact::Gate(*cluster, *gate),
            Self::Nudge { uid, .. } => Fact::Nudged(uid.clone()),
        }
    }

    /// The fact that the action is not done, where decisions need to know.
    pub fn failed(&self, failure: &Failure) -> Option<Fact> {
        let Self::Release { uid, cluster, .. } = self else {
            return None;
        };
        let why = match failure {
            Failure::Changed => NotReleased::Changed,
            Failure::Refused(why) => NotReleased::Refused(why.clone()),
            Failure::Unknown(why) => NotReleased::Unknown(why.clone()),
        };
        Some(Fact::NotReleased(uid.clone(), *cluster, why))
    }
}

impl Control {
    /// One that knows nothing yet.
    pub fn new(config: ReconcilerConfig, engine: Arc<dyn Engine>) -> Self {
        Self {
            state: State::new(&config, engine.pacing()),
            config: Arc::new(config),
            engine,
        }
    }

    /// Goes by another configuration. What is watched must be listed anew.
    pub fn configure(&mut self, config: ReconcilerConfig) {
        self.state.configure(&self.config, &config);
        self.config = Arc::new(config);
    }

    /// Takes in what was seen or done.
    pub fn take(&mut self, fact: Fact, now: Timestamp) {
        self.state.take(fact, &self.config, now);
    }

    /// Decides.
    pub fn decide(&mut self, now: Timestamp) -> Decision {
        self.state.decide(&self.config, now)
    }

    /// What is to be done for a decision. Each is one change of an object of the source cluster.
    pub fn actions(&self, decision: &Decision, now: Timestamp) -> Vec<Action> {
        let observation = &self.state.observer.observation;
        let demands = &observation.demands;
        let mut explainer = Explainer::new(observation, &self.config).of(decision);
        let mut actions = Vec::new();
        for release in &decision.releases {
            let (Some(demand), Some(cluster)) = (
                demands.get(&release.uid),
                self.config.index(&release.cluster),
            ) else {
                continue;
            };
            let outcome = Outcome::Released(release.cluster.clone());
            let why = Box::new(explainer.explain(demand, &outcome, now));
            let clusters = [&self.config.clusters[cluster]];
            actions.push(Action {
                change: self.engine.admit(demand, &clusters, Some(&why), now),
                purpose: Purpose::Release {
                    uid: release.uid.clone(),
                    name: demand.name.clone(),
                    cluster,
                    why,
                },
            });
        }
        for &GateChange { cluster, gate } in &decision.gates {
            let of = &self.config.clusters[cluster];
            let change = self.engine.set_gate(of, gate);
            actions.extend(change.map(|change| Action {
                change,
                purpose: Purpose::Gate {
                    cluster,
                    name: of.name.clone(),
                    gate,
                },
            }));
        }
        for nudge in &decision.nudges {
            let Some(demand) = demands.get(&nudge.uid) else {
                continue;
            };
            let change = self.engine.nudge(demand, now);
            actions.extend(change.map(|change| Action {
                change,
                purpose: Purpose::Nudge {
                    uid: nudge.uid.clone(),
                    name: demand.name.clone(),
                },
            }));
        }
        actions
    }
}
