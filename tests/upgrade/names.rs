//! The names of 0.1.0 that outlive a process: what `0.1.0/names.yaml` lists is still called so.

use super::present::{
    CANCELLED, CONFIG_MAP, DECISION, ENDPOINT, GATE, Gate, KEY, LEASE, Metrics, REPORTER, TARGET,
    WORKLOAD, command,
};
use super::records::{RECORDS, play};
use super::{SPECS, argument, hcb, old, old_text, said};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Names {
    namespace: String,
    lease: String,
    status: Map,
    config: MountedMap,
    kubeconfigs: Kubeconfigs,
    objects: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    store_keys: BTreeSet<String>,
    keys: Vec<Key>,
    gates: Gates,
    reporter: String,
    #[allow(dead_code, reason = "API servers note them: tests on real ones look")]
    field_managers: BTreeMap<String, String>,
    environment: Vec<String>,
    command_lines: Vec<Vec<String>>,
    variables: Vec<String>,
    port: u16,
    paths: BTreeMap<String, u16>,
    metrics: Vec<Metric>,
    #[allow(dead_code, reason = "these may change")]
    outcomes: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Map {
    name: String,
    key: String,
}

#[derive(Debug, Deserialize)]
struct MountedMap {
    name: String,
    key: String,
    file: String,
}

#[derive(Debug, Deserialize)]
struct Kubeconfigs {
    secret: String,
    file: String,
}

#[derive(Debug, Deserialize)]
struct Key {
    key: String,
    constant: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Gates {
    closed: String,
    drained: String,
}

#[derive(Debug, Deserialize)]
struct Metric {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    labels: BTreeSet<String>,
}

fn names() -> Names {
    yaml_serde::from_str(&old_text("names.yaml")).expect("the names of 0.1.0")
}

/// What the specs of 0.1.0 compile to today: the texts by spec, engine and path.
fn compiled() -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for (spec, engine) in SPECS {
        let out = TempDir::new().expect("a folder");
        let folder = old(&format!("specs/{spec}"));
        let arguments = ["compile", argument(&folder), "--engine", engine, "--out"];
        let output = hcb(&[&arguments[..], &[argument(out.path())]].concat());
        assert!(output.status.success(), "{spec}: {}", said(&output));
        read(out.path(), &format!("{spec}/{engine}"), &mut texts);
    }
    texts
}

fn read(folder: &Path, prefix: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}/{}", entry.file_name().display());
        if entry.path().is_dir() {
            read(&entry.path(), &name, texts);
        } else {
            texts.insert(name, fs::read_to_string(entry.path()).expect("a text"));
        }
    }
}

#[test]
fn trees_deliver_the_same_objects_configurations_and_keys_of_the_secret_store() {
    let names = names();
    let texts = compiled();
    for engine in ["argocd", "flux"] {
        for (cluster, namespaces) in &names.objects {
            for (namespace, objects) in namespaces {
                let folder = format!("seed/{engine}/clusters/{cluster}/");
                for object in objects {
                    let file = format!("/{namespace}/{object}.yaml");
                    let is_it = |path: &&String| path.starts_with(&folder) && path.ends_with(&file);
                    assert_eq!(
                        texts.keys().filter(is_it).count(),
                        1,
                        "{engine}: {cluster}{file}"
                    );
                }
            }
        }
        let of_source = format!(
            "seed/{engine}/clusters/private/reconciler/{}/",
            names.namespace
        );
        let text = |object: &str| {
            let path = format!("{of_source}{object}.yaml");
            texts.get(&path).unwrap_or_else(|| panic!("no {path}"))
        };
        let config = text(&format!("configmap-{}", names.config.name));
        assert!(config.contains(&format!("\n  {}: |", names.config.key)));
        let mounted = names.kubeconfigs.file.replace("{cluster}", "public");
        assert!(config.contains(&format!("kubeconfig: {mounted}\n")));
        let secret = names.kubeconfigs.secret.replace("{cluster}", "public");
        text(&format!("externalsecret-{secret}"));
        text(&format!("configmap-{}", names.status.name));

        let role = text("role-hcb-reconciler");
        for name in [&names.lease, &names.status.name] {
            assert!(role.contains(&format!("- {name}\n")), "{name} in\n{role}");
        }
        let deployment = text("deployment-hcb-reconciler");
        assert!(deployment.contains(&names.config.file), "{deployment}");
        assert!(deployment.contains(&format!("containerPort: {}", names.port)));
        for variable in &names.variables {
            assert!(deployment.contains(&format!("name: {variable}\n")));
        }
        let service = text("service-hcb-reconciler");
        assert!(service.contains(&format!("port: {}\n", names.port)));
        let keys: BTreeSet<String> = texts
            .iter()
            .filter(|(path, _)| path.starts_with(&format!("seed/{engine}/clusters/")))
            .flat_map(|(_, text)| text.lines())
            .filter_map(|line| {
                let (field, key) = line.trim_start_matches([' ', '-']).split_once(": ")?;
                let is_key = matches!(field, "key" | "remoteKey") && key.starts_with("seed/");
                is_key.then(|| key.to_owned())
            })
            .collect();
        assert_eq!(keys, names.store_keys, "{engine}");
    }
    for variable in &names.environment {
        let job = |path: &&String| path.contains("/workloads/") && path.contains("/job-");
        let jobs = texts.keys().filter(job);
        let mut texts = jobs.map(|path| &texts[path]);
        let line = format!("- name: {variable}\n");
        assert!(texts.any(|text| text.contains(&line)), "{variable}");
    }
}

#[test]
fn keys_on_objects_are_those_of_0_1_0() {
    let constants = BTreeMap::from([
        ("GATE", GATE),
        ("TARGET", TARGET),
        ("DECISION", DECISION),
        ("WORKLOAD", WORKLOAD),
        ("ENDPOINT", ENDPOINT),
        ("CANCELLED", CANCELLED),
    ]);
    // Admiralty's own, which stand in no manifest; tests on real servers read and write them.
    let of_admiralty = [
        "multicluster.admiralty.io/is-reserved",
        "multicluster.admiralty.io/parent-uid",
        "multicluster.admiralty.io/sourcepod-manifest",
    ];
    let texts = compiled();
    let mut held = BTreeSet::new();
    for Key { key, constant } in &names().keys {
        if let Some(constant) = constant {
            assert_eq!(constants.get(constant.as_str()), Some(&key.as_str()));
            held.insert(constant.clone());
        } else if !of_admiralty.contains(&key.as_str()) {
            assert!(texts.values().any(|text| text.contains(key)), "{key}");
        }
    }
    assert_eq!(held.len(), constants.len(), "constants without a name");
}

#[test]
fn the_lease_the_status_and_the_gates_are_called_as_0_1_0_calls_them() {
    let names = names();
    assert_eq!(LEASE, names.lease);
    assert_eq!(CONFIG_MAP, names.status.name);
    assert_eq!(KEY, names.status.key);
    assert_eq!(REPORTER, names.reporter);
    let value = |form: &str| form.replace("{cluster}", "public");
    for (gate, form) in [
        (Gate::Closed, &names.gates.closed),
        (Gate::Drained, &names.gates.drained),
    ] {
        assert_eq!(gate.value("public"), Some(value(form)));
        assert_eq!(Gate::of_value(&value(form)), gate);
    }
    assert_eq!(Gate::Open.value("public"), None);
}

#[test]
fn command_lines_of_0_1_0_are_understood() {
    for line in names().command_lines {
        let words = std::iter::once("hcb").chain(line.iter().map(String::as_str));
        if let Err(error) = command().try_get_matches_from(words) {
            panic!("{line:?}: {error}");
        }
    }
}

#[test]
fn every_metric_of_0_1_0_is_exported_with_its_labels() {
    let metrics = Metrics::default();
    for record in RECORDS {
        play(record, |state, config, replayed| {
            let (observation, memory) = (&state.observer.observation, &state.memory);
            metrics.decided(observation, config, memory, &replayed.now, replayed.at);
        });
    }
    metrics.took(Duration::from_millis(1));
    metrics.released("public");
    metrics.failed("release");
    let text = metrics.text();
    let before = old_text("metrics.txt");
    for line in before.lines().filter(|line| line.starts_with("# TYPE ")) {
        assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
    }
    for metric in names().metrics {
        let Metric { name, kind, labels } = metric;
        let line = format!("# TYPE {name} {kind}\n");
        assert!(text.contains(&line), "{line}{text}");
        let sample = match kind.as_str() {
            "counter" => format!("{name}_total"),
            "histogram" => format!("{name}_sum"),
            _ => name,
        };
        let samples: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix(&sample))
            .filter(|rest| rest.starts_with([' ', '{']))
            .collect();
        assert!(!samples.is_empty(), "no {sample} in\n{text}");
        for sample in samples {
            let inside = sample.split_once('{').map_or("", |(_, rest)| rest);
            let inside = inside.split_once('}').map_or("", |(inside, _)| inside);
            let found: BTreeSet<_> = inside
                .split(',')
                .filter_map(|label| Some(label.split_once('=')?.0.to_owned()))
                .collect();
            assert_eq!(found, labels, "{line}");
        }
    }
}

/// A reconciler that runs until this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is answered at a path: the status code.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: hcb\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let code = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| std::io::Error::other(answer))
}

#[test]
fn a_deployment_of_0_1_0_starts_the_reconciler_of_today_and_its_probes_are_answered() {
    let folder = TempDir::new().expect("a folder");
    let kubeconfig = folder.path().join("kubeconfig");
    // Nobody answers there: what is asked for here needs no cluster.
    let nobody = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n\
        contexts: [{name: a, context: {cluster: a, user: a}}]\nusers: [{name: a, user: {}}]\n";
    fs::write(&kubeconfig, nobody).expect("a file");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let names = names();
    let line = &names.command_lines[0];
    let config = format!("--config={}", names.config.file);
    assert!(line.contains(&config), "{line:?}");
    let here = format!("--config={}", argument(&old("config.yaml")));
    let words = line
        .iter()
        .map(|word| if *word == config { &here } else { word });
    let log = fs::File::create(folder.path().join("log")).expect("a file");
    let child = Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(words)
        .arg(format!("--listen={address}"))
        .env("KUBECONFIG", &kubeconfig)
        .env("POD_NAME", "hcb-reconciler-0")
        .env("POD_NAMESPACE", &names.namespace)
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("hcb starts");
    let _running = Running(child);
    let deadline = Instant::now() + Duration::from_secs(60);
    while ask(address, "/livez").is_err() {
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(Instant::now() < deadline, "nothing is served; {log}");
        std::thread::sleep(Duration::from_millis(100));
    }
    for (path, code) in &names.paths {
        assert_eq!(ask(address, path).expect("an answer"), *code, "{path}");
    }
}
