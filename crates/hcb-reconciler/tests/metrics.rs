//! What Prometheus reads after the configuration changed, and of a replica that leads no more.

use hcb_reconciler::core::decision::{Outcome, Verdict};
use hcb_reconciler::core::record::replay;
use hcb_reconciler::engine::registry;
use hcb_reconciler::runtime::metrics::Metrics;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// The series of a text that have a label of this value.
fn with_label<'a>(text: &'a str, value: &str) -> Vec<&'a str> {
    let label = format!("=\"{value}\"");
    text.lines().filter(|line| line.contains(&label)).collect()
}

/// The metrics after a decision of a real run, and after the same decision by a configuration without the last cluster
/// and its tier, without a budget, and without pods that wait.
fn before_and_after(leads: impl Fn(&Metrics)) -> (String, String, String, String) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let record = here.join("../../tests/upgrade/0.1.0/records/first.jsonl");
    let record = BufReader::new(File::open(record).expect("a record"));
    let pacing_of = |config: &_| registry::of(config).pacing();
    let mut found = None;
    replay(record, pacing_of, None, |state, config, replayed| {
        let (observation, memory) = (&state.observer.observation, &state.memory);
        if found.is_some() || replayed.now.verdicts.is_empty() {
            return;
        }
        let metrics = Metrics::default();
        metrics.leads(true);
        let mut decision = replayed.now.clone();
        decision.verdicts.push(Verdict {
            uid: "any".into(),
            outcome: Outcome::NoRoom,
        });
        metrics.decided(observation, config, memory, &decision, replayed.at);
        let last = config.clusters.last().expect("a cluster");
        metrics.released(&last.name);
        metrics.released(&config.clusters[0].name);
        let before = metrics.text();
        let (mut fewer, mut seen) = (config.clone(), observation.clone());
        fewer.clusters.pop();
        seen.clusters.pop();
        fewer.tiers.pop();
        fewer.budget = None;
        decision.tiers.pop();
        decision.weights.pop();
        decision.verdicts.clear();
        metrics.decided(&seen, &fewer, memory, &decision, replayed.at);
        leads(&metrics);
        let tier = config.tiers.last().expect("a tier").clone();
        found = Some((before, metrics.text(), last.name.clone(), tier));
    })
    .expect("a record that is understood");
    found.expect("a decision about pods that wait")
}

#[test]
fn nothing_is_said_any_more_of_a_cluster_a_tier_a_reason_or_a_budget_that_is_gone() {
    let (before, after, cluster, tier) = before_and_after(|_| {});
    for (label, least) in [(&*cluster, 6), (&*tier, 1), ("NoRoom", 1), ("hour", 1)] {
        let series = with_label(&before, label);
        assert!(series.len() >= least, "{label}: {series:?}");
        assert!(with_label(&after, label).is_empty(), "{label}: {after}");
    }
    // What is there still is said as before.
    for metric in [
        "hcb_cluster_seen{",
        "hcb_cluster_nodes{",
        "hcb_releases_total{",
    ] {
        assert!(after.contains(metric), "{metric}: {after}");
    }
}

#[test]
fn a_replica_that_leads_no_more_says_nothing_of_what_it_decided() {
    let (before, after, ..) = before_and_after(|metrics| metrics.leads(false));
    for metric in [
        "hcb_cluster_seen{",
        "hcb_cluster_free{",
        "hcb_cluster_live_weight{",
        "hcb_tier_open{",
        "hcb_waiting_pods{",
        "hcb_budget{",
    ] {
        assert!(before.contains(metric), "{metric}: {before}");
        assert!(!after.contains(metric), "{metric}: {after}");
    }
    assert!(after.contains("hcb_longest_wait_seconds 0.0"), "{after}");
    assert!(after.contains("hcb_leader 0"), "{after}");
    // A counter goes on.
    assert!(after.contains("hcb_releases_total{"), "{after}");
}
