//! The command line as its users meet it: what it prints, where, and how it ends.

mod common;

use hcb_source::source::Role;
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
fn init_and_compile_lead_a_newcomer_to_a_tree() {
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
        "`my-cloud` is valid: 2 clusters, 1 workload, 225 files\n"
    );

    let output = hcb(here, &["compile"]);
    assert_code(&output, 0);
    assert!(here.join("generated/.hcb-owned").exists());
    assert!(stderr(&output).contains("`generated`: 225 added, 0 changed, 0 removed, 0 unchanged"));
    assert_eq!(stdout(&output), "");

    let output = hcb(here, &["compile", "--check"]);
    assert_code(&output, 0);
    assert_eq!(stdout(&output), "");
}

#[test]
fn init_never_changes_existing_files() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("hybrid")).expect("a folder");
    fs::write(folder.path().join("hybrid/cloud.yaml"), "mine").expect("a file");
    let output = hcb(folder.path(), &["init"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("cloud.yaml` is there already; nothing was written"));
    assert!(!folder.path().join("hybrid/workloads").exists());
}

#[test]
fn init_takes_answers_as_options_and_refuses_invalid_ones() {
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
fn findings_exit_with_code_one_and_write_nothing() {
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
fn a_command_that_cannot_do_its_work_exits_with_code_two_and_says_why() {
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
fn a_file_that_is_not_text_is_a_finding() {
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
fn templates_of_the_user_replace_built_in_ones() {
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
fn list_shows_the_line_of_the_spec_that_each_object_comes_from() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = hcb(root, &["list", "examples/seed", "--kind", "job"]);
    assert_code(&output, 0);
    let lines = stdout(&output);
    assert_eq!(lines.lines().count(), 3, "{lines}");
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
fn the_schema_is_valid_and_accepts_every_example() {
    let output = hcb(Path::new("."), &["schema"]);
    assert_code(&output, 0);
    let schema: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut documents = 0;
    for example in common::EXAMPLES {
        for (_, file) in common::read(&common::example(example)).of(Role::Spec) {
            for text in file.text.split("\n---\n") {
                let document: Value = yaml_serde::from_str(text).expect("YAML");
                assert!(validator.is_valid(&document), "{}", file.path.display());
                documents += 1;
            }
        }
    }
    assert_eq!(documents, 14);
}

#[test]
fn completions_and_help_exist_for_every_command() {
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
fn a_closed_pipe_is_not_a_failure() {
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

#[test]
fn reports_for_other_tools_are_written_besides_the_usual_output() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    fs::create_dir(here.join(".git")).expect("a folder");
    let below = here.join("platform");
    fs::create_dir(&below).expect("a folder");
    assert_code(&hcb(&below, &["init"]), 0);
    let path = below.join("hybrid/cloud.yaml");
    let spec = fs::read_to_string(&path).expect("a spec");
    fs::write(&path, spec.replace("tier: public", "tier: pubic")).expect("a spec");

    let reports = [
        "--report",
        "sarif=reports/hcb.sarif",
        "--report",
        "junit=reports/hcb.xml",
        "--report",
        "gitlab=reports/quality.json",
        "--report",
        "github",
    ];
    for command in ["validate", "compile"] {
        let _ = fs::remove_dir_all(below.join("reports"));
        let output = hcb(&below, &[&[command][..], &reports].concat());
        assert_code(&output, 1);
        assert!(stderr(&output).contains("error[HCB302]"));
        assert!(
            stdout(&output).starts_with("::error file=platform/hybrid/cloud.yaml,line="),
            "{}",
            stdout(&output)
        );
        let sarif = fs::read(below.join("reports/hcb.sarif")).expect("a report");
        let sarif: Value = serde_json::from_slice(&sarif).expect("JSON");
        assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "HCB302");
        let mut files: Vec<_> = fs::read_dir(below.join("reports"))
            .expect("the reports")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        files.sort();
        assert_eq!(files, ["hcb.sarif", "hcb.xml", "quality.json"]);
    }
}

#[test]
fn impossible_report_options_are_refused() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    for (arguments, said) in [
        (
            &["--report", "sarf"][..],
            "there is no report `sarf`; did you mean `sarif`?",
        ),
        (&["--report", "sarif="], "name a file"),
        (
            &["--report", "sarif", "--report", "github"],
            "only one report can go to stdout",
        ),
        (
            &["--report", "sarif", "--format", "json"],
            "name a file for the report",
        ),
        (&["--report", "sarif=hybrid"], "it is a folder"),
        (
            &["--report", "junit=good.xml", "--report", "sarif=hybrid"],
            "it is a folder",
        ),
    ] {
        let output = hcb(here, &[&["validate"][..], arguments].concat());
        assert_code(&output, 2);
        assert!(
            stderr(&output).contains(said),
            "{arguments:?}: {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
    assert!(!here.join("good.xml").exists(), "all reports or none");
}

#[test]
fn policies_are_listed_explained_and_tested() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();

    // Without a spec, those that are built in.
    let output = hcb(here, &["policy", "list"]);
    assert_code(&output, 0);
    assert!(stdout(&output).contains("hcb-pod-security"));
    assert!(stderr(&output).contains("There is no spec here"));

    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = hcb(
        root,
        &["policy", "list", "examples/large", "--format", "json"],
    );
    assert_code(&output, 0);
    let rows: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    let row = |name: &str| {
        let rows = rows.as_array().expect("a list");
        rows.iter()
            .find(|row| row["name"] == name)
            .cloned()
            .expect(name)
    };
    let scratch = row("hcb-bounded-scratch");
    assert_eq!(scratch["clusters"]["dc-frankfurt"], "audit");
    assert_eq!(scratch["clusters"]["dc-munich"], "warn");
    assert_eq!(row("hcb-job-limits")["exceptions"], 1);
    assert_eq!(row("hcb-job-limits")["params"]["deadlineSeconds"], "432000");
    assert_eq!(row("acme-urgent")["builtIn"], false);

    let output = hcb(
        root,
        &["policy", "explain", "acme-urgent", "examples/large"],
    );
    assert_code(&output, 0);
    assert!(stdout(&output).starts_with("# acme-urgent: Only production is urgent"));
    let output = hcb(here, &["policy", "explain", "hcb-budgt"]);
    assert_code(&output, 2);
    assert!(stderr(&output).contains("did you mean `hcb-budget`?"));

    let report = here.join("tests.xml");
    let report = report.to_str().expect("UTF-8");
    let output = hcb(root, &["policy", "test", "--built-in", "--junit", report]);
    assert_code(&output, 0);
    assert!(stdout(&output).contains("ok     hcb-pod-security"));
    let xml = fs::read_to_string(report).expect("a report");
    let xml = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit");
    assert!(xml.tests > 50 && xml.failures == 0, "{} tests", xml.tests);

    let own = here.join("hybrid/policies/acme-urgent");
    fs::create_dir_all(&own).expect("a folder");
    let example = root.join("examples/large/policies/acme-urgent");
    for file in ["policy.yaml", "tests.yaml", "pass.yaml", "fail.yaml"] {
        fs::copy(example.join(file), own.join(file)).expect("a file");
    }
    assert_code(&hcb(here, &["policy", "test"]), 0);
    let policy = fs::read_to_string(own.join("policy.yaml")).expect("a policy");
    fs::write(
        own.join("policy.yaml"),
        policy.replace("'hcb-urgent'", "'urgent'"),
    )
    .expect("a policy");
    let output = hcb(here, &["policy", "test"]);
    assert_code(&output, 1);
    assert!(stdout(&output).starts_with("FAILED acme-urgent (1 of 2)"));
    assert!(stderr(&output).contains("urgent elsewhere: expected 1 violations, found 0"));
    let output = hcb(here, &["policy", "test", "--format", "json"]);
    let json: Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!(json["passed"], false);
}

#[test]
fn a_given_date_makes_a_run_independent_of_the_clock() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    let path = here.join("hybrid/cloud.yaml");
    let spec = fs::read_to_string(&path).expect("a spec");
    let exception = "\n  policies: {exceptions: [{policy: hcb-bounded-scratch, workload: {name: train}, reason: none, expires: 2027-03-31}]}\n";
    fs::write(&path, spec + exception).expect("a spec");
    assert_code(&hcb(here, &["compile", "--today", "2027-03-31"]), 0);
    assert_code(
        &hcb(here, &["compile", "--check", "--today", "2026-01-01"]),
        0,
    );
    let output = hcb(here, &["compile", "--today", "2027-04-01"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("error[HCB716]"));
}

#[test]
fn policies_are_read_from_a_folder_of_the_spec() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    let path = here.join("hybrid/cloud.yaml");
    let spec = fs::read_to_string(&path).expect("a spec");
    for (named, said) in [
        ("../elsewhere", "HCB313"),
        ("/etc", "HCB313"),
        ("rules", "there is no folder `rules`"),
    ] {
        fs::write(&path, format!("{spec}\n  policies: {{folder: {named}}}\n")).expect("a spec");
        let output = hcb(here, &["validate"]);
        assert_code(&output, 1);
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    // What is in it is no part of the spec; a policy in it is in force.
    let own = here.join("hybrid/rules/acme-urgent");
    fs::create_dir_all(&own).expect("a folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/large/policies/acme-urgent");
    for file in ["policy.yaml", "tests.yaml", "fail.yaml"] {
        fs::copy(example.join(file), own.join(file)).expect("a file");
    }
    assert_code(&hcb(here, &["validate"]), 0);
    let output = hcb(here, &["list", "--kind", "ValidatingAdmissionPolicy"]);
    assert!(
        stdout(&output).contains("acme-urgent"),
        "{}",
        stdout(&output)
    );
}

/// What can be told before any server is asked.
#[test]
fn an_impossible_submission_fails_before_any_request() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    assert_code(&hcb(here, &["init"]), 0);
    fs::write(here.join("data.npz"), "x").expect("a file");
    let told = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_hcb"))
            .arg("submit")
            .args(arguments)
            .current_dir(here)
            .env_clear()
            .env("HOME", here)
            .output()
            .expect("hcb starts");
        assert_code(&output, 2);
        assert_eq!(stdout(&output), "");
        stderr(&output)
    };
    let cases: [(&[&str], &str); 5] = [
        (
            &["data.npz", "-w", "trian"],
            "there is no workload `trian` in the spec; did you mean `train`?",
        ),
        (
            &["data.npz", "-w", "train", "-p", "epoch=3"],
            "the workload `train` has no parameter `epoch`; did you mean `EPOCHS`?",
        ),
        (
            &["none.npz", "-w", "train"],
            "the data `none.npz`: No such file",
        ),
        (
            &["-w", "train", "--input", "dataset"],
            "--input says which input the data is, and there is no data",
        ),
        (
            &["data.npz", "-w", "train"],
            "how does this machine reach the object store, which is in the cluster `private`?",
        ),
    ];
    for (arguments, expected) in cases {
        let told = told(arguments);
        assert!(told.contains(expected), "{told}");
    }
    assert!(!here.join(".local").exists(), "something was kept");

    // A spec with a finding is no spec to submit from.
    let path = here.join("hybrid/cloud.yaml");
    let spec = fs::read_to_string(&path).expect("a spec");
    fs::write(&path, spec.replace("tier: public", "tier: pubic")).expect("a spec");
    let output = hcb(here, &["submit", "data.npz", "-w", "train"]);
    assert_code(&output, 1);
    assert!(stderr(&output).contains("error[HCB302]"));
}
