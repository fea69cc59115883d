//! Admiralty's habits, as they were measured: its scheduler in the source tries one pod after another, a second for each
//! that it tries for the first time; it asks every cluster whose gate the pod passes, and binds where a place is
//! reserved. A candidate that still says that it was refused is not bound, and a pod that was refused is looked at again
//! when it changes, or after a minute.

use crate::api_server::Kind;
use crate::cluster::{Cluster, name};
use hcb_api::gate::GATE;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// How long a first try takes.
const TRY: SignedDuration = SignedDuration::from_secs(1);
/// When a pod that was refused is looked at again by itself.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);

/// The scheduler of the source cluster.
#[derive(Debug, Default)]
pub struct Scheduler {
    queue: VecDeque<String>,
    /// The pod that is tried, and until when.
    busy: Option<(String, Timestamp)>,
    /// When pods that were refused are looked at again.
    refused: BTreeMap<String, Timestamp>,
    /// How far the events of the source were looked at.
    seen: usize,
}

/// Pods that were bound, with the cluster of each.
pub type Bound = Vec<(String, usize)>;

impl Scheduler {
    /// Goes on to `now`, and says which pods it bound.
    pub fn tick(&mut self, clusters: &mut [Cluster], names: &[String], now: Timestamp) -> Bound {
        self.look(clusters, now);
        let mut bound = Bound::new();
        // What has candidates already is tried in milliseconds.
        for _ in 0..20 {
            if let Some((pod, until)) = self.busy.clone() {
                if until > now {
                    break;
                }
                self.busy = None;
                self.finish(&pod, clusters, names, now, &mut bound);
            }
            let Some(pod) = self.queue.pop_front() else {
                break;
            };
            if clusters[0].api.get(Kind::Pod, &pod).is_none() {
                continue;
            }
            if ask(&pod, clusters, names) {
                self.busy = Some((pod, now + TRY));
            } else {
                self.finish(&pod, clusters, names, now, &mut bound);
            }
        }
        bound
    }

    /// Takes in what changed: new pods, and those that somebody changed.
    fn look(&mut self, clusters: &[Cluster], now: Timestamp) {
        for event in &clusters[0].api.events[self.seen..] {
            let object = &event.object;
            let is_proxy =
                !object["metadata"]["annotations"]["multicluster.admiralty.io/elect"].is_null();
            if event.kind == Kind::Pod && is_proxy && object["spec"]["nodeName"].is_null() {
                let pod = name(object).to_owned();
                self.refused.remove(&pod);
                let is_tried = self.busy.as_ref().is_some_and(|(busy, _)| *busy == pod);
                if !event.is_gone && !is_tried && !self.queue.contains(&pod) {
                    self.queue.push_back(pod);
                }
            }
        }
        self.seen = clusters[0].api.events.len();
        let due = self.refused.iter().filter(|(_, at)| **at <= now);
        let due: Vec<_> = due.map(|(pod, _)| pod.clone()).collect();
        for pod in due {
            self.refused.remove(&pod);
            self.queue.push_back(pod);
        }
    }

    fn finish(
        &mut self,
        pod: &str,
        clusters: &mut [Cluster],
        names: &[String],
        now: Timestamp,
        bound: &mut Bound,
    ) {
        let Some(proxy) = clusters[0].api.get(Kind::Pod, pod).cloned() else {
            return;
        };
        let chosen = (0..clusters.len()).find(|index| {
            let cluster = &clusters[*index];
            let candidate = candidate(pod);
            let chaperon = cluster.api.get(Kind::Chaperon, &candidate);
            let is_refused = chaperon.is_some_and(|chaperon| {
                chaperon["status"]["conditions"][0]["reason"] == "Unschedulable"
            });
            passes(&proxy, &clusters[0], &names[*index])
                && cluster.is_reserved(&candidate)
                && !is_refused
        });
        let Some(chosen) = chosen else {
            self.refused.insert(pod.to_owned(), now + AGAIN);
            return;
        };
        clusters[chosen].bind(&candidate(pod), now);
        for (index, cluster) in clusters.iter_mut().enumerate() {
            if index != chosen {
                cluster.remove(&candidate(pod));
            }
        }
        bound.push((pod.to_owned(), chosen));
    }
}

/// The name of the candidates of a pod. In the source one stands beside the pod.
pub fn candidate(pod: &str) -> String {
    format!("{pod}-c")
}

/// Whether a pod passes the gate of a cluster.
pub fn passes(proxy: &Value, source: &Cluster, cluster: &str) -> bool {
    let node = source.api.get(Kind::Node, &format!("admiralty-{cluster}"));
    let Some(node) = node else {
        return false;
    };
    let mut taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.all(|taint| {
        let mut tolerations = proxy["spec"]["tolerations"]
            .as_array()
            .into_iter()
            .flatten();
        taint["key"] != GATE || tolerations.any(|toleration| toleration["value"] == taint["value"])
    })
}

/// Makes candidates in the clusters whose gate a pod passes; says whether any is new.
fn ask(pod: &str, clusters: &mut [Cluster], names: &[String]) -> bool {
    let Some(proxy) = clusters[0].api.get(Kind::Pod, pod).cloned() else {
        return false;
    };
    let mut is_new = false;
    for index in 0..clusters.len() {
        let candidate = candidate(pod);
        if !passes(&proxy, &clusters[0], &names[index])
            || clusters[index].api.get(Kind::Pod, &candidate).is_some()
        {
            continue;
        }
        is_new = true;
        let labels = json!({"multicluster.admiralty.io/parent-uid": proxy["metadata"]["uid"]});
        let metadata = json!({"name": candidate, "namespace": "ml", "uid": format!("{candidate}-{index}"), "labels": labels});
        let api = &mut clusters[index].api;
        let containers = &proxy["spec"]["containers"];
        api.put(
            Kind::Chaperon,
            json!({"metadata": metadata.clone(), "spec": {}, "status": {"conditions": []}}),
        );
        api.put(
            Kind::Pod,
            json!({"metadata": metadata, "spec": {"containers": containers}, "status": {"phase": "Pending", "conditions": []}}),
        );
    }
    is_new
}
