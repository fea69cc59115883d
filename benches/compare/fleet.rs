//! Specs of any size, and the numbers of a run of hcb over one.

use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How large a spec is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Size {
    pub(crate) clusters: usize,
    pub(crate) workloads: usize,
    /// How many of the built-in policies are in force.
    pub(crate) policies: usize,
}

impl Size {
    /// With all built-in policies.
    pub(crate) fn of(clusters: usize, workloads: usize) -> Self {
        Self {
            clusters,
            workloads,
            policies: policies().len(),
        }
    }
}

/// How many teams, and so namespaces, share the workloads.
pub(crate) const TEAMS: usize = 10;

/// The cluster that jobs are created in, and that the engine runs in.
pub(crate) const HUB: &str = "c0000";

pub(crate) fn cluster(index: usize) -> String {
    format!("c{index:04}")
}

pub(crate) fn workload(index: usize) -> String {
    format!("train-{index:03}")
}

pub(crate) fn team(workload: usize) -> String {
    format!("team-{}", workload % TEAMS)
}

/// The names of the built-in policies.
pub(crate) fn policies() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let entries = fs::read_dir(folder).expect("the policies");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().join("policy.yaml").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Writes a spec: one private cluster, all others public with Karpenter, jobs of ten teams that read and write
/// an object store. There is no mesh: what joins every cluster with every other grows with their square, in
/// hcb as in any tool.
pub(crate) fn write_spec(folder: &Path, size: Size) {
    let mut cloud = String::from(
        "apiVersion: hcb.dev/v1alpha1
kind: HybridCloud
metadata: {name: fleet}
spec:
  gitops:
    engine: argocd
    repository: https://git.example.com/platform/hybrid-cloud.git
    path: generated
  mesh: {engine: none}
  objectStore: {endpoint: https://s3.example.com, region: eu-central-1}
  scheduling: {budget: {currency: EUR, perHour: 100, perMonth: 10000}}
  policies:
    settings:
",
    );
    for (number, policy) in policies().iter().enumerate() {
        let setting = match policy.as_str() {
            _ if number >= size.policies => "{action: off}",
            "hcb-image-registries" => "{params: {registries: [ghcr.io/example/]}}",
            "hcb-fixed-images" => "{action: deny}",
            _ => continue,
        };
        let _ = writeln!(cloud, "      {policy}: {setting}");
    }
    cloud.push_str("  clusters:\n");
    for index in 0..size.clusters {
        let name = cluster(index);
        let rest = if index == 0 {
            "tier: private
      nodePools: [{name: cpu, nodes: 24, cpu: 32, memory: 128Gi}]"
        } else {
            "tier: public
      nodePools: [{name: cpu, min: 0, max: 40, cpu: 15, memory: 58Gi, instanceType: m7i.4xlarge, pricePerHour: 0.9}]
      autoscaler: {provider: karpenter, limits: {nodes: 60}, karpenter: {nodeClass: {name: default}}}"
        };
        let _ = writeln!(
            cloud,
            "    - name: {name}
      kubernetes: \"1.34\"
      region: region-{}
      labels: {{residency: eu}}
      api: {{server: \"https://{name}.example.com\"}}
      {rest}",
            index % 20
        );
    }
    fs::create_dir_all(folder).expect("a folder");
    fs::write(folder.join("cloud.yaml"), cloud).expect("a file");
    let mut workloads = String::new();
    for index in 0..size.workloads {
        let _ = writeln!(
            workloads,
            "---
apiVersion: hcb.dev/v1alpha1
kind: Workload
metadata: {{name: {}, namespace: {}}}
spec:
  image: ghcr.io/example/train:1.{index}.0
  command: [python, train.py]
  resources: {{cpu: 2, memory: 4Gi}}
  deadline: 2h
  data:
    in: [{{name: dataset, url: \"s3://datasets/{index}/\"}}]
    out: [{{name: model, url: \"s3://models/{index}/\"}}]
  placement: {{tiers: [private, public]}}",
            workload(index),
            team(index)
        );
    }
    fs::write(folder.join("workloads.yaml"), workloads).expect("a file");
}

/// What a run of a command took.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    pub(crate) took: Duration,
    pub(crate) stdout: Vec<u8>,
    /// The most memory that it held at once, in bytes; 0 where the system does not say.
    pub(crate) peak: u64,
}

/// Runs a command that must succeed.
pub(crate) fn run(command: &mut Command) -> Ran {
    use std::process::Stdio;
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let id = child.id();
    // The high-water mark only grows: the last look says nearly all.
    let (over, is_over) = std::sync::mpsc::channel::<()>();
    let watcher = std::thread::spawn(move || {
        let mut peak = 0;
        while is_over.recv_timeout(Duration::from_millis(5))
            == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            peak = memory(id).unwrap_or(peak);
        }
        peak
    });
    let mut errors = child.stderr.take().expect("a pipe");
    let said = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = std::io::Read::read_to_end(&mut errors, &mut text);
        text
    });
    let output = child.wait_with_output().expect("an end");
    let took = start.elapsed();
    drop(over);
    let said = said.join().expect("what it says");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&said)
    );
    Ran {
        took,
        stdout: output.stdout,
        peak: watcher.join().expect("a number"),
    }
}

fn memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes * 1024)
}

/// A run of `hcb compile`.
pub(crate) struct Compiled {
    pub(crate) ran: Ran,
    /// The phases with what they took in seconds.
    pub(crate) phases: Vec<(String, f64)>,
}

pub(crate) fn compile(spec: &Path, out: &Path, check: bool) -> Compiled {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hcb"));
    command.args([
        "compile",
        "--format",
        "json",
        "--today",
        "2026-01-01",
        "--out",
    ]);
    command.arg(out).arg(spec);
    if check {
        command.arg("--check");
    }
    let ran = run(&mut command);
    let said: Value = serde_json::from_slice(&ran.stdout).expect("JSON");
    let phases = said["phases"].as_array().expect("phases").iter();
    let phases = phases.map(|phase| {
        let name = phase["phase"].as_str().expect("a name").to_owned();
        (name, phase["seconds"].as_f64().expect("seconds"))
    });
    Compiled {
        phases: phases.collect(),
        ran,
    }
}

/// How many manifests a tree has, and their bytes.
pub(crate) fn count(tree: &Path) -> (usize, u64) {
    let files = manifests(tree);
    let size = |path: &PathBuf| fs::metadata(path).expect("a size").len();
    (files.len(), files.iter().map(size).sum())
}

/// The manifests of a tree: all files but the list of them.
pub(crate) fn manifests(tree: &Path) -> Vec<PathBuf> {
    let mut files = files(tree);
    files.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
    files
}

/// All files below a folder, in their order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a kind").is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    files
}

/// `cp -r`, which reads and writes the same files in one thread.
pub(crate) fn copy(from: &Path, to: &Path) -> Duration {
    run(Command::new("cp").arg("-r").arg(from).arg(to)).took
}

/// The middle of some numbers, and the smallest and largest.
pub(crate) fn spread(mut numbers: Vec<f64>) -> [f64; 3] {
    numbers.sort_by(f64::total_cmp);
    [
        numbers[numbers.len() / 2],
        numbers[0],
        numbers[numbers.len() - 1],
    ]
}
