//! A cluster: its scheduler, its autoscaler, and the pods that run on its nodes.

use crate::api_server::{ApiServer, Kind};
use fastrand::Rng;
use hcb_api::config::Cluster as Config;
use hcb_api::labels::POOL;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long a place is reserved for a candidate that nobody binds.
const RESERVED_FOR: SignedDuration = SignedDuration::from_secs(30);
/// How long a node without pods is kept.
const EMPTY_FOR: SignedDuration = SignedDuration::from_secs(300);
/// How often an autoscaler looks.
const SCALES_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// A cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its objects.
    pub api: ApiServer,
    /// Whether its API server answers.
    pub answers: bool,
    config: Config,
    /// Places that are reserved: the node, and until when, by candidate.
    reserved: BTreeMap<String, (String, Timestamp)>,
    /// Nodes that are being made: when they come and of how many CPUs, in thousandths.
    coming: Vec<(Timestamp, i64)>,
    /// Since when nodes are empty.
    empty_since: BTreeMap<String, Timestamp>,
    scaled: Timestamp,
    made: u32,
    /// Nodes that are no doing of the reconciler's.
    pub by_others: Vec<String>,
    /// What its nodes have cost, counted exactly.
    pub cost: f64,
    /// How the next nodes turn out.
    pub next_node: NextNode,
}

/// How a node turns out that an autoscaler asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NextNode {
    /// As asked for.
    #[default]
    AsAsked,
    /// It never comes.
    Never,
    /// It offers less.
    Smaller,
}

impl Cluster {
    /// A cluster with the nodes that it always has.
    pub fn new(config: Config, now: Timestamp) -> Self {
        let mut cluster = Self {
            api: ApiServer::default(),
            answers: true,
            reserved: BTreeMap::new(),
            coming: Vec::new(),
            empty_since: BTreeMap::new(),
            scaled: now,
            made: 0,
            by_others: Vec::new(),
            cost: 0.0,
            next_node: NextNode::default(),
            config,
        };
        for _ in 0..cluster.config.pools[0].min {
            cluster.add_node(4000);
        }
        cluster
    }

    /// What a node costs an hour.
    pub fn price(&self) -> f64 {
        self.config.pools[0].price_per_hour.unwrap_or_default()
    }

    /// Adds a node, and returns its name.
    pub fn add_node(&mut self, cpu: i64) -> String {
        self.made += 1;
        let name = format!("{}-{}", self.config.name, self.made);
        self.api.put(
            Kind::Node,
            json!({
                "metadata": {"name": name, "labels": {POOL: self.config.pools[0].name}},
                "spec": {},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "allocatable": {"cpu": format!("{cpu}m"), "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"},
                },
            }),
        );
        name
    }

    /// Removes a node and returns the pods that were on it.
    pub fn lose_node(&mut self, node: &str) -> Vec<Value> {
        self.api.delete(Kind::Node, node);
        let pods = self.api.list(Kind::Pod);
        let lost: Vec<_> = pods
            .filter(|pod| pod["spec"]["nodeName"] == node)
            .cloned()
            .collect();
        for pod in &lost {
            self.remove(name(pod));
        }
        lost
    }

    /// How many nodes there are, without those of others.
    pub fn own_nodes(&self) -> usize {
        let nodes = self.api.list(Kind::Node);
        let own = nodes.filter(|node| {
            let name = name(node);
            name.starts_with(&format!("{}-", self.config.name))
                && !self.by_others.iter().any(|other| other == name)
        });
        own.count()
    }

    /// What is free on each node, in thousandths of a CPU, with what is reserved taken off.
    pub fn free(&self) -> BTreeMap<String, i64> {
        let nodes = self.api.list(Kind::Node);
        let mut free: BTreeMap<String, i64> = nodes
            .filter(|node| !node["status"].is_null())
            .map(|node| {
                (
                    name(node).to_owned(),
                    milli(&node["status"]["allocatable"]["cpu"]),
                )
            })
            .collect();
        for pod in self.api.list(Kind::Pod) {
            let on = pod["spec"]["nodeName"].as_str();
            let on = on.or_else(|| self.reserved.get(name(pod)).map(|(node, _)| node.as_str()));
            if let Some(free) = on.and_then(|node| free.get_mut(node)) {
                *free -= asks(pod);
            }
        }
        free
    }

    /// Whether a place is reserved for a candidate.
    pub fn is_reserved(&self, candidate: &str) -> bool {
        self.reserved.contains_key(candidate)
    }

    /// Binds a candidate to the node that is reserved for it.
    pub fn bind(&mut self, candidate: &str, now: Timestamp) {
        if let Some((node, _)) = self.reserved.remove(candidate) {
            self.api.update(Kind::Pod, candidate, |pod| {
                pod["spec"]["nodeName"] = node.into();
                pod["status"]["startTime"] = now.to_string().into();
            });
        }
    }

    /// Removes a candidate, with its chaperon and what is reserved for it.
    pub fn remove(&mut self, candidate: &str) {
        self.reserved.remove(candidate);
        self.api.delete(Kind::Pod, candidate);
        self.api.delete(Kind::Chaperon, candidate);
    }

    /// Goes on to `now`: reserves places, gives up places, adds and removes nodes.
    pub fn tick(&mut self, since: Timestamp, now: Timestamp, rng: &mut Rng) {
        let hours = since.duration_until(now).as_secs_f64() / 3600.0;
        let nodes = self.api.list(Kind::Node);
        let own = nodes.filter(|node| name(node).starts_with(&format!("{}-", self.config.name)));
        self.cost += own.count() as f64 * self.price() * hours;
        self.nodes_come(now);
        self.schedule(now);
        if now >= self.scaled + SCALES_EVERY {
            self.scaled = now;
            self.scale(now, rng);
        }
    }

    fn nodes_come(&mut self, now: Timestamp) {
        let coming = std::mem::take(&mut self.coming);
        let (come, coming): (Vec<_>, Vec<_>) = coming.into_iter().partition(|(at, _)| *at <= now);
        self.coming = coming;
        for (_, cpu) in come {
            self.add_node(cpu);
        }
    }

    fn schedule(&mut self, now: Timestamp) {
        let over = self.reserved.iter();
        let over: Vec<_> = over
            .filter(|(_, (node, until))| *until <= now || self.api.get(Kind::Node, node).is_none())
            .map(|(candidate, _)| candidate.clone())
            .collect();
        for candidate in over {
            self.reserved.remove(&candidate);
            self.mark(&candidate, false);
        }
        let mut free = self.free();
        let waiting: Vec<_> = self
            .candidates()
            .filter(|pod| pod["spec"]["nodeName"].is_null() && !self.is_reserved(name(pod)))
            .map(|pod| (name(pod).to_owned(), asks(pod)))
            .collect();
        for (candidate, asks) in waiting {
            match free.iter_mut().find(|(_, free)| **free >= asks) {
                Some((node, free)) => {
                    *free -= asks;
                    let reserved = (node.clone(), now + RESERVED_FOR);
                    self.reserved.insert(candidate.clone(), reserved);
                    self.mark(&candidate, true);
                }
                None => self.refuse(&candidate),
            }
        }
    }

    /// The candidates that Admiralty made here.
    fn candidates(&self) -> impl Iterator<Item = &Value> {
        let pods = self.api.list(Kind::Pod);
        pods.filter(|pod| {
            !pod["metadata"]["labels"]["multicluster.admiralty.io/parent-uid"].is_null()
        })
    }

    fn mark(&mut self, candidate: &str, is_reserved: bool) {
        self.api.update(Kind::Chaperon, candidate, |chaperon| {
            let annotations = &mut chaperon["metadata"]["annotations"];
            *annotations = if is_reserved {
                json!({"multicluster.admiralty.io/is-reserved": ""})
            } else {
                json!({})
            };
        });
    }

    fn refuse(&mut self, candidate: &str) {
        let conditions =
            json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]);
        for kind in [Kind::Pod, Kind::Chaperon] {
            let object = self.api.get(kind, candidate);
            if object.is_some_and(|object| object["status"]["conditions"] != conditions) {
                let conditions = conditions.clone();
                self.api.update(kind, candidate, |object| {
                    object["status"]["conditions"] = conditions;
                });
            }
        }
    }

    fn scale(&mut self, now: Timestamp, rng: &mut Rng) {
        let pool = &self.config.pools[0];
        if pool.max <= pool.min {
            return;
        }
        let mut room: Vec<i64> = self.coming.iter().map(|(_, cpu)| *cpu).collect();
        let pending = self.candidates().filter(|pod| {
            let is_refused = pod["status"]["conditions"][0]["reason"] == "Unschedulable";
            pod["spec"]["nodeName"].is_null() && !self.is_reserved(name(pod)) && is_refused
        });
        let pending: Vec<_> = pending.map(asks).collect();
        let mut nodes = self.own_nodes() + self.coming.len();
        for asks in pending {
            if let Some(room) = room.iter_mut().find(|room| **room >= asks) {
                *room -= asks;
                continue;
            }
            if asks > 4000 || nodes >= pool.max as usize {
                continue;
            }
            nodes += 1;
            room.push(4000 - asks);
            let comes = now + SignedDuration::from_secs(rng.i64(20..90));
            match std::mem::take(&mut self.next_node) {
                NextNode::AsAsked => self.coming.push((comes, 4000)),
                NextNode::Smaller => self.coming.push((comes, 3500)),
                NextNode::Never => {}
            }
        }
        let free = self.free();
        let empty = free.iter().filter(|(_, free)| **free >= 3500);
        let empty: Vec<_> = empty.map(|(node, _)| node.clone()).collect();
        self.empty_since.retain(|node, _| empty.contains(node));
        for node in empty {
            let since = *self.empty_since.entry(node.clone()).or_insert(now);
            if now >= since + EMPTY_FOR && self.own_nodes() > pool.min as usize {
                self.empty_since.remove(&node);
                self.by_others.retain(|other| *other != node);
                self.api.delete(Kind::Node, &node);
            }
        }
    }
}

/// The name of an object.
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// What a pod asks for, in thousandths of a CPU.
pub fn asks(pod: &Value) -> i64 {
    milli(&pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])
}

fn milli(quantity: &Value) -> i64 {
    let text = quantity.as_str().unwrap_or_default();
    text.strip_suffix('m')
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}
