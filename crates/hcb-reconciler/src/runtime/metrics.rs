//! What Prometheus reads. Names and units follow its conventions.

use crate::core::decision::Decision;
use crate::core::explain::reason;
use crate::core::memory::Memory;
use crate::core::observation::Observation;
use crate::core::spending;
use crate::core::status::totals;
use hcb_api::config::ReconcilerConfig;
use hcb_api::money::Money;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
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

/// All metrics of the reconciler.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    seen: Family<Named, Gauge>,
    nodes: Family<Named, Gauge>,
    job_pods: Family<Named, Gauge>,
    allocatable: Family<Resource, Number>,
    free: Family<Resource, Number>,
    weight: Family<Named, Number>,
    spec_weight: Family<Named, Number>,
    open: Family<Tier, Gauge>,
    waiting: Family<State, Gauge>,
    longest_wait: Number,
    cost: Number,
    spent: Number,
    forecast: Number,
    budget: Family<Period, Number>,
    releases: Family<Named, Counter>,
    nudges: Counter,
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
            seen: metric!("cluster_seen", "Whether a cluster can be seen"),
            nodes: metric!("cluster_nodes", "Nodes of a cluster, without virtual ones"),
            job_pods: metric!(
                "cluster_job_pods",
                "Pods of jobs in a cluster, candidates among them"
            ),
            allocatable: metric!(
                "cluster_allocatable",
                "What pods can use of a cluster's nodes, in CPUs, bytes and pieces"
            ),
            free: metric!(
                "cluster_free",
                "What is left of a cluster's nodes that take pods, in CPUs, bytes and pieces"
            ),
            weight: metric!(
                "cluster_live_weight",
                "The share of a cluster in its tier, as adjusted"
            ),
            spec_weight: metric!(
                "cluster_weight",
                "The share of a cluster in its tier, by the spec"
            ),
            open: metric!("tier_open", "Whether pods may leave for a tier at once"),
            waiting: metric!(
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
            budget: metric!("budget", "The most that bursting may cost, by period"),
            releases: metric!("releases", "Pods that were released to a cluster"),
            nudges: metric!("wakes", "Pods that the engine was nudged to look at again"),
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
        for (index, (cluster, state)) in config
            .clusters
            .iter()
            .zip(&observation.clusters)
            .enumerate()
        {
            let named = Named {
                cluster: cluster.name.clone(),
            };
            self.seen.get_or_create(&named).set(state.is_seen.into());
            self.nodes
                .get_or_create(&named)
                .set(whole(state.nodes.len()));
            self.job_pods
                .get_or_create(&named)
                .set(whole(state.job_pods()));
            self.spec_weight
                .get_or_create(&named)
                .set(cluster.weight.into());
            if let Some(weight) = decision.weights.get(index) {
                self.weight.get_or_create(&named).set(weight.weight);
            }
            let totals = totals(state);
            for (resource, (allocatable, free)) in totals {
                let labels = Resource {
                    cluster: cluster.name.clone(),
                    resource,
                };
                self.allocatable
                    .get_or_create(&labels)
                    .set(allocatable as f64 / 1000.0);
                self.free.get_or_create(&labels).set(free as f64 / 1000.0);
            }
        }
        for (tier, state) in config.tiers.iter().zip(&decision.tiers).skip(1) {
            let labels = Tier { tier: tier.clone() };
            self.open.get_or_create(&labels).set(state.is_open.into());
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for verdict in &decision.verdicts {
            *counts.entry(reason(&verdict.outcome)).or_default() += 1;
        }
        self.waiting.clear();
        for (outcome, count) in counts {
            let labels = State {
                outcome: outcome.to_owned(),
            };
            self.waiting.get_or_create(&labels).set(whole(count));
        }
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
        if let Some(budget) = &config.budget {
            let periods = [("hour", budget.per_hour), ("month", budget.per_month)];
            for (period, most) in periods {
                if let Some(most) = most {
                    self.budget
                        .get_or_create(&Period {
                            period: period.to_owned(),
                        })
                        .set(most);
                }
            }
        }
    }

    /// How long a decision took.
    pub fn took(&self, duration: Duration) {
        self.decisions.inc();
        self.duration.observe(duration.as_secs_f64());
    }

    /// A demand was released to a cluster.
    pub fn released(&self, cluster: &str) {
        self.releases
            .get_or_create(&Named {
                cluster: cluster.to_owned(),
            })
            .inc();
    }

    /// The engine was nudged.
    pub fn nudged(&self) {
        self.nudges.inc();
    }

    /// A request failed.
    pub fn failed(&self, operation: &str) {
        self.failures
            .get_or_create(&Operation {
                operation: operation.to_owned(),
            })
            .inc();
    }

    /// Whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leads.set(leads.into());
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

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
