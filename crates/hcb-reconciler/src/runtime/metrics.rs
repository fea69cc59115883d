//! What Prometheus reads. Names and units follow its conventions.

use crate::core::capacity::node_counts;
use crate::core::decision::Decision;
use crate::core::explain::reason;
use crate::core::memory::Memory;
use crate::core::observation::Observation;
use crate::core::spending;
use crate::core::status::totals;
use hcb_api::config::{Cluster, ReconcilerConfig};
use hcb_api::money::Money;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

type Number = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    cluster: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Resource {
    cluster: String,
    resource: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tier {
    tier: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    outcome: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Period {
    period: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation: String,
}

/// Series of one metric. Those of what is gone go too: a series that stays is an alert that fires for ever.
#[derive(Debug)]
struct Series<L, M> {
    family: Family<L, M>,
    exported: Mutex<HashSet<L>>,
}

impl<L, M> Series<L, M>
where
    L: Clone + Hash + Eq,
    M: Default,
    Family<L, M>: Clone + Default,
{
    fn new(registered: &Family<L, M>) -> Self {
        Self {
            family: registered.clone(),
            exported: Mutex::default(),
        }
    }

    /// These are all that there are from now on. One that stays is there all the while.
    fn replace(&self, series: impl IntoIterator<Item = (L, impl FnOnce(&M))>) {
        let mut now = HashSet::new();
        for (labels, set) in series {
            set(&self.family.get_or_create(&labels));
            now.insert(labels);
        }
        let mut exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in exported.difference(&now) {
            self.family.remove(gone);
        }
        *exported = now;
    }

    /// There are no others than these any more.
    fn keep(&self, stays: impl Fn(&L) -> bool) {
        let mut exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        exported.retain(|labels| {
            let stays = stays(labels);
            if !stays {
                self.family.remove(labels);
            }
            stays
        });
    }

    /// Changes one, which there is from now on.
    fn change(&self, labels: L, change: impl FnOnce(&M)) {
        change(&self.family.get_or_create(&labels));
        let mut exported = self.exported.lock().unwrap_or_else(PoisonError::into_inner);
        exported.insert(labels);
    }
}

/// All metrics of the reconciler.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    seen: Series<Named, Gauge>,
    nodes: Series<Named, Gauge>,
    job_pods: Series<Named, Gauge>,
    unknown_nodes: Series<Named, Gauge>,
    allocatable: Series<Resource, Number>,
    free: Series<Resource, Number>,
    weight: Series<Named, Number>,
    spec_weight: Series<Named, Number>,
    open: Series<Tier, Gauge>,
    waiting: Series<State, Gauge>,
    longest_wait: Number,
    cost: Number,
    spent: Number,
    forecast: Number,
    budget: Series<Period, Number>,
    releases: Series<Named, Counter>,
    nudges: Counter,
    gates_found_open: Counter,
    decisions: Counter,
    duration: Histogram,
    failures: Family<Operation, Counter>,
    leads: Gauge,
    config_is_good: Gauge,
    clock_jump: Number,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("hcb");
        macro_rules! series {
            ($name:literal, $help:literal) => {{
                let family = Family::default();
                registry.register($name, $help, family.clone());
                Series::new(&family)
            }};
        }
        macro_rules! metric {
            ($name:literal, $help:literal) => {{
                let metric = Default::default();
                registry.register($name, $help, Clone::clone(&metric));
                metric
            }};
            ($name:literal, $help:literal, $unit:expr) => {{
                let metric = Default::default();
                registry.register_with_unit($name, $help, $unit, Clone::clone(&metric));
                metric
            }};
        }
        let duration = Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]);
        registry.register_with_unit(
            "decision_duration",
            "How long a decision took",
            Unit::Seconds,
            duration.clone(),
        );
        Self {
            seen: series!("cluster_seen", "Whether a cluster can be seen"),
            nodes: series!("cluster_nodes", "Nodes of a cluster, without virtual ones"),
            job_pods: series!(
                "cluster_job_pods",
                "Pods of jobs in a cluster, candidates among them"
            ),
            unknown_nodes: series!(
                "cluster_unknown_nodes",
                "Nodes of a cluster of a later tier that are of no pool of the spec, and cost as much as its dearest"
            ),
            allocatable: series!(
                "cluster_allocatable",
                "What pods can use of a cluster's nodes, in CPUs, bytes and pieces"
            ),
            free: series!(
                "cluster_free",
                "What is left of a cluster's nodes that take pods, in CPUs, bytes and pieces"
            ),
            weight: series!(
                "cluster_live_weight",
                "The share of a cluster in its tier, as adjusted"
            ),
            spec_weight: series!(
                "cluster_weight",
                "The share of a cluster in its tier, by the spec"
            ),
            open: series!("tier_open", "Whether pods may leave for a tier at once"),
            waiting: series!(
                "waiting_pods",
                "Pods of jobs that wait, by what was decided of them"
            ),
            longest_wait: metric!(
                "longest_wait",
                "The age of the oldest pod that waits",
                Unit::Seconds
            ),
            cost: metric!(
                "burst_cost_per_hour",
                "What the nodes of later tiers cost an hour"
            ),
            spent: metric!(
                "burst_cost_month",
                "What bursting has cost this calendar month (UTC)"
            ),
            forecast: metric!(
                "burst_cost_month_forecast",
                "What bursting will have cost at the end of the month if it goes on as now"
            ),
            budget: series!("budget", "The most that bursting may cost, by period"),
            releases: series!("releases", "Pods that were released to a cluster"),
            nudges: metric!("wakes", "Pods that the engine was nudged to look at again"),
            gates_found_open: metric!(
                "gates_found_open",
                "Gates of later tiers that were found open and closed"
            ),
            decisions: metric!("decisions", "Decisions made"),
            failures: metric!(
                "failed_requests",
                "Requests that an API server refused or lost"
            ),
            leads: metric!("leader", "Whether this replica leads"),
            config_is_good: metric!(
                "config_last_reload_successful",
                "Whether the newest configuration is the one that is in use"
            ),
            clock_jump: metric!(
                "clock_jump",
                "By how much the clock of the machine differs from the one that is decided by",
                Unit::Seconds
            ),
            duration,
            registry,
        }
    }
}

impl Metrics {
    /// All of them, in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// A decision was made.
    pub fn decided(
        &self,
        observation: &Observation,
        config: &ReconcilerConfig,
        memory: &Memory,
        decision: &Decision,
        now: jiff::Timestamp,
    ) {
        let clusters = || config.clusters.iter().zip(&observation.clusters);
        let named = |cluster: &Cluster| Named {
            cluster: cluster.name.clone(),
        };
        self.seen.replace(clusters().map(|(cluster, state)| {
            let is_seen = state.is_seen.into();
            (named(cluster), set_whole(is_seen))
        }));
        self.nodes.replace(clusters().map(|(cluster, state)| {
            let nodes = whole(state.nodes.len());
            (named(cluster), set_whole(nodes))
        }));
        self.job_pods.replace(clusters().map(|(cluster, state)| {
            let pods = whole(state.job_pods());
            (named(cluster), set_whole(pods))
        }));
        let unknown = clusters().filter(|(cluster, _)| config.tier(cluster) > 0);
        self.unknown_nodes.replace(unknown.map(|(cluster, state)| {
            let count = node_counts(cluster, state).others.into();
            (named(cluster), set_whole(count))
        }));
        self.spec_weight.replace(clusters().map(|(cluster, _)| {
            let weight = cluster.weight.into();
            (named(cluster), set(weight))
        }));
        let weights = clusters().zip(&decision.weights);
        self.weight
            .replace(weights.map(|((cluster, _), weight)| (named(cluster), set(weight.weight))));
        let mut allocatable = Vec::new();
        let mut free = Vec::new();
        for (cluster, state) in clusters() {
            for (resource, (most, left)) in totals(state) {
                let labels = Resource {
                    cluster: cluster.name.clone(),
                    resource,
                };
                allocatable.push((labels.clone(), set(most as f64 / 1000.0)));
                free.push((labels, set(left as f64 / 1000.0)));
            }
        }
        self.allocatable.replace(allocatable);
        self.free.replace(free);
        let tiers = config.tiers.iter().zip(&decision.tiers).skip(1);
        self.open.replace(tiers.map(|(tier, state)| {
            let is_open = state.is_open.into();
            let labels = Tier { tier: tier.clone() };
            (labels, set_whole(is_open))
        }));
        let is_there = |named: &Named| config.index(&named.cluster).is_some();
        self.releases.keep(is_there);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for verdict in &decision.verdicts {
            *counts.entry(reason(&verdict.outcome)).or_default() += 1;
        }
        self.waiting
            .replace(counts.into_iter().map(|(outcome, count)| {
                let labels = State {
                    outcome: outcome.to_owned(),
                };
                let count = whole(count);
                (labels, set_whole(count))
            }));
        let waiting = decision
            .verdicts
            .iter()
            .filter_map(|verdict| observation.demands.get(&verdict.uid));
        let oldest = waiting.map(|pod| pod.created).min().unwrap_or(now);
        self.longest_wait
            .set(oldest.duration_until(now).as_secs_f64().max(0.0));
        self.cost.set(decision.hourly_cost);
        let hourly = Money::of_number(decision.hourly_cost);
        self.spent
            .set(spending::spent(&memory.spending, now).as_number());
        self.forecast
            .set(spending::forecast(&memory.spending, hourly, now).as_number());
        let budget = config.budget.as_ref();
        let periods = budget.map(|budget| [("hour", budget.per_hour), ("month", budget.per_month)]);
        let periods = periods.into_iter().flatten();
        self.budget.replace(periods.filter_map(|(period, most)| {
            let labels = Period {
                period: period.to_owned(),
            };
            Some((labels, set(most?)))
        }));
    }

    /// What was decided is another replica's to say.
    fn forget_decisions(&self) {
        for series in [&self.seen, &self.nodes, &self.job_pods] {
            series.keep(|_| false);
        }
        for series in [&self.weight, &self.spec_weight] {
            series.keep(|_| false);
        }
        for series in [&self.allocatable, &self.free] {
            series.keep(|_| false);
        }
        self.open.keep(|_| false);
        self.waiting.keep(|_| false);
        self.budget.keep(|_| false);
        for number in [&self.longest_wait, &self.cost, &self.spent, &self.forecast] {
            number.set(0.0);
        }
    }

    /// How long a decision took.
    pub fn took(&self, duration: Duration) {
        self.decisions.inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// A demand was released to a cluster.
    pub fn released(&self, cluster: &str) {
        let labels = Named {
            cluster: cluster.to_owned(),
        };
        self.releases.change(labels, |counter| {
            counter.inc();
        });
    }

    /// The engine was nudged.
    pub fn nudged(&self) {
        self.nudges.inc();
    }

    /// The gate of a cluster of a later tier was found open, and is closed.
    pub fn closed_open_gate(&self) {
        self.gates_found_open.inc();
    }

    /// A request failed.
    pub fn failed(&self, operation: &str) {
        self.failures
            .get_or_create(&Operation {
                operation: operation.to_owned(),
            })
            .inc();
    }

    /// Whether this replica leads. One that leads no more says nothing of decisions any more.
    pub fn leads(&self, leads: bool) {
        let led = self.leads.set(leads.into()) != 0;
        if led && !leads {
            self.forget_decisions();
        }
    }

    /// Whether the newest configuration is in use.
    pub fn config(&self, is_good: bool) {
        self.config_is_good.set(is_good.into());
    }

    /// By how much the machine's clock jumped, in seconds.
    pub fn clock(&self, seconds: f64) {
        self.clock_jump.set(seconds);
    }
}

/// Sets a gauge to a number.
fn set(number: f64) -> impl FnOnce(&Number) {
    move |gauge| {
        gauge.set(number);
    }
}

/// Sets a gauge to a whole number.
fn set_whole(number: i64) -> impl FnOnce(&Gauge) {
    move |gauge| {
        gauge.set(number);
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
