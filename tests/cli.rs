//! The command line as its users meet it: what it prints, where, and how it ends.

mod common;

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn hcb(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .expect("hcb starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        stdout(output),
        stderr(output)
    );
}

#[test]
fn a_newcomer_gets_from_nothing_to_a_tree() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();

    assert_code(&hcb(here, &["init"]), 0);
    for file in ["cloud.yaml", "workloads/train.yaml", ".schema.json"] {
        assert!(here.join("hybrid").join(file).exists(), "{file}");
    }
    let cloud = fs::read_to_string(here.join("hybrid/cloud.yaml")).expect("a spec");
    assert!(cloud.starts_with("# yaml-language-server: $schema=.schema.json\n"));

    let output = hcb(here, &["validate"]);
    assert_code(&output, 0);
    assert_eq!(
        stderr(&output),
        "`my-cloud` is valid: 2 clusters, 1 workload, 128 files\n"
    );

    let output = hcb(here, &["compile"]);
    assert_code(&output, 0);
    assert!(here.join("generated/.hcb-owned").exists());
    assert!(stderr(&output).contains("`generated`: 128 added, 0 changed, 0 removed, 0 unchanged"));
    assert_eq!(stdout(&output), "");

    let output = hcb(here, &["compile", "--check"]);
    assert_code(&output, 0);
    assert_eq!(stdout(&output), "");
}

#[test]
fn init_never_touches_what_is_there() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("hybrid")).expect("a folder");
    fs::write(folder.path().join("hybrid/cloud.yaml"), "mine").expect("a file");
    let output = hcb(folder.path(), &["init"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("cloud.yaml` is there already; nothing was written"));
    assert!(!folder.path().join("hybrid/workloads").exists());
}

#[test]
fn init_takes_answers_as_options_and_refuses_bad_ones() {
    let folder = TempDir::new().expect("a folder");
    let output = hcb(
        folder.path(),
        &[
            "init",
            "--yes",
            "--name",
            "acme",
            "--engine",
            "flux",
            "--repository",
            "ssh://git@example.com/a.git",
            "spec",
        ],
    );
    assert_code(&output, 0);
    let output = hcb(folder.path(), &["compile", "spec", "--out", "tree"]);
    assert_code(&output, 0);
    assert!(
        folder
            .path()
            .join("tree/gitops/private/private/kustomizations")
            .exists()
    );
    let output = hcb(folder.path(), &["init", "--name", "Not A Name", "other"]);
    assert_code(&output, 2);
    assert!(!folder.path().join("other").exists());
}

#[test]
fn findings_end_with_one_and_write_nothing() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    let path = here.join("hybrid/cloud.yaml");
    let spec = fs::read_to_string(&path).expect("a spec");
    fs::write(&path, spec.replace("tier: public", "tier: pubic")).expect("a spec");

    let output = hcb(here, &["compile"]);
    assert_code(&output, 1);
    assert!(!here.join("generated").exists());
    assert_eq!(stdout(&output), "");
    let told = stderr(&output);
    assert!(
        told.contains("error[HCB302]: there is no tier `pubic`"),
        "{told}"
    );
    assert!(told.contains("--> hybrid/cloud.yaml:"), "{told}");
    assert!(told.contains("did you mean `public`?"), "{told}");
    assert!(
        told.ends_with("1 error; `hcb explain-code HCB302` says more\n"),
        "{told}"
    );
    assert!(
        !told.contains('\u{1b}'),
        "no colour where there is no terminal"
    );
    assert!(stderr(&hcb(here, &["compile", "--color", "always"])).contains('\u{1b}'));

    let output = hcb(here, &["validate", "--format", "json"]);
    assert_code(&output, 1);
    let json: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(json["valid"], false);
    assert_eq!(json["findings"][0]["code"], "HCB302");
    assert_eq!(json["findings"][0]["places"][0]["text"], "pubic");
    assert_eq!(stderr(&output), "");
}

#[test]
fn drift_is_listed_on_stdout() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    assert_code(&hcb(here, &["compile"]), 0);
    let job = fs::read_dir(here.join("generated/clusters/private/workloads/ml"))
        .expect("the jobs")
        .next()
        .expect("a job")
        .expect("a job")
        .file_name();
    let path = here.join("hybrid/workloads/train.yaml");
    let spec = fs::read_to_string(&path).expect("a spec");
    fs::write(&path, spec.replace("EPOCHS: \"10\"", "EPOCHS: \"20\"")).expect("a spec");

    let output = hcb(here, &["compile", "--check"]);

    assert_code(&output, 1);
    let lines: Vec<_> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("+ clusters/private/workloads/ml/job-train-"));
    assert_eq!(lines[1], "~ .hcb-owned");
    assert_eq!(
        lines[2],
        format!("- clusters/private/workloads/ml/{}", job.to_string_lossy())
    );
    assert!(stderr(&output).contains("[HCB602]"));
}

#[test]
fn what_cannot_work_ends_with_two_and_says_why() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    for (arguments, said) in [
        (
            &["compile"][..],
            "the spec `hybrid` cannot be read; name the spec, or write one with `hcb init`",
        ),
        (
            &["compile", "nowhere.yaml"],
            "the spec `nowhere.yaml` cannot be read",
        ),
        (
            &["explain-code", "HCB40"],
            "there is no code `HCB40`; did you mean `HCB400`?",
        ),
        (&["compile", "."], "there is no `.yaml` file in `.`"),
    ] {
        let output = hcb(here, arguments);
        assert_code(&output, 2);
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    let output = hcb(here, &["compille"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("'compile'"));
}

#[test]
fn a_file_that_is_no_text_is_a_finding() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("cloud.yaml"), b"name: \xff\xfe").expect("a file");
    let output = hcb(folder.path(), &["validate", "cloud.yaml"]);
    assert_code(&output, 1);
    assert!(
        stderr(&output).contains("error[HCB104]"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn templates_of_the_user_take_the_place_of_built_in_ones() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    let own = here.join("own/foundation");
    fs::create_dir_all(&own).expect("a folder");
    let compile = |text: &str| {
        fs::write(own.join("priority-class.yaml"), text).expect("a template");
        hcb(here, &["compile", "--templates", "own"])
    };
    let good = "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata:\n  name: {{ name }}\nvalue: {{ value + 1 }}\n";
    assert_code(&compile(good), 0);
    let class =
        here.join("generated/clusters/public/foundation/_cluster/priorityclass-hcb-low.yaml");
    assert!(
        fs::read_to_string(class)
            .expect("a file")
            .contains("value: 1\n")
    );

    for (text, said) in [
        (
            "kind: {{ name",
            "own` cannot be used:\n  `foundation/priority-class.yaml`",
        ),
        ("{{ nothing.at.all }}", "HCB500"),
        ("a: \"{{ name }}\"", "HCB500"),
        (
            "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nmetadata:\n  name: x\nvalu: 1\n",
            "did you mean `value`?",
        ),
        (
            "apiVersion: v1\nkind: Nonsense\nmetadata:\n  name: x\n",
            "HCB502",
        ),
        (
            "apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  namespace: y\ndata:\n  a: Yg==\n",
            "HCB504",
        ),
    ] {
        let output = compile(text);
        assert_ne!(output.status.code(), Some(0), "{text}");
        assert!(
            stderr(&output).contains(said),
            "{text}: {}",
            stderr(&output)
        );
    }
    fs::rename(
        own.join("priority-class.yaml"),
        own.join("priority-clas.yaml"),
    )
    .expect("a file");
    let output = hcb(here, &["compile", "--templates", "own"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("did you mean `foundation/priority-class.yaml`?"));
}

#[test]
fn list_shows_the_line_of_the_spec_behind_each_object() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = hcb(root, &["list", "examples/seed", "--kind", "job"]);
    assert_code(&output, 0);
    let lines = stdout(&output);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(
        lines.contains("examples/seed/workloads/train-mnist.yaml:5:9"),
        "{lines}"
    );
    let output = hcb(
        root,
        &[
            "list",
            "examples/seed",
            "--cluster",
            "public",
            "--format",
            "json",
        ],
    );
    let json: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let rows = json.as_array().expect("a list");
    assert!(rows.len() > 40 && rows.iter().all(|row| row["cluster"] == "public"));
    let output = hcb(root, &["list", "examples/seed", "--cluster", "pubic"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("did you mean `public`?"));
}

#[test]
fn the_schema_is_one_and_every_example_is_of_it() {
    let output = hcb(Path::new("."), &["schema"]);
    assert_code(&output, 0);
    let schema: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut documents = 0;
    for example in common::EXAMPLES {
        for (_, file) in common::read(&common::example(example)).iter() {
            for text in file.text.split("\n---\n") {
                let document: Value = yaml_serde::from_str(text).expect("YAML");
                assert!(validator.is_valid(&document), "{}", file.path.display());
                documents += 1;
            }
        }
    }
    assert_eq!(documents, 13);
}

#[test]
fn completions_and_help_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        let output = hcb(Path::new("."), &["completions", shell]);
        assert_code(&output, 0);
        assert!(stdout(&output).contains("explain-code"));
    }
    for command in [
        "init",
        "validate",
        "compile",
        "list",
        "schema",
        "explain-code",
        "completions",
    ] {
        let output = hcb(Path::new("."), &[command, "--help"]);
        assert_code(&output, 0);
        assert!(stdout(&output).contains("Example"), "{command}");
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(["list", "examples/large"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hcb starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("an end");
    assert_code(&output, 0);
    assert_eq!(stderr(&output), "");
}
