//! The same objects made by other tools, each as its users write it.
//!
//! The sources for them are made from what hcb makes for one cluster: what is the same for every team or workload
//! becomes a loop, and the name of the cluster a value. What a tool then makes for the other clusters is compared
//! with what hcb makes for them.

use crate::fleet::{HUB, Size, TEAMS, cluster, run, team, workload};
use hcb::yaml;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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
    let mut objects = Vec::new();
    let mut folders = vec![
        tree.join("clusters").join(cluster),
        tree.join("gitops").join(HUB).join(cluster),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                objects.extend(documents(&fs::read_to_string(path).expect("a text")));
            }
        }
    }
    objects
}

fn documents(text: &str) -> Vec<Value> {
    let mut found = hcb::diag::Diagnostics::default();
    let mut sources = hcb::source::Sources::default();
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
    Peer {
        name: "helm template",
        how: "one chart, a values file for each cluster, a run for each cluster, two runs at a time",
        prepare: helm,
        make: run_helm,
    },
    Peer {
        name: "kustomize build",
        how: "a base and an overlay of patches for each cluster, a run for each cluster, two runs at a time",
        prepare: kustomize,
        make: run_kustomize,
    },
    Peer {
        name: "ytt",
        how: "templates, data values for each cluster, a run for each cluster, two runs at a time",
        prepare: ytt,
        make: run_ytt,
    },
    Peer {
        name: "jsonnet (Go)",
        how: "a function of the cluster, one run that writes a file for each object",
        prepare: jsonnet,
        make: run_jsonnet,
    },
    Peer {
        name: "jrsonnet (Rust)",
        how: "the same program",
        prepare: jsonnet,
        make: run_jrsonnet,
    },
    Peer {
        name: "cue export",
        how: "a definition with comprehensions, one run that writes one file",
        prepare: cue,
        make: run_cue,
    },
];

/// A tool, built from the modules and crates that are pinned here.
fn tool(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bin = root.join("target/peers/bin");
    let program = bin.join(name);
    if program.exists() {
        return program;
    }
    fs::create_dir_all(&bin).expect("a folder");
    if name == "jrsonnet" {
        run(Command::new("cargo")
            .args([
                "install",
                "--locked",
                "jrsonnet",
                "--version",
                "0.5.0-pre98",
                "--root",
            ])
            .arg(root.join("target/peers")));
        return program;
    }
    let package = match name {
        "helm" => "helm.sh/helm/v4/cmd/helm",
        "kustomize" => "sigs.k8s.io/kustomize/kustomize/v5",
        "ytt" => "carvel.dev/ytt/cmd/ytt",
        "jsonnet" => "github.com/google/go-jsonnet/cmd/jsonnet",
        "cue" => "cuelang.org/go/cmd/cue",
        "kubeconform" => "github.com/yannh/kubeconform/cmd/kubeconform",
        other => unreachable!("{other}"),
    };
    run(Command::new("go")
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(package)
        .current_dir(root.join("benches/peers").join(name)));
    program
}

/// The version of a tool as its module or crate says it.
pub(crate) fn version(peer: &str) -> String {
    let (name, module) = match peer {
        "helm template" => ("helm", "helm.sh/helm/v4"),
        "kustomize build" => ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
        "ytt" => ("ytt", "carvel.dev/ytt"),
        "jsonnet (Go)" => ("jsonnet", "github.com/google/go-jsonnet"),
        "cue export" => ("cue", "cuelang.org/go"),
        "kubeconform" => ("kubeconform", "github.com/yannh/kubeconform"),
        _ => return "0.5.0-pre98".to_owned(),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/peers")
        .join(name)
        .join("go.mod");
    let text = fs::read_to_string(path).expect("a go.mod");
    let mut lines = text.lines().filter_map(|line| {
        line.trim()
            .trim_start_matches("require ")
            .strip_prefix(module)
    });
    lines
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or("?")
        .to_owned()
}

pub(crate) fn kubeconform() -> PathBuf {
    tool("kubeconform")
}

/// Lets a peer make everything, and says how long it took. What it made is compared with hcb's tree: the number
/// of objects, and for some clusters each object.
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
    let _ = fs::remove_dir_all(work);
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
fn made(out: &Path) -> BTreeMap<String, Vec<String>> {
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
        let mut folders = vec![entry.path()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(path).expect("a text");
                let documents = format!("\n{text}");
                let documents = documents.split("\n---\n").filter(|text| {
                    text.lines().any(|line| {
                        !line.trim().is_empty() && !line.starts_with('#') && line != "---"
                    })
                });
                texts.extend(documents.map(str::to_owned));
            }
        }
    }
    made
}

/// Runs a command for each cluster, as many at a time as there are cores.
fn for_each_cluster(folder: &Path, clusters: usize, script: &str) -> Duration {
    let list: String = (1..clusters).fold(String::new(), |mut list, index| {
        let _ = writeln!(list, "{}", cluster(index));
        list
    });
    fs::write(folder.join("clusters"), list).expect("a file");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = format!("xargs -a clusters -P {cores} -I CLUSTER sh -c '{script}'");
    run(Command::new("sh")
        .args(["-ec", &all])
        .current_dir(folder)
        .env("HOME", folder))
    .took
}

/// The YAML of a block, with values as `of` writes them.
fn text(object: &Value, of: impl Fn(&str) -> String) -> String {
    let mut text = yaml::to_string(object);
    for word in [CLUSTER, TEAM, WORKLOAD] {
        text = text.replace(word, &of(word));
    }
    text
}

fn teams(size: Size) -> Value {
    let mut teams: Vec<_> = (0..TEAMS.min(size.workloads)).map(team).collect();
    teams.sort();
    json!(teams)
}

fn workloads(size: Size) -> Value {
    (0..size.workloads)
        .map(|index| json!({"name": workload(index), "team": team(index)}))
        .collect()
}

fn write(path: PathBuf, text: &str) {
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

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
        let body = text(&object, |word| match word {
            CLUSTER => "{{ $.Values.cluster }}".to_owned(),
            TEAM if *each == Each::Team => "{{ . }}".to_owned(),
            TEAM => "{{ .team }}".to_owned(),
            _ => "{{ .name }}".to_owned(),
        })
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

fn escape(value: &mut Value, with: &impl Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = with(text),
        Value::Array(items) => items.iter_mut().for_each(|item| escape(item, with)),
        Value::Object(fields) => fields.values_mut().for_each(|field| escape(field, with)),
        _ => {}
    }
}

fn run_helm(folder: &Path, clusters: usize, out: &Path) -> Duration {
    let script = format!(
        "{} template CLUSTER chart -f values/CLUSTER.yaml --output-dir {}/CLUSTER >/dev/null",
        tool("helm").display(),
        out.display()
    );
    for_each_cluster(folder, clusters, &script)
}

/// The objects of a cluster one by one, with the word for its name.
fn expanded(blocks: &[Block], size: Size) -> Vec<Value> {
    let mut objects = Vec::new();
    for Block { each, object } in blocks {
        match each {
            Each::Cluster => objects.push(object.clone()),
            Each::Team => objects.extend((0..TEAMS.min(size.workloads)).map(|index| {
                let mut object = object.clone();
                escape(&mut object, &|text| text.replace(TEAM, &team(index)));
                object
            })),
            Each::Workload => objects.extend((0..size.workloads).map(|index| {
                let mut object = object.clone();
                escape(&mut object, &|text| {
                    text.replace(TEAM, &team(index))
                        .replace(WORKLOAD, &workload(index))
                });
                object
            })),
        }
    }
    objects
}

/// The places of the texts of an object that hold a word.
fn places(value: &Value, word: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains(word) => {
            found.push((pointer.to_owned(), text.clone()));
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, word, &format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(field, word, &format!("{pointer}/{key}"), found);
            }
        }
        _ => {}
    }
}

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
        tool("kustomize").display(),
        out.display()
    );
    for_each_cluster(folder, clusters, &script)
}

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
        tool("ytt").display(),
        out.display()
    );
    for_each_cluster(folder, clusters, &script)
}

/// JSON in a language that has it as a part, with texts that hold words for values as expressions.
fn literal(value: &Value, of: &impl Fn(&str) -> String) -> String {
    match value {
        Value::String(text) => {
            let mut text = Value::from(text.as_str()).to_string();
            for word in [CLUSTER, TEAM, WORKLOAD] {
                text = text.replace(word, &of(word));
            }
            text
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| literal(item, of)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, field)| {
                    format!("{}: {}", Value::from(key.as_str()), literal(field, of))
                })
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

fn jsonnet(folder: &Path, blocks: &[Block], size: Size) {
    let mut parts = Vec::new();
    for Block { each, object } in blocks {
        let body = literal(object, &|word| match word {
            CLUSTER => "\" + cluster + \"".to_owned(),
            TEAM if *each == Each::Team => "\" + team + \"".to_owned(),
            TEAM => "\" + workload.team + \"".to_owned(),
            _ => "\" + workload.name + \"".to_owned(),
        });
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
    run_one("jsonnet", folder, clusters, out)
}

fn run_jrsonnet(folder: &Path, clusters: usize, out: &Path) -> Duration {
    run_one("jrsonnet", folder, clusters, out)
}

fn cue(folder: &Path, blocks: &[Block], size: Size) {
    let mut parts = Vec::new();
    for Block { each, object } in blocks {
        let body = literal(object, &|word| match word {
            CLUSTER => "\\(cluster)".to_owned(),
            TEAM if *each == Each::Team => "\\(team)".to_owned(),
            TEAM => "\\(workload.team)".to_owned(),
            _ => "\\(workload.name)".to_owned(),
        });
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
    run(Command::new(tool("cue"))
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
