//! Properties of every spec: the same input gives the same bytes, and other readers of YAML read every
//! text in the manifests as it was in the spec.

mod common;

use hcb_compile::compile::{Options, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_compile::tree::Tree;
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::Sources;
use hcb_spec::spec::GitOpsEngine;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::built_in);

/// Texts that readers of YAML mistake for something else, or that mean something to templates and shells.
const TRICKY: &[&str] = &[
    "",
    " ",
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "true",
    "True",
    "false",
    "null",
    "Null",
    "~",
    "1",
    "1.0",
    "1_000",
    "0755",
    "0o755",
    "0x1F",
    "0b11",
    "1e3",
    "1E+3",
    ".5",
    "5.",
    "+1",
    "-1",
    "1:30",
    "12:30:45",
    ".inf",
    "-.Inf",
    ".nan",
    "NaN",
    "2026-11-23",
    "2026-11-23T10:00:00Z",
    ":",
    ": ",
    "a: b",
    "a :b",
    "- a",
    "-",
    "--",
    "---",
    "...",
    "?",
    "? a",
    "#",
    " #",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "!!str",
    "|",
    ">",
    "|-",
    "%",
    "%YAML 1.2",
    "@a",
    "`a`",
    "'",
    "''",
    "\"",
    "\"\"",
    "it's",
    "say \"x\"",
    "\\",
    "\\n",
    "a\\b",
    "{",
    "}",
    "{}",
    "[",
    "]",
    "[]",
    "[a, b]",
    "{a: b}",
    ",",
    "a,b",
    "{{",
    "}}",
    "{{ x }}",
    "{% raw %}",
    "{# x #}",
    "${HOME}",
    "$(HOME)",
    "$$",
    "%{x}",
    "a\nb",
    "a\n",
    "\na",
    "\n",
    "\n\n",
    "\n\t",
    "\n a",
    "\t\na",
    "a\n\t\nb",
    "a\n\nb\n\n",
    " a",
    "a ",
    "\ta",
    "a\t",
    "a\tb",
    "  a\n b",
    "a\n  b\n",
    "a\r\nb",
    "\r",
    "ünïcödé",
    "日本語",
    "📚",
    "👩‍👩‍👧",
    "e\u{301}",
    "\u{feff}a",
    "a\u{85}b",
    "a\u{2028}b",
    "a\u{2029}b",
    "\u{200b}",
    "\u{a0}",
    "=",
    "<<",
    "</script>",
    "<a & b>",
    "a=b",
    "key=",
    "\u{7f}",
    "\u{1}",
    "\u{1b}[31m",
    "\u{e000}",
    "\u{10ffff}",
];

/// The spec of the seed example with `texts` wherever any text is allowed, as JSON, which is YAML.
fn spec_with(texts: &[String]) -> (String, String) {
    let environment: serde_json::Map<_, _> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| (format!("TEXT_{index}"), json!(text)))
        .collect();
    let cloud = json!({
        "apiVersion": "hcb.dev/v1alpha1",
        "kind": "HybridCloud",
        "metadata": { "name": "acme" },
        "spec": {
            "gitops": { "engine": "argocd", "repository": "https://git.example.com/a.git" },
            "clusters": [
                { "name": "home", "kubernetes": "1.34", "api": { "server": "https://a.example.com" },
                  "nodePools": [{ "name": "cpu", "nodes": 1, "cpu": 8, "memory": "32Gi" }] },
                { "name": "away", "tier": "public", "kubernetes": "1.34", "api": { "server": "https://b.example.com" },
                  "nodePools": [{ "name": "cpu", "min": 0, "max": 1, "cpu": 8, "memory": "32Gi" }],
                  "autoscaler": { "provider": "cluster-autoscaler",
                    "clusterAutoscaler": { "cloudProvider": "hetzner", "env": environment } } },
            ],
            "mesh": { "gateway": { "serviceAnnotations": { "home": environment } } },
        },
    });
    let workload = json!({
        "apiVersion": "hcb.dev/v1alpha1",
        "kind": "Workload",
        "metadata": { "name": "train" },
        "spec": {
            "image": "example.com/a:1",
            "command": texts,
            "args": texts,
            "env": environment,
            "resources": { "cpu": 1, "memory": "1Gi" },
        },
    });
    let write = |value: &Value| hcb_source::yaml::printable(&value.to_string()).into_owned();
    (write(&cloud), write(&workload))
}

fn compile_texts(files: &[(&str, &str)], root: &str) -> Tree {
    let mut sources = Sources::default();
    for (path, content) in files {
        sources.add(Path::new(root).join(path), *content);
    }
    let mut diagnostics = Diagnostics::default();
    let output = compile(
        &sources,
        Path::new(root),
        &TEMPLATES,
        Options::default(),
        &mut diagnostics,
        &mut Timings::default(),
    );
    let findings = text::render(&diagnostics.sorted(), &sources, false, 100);
    output.unwrap_or_else(|| panic!("{findings}")).tree
}

fn tree_with(texts: &[String]) -> Tree {
    let (cloud, workload) = spec_with(texts);
    compile_texts(
        &[("cloud.yaml", &cloud), ("train.yaml", &workload)],
        "/somewhere",
    )
}

/// The file whose path starts and ends like this.
fn file<'a>(tree: &'a Tree, start: &str, end: &str) -> &'a str {
    let mut found = tree
        .files
        .iter()
        .filter(|(path, _)| path.starts_with(start) && path.ends_with(end));
    found
        .next()
        .map(|(_, content)| &**content)
        .expect("the file")
}

/// The texts as they are in the manifests, place by place, by what a reader makes of them.
fn assert_survived(texts: &[String], tree: &Tree, read: impl Fn(&str) -> Value) {
    let job_path = tree
        .files
        .keys()
        .find(|path| path.contains("/job-train-"))
        .expect("a job");
    let job = read(&tree.files[job_path]);
    let container = job
        .pointer("/spec/template/spec/containers/0")
        .expect("a container");
    assert_eq!(container["command"], json!(texts), "command");
    assert_eq!(container["args"], json!(texts), "args");
    let variables = container["env"].as_array().expect("variables");
    let application = |name: &str| {
        read(file(tree, "gitops/", &format!("{name}.yaml")))
            .pointer("/spec/source/helm/valuesObject")
            .cloned()
            .expect("values")
    };
    let gateway = application("home-chart-istio-eastwestgateway");
    let autoscaler = application("away-chart-cluster-autoscaler");
    for (index, text) in texts.iter().enumerate() {
        let name = format!("TEXT_{index}");
        let variable = variables
            .iter()
            .find(|variable| variable["name"] == name.as_str());
        assert_eq!(
            variable.map(|variable| &variable["value"]),
            Some(&json!(text)),
            "env"
        );
        assert_eq!(
            gateway["service"]["annotations"][&name],
            json!(text),
            "annotation"
        );
        assert_eq!(autoscaler["extraEnv"][&name], json!(text), "values");
    }
}

/// Reads YAML with libyaml.
fn read_by_libyaml(content: &str) -> Value {
    yaml_serde::from_str(content).unwrap_or_else(|error| panic!("{error}:\n{content}"))
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(TRICKY).prop_map(str::to_owned),
        "[ -~]{0,12}",
        any::<char>().prop_map(String::from),
        "(?s).{0,20}",
        Just("x".repeat(300)),
    ];
    proptest::collection::vec(piece, 0..4)
        .prop_map(|pieces| pieces.concat())
        // Kubernetes refuses what C strings cannot hold.
        .prop_filter("no NUL", |text| !text.contains('\0'))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_text_of_the_spec_reaches_the_manifests_unchanged(texts in proptest::collection::vec(any_text(), 1..6)) {
        let tree = tree_with(&texts);
        assert_survived(&texts, &tree, read_by_libyaml);
    }
}

#[test]
fn libyaml_reads_tricky_texts_back_unchanged() {
    for text in TRICKY {
        let texts = [(*text).to_owned()];
        assert_survived(&texts, &tree_with(&texts), read_by_libyaml);
    }
}

#[test]
fn the_yaml_reader_of_kubernetes_reads_the_same_values() {
    let Some(reader) = kubernetes_reader() else {
        return;
    };
    let texts: Vec<_> = TRICKY.iter().map(|text| (*text).to_owned()).collect();
    let tree = tree_with(&texts);
    let read_all = |tree: &Tree| -> Vec<(String, Value)> {
        let folder = tempfile::tempdir().expect("a folder");
        let manifests: Vec<_> = tree.manifests().collect();
        let mut names = String::new();
        for (index, (_, content)) in manifests.iter().enumerate() {
            let path = folder.path().join(format!("{index}.yaml"));
            std::fs::write(&path, content).expect("a file");
            names.extend([path.display().to_string().as_str(), "\n"]);
        }
        let lines = run(&reader, &names);
        let values = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        manifests
            .iter()
            .map(|(path, _)| (*path).to_owned())
            .zip(values)
            .collect()
    };
    let by_path = read_all(&tree);
    assert_survived(&texts, &tree, |content| {
        let path = tree
            .manifests()
            .find(|(_, other)| *other == content)
            .map(|(path, _)| path);
        let found = by_path
            .iter()
            .find(|(known, _)| Some(known.as_str()) == path);
        found
            .map(|(_, value)| value.clone())
            .expect("a file of the tree")
    });
    // And the examples, value by value, against what was to be written.
    for example in common::EXAMPLES {
        let output = common::compile_folder(&common::example(example), GitOpsEngine::Flux);
        let read = read_all(&output.tree);
        let mut compared = 0;
        for unit in &output.units {
            for manifest in &unit.manifests {
                let end = format!("-{}.yaml", manifest.name());
                let folder = unit.unit.folder(&output.model);
                let found = read.iter().find(|(path, value)| {
                    value["kind"] == manifest.kind()
                        && path.starts_with(&format!(
                            "{folder}/{}/",
                            manifest.namespace().unwrap_or("_cluster")
                        ))
                        && path.ends_with(&end)
                });
                assert_eq!(
                    found.map(|(_, value)| value),
                    Some(&*manifest.value),
                    "{folder}{end}"
                );
                compared += 1;
            }
        }
        assert_eq!(compared, read.len());
    }
}

/// Builds the reader that Kubernetes uses; `None`, with a message, on a machine without `go`.
fn kubernetes_reader() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/yaml");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("yaml");
    match Command::new("go")
        .arg("build")
        .arg("-o")
        .arg(&program)
        .arg(".")
        .current_dir(source)
        .output()
    {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(program)
        }
        Err(error) => {
            // Not captured by the test harness: a skipped test is never silent.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: the reader of Kubernetes needs `go`: {error}"
            );
            None
        }
    }
}

fn run(program: &Path, input: &str) -> String {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the reader starts");
    let mut stdin = child.stdin.take().expect("standard input");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().expect("the reader ends");
    writer
        .join()
        .expect("the writer ends")
        .expect("names can be written");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("JSON")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (cloud, workload) = spec_with(&["x".to_owned()]);
    let files = [
        ("cloud.yaml", cloud.as_str()),
        ("w/train.yaml", workload.as_str()),
    ];
    let first = compile_texts(&files, "/here/a");
    for (threads, root) in [(1, "/here/a"), (2, "/elsewhere/b/c"), (7, "relative")] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        assert!(
            first == pool.install(|| compile_texts(&files, root)),
            "{threads} threads, {root}"
        );
    }
}

#[test]
fn a_new_workload_does_not_change_the_files_of_others() {
    let (cloud, workload) = spec_with(&["x".to_owned()]);
    let other = workload.replace("\"train\"", "\"other\"");
    let before = compile_texts(&[("cloud.yaml", &cloud), ("train.yaml", &workload)], "");
    let after = compile_texts(
        &[
            ("cloud.yaml", &cloud),
            ("other.yaml", &other),
            ("train.yaml", &workload),
        ],
        "",
    );
    for (path, content) in &after.files {
        let is_about_it = path.contains("other") || **path == *hcb_compile::tree::OWNED;
        let is_as_before = before.files.get(path) == Some(content);
        // A file of the namespace names the first workload that uses it.
        let same_but_header = before
            .files
            .get(path)
            .is_some_and(|before| before.lines().skip(1).eq(content.lines().skip(1)));
        assert!(is_about_it || is_as_before || same_but_header, "{path}");
    }
    assert!(
        before
            .files
            .keys()
            .all(|path| after.files.contains_key(path))
    );
}
