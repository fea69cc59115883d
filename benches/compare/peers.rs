//! The same objects made by other tools, each as its users write it.
//!
//! The sources for them are made from what hcb makes for one cluster: what is the same for every team or workload
//! becomes a loop, and the name of the cluster a value. What a tool then makes for the other clusters is compared
//! with what hcb makes for them.

mod cue;
mod helm;
mod jsonnet;
mod kustomize;
mod sources;
pub(crate) mod tools;
mod ytt;

use crate::fleet::{HUB, Size, TEAMS, cluster, files, team, workload};
use hcb_source::yaml;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What stands for the values. They are words that stand as they are in YAML, JSON and CEL.
const CLUSTER: &str = "xxclusterxx";

const TEAM: &str = "xxteamxx";

const WORKLOAD: &str = "xxworkloadxx";

/// What an object is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Each {
    Cluster,
    Team,
    Workload,
}

/// An object with words for values, and what it is made for.
pub(crate) struct Block {
    each: Each,
    object: Value,
}

/// The objects of a cluster in a tree of hcb: what it gets, and what tells the hub's engine to deliver that.
pub(crate) fn objects(tree: &Path, cluster: &str) -> Vec<Value> {
    let folders = [
        tree.join("clusters").join(cluster),
        tree.join("gitops").join(HUB).join(cluster),
    ];
    let files = folders.iter().flat_map(|folder| files(folder));
    files
        .flat_map(|path| documents(&fs::read_to_string(path).expect("a text")))
        .collect()
}

/// The objects of a text.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let mut found = hcb_source::diag::Diagnostics::default();
    let mut sources = hcb_source::source::Sources::default();
    let file = sources.add("objects.yaml", text);
    let nodes = yaml::read(file, text, &mut found);
    assert!(!found.has_errors(), "{text}");
    nodes.iter().map(yaml::Node::to_json).collect()
}

/// The objects of one cluster, told with words for values.
fn blocks(tree: &Path, size: Size) -> Vec<Block> {
    let mut alike: BTreeMap<(Each, String), Vec<String>> = BTreeMap::new();
    for object in objects(tree, &cluster(1)) {
        let whole = object.to_string().replace(&cluster(1), CLUSTER);
        let names = |name: &str| whole.contains(&format!("{name}\""));
        let key = if let Some(index) = (0..size.workloads).find(|index| names(&workload(*index))) {
            let text = whole.replace(&workload(index), WORKLOAD);
            (Each::Workload, text.replace(&team(index), TEAM))
        } else if let Some(index) = (0..TEAMS).find(|index| names(&team(*index))) {
            (Each::Team, whole.replace(&team(index), TEAM))
        } else {
            (Each::Cluster, whole.clone())
        };
        alike.entry(key).or_default().push(whole);
    }
    let mut blocks = Vec::new();
    for ((each, text), wholes) in alike {
        let all = match each {
            Each::Cluster => 1,
            Each::Team => TEAMS,
            Each::Workload => size.workloads,
        };
        // What only mentions one of several is there as it is.
        let (each, texts) = if wholes.len() == all {
            (each, vec![text])
        } else {
            (Each::Cluster, wholes)
        };
        blocks.extend(texts.iter().map(|text| Block {
            each,
            object: serde_json::from_str(text).expect("JSON"),
        }));
    }
    blocks
}

/// What a tool does.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// How its users write the same.
    pub(crate) how: &'static str,
    /// Writes its sources into a folder.
    prepare: fn(&Path, &[Block], Size),
    /// Makes everything for the first so many clusters, the hub aside, below `out`, in that folder.
    make: fn(&Path, usize, &Path) -> Duration,
}

pub(crate) const PEERS: &[Peer] = &[
    helm::HELM,
    kustomize::KUSTOMIZE,
    ytt::YTT,
    jsonnet::GO,
    jsonnet::RUST,
    cue::CUE,
];

/// Lets a peer make everything in `out` below `work`, and says how long it took. What it made is compared with
/// hcb's tree: the number of objects, and for some clusters each object.
pub(crate) fn measure(peer: &Peer, tree: &Path, size: Size, work: &Path) -> Duration {
    let _ = fs::remove_dir_all(work);
    fs::create_dir_all(work).expect("a folder");
    let blocks = blocks(tree, size);
    (peer.prepare)(work, &blocks, size);
    let out = work.join("out");
    fs::create_dir_all(&out).expect("a folder");
    let took = (peer.make)(work, size.clusters, &out);
    let made = made(&out);
    let each = objects(tree, &cluster(1)).len();
    let total: usize = made.values().map(Vec::len).sum();
    assert_eq!(total, each * (size.clusters - 1), "{}: objects", peer.name);
    for index in [1, size.clusters / 2, size.clusters - 1] {
        let name = cluster(index);
        let wanted = by_identity(objects(tree, &name));
        let found = by_identity(
            made[&name]
                .iter()
                .flat_map(|text| documents(text))
                .collect(),
        );
        for (identity, object) in &wanted {
            assert_eq!(
                found.get(identity),
                Some(object),
                "{} in {name}: {identity:?}",
                peer.name
            );
        }
    }
    took
}

fn by_identity(objects: Vec<Value>) -> BTreeMap<[String; 4], Value> {
    let identity = |object: &Value| {
        [
            "/apiVersion",
            "/kind",
            "/metadata/namespace",
            "/metadata/name",
        ]
        .map(|pointer| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        })
    };
    objects
        .into_iter()
        .map(|object| (identity(&object), object))
        .collect()
}

/// What was made for each cluster, as the texts of single objects: what is in the folder of its name, or in
/// the one JSON file of a tool that writes one.
pub(crate) fn made(out: &Path) -> BTreeMap<String, Vec<String>> {
    let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let whole = out.join("all.json");
    if whole.exists() {
        let text = fs::read(whole).expect("a file");
        let all: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&text).expect("JSON");
        return all
            .into_iter()
            .map(|(cluster, objects)| (cluster, objects.iter().map(Value::to_string).collect()))
            .collect();
    }
    for entry in fs::read_dir(out).expect("a folder") {
        let entry = entry.expect("an entry");
        let texts = made
            .entry(entry.file_name().to_string_lossy().into_owned())
            .or_default();
        for path in files(&entry.path()) {
            let text = fs::read_to_string(path).expect("a text");
            let documents = format!("\n{text}");
            let documents = documents.split("\n---\n").filter(|text| {
                text.lines()
                    .any(|line| !line.trim().is_empty() && !line.starts_with('#') && line != "---")
            });
            texts.extend(documents.map(str::to_owned));
        }
    }
    made
}
