//! What comes of a decision: what is told of pods that wait, and what is done.

use super::super::act;
use super::{AT_ONCE, Reconciler};
use crate::control::{Action, Purpose};
use crate::core::decision::{Decision, Outcome};
use crate::core::explain::{Explainer, chosen, described, reason};
use futures::{StreamExt, stream};
use hcb_api::gate::Gate;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

impl Reconciler {
    /// Says what is new of each pod that waits.
    pub(super) fn tell(&mut self, decision: &Decision, now: Timestamp) {
        let observation = &self.control.state.observer.observation;
        let mut explainer = Explainer::new(observation, &self.control.config).of(decision);
        let releases = decision.releases.iter().map(|release| &release.uid);
        let releases: BTreeSet<_> = releases.collect();
        let mut said = BTreeMap::new();
        for verdict in &decision.verdicts {
            let Some(pod) = observation.demands.get(&verdict.uid) else {
                continue;
            };
            let essence = (reason(&verdict.outcome), chosen(&verdict.outcome).cloned());
            if self.said.get(&verdict.uid) != Some(&essence) {
                tracing::info!(
                    namespace = pod.namespace,
                    pod = pod.name,
                    outcome = essence.0,
                    cluster = essence.1,
                    why = described(&verdict.outcome),
                    "decided"
                );
                // That a place is reserved is a matter of moments, and a release is told once it is done.
                let is_told = !matches!(verdict.outcome, Outcome::PlaceReserved(_))
                    && !releases.contains(&verdict.uid);
                if !self.options.dry_run && is_told {
                    self.events
                        .write(pod, explainer.explain(pod, &verdict.outcome, now));
                }
            }
            said.insert(verdict.uid.clone(), essence);
        }
        self.said = said;
    }

    pub(super) async fn act(&mut self, decision: &Decision, now: Timestamp) {
        let actions = self.control.actions(decision, now);
        let (metrics, source) = (&self.shared.metrics, &self.source);
        let work = actions
            .into_iter()
            .map(|Action { change, purpose }| async move {
                let done = act::attempt(metrics, &purpose, act::make(source, &change)).await;
                (purpose, done)
            });
        let done: Vec<_> = stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        for (purpose, done) in done {
            match done {
                Ok(()) => {
                    self.note_done(&purpose);
                    self.take(purpose.done());
                }
                Err(failure) => {
                    if let Some(fact) = purpose.failed(&failure) {
                        self.take(fact);
                    }
                }
            }
        }
    }

    /// Tells of what was done where people look.
    fn note_done(&self, purpose: &Purpose) {
        let metrics = &self.shared.metrics;
        match purpose {
            Purpose::Release {
                uid, cluster, why, ..
            } => {
                metrics.released(&self.control.config.clusters[*cluster].name);
                let demands = &self.control.state.observer.observation.demands;
                if let Some(demand) = demands.get(uid) {
                    self.events.write(demand, (**why).clone());
                }
            }
            Purpose::Gate {
                cluster,
                name,
                gate,
            } => {
                tracing::info!(cluster = name, ?gate, "the gate");
                let was_open = {
                    let state = &self.control.state.observer.observation.clusters[*cluster];
                    state.gate == Gate::Open
                };
                let config = &self.control.config;
                let is_later = config.tier(&config.clusters[*cluster]) > 0;
                if is_later && was_open && *gate == Gate::Closed {
                    metrics.closed_open_gate();
                }
            }
            Purpose::Nudge { .. } => metrics.nudged(),
        }
    }
}
