//! `kustomize build`: a base, and the patches of each cluster.

use super::sources::{expanded, places, write};
use super::tools::{for_each_cluster, tool};
use super::{Block, CLUSTER, Peer};
use crate::fleet::{Size, cluster};
use hcb_source::yaml;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub(super) const KUSTOMIZE: Peer = Peer {
    name: "kustomize build",
    how: "a base and an overlay of patches for each cluster, a run for each cluster, a run on each core at a time",
    prepare: kustomize,
    make: run_kustomize,
};

fn kustomize(folder: &Path, blocks: &[Block], size: Size) {
    let objects = expanded(blocks, size);
    let mut resources = Vec::new();
    let mut varying = Vec::new();
    for (number, object) in objects.iter().enumerate() {
        let name = format!("{number:04}.yaml");
        write(folder.join("base").join(&name), &yaml::to_string(object));
        resources.push(name);
        let mut found = Vec::new();
        places(object, CLUSTER, "", &mut found);
        if !found.is_empty() {
            varying.push((object, found));
        }
    }
    write(
        folder.join("base/kustomization.yaml"),
        &yaml::to_string(&json!({"resources": resources})),
    );
    for index in 1..size.clusters {
        let name = cluster(index);
        let patches: Vec<_> = varying
            .iter()
            .map(|(object, places)| {
                let (group, version) = match object["apiVersion"].as_str().and_then(|text| text.split_once('/')) {
                    Some((group, version)) => (group, version),
                    None => ("", "v1"),
                };
                let operations: Vec<_> = places
                    .iter()
                    .map(|(path, text)| json!({"op": "replace", "path": path, "value": text.replace(CLUSTER, &name)}))
                    .collect();
                let mut target = json!({"version": version, "kind": object["kind"], "name": object["metadata"]["name"]});
                if !group.is_empty() {
                    target["group"] = group.into();
                }
                if let Some(namespace) = object["metadata"].get("namespace") {
                    target["namespace"] = namespace.clone();
                }
                json!({
                    "target": target,
                    "options": {"allowNameChange": true},
                    "patch": yaml::to_string(&json!(operations)),
                })
            })
            .collect();
        let overlay = json!({"resources": ["../../base"], "patches": patches});
        write(
            folder.join(format!("overlays/{name}/kustomization.yaml")),
            &yaml::to_string(&overlay),
        );
    }
}

fn run_kustomize(folder: &Path, clusters: usize, out: &Path) -> Duration {
    let script = format!(
        "mkdir {1}/CLUSTER; {0} build overlays/CLUSTER -o {1}/CLUSTER",
        tool(KUSTOMIZE.name).display(),
        out.display()
    );
    for_each_cluster(folder, clusters, &script)
}
