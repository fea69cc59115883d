//! Decisions: which pods may leave the first tier, and which not.

use hcb_api::amounts::take;
use hcb_api::config::ReconcilerConfig;
use hcb_api::money::Money;
use hcb_api::requirements::PodRequirements;
use hcb_api::status::TierState;
use hcb_reconciler::core::decision::{Decision, Outcome, Period, Release, Verdict};
use hcb_reconciler::core::demand::{Demand, DemandKind};
use hcb_reconciler::core::explain::Explainer;
use hcb_reconciler::core::facts::{Fact, State};
use hcb_reconciler::core::memory::Memory;
use hcb_reconciler::core::observation::{ClusterPod, ClusterState, NodeState, Observation};
use hcb_reconciler::core::spending;
use hcb_reconciler::engine::admiralty::PACING;
use hcb_reconciler::runtime::clock::Clock;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

mod arrivals;
mod gates;
mod liveness;
mod money;
mod recall;
mod reminders;

/// Decides at the pace of Admiralty.
fn decide(
    observation: &Observation,
    config: &ReconcilerConfig,
    memory: &Memory,
    now: Timestamp,
) -> Decision {
    hcb_reconciler::core::decide::decide(observation, config, &PACING, memory, now)
}

const START: Timestamp = Timestamp::UNIX_EPOCH;

/// 4-CPU nodes everywhere: `public` buys up to 3 at 1 an hour, `spare` up to 2 at 2 an hour.
fn config(extra: &str) -> ReconcilerConfig {
    let cluster = |name: &str,
                   tier: &str,
                   weight: u32,
                   kubeconfig: &str,
                   min: u32,
                   max: u32,
                   price: u32| {
        format!(
            "- {{name: {name}, tier: {tier}, weight: {weight}, virtualNode: admiralty-{name}, kubeconfig: {kubeconfig}, limits: null, \
             pools: [{{name: cpu, min: {min}, max: {max}, allocatable: {{cpu: '4', memory: 16Gi}}, gpuProduct: null, pricePerHour: {price}}}]}}\n"
        )
    };
    let clusters = [
        cluster("private", "private", 1, "null", 2, 2, 0),
        cluster("public", "public", 3, "/public", 0, 3, 1),
        cluster("other", "public", 1, "/other", 0, 3, 1),
        cluster("spare", "spare", 1, "/spare", 0, 2, 2),
    ];
    let text = format!(
        "apiVersion: hcb.dev/v1alpha1\nkind: ReconcilerConfig\ncloud: test\ntiers: [private, public, spare]\n\
         fallBack: {{after: 1m}}\nwhenDown: hold\nweights: {{minFactor: 0.5, maxFactor: 2}}\n{extra}clusters:\n{}",
        clusters.concat()
    );
    let (config, problems) = read(&text);
    config.unwrap_or_else(|| panic!("{problems}\n{text}"))
}

/// The configuration in a text, and what is said of it.
fn read(text: &str) -> (Option<ReconcilerConfig>, String) {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let file = sources.add("config.yaml", text);
    let config = ReconcilerConfig::read(file, text, &mut diagnostics);
    (
        config,
        hcb_source::diag::text::render(&diagnostics.sorted(), &sources, false, 100),
    )
}

fn plain() -> ReconcilerConfig {
    config("burst: {after: 0s}\n")
}

fn cpus(count: i128) -> BTreeMap<String, i128> {
    BTreeMap::from([("cpu".into(), count * 1000)])
}

/// Adds a node of 4 CPUs with a pod on it that uses some.
fn add_node(state: &mut ClusterState, name: &str, used: i128) {
    let mut allocatable = cpus(4);
    allocatable.insert("memory".into(), (16 << 30) * 1000);
    let node = NodeState {
        takes_pods: true,
        allocatable,
        ..NodeState::default()
    };
    state.put_node(name, node);
    let pod = ClusterPod {
        key: ("others".into(), name.into()),
        node: Some(name.into()),
        requests: Arc::new(cpus(used)),
        parent: None,
        is_daemon: false,
    };
    state.put_pod(name, pod);
}

fn pod(name: &str, cpu: i128) -> Demand {
    Demand {
        kind: DemandKind::Pod,
        namespace: "ml".into(),
        name: name.into(),
        uid: name.into(),
        version: "1".into(),
        job: None,
        created: START,
        priority: 0,
        requirements: Arc::new(PodRequirements {
            requests: cpus(cpu),
            ..PodRequirements::default()
        }),
        released: BTreeMap::new(),
        placed: None,
        node: None,
        is_gated: false,
        ended: false,
    }
}

const PRIVATE: usize = 0;
const PUBLIC: usize = 1;
const OTHER: usize = 2;

/// Private with so much used on its two nodes, the others without nodes.
fn observation(used: [i128; 2], pods: Vec<Demand>) -> Observation {
    let mut clusters = vec![ClusterState::default(); 4];
    for cluster in &mut clusters {
        cluster.is_seen = true;
    }
    add_node(&mut clusters[PRIVATE], "a", used[0]);
    add_node(&mut clusters[PRIVATE], "b", used[1]);
    let pods = pods.into_iter().map(|pod| (pod.uid.clone(), pod)).collect();
    Observation {
        clusters,
        demands: pods,
        ..Observation::default()
    }
}

/// Who is let through by a decision, and where.
fn push_release(decision: &Decision) -> Vec<(&str, &str)> {
    let releases = decision.releases.iter();
    releases
        .map(|release| (release.name.as_str(), release.cluster.as_str()))
        .collect()
}

/// The namespace and name of the pod that stands for `parent` in a cluster.
fn key(parent: &str) -> (String, String) {
    ("ml".to_owned(), format!("{parent}-candidate"))
}

/// A pod in a cluster that stands for `parent`, without a node.
fn candidate(state: &mut ClusterState, parent: &str, cpu: i128) {
    let pod = ClusterPod {
        key: key(parent),
        node: None,
        requests: Arc::new(cpus(cpu)),
        parent: Some(parent.into()),
        is_daemon: false,
    };
    state.put_pod(&format!("{parent}-candidate"), pod);
}

/// A place in a cluster that is kept for a pod which stands for `parent`; its node is not known yet.
fn keep(state: &mut ClusterState, parent: &str, cpu: i128) {
    candidate(state, parent, cpu);
    state.set_reservation(key(parent), true, false);
}

fn outcomes(observation: &Observation, config: &ReconcilerConfig) -> Vec<Outcome> {
    outcomes_after(observation, config, &Memory::default(), START)
}

fn outcomes_after(
    observation: &Observation,
    config: &ReconcilerConfig,
    memory: &Memory,
    now: Timestamp,
) -> Vec<Outcome> {
    let decision = decide(observation, config, memory, now);
    let outcomes = decision.verdicts.into_iter();
    outcomes.map(|verdict| verdict.outcome).collect()
}

/// That long after the start.
fn at(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

/// Decides and does what was decided, with a scheduler that tries what was released, until nothing is
/// left to do. Returns all releases and the last decision.
fn settle(seen: &mut Observation, config: &ReconcilerConfig) -> (Vec<Release>, Decision) {
    let mut memory = Memory::default();
    let mut releases = Vec::new();
    loop {
        let decision = decide(seen, config, &memory, START);
        memory.remember(&decision, START);
        if decision.releases.is_empty() {
            return (releases, decision);
        }
        for release in &decision.releases {
            let pod = seen
                .demands
                .get_mut(&release.uid)
                .expect("a pod that was seen");
            pod.released.insert(release.cluster.clone(), START);
            let index = config
                .clusters
                .iter()
                .position(|cluster| cluster.name == release.cluster);
            let candidate = ClusterPod {
                key: ("ml".into(), format!("{}-candidate", pod.name)),
                node: None,
                requests: Arc::new(pod.requirements.requests.clone()),
                parent: Some(pod.uid.clone()),
                is_daemon: false,
            };
            let uid = format!("{}-{}", pod.uid, release.cluster);
            let state = &mut seen.clusters[index.expect("a cluster")];
            for left in state.quotas.values_mut() {
                take(left, &candidate.requests);
            }
            state.put_pod(&uid, candidate);
        }
        releases.extend(decision.releases);
    }
}

/// How many may go to public, other and spare.
fn released(seen: &mut Observation, config: &ReconcilerConfig) -> (usize, usize, usize) {
    let (releases, _) = settle(seen, config);
    let count = |name: &str| {
        releases
            .iter()
            .filter(|release| release.cluster == name)
            .count()
    };
    (count("public"), count("other"), count("spare"))
}

#[test]
fn a_pod_that_fits_the_first_tier_stays() {
    let found = outcomes(&observation([4, 1], vec![pod("a", 3)]), &plain());
    assert_eq!(found, [Outcome::FitsFirstTier("private".into())]);
}

#[test]
fn free_cpus_spread_over_nodes_are_no_room() {
    // Four are free, two on each node: a pod of three fits nowhere.
    let found = outcomes(&observation([2, 2], vec![pod("a", 3)]), &plain());
    assert_eq!(found, [Outcome::Released("public".into())]);
}

#[test]
fn a_reserved_place_is_left_to_the_scheduler() {
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    keep(&mut seen.clusters[PRIVATE], "a", 1);
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::PlaceReserved("private".into())]
    );
}

#[test]
fn a_refused_pod_is_nudged_as_soon_as_its_reserved_place_can_be_taken() {
    let woken = |seen: &Observation, seconds: i64| {
        let mut memory = Memory::default();
        memory.observe(seen, &plain(), START);
        let now = START + SignedDuration::from_secs(seconds);
        !decide(seen, &plain(), &memory, now).nudges.is_empty()
    };
    let key = ("ml".to_owned(), "a-candidate".to_owned());
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    keep(&mut seen.clusters[PRIVATE], "a", 1);
    // The scheduler is trying it and looks once a second.
    assert!(!woken(&seen, 1) && woken(&seen, 2));
    // Admiralty would take the old condition for a refusal.
    seen.clusters[PRIVATE].set_reservation(key.clone(), true, true);
    assert!(!woken(&seen, 1) && woken(&seen, 2));
    seen.clusters[PRIVATE].set_reservation(key, true, false);
    assert!(woken(&seen, 0));
}

#[test]
fn a_place_reserved_for_another_pod_is_no_room() {
    let mut seen = observation([4, 3], vec![pod("a", 1)]);
    keep(&mut seen.clusters[PRIVATE], "b", 1);
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Released("public".into())]
    );
}

#[test]
fn a_pod_that_may_only_run_in_private_waits() {
    let mut only = pod("a", 1);
    only.requirements = Arc::new(PodRequirements {
        requests: cpus(1),
        clusters: BTreeSet::from(["private".into()]),
        ..PodRequirements::default()
    });
    assert_eq!(
        outcomes(&observation([4, 4], vec![only]), &plain()),
        [Outcome::NoRoom]
    );
}

#[test]
fn an_unreachable_cluster_of_the_first_tier_holds_pods_back() {
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    seen.clusters[PRIVATE].is_seen = false;
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::ClusterUnreachable("private".into())]
    );
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    for cluster in [PUBLIC, OTHER] {
        seen.clusters[cluster].is_seen = false;
    }
    // A tier that cannot be seen is passed over for the next that can.
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Released("spare".into())]
    );
}

#[test]
fn a_pod_waits_for_the_burst_delay_of_the_spec() {
    let config = config("burst: {after: 30s}\n");
    let seen = observation([4, 4], vec![pod("a", 1)]);
    let until = START + SignedDuration::from_secs(30);
    let decision = decide(&seen, &config, &Memory::default(), START);
    assert_eq!(decision.verdicts[0].outcome, Outcome::BurstDelayed(until));
    assert_eq!(decision.look_again, Some(until));
    let decision = decide(&seen, &config, &Memory::default(), until);
    assert_eq!(
        decision.verdicts[0].outcome,
        Outcome::Released("public".into())
    );
}

#[test]
fn a_tier_is_shared_out_by_weights() {
    // Two of four CPUs each, so that six nodes hold twelve: three of four go to the weight of three.
    let pods = (0..8).map(|index| pod(&format!("p{index}"), 2)).collect();
    assert_eq!(
        released(&mut observation([4, 4], pods), &plain()),
        (6, 2, 0)
    );
}

#[test]
fn a_full_tier_opens_the_next() {
    let pods = (0..8).map(|index| pod(&format!("p{index}"), 4)).collect();
    assert_eq!(
        released(&mut observation([4, 4], pods), &plain()),
        (3, 3, 2)
    );
}

#[test]
fn the_budget_holds_jobs_back() {
    let config =
        config("burst: {after: 0s}\nbudget: {currency: EUR, perHour: 2, perMonth: null}\n");
    let pods = (0..3).map(|index| pod(&format!("p{index}"), 4)).collect();
    let (releases, decision) = settle(&mut observation([4, 4], pods), &config);
    assert_eq!(releases.len(), 2);
    assert!((decision.hourly_cost - 2.0).abs() < 1e-9);
    let held_back = |verdict: &Verdict| {
        matches!(
            verdict.outcome,
            Outcome::OverBudget {
                period: Period::Hour,
                ..
            }
        )
    };
    assert_eq!(
        decision
            .verdicts
            .iter()
            .filter(|verdict| held_back(verdict))
            .count(),
        1
    );
}

#[test]
fn one_pod_at_a_time_is_released_ahead_of_the_scheduler() {
    let seen = observation(
        [4, 4],
        (0..5).map(|index| pod(&format!("p{index}"), 1)).collect(),
    );
    let found = outcomes(&seen, &plain());
    let next = Outcome::QueuedForBurst("public".into());
    assert_eq!(
        found,
        [
            Outcome::Released("public".into()),
            next.clone(),
            next.clone(),
            next.clone(),
            next
        ]
    );
    // A scheduler that tries nothing holds nobody up for long.
    let stuck = released_to_public("p0", 1);
    let seen = observation([4, 4], vec![stuck, pod("p1", 1)]);
    let decision = decide(&seen, &plain(), &Memory::default(), at(9));
    assert_eq!(
        (decision.releases.len(), decision.look_again),
        (0, Some(at(10)))
    );
    assert_eq!(
        decide(&seen, &plain(), &Memory::default(), at(10))
            .releases
            .len(),
        1
    );
}

#[test]
fn a_pod_that_was_not_tried_yet_is_released_before_an_older_one_that_was() {
    // `a` was tried in private already, so it is behind `b` in the queue, although it is older.
    let mut seen = observation([4, 4], vec![pod("a", 1), pod("b", 1)]);
    candidate(&mut seen.clusters[PRIVATE], "a", 1);
    let decision = decide(&seen, &plain(), &Memory::default(), START);
    let names: Vec<_> = decision
        .releases
        .iter()
        .map(|release| &release.name)
        .collect();
    assert_eq!(names, ["b"]);
}

/// So many that were released to a cluster at the start, were tried, and wait for its nodes.
fn on_their_way(seen: &mut Observation, cluster: usize, name: &str, count: usize) {
    for index in 0..count {
        let mut coming = pod(&format!("{name}-{index:02}"), 0);
        coming.released.insert(name.into(), START);
        candidate(&mut seen.clusters[cluster], &coming.uid, 0);
        seen.demands.insert(coming.uid.clone(), coming);
    }
}

#[test]
fn no_more_pods_are_in_transit_than_a_cluster_can_take_in() {
    let mut seen = observation([4, 4], vec![pod("z", 1)]);
    let of = |seen: &Observation, now: Timestamp| {
        let decision = decide(seen, &plain(), &Memory::default(), now);
        let mut verdicts = decision.verdicts.into_iter();
        let verdict = verdicts.find(|verdict| verdict.uid == "z");
        verdict.map(|verdict| verdict.outcome)
    };
    on_their_way(&mut seen, PUBLIC, "public", PACING.in_transit - 1);
    let released = Some(Outcome::Released("public".into()));
    assert_eq!(of(&seen, at(20)), released);
    // It is public's turn, which is not given away at once: shares are by weight, not by speed.
    on_their_way(&mut seen, PUBLIC, "public", PACING.in_transit);
    assert_eq!(
        of(&seen, at(20)),
        Some(Outcome::QueuedForBurst("public".into()))
    );
    // One that takes nobody in is not waited for; then not even the tier is.
    assert_eq!(of(&seen, at(120)), Some(Outcome::Released("other".into())));
    on_their_way(&mut seen, OTHER, "other", PACING.in_transit);
    assert_eq!(of(&seen, at(120)), Some(Outcome::Released("spare".into())));
    // What is given up is not on its way.
    assert_eq!(of(&seen, at(600)), released);
}

#[test]
fn released_pods_reserve_their_room() {
    let mut first = pod("first", 4);
    first.released.insert("public".into(), START);
    let mut pods = vec![first];
    pods.extend((0..6).map(|index| pod(&format!("p{index}"), 4)));
    let mut seen = observation([4, 4], pods);
    candidate(&mut seen.clusters[PUBLIC], "first", 4);
    assert_eq!(released(&mut seen, &plain()), (2, 3, 1));
}

#[test]
fn higher_priorities_are_served_first() {
    let mut urgent = pod("urgent", 4);
    urgent.priority = 10;
    urgent.created = START + SignedDuration::from_secs(9);
    let config =
        config("burst: {after: 0s}\nbudget: {currency: EUR, perHour: 1, perMonth: null}\n");
    let seen = observation([4, 4], vec![pod("early", 4), urgent]);
    let decision = decide(
        &seen,
        &config,
        &Memory::default(),
        START + SignedDuration::from_secs(10),
    );
    assert_eq!(decision.releases.len(), 1);
    assert_eq!(decision.releases[0].name, "urgent");
}

/// A pod that was released to `public` at the start.
fn released_to_public(name: &str, cpu: i128) -> Demand {
    let mut pod = pod(name, cpu);
    pod.released.insert("public".into(), START);
    pod
}

#[test]
fn a_pod_is_released_elsewhere_after_its_cluster_did_not_take_it_in() {
    let seen = observation([4, 4], vec![released_to_public("a", 2)]);
    let before = decide(&seen, &plain(), &Memory::default(), at(599));
    assert_eq!(before.releases, []);
    let after = decide(&seen, &plain(), &Memory::default(), at(600));
    assert_eq!(after.releases[0].cluster, "other");
}

#[test]
fn an_open_tier_takes_pods_at_once_and_closes_when_none_waited_for_a_while() {
    let config = config("burst: {after: 30s}\n");
    let mut memory = Memory::default();
    let seen = observation([4, 4], vec![pod("a", 1)]);
    let mut late = pod("b", 1);
    late.created = at(31);
    // The first pod waits, then opens the tier; the next needs not wait.
    assert_eq!(
        outcomes_after(&seen, &config, &memory, START),
        [Outcome::BurstDelayed(at(30))]
    );
    let decision = decide(&seen, &config, &memory, at(30));
    assert!(decision.tiers[1].is_open);
    memory.remember(&decision, START);
    let then = observation([4, 4], vec![late.clone()]);
    assert!(matches!(
        outcomes_after(&then, &config, &memory, at(31))[..],
        [Outcome::Released(_)]
    ));
    // Nobody waits for a minute: it closes, and a pod waits again.
    let nobody = observation([4, 4], vec![]);
    let decision = decide(&nobody, &config, &memory, at(89));
    assert!(decision.tiers[1].is_open);
    assert_eq!(decision.look_again, Some(at(90)));
    memory.remember(&decision, START);
    let decision = decide(&nobody, &config, &memory, at(90));
    assert!(!decision.tiers[1].is_open);
    memory.remember(&decision, START);
    late.created = at(91);
    let then = observation([4, 4], vec![late]);
    assert_eq!(
        outcomes_after(&then, &config, &memory, at(91)),
        [Outcome::BurstDelayed(at(121))]
    );
}

#[test]
fn a_quota_that_is_used_up_leaves_no_room() {
    let mut seen = observation([0, 0], vec![pod("a", 2)]);
    let key = ("ml".to_owned(), "quota".to_owned());
    seen.clusters[PRIVATE].quotas.insert(key.clone(), cpus(1));
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Released("public".into())]
    );
    seen.clusters[PUBLIC].quotas.insert(key.clone(), cpus(1));
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Released("other".into())]
    );
    // Two of one CPU fit a quota of one only once.
    let mut seen = observation([4, 4], vec![pod("a", 1), pod("b", 1), pod("c", 1)]);
    seen.clusters[PUBLIC].quotas.insert(key.clone(), cpus(1));
    seen.clusters[OTHER].quotas.insert(key, cpus(1));
    assert_eq!(released(&mut seen, &plain()), (1, 1, 1));
}

#[test]
fn a_cluster_that_loses_pods_or_is_nearly_full_gets_fewer() {
    let mut seen = observation(
        [4, 4],
        (0..4).map(|index| pod(&format!("p{index}"), 1)).collect(),
    );
    // Public has the weight 3, other 1. A failure halves public's; the bounds allow no less.
    seen.clusters[PUBLIC].fail(5, START);
    let decision = decide(&seen, &plain(), &Memory::default(), at(1));
    assert!((decision.weights[PUBLIC].weight - 1.5).abs() < 1e-9);
    assert!((decision.weights[PUBLIC].failures - 1.0 / 6.0).abs() < 1e-9);
    // After a quarter of an hour it is forgotten.
    let decision = decide(&seen, &plain(), &Memory::default(), at(901));
    assert!((decision.weights[PUBLIC].weight - 3.0).abs() < 1e-9);
    // 11 of its 12 CPUs in use: a third of the spare quarter is left.
    for (name, used) in [("x", 4), ("y", 4), ("z", 3)] {
        add_node(&mut seen.clusters[PUBLIC], name, used);
    }
    let decision = decide(&seen, &plain(), &Memory::default(), at(901));
    assert!((decision.weights[PUBLIC].load - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn shares_converge_to_the_weights_over_time() {
    // One pod at a time, each gone before the next: nothing but memory knows the shares.
    let mut memory = Memory::default();
    let mut counts = [0; 4];
    for index in 0..100 {
        let seen = observation([4, 4], vec![pod(&format!("p{index}"), 1)]);
        let decision = decide(&seen, &plain(), &memory, at(index));
        let cluster = plain()
            .clusters
            .iter()
            .position(|cluster| cluster.name == decision.releases[0].cluster);
        counts[cluster.expect("a cluster")] += 1;
        memory.remember(&decision, START);
    }
    assert_eq!(counts, [0, 75, 25, 0]);
}

#[test]
fn a_new_leader_goes_on_from_the_handover_of_the_one_before() {
    let config = config("burst: {after: 30s}\n");
    let mut before = State::new(&config, PACING);
    before
        .memory
        .spending
        .add(&spending::month_of(at(10)), Money::of_number(7.0));
    before.memory.credits = vec![0.0, -1.0, 1.0, 0.0];
    before.memory.tiers = vec![TierState::default(); 3];
    before.memory.tiers[1] = TierState {
        is_open: true,
        since: Some(at(3)),
        wanted: Some(at(9)),
    };
    let mut next = State::new(&config, PACING);
    let handover = before.memory.handover(&config, at(10));
    next.take(Fact::TookOver(Box::new(handover.clone())), &config, at(10));
    assert_eq!(next.memory.handover(&config, at(10)), handover);

    // So does a new configuration, whatever the order of its clusters; one that is new begins anew.
    let mut other = config.clone();
    other.clusters.remove(1);
    other.clusters.swap(0, 1);
    other.clusters[2].name = "new".into();
    next.configure(&config, &other);
    assert_eq!(next.memory.credits, [1.0, 0.0, 0.0]);
    assert!(next.memory.tiers[1].is_open);
}

#[test]
fn timestamps_in_the_future_delay_no_pod() {
    let config = config("burst: {after: 30s}\n");
    let mut state = State::new(&config, PACING);
    let mut early = pod("a", 1);
    early.created = at(3600);
    early.released.insert("public".into(), at(7200));
    state.take(Fact::Demand(PRIVATE, Box::new(early)), &config, at(10));
    let known = &state.observer.observation.demands["a"];
    assert_eq!((known.created, known.released["public"]), (at(10), at(10)));
}

#[test]
fn a_jump_of_the_system_clock_does_not_move_the_clock_of_decisions() {
    // A machine's clock is set an hour ahead or back; what is decided by goes on.
    let clock = Clock::default();
    let before = clock.now();
    for jump in [3600, -3600] {
        let machine = before + SignedDuration::from_secs(jump);
        assert!((clock.ahead_of(machine) + jump as f64).abs() < 60.0);
        let passed = before.duration_until(clock.now());
        assert!((0..60).contains(&passed.as_secs()), "{passed}");
    }
}

#[test]
fn every_reason_is_told() {
    let config =
        config("burst: {after: 0s}\nbudget: {currency: EUR, perHour: 1, perMonth: null}\n");
    let mut seen = observation([4, 3], vec![released_to_public("a", 2), pod("b", 4)]);
    candidate(&mut seen.clusters[PUBLIC], "a", 2);
    let decision = decide(&seen, &config, &Memory::default(), START);
    let mut reasons = Explainer::new(&seen, &config);
    let mut told = String::new();
    for verdict in &decision.verdicts {
        let explanation = reasons.explain(&seen.demands[&verdict.uid], &verdict.outcome, START);
        let _ = writeln!(told, "{}: {}", verdict.uid, explanation.why);
        for cluster in explanation.clusters {
            let mark = if cluster.chosen { "->" } else { "  " };
            let _ = writeln!(told, "  {mark} {}: {}", cluster.cluster, cluster.why);
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_configuration_that_is_not_understood_is_refused() {
    let good = "apiVersion: hcb.dev/v1alpha1\nkind: ReconcilerConfig\ncloud: a\ntiers: [private]\nburst: {after: 1s}\nfallBack: {after: 1s}\nwhenDown: hold\nweights: {minFactor: 1, maxFactor: 1}\nclusters:\n- {name: a, tier: private, weight: 1, virtualNode: a, pools: []}\n";
    let (config, problems) = read(good);
    assert!(config.is_some(), "{problems}");
    let mut told = String::new();
    for (from, to) in [
        ("v1alpha1", "v2"),
        ("ReconcilerConfig", "HybridCloud"),
        ("after: 1s", "after: soon"),
        ("whenDown: hold", "whenDown: wait"),
        ("tier: private,", "tier: privat,"),
        ("cloud: a", "clout: a"),
        ("virtualNode: a", "virtualNode: a, kubeconfig: /a"),
        ("weight: 1", "weight: many"),
    ] {
        let (config, problems) = read(&good.replacen(from, to, 1));
        assert!(config.is_none(), "{to} is understood");
        let _ = write!(told, "--- {to}\n{problems}");
    }
    insta::assert_snapshot!(told);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_tier_opens_at_most_once_in_the_time_that_closes_it(
        pods in prop::collection::vec((0i64..600, 1i64..40), 0..20),
    ) {
        let config = config("burst: {after: 5s}\n");
        let mut memory = Memory::default();
        let mut opened: Option<i64> = None;
        for now in 0..700 {
            let there = pods.iter().enumerate().filter(|(_, (from, lasts))| (*from..from + lasts).contains(&now));
            let there = there.map(|(index, (from, _))| Demand { created: at(*from), ..pod(&format!("p{index:02}"), 1) });
            let decision = decide(&observation([4, 4], there.collect()), &config, &memory, at(now));
            let was_open = memory.tiers.get(1).is_some_and(|tier| tier.is_open);
            if decision.tiers[1].is_open && !was_open {
                prop_assert!(opened.is_none_or(|before| now - before >= 60), "{opened:?} and {now}");
                opened = Some(now);
            }
            memory.remember(&decision, START);
        }
    }
}

proptest! {
    #[test]
    fn no_pod_leaves_a_cluster_that_has_room_for_it(
        used in prop::array::uniform2(0i128..=4),
        sizes in prop::collection::vec(1i128..=4, 0..30),
        most in prop::option::of(0u32..6),
    ) {
        let budget = most.map_or_else(String::new, |most| format!("budget: {{currency: EUR, perHour: {most}, perMonth: null}}\n"));
        let config = config(&format!("burst: {{after: 0s}}\n{budget}"));
        let pods: Vec<_> = sizes.iter().enumerate().map(|(index, size)| pod(&format!("p{index:02}"), *size)).collect();
        let seen = observation(used, pods);
        let first = decide(&seen, &config, &Memory::default(), START);
        let (releases, decision) = settle(&mut seen.clone(), &config);
        for release in &releases {
            let pod = &seen.demands[&release.uid];
            let size = pod.requirements.requests["cpu"] / 1000;
            prop_assert!(used.iter().all(|used| 4 - used < size), "{} left {:?}", release.name, used);
        }
        if let Some(most) = most {
            prop_assert!(decision.hourly_cost <= f64::from(most));
        }
        // Nobody is forgotten, and the same is decided of the same.
        prop_assert_eq!(decision.verdicts.len(), sizes.len());
        let again = decide(&seen, &config, &Memory::default(), START);
        prop_assert_eq!(first.releases, again.releases);
    }
}
