//! How long `hcb diff` takes, and what it says, beside reading alone and beside dyff.
//!
//! ```sh
//! cargo bench --bench diff                      # 100,000 manifests, one of them changed
//! HCB_BENCH_MANIFESTS=10000 cargo bench --bench diff
//! ```
//!
//! The first table compares with reading both trees, which is the least that any comparison must do. The
//! second runs dyff (`tests/dyff/` pins it; it needs Go) and hcb on the same trees in one run: the large
//! example before and after a change of one line. dyff compares files, so each tree is one file of many
//! documents for it.
#![allow(clippy::print_stdout, reason = "tables are what it makes")]
#![allow(dead_code, reason = "the comparison uses more of the module")]

#[path = "compare/fleet.rs"]
mod fleet;

use fleet::files;
use rayon::prelude::*;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const TURNS: usize = 5;

fn main() {
    // `cargo test --benches` only asks whether it builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let count = std::env::var("HCB_BENCH_MANIFESTS")
        .ok()
        .and_then(|count| count.parse().ok())
        .unwrap_or(100_000);
    let folder = tempfile::tempdir().expect("a folder");
    size(folder.path(), count);
    beside_dyff(folder.path());
}

/// The middle of some turns.
fn median(mut turn: impl FnMut()) -> Duration {
    let mut took: Vec<_> = (0..TURNS)
        .map(|_| {
            let start = Instant::now();
            turn();
            start.elapsed()
        })
        .collect();
    took.sort();
    took[TURNS / 2]
}

fn size(folder: &Path, count: usize) {
    let manifest = |index: usize, level: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m{index}\n  namespace: ns{}\n  labels:\n    app.kubernetes.io/managed-by: hcb\ndata:\n  level: {level}\n  text: |\n{}",
            index % 100,
            "    a line of a text that is as long as lines are\n".repeat(12)
        )
    };
    let (before, after) = (folder.join("before"), folder.join("after"));
    for (tree, odd) in [(&before, "low"), (&after, "high")] {
        (0..count).into_par_iter().for_each(|index| {
            let path = tree.join(format!(
                "clusters/c{}/unit/ns{}/configmap-m{index}.yaml",
                index % 10,
                index % 100
            ));
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            let level = if index == count / 2 { odd } else { "low" };
            fs::write(path, manifest(index, level)).expect("a file");
        });
    }
    let reading = median(|| {
        for tree in [&before, &after] {
            let files = files(tree);
            let bytes: usize = files
                .par_iter()
                .map(|path| fs::read(path).expect("a file").len())
                .sum();
            assert!(bytes > files.len());
        }
    });
    let comparing = median(|| {
        let output = hcb(&["diff", &text(&before), &text(&after)]);
        assert!(output.contains("data.level: low -> high"), "{output}");
    });
    println!("two trees of {count} manifests, one changed; median of {TURNS} turns");
    println!("  reading both trees    {:>8.2} s", reading.as_secs_f64());
    println!(
        "  hcb diff              {:>8.2} s ({:.2} times reading)",
        comparing.as_secs_f64(),
        comparing.as_secs_f64() / reading.as_secs_f64()
    );
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn hcb(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(arguments)
        .output()
        .expect("hcb starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn beside_dyff(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dyff = folder.join("dyff");
    let built = Command::new("go")
        .args([
            "build",
            "-o",
            &text(&dyff),
            "github.com/homeport/dyff/cmd/dyff",
        ])
        .current_dir(root.join("tests/dyff"))
        .output();
    if !built.is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: dyff cannot be built; it needs Go");
        return;
    }
    let spec = folder.join("spec");
    fs::create_dir_all(spec.join("workloads")).expect("a folder");
    for file in [
        "cloud.yaml",
        "workloads/production.yaml",
        "workloads/research.yaml",
    ] {
        fs::copy(root.join("examples/large").join(file), spec.join(file)).expect("a copy");
    }
    let trees = ["dyff-before", "dyff-after"].map(|name| folder.join(name));
    let cloud = fs::read_to_string(spec.join("cloud.yaml")).expect("a spec");
    for (tree, cloud) in trees.iter().zip([
        cloud.clone(),
        cloud
            .replace("weight: 200", "weight: 50")
            .replace("service: minio", "service: minio\n      port: 9443"),
    ]) {
        fs::write(spec.join("cloud.yaml"), cloud).expect("a file");
        hcb(&["compile", &text(&spec), "--out", &text(tree)]);
        let documents: Vec<_> = files(tree)
            .iter()
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "yaml")
            })
            .map(|path| fs::read_to_string(path).expect("a text"))
            .collect();
        fs::write(tree.with_extension("yaml"), documents.join("---\n")).expect("a file");
    }
    let [before, after] = trees
        .each_ref()
        .map(|tree| text(&tree.with_extension("yaml")));
    let mut told = String::new();
    let dyff_took = median(|| {
        let output = Command::new(&dyff)
            .args(["between", "--omit-header", "--color=off", &before, &after])
            .output()
            .expect("dyff starts");
        told = String::from_utf8_lossy(&output.stdout).into_owned();
    });
    let mut own = String::new();
    let hcb_took = median(|| own = hcb(&["diff", &text(&trees[0]), &text(&trees[1])]));
    println!("\nthe large example, a weight and a port changed; median of {TURNS} turns");
    println!(
        "  dyff  {:>8.3} s, {:>4} lines",
        dyff_took.as_secs_f64(),
        told.lines().count()
    );
    println!(
        "  hcb   {:>8.3} s, {:>4} lines",
        hcb_took.as_secs_f64(),
        own.lines().count()
    );
    if std::env::var_os("HCB_BENCH_SHOW").is_some() {
        println!("\ndyff:\n{told}\nhcb:\n{own}");
    }
}
