//! Records of 0.1.0, of a real run on real API servers.

use super::present::{Config, Fact, Replayed, State, replay};
use super::{argument, hcb, old, said};
use jiff::Timestamp;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};

/// A first leader whose configuration changed under it, and one that took over from it.
pub(crate) const RECORDS: [&str; 2] = ["records/first.jsonl", "records/second.jsonl"];

/// Plays a record of 0.1.0 again.
pub(crate) fn play(record: &str, see: impl FnMut(&State, &Config, Replayed)) {
    let file = File::open(old(record)).expect("a record");
    replay(BufReader::new(file), None, see).expect("a record that is understood");
}

#[test]
fn records_of_0_1_0_are_decided_as_they_were() {
    for record in RECORDS {
        let path = old(record);
        let output = hcb(&["reconcile", "--replay", argument(&path)]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{record}: {said}");
        assert!(said.contains("none is different"), "{record}: {said}");
        let lines = lines(record);
        let decisions = lines.iter().filter(|line| line.get("decision").is_some()).count();
        assert!(decisions > 10, "{record}: {decisions} decisions");
        assert!(said.contains(&format!("{decisions} decisions")), "{said}");
    }
}

/// The lines of a record.
pub(crate) fn lines(record: &str) -> Vec<Value> {
    let lines = BufReader::new(File::open(old(record)).expect("a record")).lines();
    let read = |line: std::io::Result<String>| {
        serde_json::from_str(&line.expect("a line")).expect("a line of JSON")
    };
    lines.map(read).collect()
}

/// The facts of a record with their times.
pub(crate) fn facts(record: &str) -> Vec<(Timestamp, Fact)> {
    let of_line = |line: Value| {
        let fact = line.get("fact")?.clone();
        Some(serde_json::from_value(fact).expect("a fact that is understood"))
    };
    lines(record).into_iter().filter_map(of_line).collect()
}
