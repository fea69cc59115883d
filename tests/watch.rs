//! `--watch` as users see it: the tests change a spec as editors and Git change files, and read what the
//! running program shows after each change.

mod common;

use common::git;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long to wait for a round. It takes milliseconds unless the machine is busy.
const SOON: Duration = Duration::from_secs(120);

/// A spec in a folder of its own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let status = hcb(folder.path(), &["init"])
            .stderr(Stdio::null())
            .status()
            .expect("hcb starts");
        assert!(status.success());
        Self(folder)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).expect("a file")
    }

    /// Writes a file in place, and creates the folders that it needs.
    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Saves a file as most editors do: writes another file and renames it.
    fn save(&self, path: &str, text: &str) {
        let beside = self.path(&format!("{path}.tmp~"));
        fs::write(&beside, text).expect("a file");
        fs::rename(beside, self.path(path)).expect("a file that can be replaced");
    }

    /// Adds a workload like the existing one.
    fn workload(&self, name: &str) -> String {
        self.text("hybrid/workloads/train.yaml")
            .replace("name: train", &format!("name: {name}"))
    }
}

fn hcb(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hcb"));
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null());
    command
}

/// A running `hcb … --watch` and its output.
struct Watching {
    child: Child,
    lines: Receiver<String>,
    /// The rounds so far.
    rounds: Vec<String>,
    is_json: bool,
}

impl Watching {
    fn start(folder: &Folder, arguments: &[&str]) -> Self {
        let is_json = arguments.contains(&"json");
        let mut child = hcb(folder.0.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("hcb starts");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = channel();
        let read = |from: Box<dyn Read + Send>| {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(from).lines() {
                    let _ = sender.send(line.expect("UTF-8"));
                }
            });
        };
        // Text goes to stderr, JSON to stdout.
        if is_json {
            read(Box::new(stdout.expect("its output")));
        } else {
            read(Box::new(stderr.expect("its messages")));
        }
        Self {
            child,
            lines,
            rounds: Vec::new(),
            is_json,
        }
    }

    /// The next round.
    #[track_caller]
    fn next(&mut self) -> &str {
        let deadline = Instant::now() + SOON;
        let mut round = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!(
                    "no round came; so far:\n{}\n{round}",
                    self.rounds.join("\n")
                );
            };
            round.push_str(&line);
            round.push('\n');
            if self.is_json || is_summary(&line) {
                self.rounds.push(round);
                return self.rounds.last().expect("the round");
            }
        }
    }

    /// Waits for a round that shows all of `parts`. Rounds before it may show a part of a change.
    #[track_caller]
    fn until(&mut self, parts: &[&str]) -> &str {
        let from = self.rounds.len();
        let deadline = Instant::now() + SOON;
        loop {
            let round = self.next();
            if parts.iter().all(|part| round.contains(part)) {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "no round says {parts:?}:\n{}",
                self.rounds[from..].join("\n")
            );
        }
        self.rounds.last().expect("the round")
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status();
        assert!(sent.expect("kill starts").success());
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `12:03:04 2 errors, 1 warning in 34 ms`, the end of each round.
fn is_summary(line: &str) -> bool {
    let mut parts = line.splitn(2, ' ');
    let time = parts.next().unwrap_or_default();
    let is_time = time.len() == 8 && time.bytes().filter(|byte| *byte == b':').count() == 2;
    is_time && line.ends_with(" ms") && line.contains(" in ")
}

fn valid(workloads: usize) -> String {
    let many = if workloads == 1 { "" } else { "s" };
    format!("`my-cloud` is valid: 2 clusters, {workloads} workload{many}, ")
}

#[test]
fn after_any_change_the_findings_are_those_of_the_current_files() {
    let folder = Folder::new();
    let mut watching = Watching::start(&folder, &["validate", "--watch"]);
    let first = watching.next().to_owned();
    assert!(
        first.starts_with("watching `hybrid`; Ctrl-C ends it\n`my-cloud` is valid: "),
        "{first}"
    );
    assert!(first.contains(" no findings in "), "{first}");

    // Written in place.
    let cloud = folder.text("hybrid/cloud.yaml");
    let wrong = cloud.replace("tier: public", "teir: public");
    folder.write("hybrid/cloud.yaml", &wrong);
    watching.until(&["unknown field `teir`", "hybrid/cloud.yaml:", " 1 error in "]);

    // Written beside and renamed.
    folder.save("hybrid/cloud.yaml", &cloud);
    watching.until(&[&valid(1), " no findings in "]);

    // Saved again as it is.
    folder.save("hybrid/cloud.yaml", &cloud);
    watching.until(&[&valid(1)]);

    // Several at once.
    for name in ["one", "two", "three", "four"] {
        folder.write(
            &format!("hybrid/workloads/{name}.yaml"),
            folder.workload(name),
        );
    }
    watching.until(&[&valid(5)]);
    for name in ["one", "two", "three", "four"] {
        fs::remove_file(folder.path(&format!("hybrid/workloads/{name}.yaml"))).expect("a file");
    }
    watching.until(&[&valid(1)]);

    // Removed and created again.
    let train = folder.text("hybrid/workloads/train.yaml");
    fs::remove_file(folder.path("hybrid/workloads/train.yaml")).expect("a file");
    watching.until(&[&valid(0)]);
    folder.write("hybrid/workloads/train.yaml", &train);
    watching.until(&[&valid(1)]);

    // New folders, and files in them at once; then later.
    folder.write("hybrid/teams/vision/other.yaml", folder.workload("other"));
    watching.until(&[&valid(2)]);
    folder.write("hybrid/teams/vision/third.yaml", folder.workload("third"));
    watching.until(&[&valid(3)]);

    // A folder renamed, and one replaced by another of its name.
    fs::rename(folder.path("hybrid/teams"), folder.path("away")).expect("a folder");
    watching.until(&[&valid(1)]);
    fs::rename(folder.path("away"), folder.path("hybrid/people")).expect("a folder");
    watching.until(&[&valid(3)]);
    fs::remove_dir_all(folder.path("hybrid/people")).expect("a folder");
    folder.write("hybrid/people/new.yaml", folder.workload("new"));
    watching.until(&[&valid(2)]);
    folder.write("hybrid/people/newer.yaml", folder.workload("newer"));
    watching.until(&[&valid(3)]);
    fs::remove_dir_all(folder.path("hybrid/people")).expect("a folder");
    watching.until(&[&valid(1)]);

    // Not text, and not YAML.
    folder.write("hybrid/cloud.yaml", b"kind: \xff\xfe");
    watching.until(&["the file is not UTF-8 text"]);
    folder.write("hybrid/cloud.yaml", "a: [");
    watching.until(&[" error"]);
    folder.write("hybrid/cloud.yaml", "");
    watching.until(&["there is no HybridCloud document"]);
    folder.save("hybrid/cloud.yaml", &cloud);
    watching.until(&[&valid(1)]);

    assert_eq!(watching.interrupt().code(), Some(0));
}

#[test]
fn a_file_is_read_only_when_it_is_written_completely() {
    let folder = Folder::new();
    let mut watching = Watching::start(&folder, &["validate", "--watch"]);
    watching.next();
    let before = watching.rounds.len();
    let cloud = folder.text("hybrid/cloud.yaml");
    let start = Instant::now();
    let mut file = File::create(folder.path("hybrid/cloud.yaml")).expect("a file");
    for piece in cloud.as_bytes().chunks(cloud.len() / 8 + 1) {
        file.write_all(piece).expect("a file that can be written");
        // As slow as an editor on a slow disk, or a script that prints.
        thread::sleep(Duration::from_millis(20));
    }
    drop(file);
    let took = start.elapsed();
    folder.write("hybrid/workloads/more.yaml", folder.workload("more"));
    watching.until(&[&valid(2)]);
    // If a writer pauses for too long, the incomplete file is read.
    if took < Duration::from_millis(400) {
        let shown = watching.rounds[before..].join("\n");
        assert!(
            !shown.contains("error"),
            "half of a file was read:\n{shown}"
        );
    }
}

#[test]
fn watching_goes_on_when_the_spec_disappears_and_returns() {
    let folder = Folder::new();
    let mut watching = Watching::start(&folder, &["validate", "--watch"]);
    watching.next();
    fs::rename(folder.path("hybrid"), folder.path("away")).expect("a folder");
    watching.until(&[
        "the spec `hybrid` cannot be read",
        " nothing was checked in ",
    ]);
    fs::rename(folder.path("away"), folder.path("hybrid")).expect("a folder");
    watching.until(&[&valid(1)]);
    // It is watched as before.
    folder.write("hybrid/workloads/more.yaml", folder.workload("more"));
    watching.until(&[&valid(2)]);

    fs::remove_dir_all(folder.path("hybrid")).expect("a folder");
    watching.until(&["the spec `hybrid` cannot be read"]);
    assert!(
        hcb(folder.0.path(), &["init"])
            .stderr(Stdio::null())
            .status()
            .is_ok()
    );
    watching.until(&[&valid(1)]);
    fs::remove_file(folder.path("hybrid/workloads/train.yaml")).expect("a file");
    watching.until(&[&valid(0)]);

    fs::remove_dir_all(folder.path("hybrid")).expect("a folder");
    watching.until(&["the spec `hybrid` cannot be read"]);
    assert_eq!(watching.interrupt().code(), Some(1));
}

#[test]
fn watching_a_spec_that_never_existed_is_an_error() {
    let folder = TempDir::new().expect("a folder");
    let output = hcb(folder.path(), &["validate", "--watch"]).output();
    let output = output.expect("hcb starts");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the spec `hybrid` cannot be read"), "{said}");
}

#[test]
fn policies_and_templates_are_watched_too() {
    let folder = Folder::new();
    folder.write("templates/workloads/README", "not a template");
    let arguments = ["validate", "--watch", "--templates", "templates"];
    let mut watching = Watching::start(&folder, &arguments);
    watching.until(&[&valid(1)]);

    let policy =
        "apiVersion: hcb.dev/v1alpha1\nkind: SpecPolicy\nmetadata:\n  name: team-few-retries\n";
    folder.write("hybrid/policies/few/policy.yaml", policy);
    watching.until(&["hybrid/policies/few/policy.yaml:", " error"]);
    fs::remove_dir_all(folder.path("hybrid/policies")).expect("a folder");
    watching.until(&[&valid(1)]);

    let template = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/workloads/job.yaml"),
    );
    let template = template.expect("the built-in template");
    folder.write("templates/workloads/job.yaml", "{{ nothing.here }}");
    watching.until(&["the template `workloads/job.yaml` cannot be used"]);
    folder.write("templates/workloads/jobs.yaml", &template);
    watching.until(&["it takes the place of no template", "nothing was checked"]);
    fs::remove_file(folder.path("templates/workloads/jobs.yaml")).expect("a file");
    folder.save("templates/workloads/job.yaml", &template);
    watching.until(&[&valid(1)]);
    folder.save(
        "templates/workloads/job.yaml",
        &template.replace("metadata:\n", "metadata:\n  namespase: ml\n"),
    );
    watching.until(&["did you mean `namespace`?", " error"]);
    assert_eq!(watching.interrupt().code(), Some(1));
}

#[test]
fn a_spec_of_a_single_file_can_be_watched() {
    let folder = Folder::new();
    let mut watching = Watching::start(&folder, &["validate", "--watch", "hybrid/cloud.yaml"]);
    watching.until(&[&valid(0)]);
    let cloud = folder.text("hybrid/cloud.yaml");
    folder.save(
        "hybrid/cloud.yaml",
        &cloud.replace("tier: public", "teir: public"),
    );
    watching.until(&["unknown field `teir`"]);
    folder.save("hybrid/cloud.yaml", &cloud);
    watching.until(&[&valid(0)]);
    // Other files in its folder are ignored, its policies are not.
    folder.write("hybrid/workloads/more.yaml", "kind: Nonsense");
    folder.write("hybrid/policies/one/policy.yaml", "kind: Nonsense");
    let round = watching.until(&["hybrid/policies/one/policy.yaml:"]);
    assert!(!round.contains("more.yaml"), "{round}");
}

#[test]
fn a_checkout_of_another_branch_starts_one_round() {
    let folder = Folder::new();
    let here = folder.0.path();
    git(here, &["init", "-q", "-b", "main"]);
    git(here, &["add", "."]);
    git(here, &["commit", "-q", "-m", "one"]);
    git(here, &["checkout", "-q", "-b", "other"]);
    fs::rename(folder.path("hybrid/workloads"), folder.path("hybrid/jobs")).expect("a folder");
    for index in 0..40 {
        let name = format!("job-{index}");
        folder.write(
            &format!("hybrid/jobs/{name}.yaml"),
            folder
                .text("hybrid/jobs/train.yaml")
                .replace("name: train", &format!("name: {name}")),
        );
    }
    git(here, &["add", "."]);
    git(here, &["commit", "-q", "-m", "other"]);
    git(here, &["checkout", "-q", "main"]);
    let mut watching = Watching::start(&folder, &["validate", "--watch"]);
    watching.until(&[&valid(1)]);
    for _ in 0..3 {
        let before = watching.rounds.len();
        git(here, &["checkout", "-q", "other"]);
        watching.until(&[&valid(41)]);
        git(here, &["checkout", "-q", "main"]);
        watching.until(&[&valid(1)]);
        assert_eq!(watching.rounds.len(), before + 2, "{:#?}", watching.rounds);
    }
}

#[test]
fn with_format_json_each_round_is_one_line() {
    let folder = Folder::new();
    let arguments = ["validate", "--watch", "--format", "json"];
    let mut watching = Watching::start(&folder, &arguments);
    let document = |text: &str| -> Value { serde_json::from_str(text).expect("one document") };
    let first = document(watching.next());
    assert_eq!(first["valid"], true);
    assert_eq!(first["findings"], serde_json::json!([]));
    assert!(
        first["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    let time = first["time"].as_str().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");

    let cloud = folder.text("hybrid/cloud.yaml");
    folder.save(
        "hybrid/cloud.yaml",
        &cloud.replace("tier: public", "teir: public"),
    );
    let round = document(watching.until(&["teir"]));
    assert_eq!(round["valid"], false);
    assert_eq!(
        round["findings"][0]["places"][0]["file"],
        "hybrid/cloud.yaml"
    );

    fs::rename(folder.path("hybrid"), folder.path("away")).expect("a folder");
    let round = document(watching.until(&["cannot be read"]));
    assert_eq!(
        (&round["valid"], &round["findings"]),
        (&false.into(), &serde_json::json!([]))
    );
    assert!(
        round["error"]
            .as_str()
            .is_some_and(|error| error.contains("cannot be read"))
    );
    assert_eq!(watching.interrupt().code(), Some(1));
}

#[test]
fn the_tree_is_written_only_without_errors() {
    let folder = Folder::new();
    let mut watching = Watching::start(&folder, &["compile", "--watch"]);
    watching.until(&["`generated`: 225 added, 0 changed, 0 removed, 0 unchanged"]);
    assert!(folder.path("generated/.hcb-owned").exists());

    // A change with an error leaves the tree alone; the fix writes the whole tree.
    let train = folder.text("hybrid/workloads/train.yaml");
    let wrong = train
        .replace("retries: 3", "retries: 4")
        .replace("cpu: 4", "cpus: 4");
    let old = folder.text("generated/.hcb-owned");
    folder.save("hybrid/workloads/train.yaml", &wrong);
    let round = watching.until(&["unknown field `cpus`"]);
    assert!(!round.contains("`generated`"), "{round}");
    assert_eq!(folder.text("generated/.hcb-owned"), old);
    folder.save(
        "hybrid/workloads/train.yaml",
        &wrong.replace("cpus: 4", "cpu: 4"),
    );
    watching.until(&[
        "`generated`: 1 added, 1 changed, 1 removed, 223 unchanged",
        " no findings in ",
    ]);
    assert_ne!(folder.text("generated/.hcb-owned"), old);

    // A file in the way is reported, and watching goes on.
    folder.write("generated/clusters/mine.yaml", "mine: true");
    folder.save("hybrid/workloads/train.yaml", &train);
    watching.until(&[
        "files that hcb does not own are in `generated`",
        "mine.yaml",
    ]);
    fs::remove_file(folder.path("generated/clusters/mine.yaml")).expect("a file");
    folder.save("hybrid/workloads/train.yaml", &train);
    watching.until(&["`generated`: 1 added, 1 changed, 1 removed, 223 unchanged"]);
    assert_eq!(folder.text("generated/.hcb-owned"), old);
    assert_eq!(watching.interrupt().code(), Some(0));
}

#[test]
fn with_check_a_round_lists_what_would_change_and_writes_nothing() {
    let folder = Folder::new();
    let compiled = hcb(folder.0.path(), &["compile"]).output();
    assert!(compiled.expect("hcb starts").status.success());
    let mut watching = Watching::start(&folder, &["compile", "--check", "--watch"]);
    watching.until(&["`generated` is what the spec says: 225 files"]);
    let old = folder.text("generated/.hcb-owned");
    let train = folder.text("hybrid/workloads/train.yaml");
    let other = train.replace("retries: 3", "retries: 4");
    folder.save("hybrid/workloads/train.yaml", &other);
    let round = watching.until(&[
        "`generated` is not what the spec says: 1 added, 1 changed, 1 removed",
        " no findings in ",
    ]);
    assert!(round.contains("~ .hcb-owned\n- clusters/"), "{round}");
    assert_eq!(folder.text("generated/.hcb-owned"), old);
    folder.save("hybrid/workloads/train.yaml", &train);
    watching.until(&["`generated` is what the spec says: 225 files"]);
    folder.save("hybrid/workloads/train.yaml", &other);
    watching.until(&["`generated` is not what the spec says"]);
    // The exit code is that of the last round.
    assert_eq!(watching.interrupt().code(), Some(1));
}

#[test]
fn writing_the_tree_does_not_start_another_round() {
    let folder = Folder::new();
    // The tree and a report are in the folder of the spec.
    let arguments = [
        "compile",
        "--watch",
        "hybrid",
        "--out",
        "hybrid/out",
        "--report",
        "json=hybrid/report.json",
    ];
    let mut watching = Watching::start(&folder, &arguments);
    watching.until(&["`hybrid/out`: 225 added"]);
    let train = folder.text("hybrid/workloads/train.yaml");
    for retries in 4..8 {
        let before = watching.rounds.len();
        folder.save(
            "hybrid/workloads/train.yaml",
            &train.replace("retries: 3", &format!("retries: {retries}")),
        );
        watching.until(&["`hybrid/out`: 1 added, 1 changed, 1 removed"]);
        assert_eq!(watching.rounds.len(), before + 1, "{:#?}", watching.rounds);
    }
}
