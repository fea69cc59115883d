//! The core of the reconciler: who may leave, and who not.

use hcb::controller::config::Config;
use hcb::controller::decide::{Decision, Memory, Outcome, decide};
use hcb::controller::observation::{ClusterState, JobPod, NodeState, Observation, Shape};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const START: Timestamp = Timestamp::UNIX_EPOCH;

/// 4-CPU nodes everywhere: `public` buys up to 3 at 1 an hour, `spare` up to 2 at 2 an hour.
fn config(extra: &str) -> Config {
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
    Config::read(&text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

fn plain() -> Config {
    config("burst: {after: 0s}\n")
}

fn cpus(count: i128) -> BTreeMap<String, i128> {
    BTreeMap::from([("cpu".into(), count * 1000)])
}

fn node(name: &str, used: i128) -> NodeState {
    let mut allocatable = cpus(4);
    allocatable.insert("memory".into(), (16 << 30) * 1000);
    NodeState {
        name: name.into(),
        takes_pods: true,
        allocatable,
        used: cpus(used),
        ..NodeState::default()
    }
}

fn pod(name: &str, cpu: i128) -> JobPod {
    JobPod {
        namespace: "ml".into(),
        name: name.into(),
        uid: name.into(),
        version: "1".into(),
        job: None,
        created: START,
        priority: 0,
        shape: Arc::new(Shape {
            requests: cpus(cpu),
            ..Shape::default()
        }),
        released: BTreeSet::new(),
        placed: None,
        ended: false,
    }
}

/// Private with so much used on its two nodes, the others without nodes.
fn observation(used: [i128; 2], pods: Vec<JobPod>) -> Observation {
    let private = ClusterState {
        nodes: vec![node("a", used[0]), node("b", used[1])],
        ..ClusterState::default()
    };
    let mut clusters = BTreeMap::from([("private".to_owned(), private)]);
    for name in ["public", "other", "spare"] {
        clusters.insert(name.to_owned(), ClusterState::default());
    }
    Observation { clusters, pods }
}

fn outcomes(observation: &Observation, config: &Config) -> Vec<Outcome> {
    let decision = decide(observation, config, &Memory::default(), START);
    decision
        .verdicts
        .into_iter()
        .map(|verdict| verdict.outcome)
        .collect()
}

/// How many may go to public, other and spare.
fn released(decision: &Decision) -> (usize, usize, usize) {
    let releases = decision.releases.iter();
    let count = |name: &str| {
        releases
            .clone()
            .filter(|release| release.cluster == name)
            .count()
    };
    (count("public"), count("other"), count("spare"))
}

#[test]
fn what_fits_stays() {
    let found = outcomes(&observation([4, 1], vec![pod("a", 3)]), &plain());
    assert_eq!(found, [Outcome::Fits("private".into())]);
}

#[test]
fn free_cpus_in_pieces_are_no_room() {
    // Four are free, two on each node: a pod of three fits nowhere.
    let found = outcomes(&observation([2, 2], vec![pod("a", 3)]), &plain());
    assert_eq!(found, [Outcome::Released("public".into())]);
}

#[test]
fn a_place_that_is_kept_is_taken() {
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    let private = seen.clusters.get_mut("private").expect("private");
    private.delegates.insert("a".into());
    assert_eq!(outcomes(&seen, &plain()), [Outcome::Kept("private".into())]);
}

#[test]
fn a_place_that_is_kept_for_another_is_no_room() {
    let mut seen = observation([4, 3], vec![pod("a", 1)]);
    let private = seen.clusters.get_mut("private").expect("private");
    private.reserved.push(cpus(1));
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Released("public".into())]
    );
}

#[test]
fn a_pod_that_may_only_run_in_private_waits() {
    let mut only = pod("a", 1);
    only.shape = Arc::new(Shape {
        requests: cpus(1),
        clusters: BTreeSet::from(["private".into()]),
        ..Shape::default()
    });
    assert_eq!(
        outcomes(&observation([4, 4], vec![only]), &plain()),
        [Outcome::NoRoom]
    );
}

#[test]
fn nothing_is_opened_blindly() {
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    seen.clusters.remove("private");
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Unseen("private".into())]
    );
    let mut seen = observation([4, 4], vec![pod("a", 1)]);
    for name in ["public", "other"] {
        seen.clusters.remove(name);
    }
    // A tier that cannot be seen is passed over for the next that can.
    assert_eq!(
        outcomes(&seen, &plain()),
        [Outcome::Released("spare".into())]
    );
}

#[test]
fn it_waits_as_long_as_the_spec_says() {
    let config = config("burst: {after: 30s}\n");
    let seen = observation([4, 4], vec![pod("a", 1)]);
    let until = START + SignedDuration::from_secs(30);
    let decision = decide(&seen, &config, &Memory::default(), START);
    assert_eq!(decision.verdicts[0].outcome, Outcome::Waits(until));
    assert_eq!(decision.look_again, Some(until));
    let decision = decide(&seen, &config, &Memory::default(), until);
    assert_eq!(
        decision.verdicts[0].outcome,
        Outcome::Released("public".into())
    );
}

#[test]
fn weights_share_out_a_tier() {
    // Two of four CPUs each, so that six nodes hold twelve: three of four go to the weight of three.
    let pods = (0..8).map(|index| pod(&format!("p{index}"), 2)).collect();
    let decision = decide(
        &observation([4, 4], pods),
        &plain(),
        &Memory::default(),
        START,
    );
    assert_eq!(released(&decision), (6, 2, 0));
}

#[test]
fn a_full_tier_opens_the_next() {
    let pods = (0..8).map(|index| pod(&format!("p{index}"), 4)).collect();
    let decision = decide(
        &observation([4, 4], pods),
        &plain(),
        &Memory::default(),
        START,
    );
    assert_eq!(released(&decision), (3, 3, 2));
}

#[test]
fn the_budget_holds_jobs_back() {
    let config =
        config("burst: {after: 0s}\nbudget: {currency: EUR, perHour: 2, perMonth: null}\n");
    let pods = (0..3).map(|index| pod(&format!("p{index}"), 4)).collect();
    let found = outcomes(&observation([4, 4], pods), &config);
    assert!(
        matches!(
            &found[..],
            [
                Outcome::Released(_),
                Outcome::Released(_),
                Outcome::Budget { .. }
            ]
        ),
        "{found:?}"
    );
}

#[test]
fn what_was_released_holds_its_room() {
    let mut first = pod("first", 4);
    first.released.insert("public".into());
    let mut pods = vec![first];
    pods.extend((0..6).map(|index| pod(&format!("p{index}"), 4)));
    let decision = decide(
        &observation([4, 4], pods),
        &plain(),
        &Memory::default(),
        START,
    );
    assert_eq!(released(&decision), (2, 3, 1));
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

#[test]
fn a_configuration_that_is_not_understood_is_refused() {
    for (text, problem) in [
        ("kind: Other", "missing field"),
        (
            "apiVersion: hcb.dev/v2\nkind: ReconcilerConfig\ncloud: a\ntiers: []\nburst: {after: 1s}\nfallBack: {after: 1s}\nwhenDown: hold\nweights: {minFactor: 1, maxFactor: 1}\nclusters: []",
            "run the hcb that compiled it",
        ),
        ("burst: {after: soon}", "not a duration"),
    ] {
        let error = Config::read(text).expect_err(text);
        assert!(error.contains(problem), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn nobody_leaves_a_cluster_with_room(
        used in prop::array::uniform2(0i128..=4),
        sizes in prop::collection::vec(1i128..=4, 0..30),
        most in prop::option::of(0u32..6),
    ) {
        let budget = most.map_or_else(String::new, |most| format!("budget: {{currency: EUR, perHour: {most}, perMonth: null}}\n"));
        let config = config(&format!("burst: {{after: 0s}}\n{budget}"));
        let pods: Vec<_> = sizes.iter().enumerate().map(|(index, size)| pod(&format!("p{index:02}"), *size)).collect();
        let seen = observation(used, pods);
        let decision = decide(&seen, &config, &Memory::default(), START);
        for release in &decision.releases {
            let pod = seen.pods.iter().find(|pod| pod.uid == release.uid).expect("a pod that was seen");
            let size = pod.shape.requests["cpu"] / 1000;
            prop_assert!(used.iter().all(|used| 4 - used < size), "{} left {:?}", release.name, used);
        }
        if let Some(most) = most {
            prop_assert!(decision.hourly_cost <= f64::from(most));
        }
        // Nobody is forgotten, and the same is decided of the same.
        prop_assert_eq!(decision.verdicts.len(), sizes.len());
        let again = decide(&seen, &config, &Memory::default(), START);
        prop_assert_eq!(decision.releases, again.releases);
    }
}
