//! What a pod looks like that may leave for a cluster: it tolerates the gate of that cluster, and an annotation
//! says since when.

use crate::gate::GATE;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The annotation that says to which clusters a pod was released, and when.
pub const RELEASED: &str = "hcb.dev/released";
/// The annotation that says when the scheduler was last nudged to look at a pod again.
pub const NUDGED: &str = "hcb.dev/woken";

/// Reads the annotation [`RELEASED`]: `CLUSTER at TIME`, one after another. What it does not understand is left
/// out.
pub fn read_note(note: &str) -> BTreeMap<String, Timestamp> {
    let notes = note.split(", ").filter_map(|note| note.split_once(" at "));
    notes
        .filter_map(|(cluster, time)| Some((cluster.to_owned(), time.parse().ok()?)))
        .collect()
}

/// Writes the annotation [`RELEASED`].
pub fn write_note(releases: &BTreeMap<String, Timestamp>) -> String {
    let notes: Vec<_> = releases
        .iter()
        .map(|(cluster, time)| format!("{cluster} at {time:.3}"))
        .collect();
    notes.join(", ")
}

/// The toleration with which a pod passes the gate of a cluster.
pub fn toleration(cluster: &str) -> Value {
    json!({"key": GATE, "operator": "Equal", "value": cluster, "effect": "NoSchedule"})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_releases_is_read_as_it_was_written() {
        let at = |seconds| Timestamp::from_second(seconds).expect("a time");
        let releases = BTreeMap::from([("a".to_owned(), at(5)), ("b".to_owned(), at(90))]);
        assert_eq!(read_note(&write_note(&releases)), releases);
        assert_eq!(read_note("a at noon, b"), BTreeMap::new());
    }
}
