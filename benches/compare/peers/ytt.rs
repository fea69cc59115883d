//! ytt: templates, and the data values of each cluster.

use super::sources::{Words, teams, workloads, write};
use super::tools::{for_each_cluster, tool};
use super::{Block, Each, Peer};
use crate::fleet::{Size, cluster};
use hcb_source::yaml;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub(super) const YTT: Peer = Peer {
    name: "ytt",
    how: "templates, data values for each cluster, a run for each cluster, a run on each core at a time",
    prepare: ytt,
    make: run_ytt,
};

const WORDS: Words = Words {
    cluster: "(@= data.values.cluster @)",
    team: "(@= item @)",
    team_of_workload: "(@= item.team @)",
    workload: "(@= item.name @)",
};

fn ytt(folder: &Path, blocks: &[Block], size: Size) {
    for (number, Block { each, object }) in blocks.iter().enumerate() {
        let body = WORDS.put_into(*each, &yaml::to_string(object));
        let body = format!("#@yaml/text-templated-strings\n---\n{body}");
        let whole = match each {
            Each::Cluster => body,
            Each::Team => format!("#@ for/end item in data.values.teams:\n{body}"),
            Each::Workload => format!("#@ for/end item in data.values.workloads:\n{body}"),
        };
        write(
            folder.join(format!("config/{number:03}.yaml")),
            &format!("#@ load(\"@ytt:data\", \"data\")\n{whole}"),
        );
    }
    for index in 1..size.clusters {
        let name = cluster(index);
        let values = json!({"cluster": name, "teams": teams(size), "workloads": workloads(size)});
        write(
            folder.join(format!("values/{name}.yaml")),
            &yaml::to_string(&values),
        );
    }
}

fn run_ytt(folder: &Path, clusters: usize, out: &Path) -> Duration {
    let script = format!(
        "{} -f config --data-values-file values/CLUSTER.yaml --dangerous-emptied-output-directory {}/CLUSTER >/dev/null",
        tool(YTT.name).display(),
        out.display()
    );
    for_each_cluster(folder, clusters, &script)
}
