//! Records of 0.1.0, of a real run on real API servers.

use super::present::{Fact, Line, PACING, ReconcilerConfig, Replayed, State, replay};
use super::{argument, hcb, old, old_text, said};
use jiff::Timestamp;

/// A first leader whose configuration changed under it, and one that took over from it.
pub(crate) const RECORDS: [&str; 2] = ["records/first.jsonl", "records/second.jsonl"];

/// Plays a record of 0.1.0 again.
pub(crate) fn play(record: &str, see: impl FnMut(&State, &ReconcilerConfig, Replayed)) {
    let text = old_text(record);
    replay(text.as_bytes(), |_| PACING, None, see).expect("a record that is understood");
}

#[test]
fn records_of_0_1_0_are_decided_as_they_were() {
    for record in RECORDS {
        let path = old(record);
        let output = hcb(&["reconcile", "--replay", argument(&path)]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{record}: {said}");
        assert!(said.contains("none is different"), "{record}: {said}");
        let is_decision = |line: &&Line| matches!(line, Line::Decision(..));
        let decisions = lines(record).iter().filter(is_decision).count();
        assert!(decisions > 10, "{record}: {decisions} decisions");
        assert!(said.contains(&format!("{decisions} decisions")), "{said}");
    }
}

/// The lines of a record.
pub(crate) fn lines(record: &str) -> Vec<Line> {
    let text = old_text(record);
    let read = |line: &str| serde_json::from_str(line).expect("a line that is understood");
    text.lines().map(read).collect()
}

/// The facts of a record with their times.
pub(crate) fn facts(record: &str) -> Vec<(Timestamp, Fact)> {
    let of_line = |line| match line {
        Line::Fact(at, fact) => Some((at, fact)),
        _ => None,
    };
    lines(record).into_iter().filter_map(of_line).collect()
}

/// The first configuration of a record.
pub(crate) fn config(record: &str) -> ReconcilerConfig {
    match lines(record).into_iter().next() {
        Some(Line::Config(config)) => *config,
        other => panic!("{record} begins with {other:?}"),
    }
}
