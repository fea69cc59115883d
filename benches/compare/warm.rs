//! Rounds of `--check --watch`: how long after a save it is known what would change.

use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Files that were touched within three seconds are read again, as they may be touched again unseen.
const SETTLED: Duration = Duration::from_secs(4);

/// Saves another image of one workload so many times, and says how many seconds after each all was known.
pub(crate) fn rounds(spec: &Path, out: &Path, count: usize) -> Vec<f64> {
    std::thread::sleep(SETTLED);
    let mut child = Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(["compile", "--check", "--watch", "--format", "json"])
        .args(["--today", "2026-01-01", "--out"])
        .arg(out)
        .arg(spec)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("hcb starts");
    let output = child.stdout.take().expect("a pipe");
    let mut lines = BufReader::new(output).lines();
    let mut round = || -> Value {
        let line = lines.next().expect("a round").expect("UTF-8");
        serde_json::from_str(&line).expect("JSON")
    };
    let first = round();
    assert_eq!(first["changes"]["added"], serde_json::json!([]), "{first}");
    let file = spec.join("workloads.yaml");
    let text = fs::read_to_string(&file).expect("a text");
    let mut took = Vec::new();
    for turn in 1..=count {
        // As editors save: beside it, and then in its place.
        let beside = file.with_extension("tmp");
        let other = text.replacen(":1.0.0", &format!(":1.0.{turn}"), 1);
        fs::write(&beside, other).expect("a file");
        fs::rename(&beside, &file).expect("a file that can be replaced");
        let seen = round();
        let added = seen["changes"]["added"].as_array().map(Vec::len);
        assert_eq!(added, Some(1), "{seen}");
        took.push(seen["seconds"].as_f64().expect("seconds"));
    }
    fs::write(&file, text).expect("a file");
    let _ = child.kill();
    let _ = child.wait();
    took
}
