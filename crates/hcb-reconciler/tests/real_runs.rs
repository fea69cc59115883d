//! Decisions on what really happened: the records in `tests/records` are of runs on Admiralty, and what the
//! reconciler decided in them is decided again, and judged by what was to be seen at that moment.

use flate2::read::GzDecoder;
use hcb_api::amounts::Amounts;
use hcb_api::config::ReconcilerConfig;
use hcb_api::gate::Gate;
use hcb_reconciler::core::decision::{Decision, Release};
use hcb_reconciler::core::demand::Demand;
use hcb_reconciler::core::facts::{Fact, State};
use hcb_reconciler::core::observation::ClusterState;
use hcb_reconciler::core::record::{Line, replay};
use hcb_reconciler::engine::admiralty::PACING;
use hcb_reconciler::engine::registry;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A record as text.
fn record(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/records");
    let path = folder.join(name).join("run.jsonl.gz");
    let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    let read = GzDecoder::new(file).read_to_string(&mut text);
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text
}

fn lines(record: &str) -> Vec<Line> {
    record
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of a record"))
        .collect()
}

/// What a replay of a record comes to.
#[derive(Debug, Default)]
struct Story {
    /// Decisions that are made.
    decisions: usize,
    /// Decisions that are not what was decided then.
    different: Vec<String>,
    /// What must not be in what was decided then.
    broken: Vec<String>,
    /// Pods that were released, by cluster.
    released: BTreeMap<String, BTreeSet<String>>,
    /// Pods that run, by cluster, at the last decision.
    placed: BTreeMap<String, usize>,
    /// Pods that wait at the last decision.
    waiting: usize,
}

/// Replays a record, and holds each decision against what was seen when it was made.
fn story(record: &str) -> Story {
    let mut story = Story::default();
    replay(
        record.as_bytes(),
        |config| registry::of(config).pacing(),
        None,
        |state, config, replayed| {
            story.decisions += 1;
            // The node of the system costs nothing any more, since no Workload can use it.
            let counted = Decision {
                hourly_cost: replayed.before.hourly_cost,
                ..replayed.now.clone()
            };
            let is_cheaper = replayed.now.hourly_cost <= replayed.before.hourly_cost;
            if counted != replayed.before || !is_cheaper {
                story.different.push(format!("{}", replayed.at));
            }
            let problems = problems(state, config, &replayed.before, replayed.at);
            let at = replayed.at;
            let problems = problems.into_iter();
            story
                .broken
                .extend(problems.map(|problem| format!("{at}: {problem}")));
            for release in replayed.before.releases {
                let pods = story.released.entry(release.cluster).or_default();
                pods.insert(release.uid);
            }
            story.placed.clear();
            let pods = state.observer.observation.demands.values();
            for cluster in pods.clone().filter_map(|pod| pod.placed.clone()) {
                *story.placed.entry(cluster).or_default() += 1;
            }
            story.waiting = pods.filter(|pod| pod.waits()).count();
        },
    )
    .expect("a record");
    story
}

/// What must not be in any decision, by what is seen and nothing else.
fn problems(
    state: &State,
    config: &ReconcilerConfig,
    decision: &Decision,
    at: Timestamp,
) -> Vec<String> {
    let mut problems = Vec::new();
    let pods = &state.observer.observation.demands;
    let clusters = &state.observer.observation.clusters;
    for release in &decision.releases {
        let Some(pod) = pods.get(&release.uid) else {
            problems.push(format!("{} is released but does not exist", release.name));
            continue;
        };
        problems.extend(problems_of_release(state, config, pod, release));
    }
    for tier in 1..config.tiers.len() {
        let releases = decision.releases.iter();
        let count = releases
            .filter(|release| tier_of(config, &release.cluster) == tier)
            .count();
        if count > 1 {
            problems.push(format!("{count} pods are released to tier {tier} at once"));
        }
    }
    for (index, cluster) in config.clusters.iter().enumerate() {
        if config.tier(cluster) == 0 {
            continue;
        }
        let releases = decision.releases.iter();
        let mut coming: BTreeSet<_> = releases
            .filter(|release| release.cluster == cluster.name)
            .map(|release| &release.uid)
            .collect();
        let waiting = pods.values().filter(|pod| {
            let since = pod.released.get(&cluster.name);
            let is_recent = |since: &Timestamp| since.duration_until(at).as_secs() < 600;
            pod.waits() && since.is_some_and(is_recent)
        });
        coming.extend(waiting.map(|pod| &pod.uid));
        if coming.len() > PACING.in_transit {
            problems.push(format!(
                "{} pods are in transit to {}",
                coming.len(),
                cluster.name
            ));
        }
        if cluster.drain && clusters[index].gate == Gate::Open {
            let is_closed = decision
                .gates
                .iter()
                .any(|change| change.cluster == index && change.gate == Gate::Drained);
            if !is_closed {
                problems.push(format!(
                    "{} is drained but its gate stays open",
                    cluster.name
                ));
            }
        }
    }
    for nudge in &decision.nudges {
        let Some(pod) = pods.get(&nudge.uid) else {
            problems.push(format!("{} is nudged but does not exist", nudge.name));
            continue;
        };
        let reserved: Vec<_> = state.observer.observation.reserved_in(&pod.uid).collect();
        let is_of_use = |index: &usize| {
            let cluster = &config.clusters[*index];
            !cluster.drain && earlier_room(state, config, pod, config.tier(cluster)).is_none()
        };
        if !reserved.is_empty() && !reserved.iter().any(is_of_use) {
            problems.push(format!(
                "{} is nudged but may take none of its reserved places",
                nudge.name
            ));
        }
    }
    let verdicts: Vec<_> = decision
        .verdicts
        .iter()
        .map(|verdict| &verdict.uid)
        .collect();
    let waiting = pods.values().filter(|pod| pod.waits());
    let waiting: BTreeSet<_> = waiting.map(|pod| &pod.uid).collect();
    if verdicts.len() != waiting.len() || verdicts.into_iter().collect::<BTreeSet<_>>() != waiting {
        problems.push("the pods with a verdict are not the pods that wait".to_owned());
    }
    let budget = config.budget.as_ref().and_then(|budget| budget.per_hour);
    if budget.is_some_and(|most| decision.hourly_cost > most) {
        problems.push(format!(
            "{} an hour exceeds the budget",
            decision.hourly_cost
        ));
    }
    problems
}

fn problems_of_release(
    state: &State,
    config: &ReconcilerConfig,
    pod: &Demand,
    release: &Release,
) -> Vec<String> {
    let mut problems = Vec::new();
    let (name, to) = (&release.name, &release.cluster);
    let index = config.index(to).expect("a cluster of the configuration");
    let cluster = &config.clusters[index];
    if !pod.waits() {
        problems.push(format!("{name} is released to {to} but does not wait"));
    }
    if cluster.drain {
        problems.push(format!("{name} is released to {to}, which is drained"));
    }
    if !pod.requirements.may_run_in(to) {
        problems.push(format!("{name} is released to {to}, where it may not run"));
    }
    let tier = config.tier(cluster);
    if tier > 0 && !state.observer.observation.clusters[index].is_seen {
        problems.push(format!("{name} is released to {to}, which does not answer"));
    }
    if let Some(room) = earlier_room(state, config, pod, tier) {
        problems.push(format!(
            "{name} is released to {to} although {room} has room"
        ));
    }
    problems
}

fn tier_of(config: &ReconcilerConfig, cluster: &str) -> usize {
    let index = config
        .index(cluster)
        .expect("a cluster of the configuration");
    config.tier(&config.clusters[index])
}

/// A node of a tier before this one that has room for a pod, as it is seen.
fn earlier_room(
    state: &State,
    config: &ReconcilerConfig,
    pod: &Demand,
    tier: usize,
) -> Option<String> {
    let clusters = config
        .clusters
        .iter()
        .zip(&state.observer.observation.clusters);
    clusters
        .filter(|(cluster, seen)| {
            config.tier(cluster) < tier
                && !cluster.drain
                && seen.is_seen
                && pod.requirements.may_run_in(&cluster.name)
        })
        .find_map(|(_, seen)| node_with_room(seen, pod))
}

/// A node with room for a pod, where places that are kept for others are taken.
fn node_with_room(cluster: &ClusterState, pod: &Demand) -> Option<String> {
    let mut free: BTreeMap<_, Amounts> = cluster
        .nodes
        .iter()
        .map(|(name, node)| (name, node.free.clone()))
        .collect();
    let is_enough = |free: &Amounts, requests: &Amounts| {
        requests
            .iter()
            .all(|(resource, amount)| free.get(resource).is_some_and(|free| free >= amount))
    };
    for requests in cluster.reserved() {
        let room = free.values_mut().find(|free| is_enough(free, requests));
        for (resource, amount) in room.into_iter().flatten() {
            *amount -= requests.get(resource).copied().unwrap_or_default();
        }
    }
    let mut nodes = cluster.nodes.iter();
    let found = nodes.find(|(name, node)| {
        node.takes_pods
            && is_enough(&free[name], &pod.requirements.requests)
            && pod.requirements.is_admitted(&node.labels, &node.taints)
    });
    found.map(|(name, _)| name.clone())
}

/// Replays a record of which nothing may be different or broken.
fn replayed(name: &str) -> Story {
    let story = story(&record(name));
    assert!(
        story.decisions > 20,
        "{name}: {} decisions",
        story.decisions
    );
    assert!(story.different.is_empty(), "{name}: {:#?}", story.different);
    assert!(story.broken.is_empty(), "{name}: {:#?}", story.broken);
    story
}

fn placed(story: &Story) -> Vec<(&str, usize)> {
    let placed = story.placed.iter();
    placed
        .map(|(cluster, count)| (cluster.as_str(), *count))
        .collect()
}

/// Whether one of the facts of a record is such a one.
fn has_fact(record: &str, is_such: impl Fn(&Fact) -> bool) -> bool {
    lines(record)
        .iter()
        .any(|line| matches!(line, Line::Fact(_, fact) if is_such(fact)))
}

#[test]
fn a_crowd_fills_the_first_tier_and_the_rest_leaves_for_nodes_that_are_bought() {
    let record = record("plain");
    let story = replayed("plain");
    assert_eq!(placed(&story), [("private", 16), ("public", 16)]);
    assert_eq!(story.released["public"].len(), 16);
    let is_gate = |gate| has_fact(&record, |fact| *fact == Fact::Gate(0, gate));
    assert!(is_gate(Gate::Closed) && is_gate(Gate::Open));
    assert!(has_fact(&record, |fact| matches!(
        fact,
        Fact::Reservation {
            cluster: 1,
            is_reserved: true,
            ..
        }
    )));
}

#[test]
fn a_job_leaves_only_when_no_node_of_the_first_tier_is_large_enough() {
    let story = replayed("mixed-sizes");
    assert_eq!(story.waiting, 0, "{story:?}");
    assert!(story.released.contains_key("public"), "{story:?}");
}

#[test]
fn jobs_that_come_and_go_stay_in_the_first_tier_as_places_come_free() {
    let record = record("stream");
    let story = replayed("stream");
    assert_eq!(story.waiting, 0, "{story:?}");
    // More than there are places in the first tier have run there.
    let mut placed = BTreeMap::<_, BTreeSet<_>>::new();
    for line in lines(&record) {
        if let Line::Fact(_, Fact::Demand(_, pod)) = line
            && let Some(cluster) = pod.placed
        {
            placed.entry(cluster).or_default().insert(pod.uid);
        }
    }
    let counts: Vec<_> = placed.values().map(BTreeSet::len).collect();
    assert_eq!(counts.iter().sum::<usize>(), 40, "{placed:?}");
    assert!(placed["private"].len() > 16, "{placed:?}");
}

#[test]
fn no_pod_is_released_to_a_cluster_that_does_not_answer() {
    let record = record("silence");
    let story = replayed("silence");
    assert_eq!(placed(&story), [("private", 16), ("public", 4)]);
    // The longest time in which the cluster said nothing is longer than it counts as seen for.
    let times = lines(&record).into_iter().filter_map(|line| match line {
        Line::Fact(at, fact) if fact.cluster() == Some(1) => Some(at),
        _ => None,
    });
    let times: Vec<_> = times.collect();
    let gaps = times.windows(2).map(|pair| pair[0].duration_until(pair[1]));
    let longest = gaps.max().expect("facts of the cluster");
    assert!(longest.as_secs() > 15, "{longest:?}");
}

#[test]
fn a_drained_cluster_gets_no_more_pods_and_the_other_takes_over() {
    let record = record("drained");
    let story = replayed("drained");
    assert_eq!(story.waiting, 0, "{story:?}");
    let lines = lines(&record);
    let drained = lines.iter().rposition(
        |line| matches!(line, Line::Config(config) if config.clusters.iter().any(|cluster| cluster.drain)),
    );
    let (before, after) = lines.split_at(drained.expect("a cluster that is drained"));
    let released = |lines: &[Line], to: &str| {
        let decisions = lines.iter().filter_map(|line| match line {
            Line::Decision(_, decision) => Some(&decision.releases),
            _ => None,
        });
        decisions
            .flatten()
            .filter(|release| release.cluster == to)
            .count()
    };
    assert!(released(before, "public-a") > 0);
    assert_eq!(released(after, "public-a"), 0);
    assert!(released(after, "public-b") > 0);
}

#[test]
fn a_decision_that_differs_from_the_record_is_reported() {
    let record = record("plain");
    let changed = record.lines().map(|line| {
        let mut line: Line = serde_json::from_str(line).expect("a line");
        if let Line::Decision(_, decision) = &mut line
            && let Some(release) = decision.releases.first_mut()
        {
            release.cluster = "private".into();
        }
        serde_json::to_string(&line).expect("a line") + "\n"
    });
    let story = story(&changed.collect::<String>());
    assert!(story.different.len() >= 16, "{:?}", story.different);
}

#[test]
fn a_release_is_reported_when_an_earlier_tier_has_room() {
    // Without the pods that run in the first tier, there is room for everybody.
    let record = record("plain");
    let emptied = record.lines().filter_map(|line| {
        let parsed: Line = serde_json::from_str(line).expect("a line");
        let is_pod = matches!(parsed, Line::Fact(_, Fact::Pod(0, ..)));
        (!is_pod).then(|| format!("{line}\n"))
    });
    let story = story(&emptied.collect::<String>());
    let wrong = story
        .broken
        .iter()
        .filter(|problem| problem.ends_with("has room"));
    assert!(wrong.count() >= 16, "{:?}", story.broken);
}
