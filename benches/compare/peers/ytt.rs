//! ytt: templates, and the data values of each cluster.

use super::sources::{teams, text, workloads, write};
use super::tools::{for_each_cluster, tool};
use super::{Block, CLUSTER, Each, Peer, TEAM};
use crate::fleet::{Size, cluster};
use hcb::yaml;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub(super) const YTT: Peer = Peer {
    name: "ytt",
    how: "templates, data values for each cluster, a run for each cluster, a run on each core at a time",
    prepare: ytt,
    make: run_ytt,
};

fn ytt(folder: &Path, blocks: &[Block], size: Size) {
    for (number, Block { each, object }) in blocks.iter().enumerate() {
        let body = text(object, |word| match word {
            CLUSTER => "(@= data.values.cluster @)".to_owned(),
            TEAM if *each == Each::Team => "(@= item @)".to_owned(),
            TEAM => "(@= item.team @)".to_owned(),
            _ => "(@= item.name @)".to_owned(),
        });
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
