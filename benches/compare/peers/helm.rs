//! `helm template`: a chart, and the values of each cluster.

use super::sources::{Words, escape, teams, workloads, write};
use super::tools::{for_each_cluster, tool};
use super::{Block, Each, Peer};
use crate::fleet::{Size, cluster};
use hcb_source::yaml;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub(super) const HELM: Peer = Peer {
    name: "helm template",
    how: "one chart, a values file for each cluster, a run for each cluster, a run on each core at a time",
    prepare: helm,
    make: run_helm,
};

const WORDS: Words = Words {
    cluster: "{{ $.Values.cluster }}",
    team: "{{ . }}",
    team_of_workload: "{{ .team }}",
    workload: "{{ .name }}",
};

fn helm(folder: &Path, blocks: &[Block], size: Size) {
    write(
        folder.join("chart/Chart.yaml"),
        "apiVersion: v2\nname: fleet\nversion: 1.0.0\n",
    );
    let values = json!({"teams": teams(size), "workloads": workloads(size)});
    write(folder.join("chart/values.yaml"), &yaml::to_string(&values));
    for (number, Block { each, object }) in blocks.iter().enumerate() {
        let open = "{{ \"{{\" }}";
        let mut object = object.clone();
        // A text that begins so is quoted, as one that begins with braces has to be.
        escape(&mut object, &|text| text.replace("{{", "@xxopenxx"));
        let body = WORDS
            .put_into(*each, &yaml::to_string(&object))
            .replace("@xxopenxx", open);
        let whole = match each {
            Each::Cluster => body,
            Each::Team => format!("{{{{- range .Values.teams }}}}\n---\n{body}{{{{- end }}}}\n"),
            Each::Workload => {
                format!("{{{{- range .Values.workloads }}}}\n---\n{body}{{{{- end }}}}\n")
            }
        };
        write(
            folder.join(format!("chart/templates/{number:03}.yaml")),
            &whole,
        );
    }
    for index in 1..size.clusters {
        let name = cluster(index);
        write(
            folder.join(format!("values/{name}.yaml")),
            &format!("cluster: {name}\n"),
        );
    }
}

fn run_helm(folder: &Path, clusters: usize, out: &Path) -> Duration {
    let script = format!(
        "{} template CLUSTER chart -f values/CLUSTER.yaml --output-dir {}/CLUSTER >/dev/null",
        tool(HELM.name).display(),
        out.display()
    );
    for_each_cluster(folder, clusters, &script)
}
