//! Names that stand both here and in templates of the compiler.

use hcb_reconciler::core::decision::{Decision, Outcome, Period};
use hcb_reconciler::core::explain::reason;
use hcb_reconciler::core::record::replay;
use hcb_reconciler::engine::registry;
use hcb_reconciler::runtime::metrics::Metrics;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

fn template(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../templates/reconciler");
    fs::read_to_string(folder.join(name)).expect("a template")
}

/// The words of a text that begin with `hcb_`.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    words.filter(|word| word.starts_with("hcb_")).collect()
}

/// All metrics, after decisions of a real run: a family without a sample is not exported.
fn exported() -> String {
    let metrics = Metrics::default();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let record = here.join("../../tests/upgrade/0.1.0/records/first.jsonl");
    let record = BufReader::new(File::open(record).expect("a record"));
    let pacing_of = |config: &_| registry::of(config).pacing();
    replay(record, pacing_of, None, |state, config, replayed| {
        let (observation, memory) = (&state.observer.observation, &state.memory);
        metrics.decided(observation, config, memory, &replayed.now, replayed.at);
    })
    .expect("a record that is understood");
    metrics.took(Duration::from_millis(1));
    metrics.released("public");
    metrics.failed("release");
    metrics.text()
}

#[test]
fn every_metric_that_alerts_and_the_dashboard_ask_for_is_exported() {
    let exported = exported();
    let exported = metrics_in(&exported);
    for name in ["alerts.yaml", "dashboard.yaml"] {
        let text = template(name);
        let asked = metrics_in(&text);
        assert!(asked.len() > 3, "{name}: {asked:?}");
        for metric in asked {
            let suffixes = ["", "_total", "_bucket", "_sum", "_count"];
            let mut families = suffixes
                .iter()
                .filter_map(|suffix| metric.strip_suffix(suffix));
            assert!(
                families.any(|family| exported.contains(family)),
                "{name} asks for {metric}, which is not among {exported:?}"
            );
        }
    }
}

#[test]
fn alerts_ask_for_outcomes_by_the_reasons_that_are_written() {
    let over_budget = Outcome::OverBudget {
        cluster: "a".into(),
        period: Period::Hour,
        cost: 1.0,
    };
    let alerts = template("alerts.yaml");
    for outcome in [over_budget, Outcome::NoRoom] {
        let selector = format!("{{outcome=\"{}\"}}", reason(&outcome));
        assert!(alerts.contains(&selector), "{selector}");
    }
}

#[test]
fn outcomes_that_0_1_0_recorded_are_read_by_their_old_names() {
    for (old, new) in [
        ("kept", Outcome::PlaceReserved("a".into())),
        ("fits", Outcome::FitsFirstTier("a".into())),
        ("grows", Outcome::AwaitingScaleUp("a".into())),
        ("next", Outcome::QueuedForBurst("a".into())),
        ("unseen", Outcome::ClusterUnreachable("a".into())),
    ] {
        let text = format!(
            r#"{{"releases":[],"wakes":[],"verdicts":[{{"uid":"u","outcome":{{"{old}":"a"}}}}],"hourlyCost":0.0,"lookAgain":null,"weights":[],"credits":[],"tiers":[]}}"#
        );
        let decision: Decision = serde_json::from_str(&text).expect("a decision");
        assert_eq!(decision.verdicts[0].outcome, new);
    }
}
