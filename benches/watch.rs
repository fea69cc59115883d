//! How long it takes from a save until all findings are shown again, with `--watch`:
//!
//! ```sh
//! cargo bench --bench watch            # 50 saves of each kind
//! cargo bench --bench watch -- 200
//! ```
//!
//! The program runs as an author runs it, on a copy of the large example; files are saved as editors save
//! them, written beside and renamed. A time is from before the first byte is written until the last byte of
//! the round has been read. What a round says is checked: one that shows other findings does not count.
#![allow(clippy::print_stdout, reason = "tables are what it makes")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// What an author wants to wait at the most.
const GOAL: Duration = Duration::from_millis(50);
/// Between two saves: nothing that is done after one round is part of the next.
const PAUSE: Duration = Duration::from_millis(120);

fn main() {
    // `cargo test --benches` only asks whether it builds.
    let mut arguments = std::env::args().skip(1);
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let saves = arguments.find_map(|argument| argument.parse().ok());
    let saves = saves.unwrap_or(50);
    println!("| command | what is saved | median | 95 % | slowest |");
    println!("| --- | --- | ---: | ---: | ---: |");
    let mut is_good = true;
    for command in ["validate", "compile"] {
        for (what, times) in measure(command, saves) {
            let shown = [
                times[times.len() / 2],
                times[times.len() * 95 / 100],
                times[times.len() - 1],
            ];
            let [median, most, slowest] =
                shown.map(|time| format!("{:.1} ms", time.as_secs_f64() * 1000.0));
            println!("| `{command}` | {what} | {median} | {most} | {slowest} |");
            is_good &= command != "validate" || shown[1] <= GOAL;
        }
    }
    assert!(is_good, "an author waits for more than {GOAL:?}");
}

/// The times of each kind of save, sorted.
fn measure(command: &str, saves: usize) -> Vec<(&'static str, Vec<Duration>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = folder.path().join("spec");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/large"),
        &spec,
    );
    let mut watching = Watching::start(command, folder.path());
    let cloud = Saved::new(spec.join("cloud.yaml"));
    let workloads = Saved::new(spec.join("workloads/research.yaml"));
    let first = workloads.text.split("\n---\n").next().expect("a workload");
    assert!(first.contains("name: train-mnist"));
    // Each has another value in every turn, so that nothing is known from before.
    let kinds: [(&str, &Saved, &str, Text); 5] = [
        (
            "another value in a workload",
            &workloads,
            "no findings",
            Box::new(|turn| {
                let deadline = format!("deadline: {}m", 60 + turn);
                workloads.text.replacen("deadline: 2h", &deadline, 1)
            }),
        ),
        (
            "another value of a cluster",
            &cloud,
            "no findings",
            Box::new(|turn| {
                cloud
                    .text
                    .replacen("weight: 50", &format!("weight: {}", 51 + turn), 1)
            }),
        ),
        (
            "an error",
            &cloud,
            "1 error",
            Box::new(|turn| {
                cloud.text.replacen(
                    "kubernetes: \"1.34\"",
                    &format!("kubernetes: \"1.{}\"", 100 + turn),
                    1,
                )
            }),
        ),
        (
            "what breaks a policy",
            &workloads,
            "1 error",
            Box::new(|turn| {
                let other = format!("quay.io/other/keras-mnist:1.0.{turn}");
                let image = "ghcr.io/example/keras-mnist:1.0.0";
                workloads.text.replacen(image, &other, 1)
            }),
        ),
        (
            "one more workload",
            &workloads,
            "no findings",
            Box::new(|turn| {
                let more = first.replace("name: train-mnist", &format!("name: more-{turn}"));
                format!("{}\n---\n{more}\n", workloads.text.trim_end())
            }),
        ),
    ];
    let mut times: Vec<_> = kinds.iter().map(|(what, ..)| (*what, Vec::new())).collect();
    for turn in 0..saves {
        for ((_, saved, says, text), (_, times)) in kinds.iter().zip(&mut times) {
            times.push(watching.save(saved, &text(turn), says));
            watching.save(saved, &saved.text, "no findings");
        }
    }
    for (_, times) in &mut times {
        times.sort();
    }
    times
}

/// What is saved in a turn.
type Text<'a> = Box<dyn Fn(usize) -> String + 'a>;

/// A file of the spec, and what it holds to begin with.
struct Saved {
    path: PathBuf,
    text: String,
}

impl Saved {
    fn new(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).expect("a file");
        Self { path, text }
    }
}

struct Watching {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Watching {
    fn start(command: &str, folder: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hcb"))
            .args([command, "spec", "--watch"])
            .args(if command == "compile" {
                &["--out", "out"][..]
            } else {
                &[]
            })
            .env("HCB_TODAY", "2026-12-01")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("hcb starts");
        let said = BufReader::new(child.stderr.take().expect("what it says"));
        let mut watching = Self { child, said };
        watching.round("no findings");
        watching
    }

    /// Saves a file, and says how long it took until the round was there.
    fn save(&mut self, saved: &Saved, text: &str, says: &str) -> Duration {
        std::thread::sleep(PAUSE);
        let beside = saved.path.with_extension("yaml.tmp");
        let start = Instant::now();
        fs::write(&beside, text).expect("a file");
        fs::rename(beside, &saved.path).expect("a file that can be replaced");
        self.round(says);
        start.elapsed()
    }

    /// Reads a round to its end, which must say this.
    fn round(&mut self, says: &str) {
        let mut round = String::new();
        loop {
            let from = round.len();
            let read = self.said.read_line(&mut round).expect("UTF-8");
            assert!(read > 0, "it ended:\n{round}");
            if round[from..].ends_with(" ms\n") {
                assert!(round[from..].contains(says), "not `{says}`:\n{round}");
                return;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, target).expect("a file");
        }
    }
}
