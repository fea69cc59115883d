//! Jsonnet: a function of the cluster, by two programs.

use super::sources::{Words, literal, teams, workloads, write};
use super::tools::tool;
use super::{Block, Each, Peer};
use crate::fleet::{Size, cluster, run};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(super) const GO: Peer = Peer {
    name: "jsonnet (Go)",
    how: "a function of the cluster, one run that writes a file for each object",
    prepare: jsonnet,
    make: run_jsonnet,
};

pub(super) const RUST: Peer = Peer {
    name: "jrsonnet (Rust)",
    how: "the same program",
    prepare: jsonnet,
    make: run_jrsonnet,
};

const WORDS: Words = Words {
    cluster: "\" + cluster + \"",
    team: "\" + team + \"",
    team_of_workload: "\" + workload.team + \"",
    workload: "\" + workload.name + \"",
};

fn jsonnet(folder: &Path, blocks: &[Block], size: Size) {
    let mut parts = Vec::new();
    for Block { each, object } in blocks {
        let body = literal(object, *each, &WORDS);
        parts.push(match each {
            Each::Cluster => format!("[{body}]"),
            Each::Team => format!("[{body} for team in teams]"),
            Each::Workload => format!("[{body} for workload in workloads]"),
        });
    }
    let program = format!(
        "local teams = {};\nlocal workloads = {};\nlocal objects(cluster) =\n  {};\nlocal clusters = std.parseJson(std.extVar('clusters'));\n{{\n  [item.path]: item.object\n  for cluster in clusters\n  for item in (local made = objects(cluster); std.mapWithIndex(function(index, object) {{ path: '%s/%d.json' % [cluster, index], object: object }}, made))\n}}\n",
        teams(size),
        workloads(size),
        parts.join("\n  + ")
    );
    write(folder.join("fleet.jsonnet"), &program);
}

fn run_one(program: &str, folder: &Path, clusters: usize, out: &Path) -> Duration {
    let names: Vec<_> = (1..clusters).map(cluster).collect();
    // jrsonnet makes no folders.
    for name in &names {
        fs::create_dir_all(out.join(name)).expect("a folder");
    }
    let names = format!("clusters={}", json!(names));
    run(Command::new(tool(program))
        .args([
            "-m",
            &out.to_string_lossy(),
            "--ext-str",
            &names,
            "fleet.jsonnet",
        ])
        .current_dir(folder))
    .took
}

fn run_jsonnet(folder: &Path, clusters: usize, out: &Path) -> Duration {
    run_one(GO.name, folder, clusters, out)
}

fn run_jrsonnet(folder: &Path, clusters: usize, out: &Path) -> Duration {
    run_one(RUST.name, folder, clusters, out)
}
