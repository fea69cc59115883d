//! Faults, as they come.

use super::{World, put_virtual_node};
use crate::api_server::Kind;
use crate::cluster::{NextNode, name};
use crate::faults::Fault;
use crate::reconciler::Reply;
use hcb_api::config::ReconcilerConfig;
use jiff::SignedDuration;
use serde_json::json;

impl World {
    pub(super) fn end_silence(&mut self) {
        for index in 0..self.clusters.len() {
            if self.silent_until[index].is_some_and(|until| until <= self.now) {
                self.silent_until[index] = None;
                self.clusters[index].answers = true;
                self.disturbed = self.now;
            }
        }
    }

    /// All is well from now on.
    pub(super) fn heal(&mut self) {
        for index in 0..self.clusters.len() {
            self.clusters[index].answers = true;
            self.silent_until[index] = None;
            self.clusters[index].next_node = NextNode::AsAsked;
        }
        self.next_replies.clear();
        let mut config = self.config.clone();
        for cluster in &mut config.clusters {
            cluster.drain = false;
        }
        self.configure(config);
        self.disturbed = self.now;
    }

    pub(super) fn configure(&mut self, config: ReconcilerConfig) {
        self.config = config.clone();
        self.disturbed = self.now;
        let now = self.now;
        if let Some(reconciler) = &mut self.reconciler {
            reconciler.configure(config, now);
        }
    }

    pub(super) fn strike(&mut self, fault: Fault) {
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
                    self.had_other_clock = true;
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
                put_virtual_node(&mut self.clusters[0], &cluster, &json!([]));
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

    pub(super) fn lose_node(&mut self) {
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
}
