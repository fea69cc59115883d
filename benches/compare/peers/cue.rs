//! CUE: a definition with comprehensions.

use super::sources::{Words, literal, teams, workloads, write};
use super::tools::tool;
use super::{Block, Each, Peer};
use crate::fleet::{Size, cluster, run};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub(super) const CUE: Peer = Peer {
    name: "cue export",
    how: "a definition with comprehensions, one run that writes one file",
    prepare: cue,
    make: run_cue,
};

const WORDS: Words = Words {
    cluster: "\\(cluster)",
    team: "\\(team)",
    team_of_workload: "\\(workload.team)",
    workload: "\\(workload.name)",
};

fn cue(folder: &Path, blocks: &[Block], size: Size) {
    let mut parts = Vec::new();
    for Block { each, object } in blocks {
        let body = literal(object, *each, &WORDS);
        parts.push(match each {
            Each::Cluster => format!("{body},"),
            Each::Team => format!("for team in _teams {{{body}}},"),
            Each::Workload => format!("for workload in _workloads {{{body}}},"),
        });
    }
    let program = format!(
        "package fleet\n\n_teams: {}\n_workloads: {}\n\n#Cluster: {{\n\tcluster: string\n\tobjects: [\n\t\t{}\n\t]\n}}\n",
        teams(size),
        workloads(size),
        parts.join("\n\t\t")
    );
    write(folder.join("fleet.cue"), &program);
}

fn run_cue(folder: &Path, clusters: usize, out: &Path) -> Duration {
    let names: Vec<_> = (1..clusters).map(cluster).collect();
    let list = format!(
        "package fleet\n\nall: {{for name in {} {{(name): (#Cluster & {{cluster: name}}).objects}}}}\n",
        json!(names)
    );
    write(folder.join("clusters.cue"), &list);
    run(Command::new(tool(CUE.name))
        .args([
            "export",
            "fleet.cue",
            "clusters.cue",
            "-e",
            "all",
            "--outfile",
        ])
        .arg(out.join("all.json"))
        .current_dir(folder)
        .env("HOME", folder))
    .took
}
