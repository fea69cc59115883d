//! Budgets over whole histories: what is spent, what released pods can still cost, and what nobody sees.

use super::*;
use hcb_api::spending::{ClusterSpending, Spending};
use hcb_api::status::{Handover, Ledger};
use hcb_reconciler::core::capacity::{CountedAs, counted_as};
use hcb_reconciler::core::demand::JobName;
use hcb_reconciler::core::observation::JobDeadline;

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn money(number: f64) -> Money {
    Money::of_number(number)
}

fn per_month(most: u32) -> ReconcilerConfig {
    config(&format!(
        "burst: {{after: 0s}}\nbudget: {{currency: EUR, perHour: null, perMonth: {most}}}\n"
    ))
}

fn per_hour(most: u32) -> ReconcilerConfig {
    config(&format!(
        "burst: {{after: 0s}}\nbudget: {{currency: EUR, perHour: {most}, perMonth: null}}\n"
    ))
}

/// A memory that knows of so much spent this month.
fn after_spending(spent: f64) -> Memory {
    let mut memory = Memory::default();
    memory
        .spending
        .add(&spending::month_of(START), money(spent));
    memory
}

/// A pod of a Job that may take so many hours.
fn pod_of_hours(seen: &mut Observation, name: &str, cpu: i128, hours: i64) {
    let uid = format!("job-{name}");
    let deadline = JobDeadline {
        started: Some(START),
        seconds: Some(hours * 3600),
    };
    seen.jobs.insert(uid.clone(), deadline);
    let job = JobName {
        name: uid.clone(),
        uid,
    };
    let demand = Demand {
        job: Some(job),
        ..pod(name, cpu)
    };
    seen.demands.insert(demand.uid.clone(), demand);
}

fn is_over(outcome: &Outcome, wanted: Period) -> bool {
    matches!(outcome, Outcome::OverBudget { period, .. } if *period == wanted)
}

#[test]
fn the_month_pays_for_a_pod_until_its_deadline() {
    let mut seen = observation([4, 4], Vec::new());
    pod_of_hours(&mut seen, "a", 4, 3);
    for (spent, is_released) in [(7.0, true), (7.1, false)] {
        let found = outcomes_after(&seen, &per_month(10), &after_spending(spent), START);
        assert_eq!(
            found == [Outcome::Released("public".into())],
            is_released,
            "{spent}"
        );
        assert_eq!(is_over(&found[0], Period::Month), !is_released, "{spent}");
    }
}

#[test]
fn a_pod_without_a_deadline_may_cost_the_rest_of_the_month() {
    let seen = observation([4, 4], vec![pod("a", 4)]);
    // January has 744 hours.
    let found = outcomes_after(&seen, &per_month(743), &Memory::default(), START);
    assert!(is_over(&found[0], Period::Month), "{found:?}");
    let found = outcomes_after(&seen, &per_month(744), &Memory::default(), START);
    assert_eq!(found, [Outcome::Released("public".into())]);
}

#[test]
fn the_next_month_pays_for_what_runs_into_it() {
    // Ten hours before the end of January, twenty of which two pods run on.
    let mut seen = observation([4, 4], Vec::new());
    let now = time("1970-01-31T14:00:00Z");
    for name in ["a", "b"] {
        pod_of_hours(&mut seen, name, 4, 30);
        let job = seen.jobs.get_mut(&format!("job-{name}")).expect("a job");
        job.started = Some(now);
    }
    let memory = Memory::default();
    let found = |most: u32| outcomes_after(&seen, &per_month(most), &memory, now)[0].clone();
    assert!(is_over(&found(19), Period::Month));
    assert_eq!(found(20), Outcome::Released("public".into()));
    // The first of them leaves nothing of February for the second.
    seen.demands
        .get_mut("a")
        .expect("a demand")
        .released
        .insert("public".into(), now);
    let found =
        |most: u32| outcomes_after(&seen, &per_month(most), &memory, after(now, 11))[1].clone();
    assert!(is_over(&found(39), Period::Month));
    assert_eq!(found(40), Outcome::Released("public".into()));
}

fn after(time: Timestamp, seconds: i64) -> Timestamp {
    time + SignedDuration::from_secs(seconds)
}

#[test]
fn a_pod_on_a_node_that_is_there_costs_the_month_too() {
    let mut seen = observation([4, 4], Vec::new());
    add_node(&mut seen.clusters[PUBLIC], "there", 0);
    for name in ["a", "b", "c", "d"] {
        pod_of_hours(&mut seen, name, 1, 20);
    }
    let found = outcomes_after(&seen, &per_month(10), &after_spending(10.0), START);
    assert!(
        found.iter().all(|outcome| is_over(outcome, Period::Month)),
        "{found:?}"
    );
    // Pods that share a node pay for it once.
    let (releases, _) = settle(&mut seen, &per_month(20));
    assert_eq!(releases.len(), 4);
}

#[test]
fn what_runs_already_counts_until_its_deadline() {
    let mut seen = observation([4, 4], Vec::new());
    add_node(&mut seen.clusters[PUBLIC], "there", 0);
    pod_of_hours(&mut seen, "running", 4, 8);
    let running = seen.demands.get_mut("running").expect("a demand");
    running.placed = Some("public".into());
    candidate(&mut seen.clusters[PUBLIC], "running", 4);
    seen.clusters[PUBLIC].put_pod(
        "candidate-running",
        ClusterPod {
            key: key("running"),
            node: Some("there".into()),
            requests: Arc::new(cpus(4)),
            parent: Some("running".into()),
            is_daemon: false,
        },
    );
    pod_of_hours(&mut seen, "next", 4, 3);
    let of_next = |most: u32| outcomes_after(&seen, &per_month(most), &Memory::default(), START);
    assert!(is_over(&of_next(10)[0], Period::Month));
    assert_eq!(of_next(11), [Outcome::Released("public".into())]);
}

#[test]
fn nothing_is_released_while_others_exceed_the_budget() {
    // Three nodes that somebody made by hand, with room, and a budget for two.
    let mut seen = observation([4, 4], Vec::new());
    for name in ["x", "y", "z"] {
        add_node(&mut seen.clusters[PUBLIC], name, 0);
    }
    pod_of_hours(&mut seen, "a", 1, 1);
    let found = outcomes(&seen, &per_hour(2));
    assert!(is_over(&found[0], Period::Hour), "{found:?}");
    assert_eq!(
        outcomes(&seen, &per_hour(3)),
        [Outcome::Released("public".into())]
    );
}

#[test]
fn a_cluster_that_cannot_be_seen_costs_what_it_did_when_it_was() {
    let config = per_hour(3);
    let mut state = State::new(&config, PACING);
    state.memory.spending.clusters.insert(
        "other".into(),
        ClusterSpending {
            per_hour: Some(money(3.0)),
            until: START,
        },
    );
    // Another configuration, under which nothing was seen yet.
    state.configure(&config, &config);
    let mut seen = observation([4, 4], vec![pod("a", 4)]);
    seen.clusters[OTHER].is_seen = false;
    let decision = decide(&seen, &config, &state.memory, START);
    assert!(
        is_over(&decision.verdicts[0].outcome, Period::Hour),
        "{decision:?}"
    );
    // So does the next leader, from the ledger.
    let mut next = State::new(&config, PACING);
    let handover = Handover {
        spending: Some(state.memory.spending.clone()),
        ..Handover::default()
    };
    next.take(Fact::TookOver(Box::new(handover)), &config, at(60));
    let decision = decide(&seen, &config, &next.memory, at(60));
    assert!(
        is_over(&decision.verdicts[0].outcome, Period::Hour),
        "{decision:?}"
    );
}

#[test]
fn a_cluster_that_was_never_seen_costs_what_the_spec_says_is_always_there() {
    let mut seen = observation([4, 4], vec![pod("a", 4)]);
    seen.clusters[OTHER].is_seen = false;
    let mut config = per_hour(2);
    config.clusters[OTHER].pools[0].min = 2;
    assert!(is_over(&outcomes(&seen, &config)[0], Period::Hour));
    config.budget = per_hour(3).budget;
    assert_eq!(
        outcomes(&seen, &config),
        [Outcome::Released("public".into())]
    );
}

#[test]
fn spending_is_counted_by_the_hour_and_starts_at_zero_each_month() {
    let config = plain();
    let mut seen = observation([0, 0], Vec::new());
    for name in ["x", "y"] {
        add_node(&mut seen.clusters[PUBLIC], name, 0);
    }
    let mut counted = Spending::default();
    let count = |counted: &mut Spending, now: &str| {
        spending::count(counted, &seen, &config, time(now));
        spending::spent(counted, time(now))
    };
    assert_eq!(count(&mut counted, "2026-11-30T22:00:00Z"), Money::ZERO);
    assert_eq!(count(&mut counted, "2026-11-30T23:30:00Z"), money(3.0));
    let forecast = spending::forecast(&counted, money(2.0), time("2026-11-30T23:30:00Z"));
    assert_eq!(forecast, money(4.0));
    // The part of the new month counts, even where nobody looked at its beginning; and so does that of the old one.
    assert_eq!(count(&mut counted, "2026-12-01T00:15:00Z"), money(0.5));
    assert_eq!(counted.of_month("2026-11"), money(4.0));
}

#[test]
fn time_in_which_nobody_counted_costs_as_much_as_what_is_found_after_it() {
    let config = plain();
    let mut counted = Spending::default();
    let mut seen = observation([0, 0], Vec::new());
    spending::count(&mut counted, &seen, &config, START);
    // Ten hours later one cluster answers at once, and another only after a while.
    for index in 0..8 {
        add_node(&mut seen.clusters[PUBLIC], &format!("n{index}"), 0);
    }
    seen.clusters[OTHER].is_seen = false;
    spending::count(&mut counted, &seen, &config, at(36_000));
    assert_eq!(spending::spent(&counted, at(36_000)), money(80.0));
    seen.clusters[OTHER].is_seen = true;
    for index in 0..5 {
        add_node(&mut seen.clusters[OTHER], &format!("o{index}"), 0);
    }
    spending::count(&mut counted, &seen, &config, at(36_000));
    assert_eq!(spending::spent(&counted, at(36_000)), money(130.0));
}

#[test]
fn a_month_that_a_wrong_clock_left_is_found_again() {
    let config = plain();
    let mut seen = observation([0, 0], Vec::new());
    add_node(&mut seen.clusters[PUBLIC], "x", 0);
    let mut counted = Spending::default();
    spending::count(&mut counted, &seen, &config, time("2026-11-10T00:00:00Z"));
    spending::count(&mut counted, &seen, &config, time("2026-11-10T05:00:00Z"));
    spending::count(&mut counted, &seen, &config, time("2026-12-02T00:00:00Z"));
    assert!(spending::spent(&counted, time("2026-11-10T05:00:00Z")) >= money(5.0));
}

#[test]
fn a_ledger_that_is_ahead_of_the_clock_does_not_stop_the_counting() {
    let config = plain();
    let mut state = State::new(&config, PACING);
    let handover = Handover {
        ledger: Ledger {
            month: "1970-01".into(),
            spent: 5.0,
            until: Some(at(15 * 24 * 3600)),
        },
        ..Handover::default()
    };
    state.take(Fact::TookOver(Box::new(handover)), &config, START);
    let mut seen = observation([0, 0], Vec::new());
    add_node(&mut seen.clusters[PUBLIC], "x", 0);
    state.memory.observe(&seen, &config, at(3600));
    assert_eq!(
        spending::spent(&state.memory.spending, at(3600)),
        money(6.0)
    );
}

#[test]
fn a_cluster_that_leaves_the_configuration_is_counted_to_its_end() {
    let config = plain();
    let mut state = State::new(&config, PACING);
    let public = ClusterSpending {
        per_hour: Some(money(2.0)),
        until: START,
    };
    state
        .memory
        .spending
        .clusters
        .insert("public".into(), public);
    state.take(Fact::Alive(PRIVATE), &config, at(1800));
    let mut other = config.clone();
    other.clusters.remove(PUBLIC);
    state.configure(&config, &other);
    assert_eq!(
        spending::spent(&state.memory.spending, at(7200)),
        money(1.0)
    );
}

#[test]
fn tenths_add_up_to_the_budget_exactly() {
    let mut memory = Memory::default();
    for _ in 0..70 {
        memory.spending.add(&spending::month_of(START), money(0.1));
    }
    let mut seen = observation([4, 4], Vec::new());
    pod_of_hours(&mut seen, "a", 4, 3);
    let found = outcomes_after(&seen, &per_month(10), &memory, START);
    assert_eq!(found, [Outcome::Released("public".into())]);
}

/// A node of the cluster `other`, with labels and taints.
fn node(labels: &[(&str, &str)], taints: &[&str]) -> NodeState {
    let taint = |key: &&str| hcb_api::requirements::Taint {
        key: (*key).to_owned(),
        value: String::new(),
        effect: "NoSchedule".to_owned(),
    };
    NodeState {
        labels: labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        taints: taints.iter().map(taint).collect(),
        takes_pods: true,
        allocatable: cpus(4),
        ..NodeState::default()
    }
}

#[test]
fn a_node_is_counted_by_its_pool_or_as_the_dearest_unless_no_workload_can_use_it() {
    let mut config = plain();
    let cluster = &mut config.clusters[OTHER];
    let mut dear = cluster.pools[0].clone();
    (dear.name, dear.price_per_hour) = ("dear".into(), Some(9.0));
    cluster.pools.push(dear);
    for (labels, taints, expected) in [
        (&[("hcb.dev/pool", "cpu")][..], &[][..], CountedAs::Pool(0)),
        (
            &[("hcb.dev/pool", "dear")],
            &["somebody.example/own"],
            CountedAs::Pool(1),
        ),
        (&[("hcb.dev/pool", "renamed")], &[], CountedAs::Other),
        (&[], &[], CountedAs::Other),
        (&[], &["node.kubernetes.io/not-ready"], CountedAs::Other),
        (
            &[],
            &["node-role.kubernetes.io/control-plane"],
            CountedAs::Unusable,
        ),
    ] {
        let found = counted_as(&config.clusters[OTHER], &node(labels, taints));
        assert_eq!(found, expected, "{labels:?} {taints:?}");
    }
    // A node of no known pool costs as much as the dearest, and is one of those that the limit allows.
    let mut seen = observation([4, 4], vec![pod("a", 4)]);
    seen.clusters[OTHER].put_node("by-hand", node(&[("hcb.dev/pool", "renamed")], &[]));
    config.budget = per_hour(8).budget;
    assert!(is_over(&outcomes(&seen, &config)[0], Period::Hour));
}

#[test]
fn nodes_are_bought_by_what_they_were_seen_to_offer() {
    // The machines offer 3.8 CPUs of the 4 of the spec, of which a DaemonSet takes 0.3.
    let mut seen = observation([4, 4], Vec::new());
    let mut offers = node(&[("hcb.dev/pool", "cpu")], &[]);
    offers.allocatable.insert("cpu".into(), 3800);
    offers
        .allocatable
        .insert("memory".into(), (16 << 30) * 1000);
    seen.clusters[PUBLIC].put_node("x", offers);
    for (uid, cpu, is_daemon) in [("daemon", 300, true), ("other", 3500, false)] {
        let used = ClusterPod {
            key: ("system".into(), uid.into()),
            node: Some("x".into()),
            requests: Arc::new(BTreeMap::from([("cpu".into(), cpu)])),
            parent: None,
            is_daemon,
        };
        seen.clusters[PUBLIC].put_pod(uid, used);
    }
    seen.clusters[PUBLIC].learn_sizes(START);
    let mut small = plain();
    for cluster in &mut small.clusters[OTHER..] {
        cluster.weight = 0;
    }
    let size = seen.clusters[PUBLIC].size(&small.clusters[PUBLIC].pools[0]);
    assert_eq!(size["cpu"], 3500);
    // Two pods of 1.8 CPUs do not share such a node.
    for name in ["a", "b", "c"] {
        let mut demand = pod(name, 0);
        let requests = BTreeMap::from([("cpu".into(), 1800)]);
        demand.requirements = Arc::new(PodRequirements {
            requests,
            ..PodRequirements::default()
        });
        seen.demands.insert(name.into(), demand);
    }
    small.budget = per_hour(3).budget;
    let (releases, decision) = settle(&mut seen, &small);
    assert_eq!(releases.len(), 2);
    assert!((decision.hourly_cost - 3.0).abs() < 1e-9);
    // A machine of less than half the size says nothing of others.
    let mut smaller = node(&[("hcb.dev/pool", "gone")], &[]);
    smaller.allocatable = cpus(1);
    let mut state = ClusterState::default();
    smaller.labels.insert("hcb.dev/pool".into(), "cpu".into());
    state.put_node("y", smaller);
    state.learn_sizes(START);
    assert_eq!(state.size(&small.clusters[PUBLIC].pools[0])["cpu"], 4000);
}

proptest! {
    /// Whatever was spent and whatever waits: what is released can be paid until all of it has reached its deadline.
    #[test]
    fn releases_never_cost_more_than_the_month_has_left(
        jobs in prop::collection::vec((1i128..=4, 1i64..30), 0..12),
        nodes in 0usize..3,
        spent in 0u32..60,
        most in 0u32..60,
    ) {
        let config = per_month(most);
        let mut seen = observation([4, 4], Vec::new());
        for index in 0..nodes {
            add_node(&mut seen.clusters[PUBLIC], &format!("n{index}"), 0);
        }
        for (index, (cpu, hours)) in jobs.iter().enumerate() {
            pod_of_hours(&mut seen, &format!("p{index:02}"), *cpu, *hours);
        }
        let mut memory = after_spending(f64::from(spent));
        let mut bound = f64::from(spent) + nodes as f64;
        for round in 0..jobs.len() {
            let now = at(i64::try_from(round).expect("few"));
            memory.observe(&seen, &config, now);
            let decision = decide(&seen, &config, &memory, now);
            for release in &decision.releases {
                let demand = seen.demands.get_mut(&release.uid).expect("a demand");
                demand.released.insert(release.cluster.clone(), now);
                let hours = seen.jobs[&format!("job-{}", release.uid)].seconds.expect("hours") / 3600;
                let price = if release.cluster == "spare" { 2.0 } else { 1.0 };
                // At the worst each pays for its own node, which stays until its end.
                bound = bound.max(f64::from(spent) + price * hours as f64);
                prop_assert!(bound <= f64::from(most) + 1e-9, "{bound} of {most}");
            }
            memory.remember(&decision, now);
        }
    }
}
