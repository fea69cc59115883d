//! How fast hcb is beside other tools that make the same objects, and beside `cp -r`:
//!
//! ```sh
//! cargo bench --bench compare            # everything, and docs/benchmarks.md with its plots
//! cargo bench --bench compare -- peers   # a part: scale, disk, policies, peers, whole, schemas, report
//! ```
//!
//! It needs Go for the other tools (`benches/peers/` pins them) and Cargo's registry for jrsonnet. What it
//! writes is below `HCB_BENCH_DIR`; by default in memory where the system has a folder for that, since a disk
//! says more of itself than of hcb. Figures are kept in `target/bench/`, so that parts can be measured one by one.
#![allow(clippy::print_stdout, reason = "it says how far it is")]

mod fleet;
mod peers;
mod plots;
mod report;
mod schemas;
mod warm;
mod whole;

use fleet::{Size, compile, copy, count, spread, write_spec};
use peers::tools::version;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How often everything small is measured.
const TURNS: usize = 5;

/// A peer that took a quarter of this is not run at the next size, which has up to ten times as many; what it
/// would take is told from how it grew.
const PATIENCE: Duration = Duration::from_secs(25);

/// Measures one part in a folder of its own, and says what was seen.
type Part = fn(&Path) -> Value;

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only asks whether it builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    arguments.retain(|argument| argument != "--bench");
    if let [first, tree] = arguments.as_slice()
        && first == schemas::VALIDATE
    {
        schemas::validate(Path::new(tree));
        return;
    }
    let is_wanted =
        |part: &str| arguments.is_empty() || arguments.iter().any(|argument| argument == part);
    let folder = tempfile::Builder::new()
        .prefix("hcb-bench-")
        .tempdir_in(work_folder())
        .expect("a folder");
    let parts: [(&str, Part); 6] = [
        ("scale", scale),
        ("disk", disk),
        ("policies", policies),
        ("peers", beside_peers),
        ("whole", whole::whole),
        ("schemas", schemas::schemas),
    ];
    for (name, part) in parts {
        if is_wanted(name) {
            let start = Instant::now();
            keep(name, &part(folder.path()));
            println!("{name}: measured in {:.0} s", start.elapsed().as_secs_f64());
        }
    }
    if is_wanted("report") {
        report::write(&results());
    }
}

fn work_folder() -> PathBuf {
    let named = std::env::var_os("HCB_BENCH_DIR").map(PathBuf::from);
    let memory = PathBuf::from("/dev/shm");
    named.unwrap_or_else(|| {
        if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        }
    })
}

fn results_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/results.json")
}

fn results() -> Value {
    let text = fs::read(results_file()).unwrap_or_else(|_| b"{}".to_vec());
    serde_json::from_slice(&text).expect("JSON")
}

fn keep(part: &str, figures: &Value) {
    let mut results = results();
    results[part] = figures.clone();
    results["measured"][part] = report::here_and_now().into();
    let file = results_file();
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, format!("{results:#}\n")).expect("a file");
}

fn fresh(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let _ = fs::remove_dir_all(&path);
    path
}

/// The time of a compilation beside `cp -r` of what it wrote, turn by turn.
fn turns(folder: &Path, size: Size, turns: usize) -> Value {
    let spec = fresh(folder, "spec");
    write_spec(&spec, size);
    let (out, copied) = (folder.join("out"), folder.join("copy"));
    let mut figures = vec![Vec::new(); 4];
    let mut phases: Vec<(String, Vec<f64>)> = Vec::new();
    let mut peak = 0;
    let mut written = (0, 0);
    let mut different = 0;
    for turn in 0..turns {
        fresh(folder, "out");
        fresh(folder, "copy");
        let compiled = compile(&spec, &out, false);
        let copying = copy(&out, &copied).as_secs_f64();
        if turn == 0 {
            written = count(&out);
            let texts = fleet::manifests(&out);
            let texts = texts.iter().map(|path| fs::read(path).expect("a text"));
            different = texts.collect::<HashSet<_>>().len();
        }
        // One workload is another, and what is there is not yet.
        let text = fs::read_to_string(spec.join("workloads.yaml")).expect("a text");
        fs::write(
            spec.join("workloads.yaml"),
            text.replacen(":1.0.0", ":1.0.1", 1),
        )
        .expect("a file");
        let checked = drift(&spec, &out);
        fs::write(spec.join("workloads.yaml"), text).expect("a file");
        let took = compiled.ran.took.as_secs_f64();
        for (kept, figure) in figures
            .iter_mut()
            .zip([took, copying, took / copying, checked])
        {
            kept.push(figure);
        }
        peak = peak.max(compiled.ran.peak);
        for (phase, took) in compiled.phases {
            match phases.iter_mut().find(|(known, _)| *known == phase) {
                Some((_, all)) => all.push(took),
                None => phases.push((phase, vec![took])),
            }
        }
    }
    let warm = warm::rounds(&spec, &out, turns);
    fresh(folder, "out");
    fresh(folder, "copy");
    let [compile, cp, ratio, check]: [Vec<f64>; 4] = figures.try_into().expect("four");
    let phases: Vec<_> = phases
        .into_iter()
        .map(|(phase, all)| (phase, spread(all)[0]))
        .collect();
    println!(
        "  {size:?}: {} files, {:.2} s, {:.2} times cp -r",
        written.0,
        spread(compile.clone())[0],
        spread(ratio.clone())[0]
    );
    json!({
        "size": size, "files": written.0, "bytes": written.1, "different": different, "turns": turns, "peak": peak,
        "compile": spread(compile), "cp": spread(cp), "ratio": spread(ratio),
        "check": spread(check), "warm": spread(warm), "phases": phases,
    })
}

/// How long `hcb compile --check` takes where it finds a difference.
fn drift(spec: &Path, out: &Path) -> f64 {
    let start = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args([
            "compile",
            "--check",
            "--format",
            "json",
            "--today",
            "2026-01-01",
            "--out",
        ])
        .arg(out)
        .arg(spec)
        .output()
        .expect("hcb starts")
        .status;
    assert_eq!(status.code(), Some(1), "one workload differs");
    start.elapsed().as_secs_f64()
}

fn scale(folder: &Path) -> Value {
    let mut rows = Vec::new();
    for workloads in [10, 100] {
        for clusters in [10, 100, 1000] {
            let size = Size::of(clusters, workloads);
            rows.push(turns(folder, size, if clusters < 1000 { TURNS } else { 3 }));
        }
    }
    rows.into()
}

/// The large one again, on a disk.
fn disk(_: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&root).expect("a folder");
    let folder = tempfile::tempdir_in(root).expect("a folder");
    turns(folder.path(), Size::of(1000, 10), 1)
}

fn policies(folder: &Path) -> Value {
    let all = fleet::policies().len();
    let rows = [0, all / 3, 2 * all / 3, all].map(|policies| {
        turns(
            folder,
            Size {
                clusters: 300,
                workloads: 10,
                policies,
            },
            3,
        )
    });
    rows.to_vec().into()
}

/// A tree of hcb's, and a row of a table: how many objects other tools are to make, and what hcb took for all.
fn ours(folder: &Path, size: Size) -> (PathBuf, Value) {
    let spec = fresh(folder, "spec");
    write_spec(&spec, size);
    let tree = folder.join("tree");
    let took: Vec<_> = (0..3)
        .map(|_| {
            fresh(folder, "tree");
            compile(&spec, &tree, false).ran.took.as_secs_f64()
        })
        .collect();
    let objects = peers::objects(&tree, &fleet::cluster(1)).len() * (size.clusters - 1);
    let row = json!({"size": size, "objects": objects, "hcb": spread(took)});
    (tree, row)
}

/// Every peer at growing sizes, as long as it keeps up.
fn beside_peers(folder: &Path) -> Value {
    let mut rows = Vec::new();
    let mut slow: Vec<&str> = Vec::new();
    for (clusters, workloads) in [(10, 10), (100, 10), (10, 100), (100, 100), (1000, 10)] {
        let size = Size::of(clusters, workloads);
        let (tree, mut row) = ours(folder, size);
        let objects = row["objects"].clone();
        for peer in peers::PEERS {
            if slow.contains(&peer.name) {
                continue;
            }
            let work = folder.join("peer");
            let took = peers::measure(peer, &tree, size, &work);
            let _ = fs::remove_dir_all(work);
            println!("  {} makes {objects} objects in {took:.2?}", peer.name);
            row["peers"][peer.name] = took.as_secs_f64().into();
            if took * 4 > PATIENCE {
                slow.push(peer.name);
            }
        }
        rows.push(row);
    }
    let versions: Vec<_> = peers::PEERS
        .iter()
        .map(|peer| (peer.name, version(peer.name), peer.how))
        .collect();
    json!({"rows": rows, "versions": versions})
}
