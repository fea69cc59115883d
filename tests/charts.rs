//! The real Helm charts accept the values of the installs in
//! `tests/charts/testdata`, and the check finds mistakes in others.
//!
//! The check is a Go program, because Helm and Istio's `MeshConfig` are Go. It
//! is built once and kept in the cache folder, with the `helm` that it builds.

mod common;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use hcb_compile::rendered::RenderedChart;
use hcb_spec::spec::GitOpsEngine;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The built check, or nothing on a machine without `go`.
static CHECK: LazyLock<Option<PathBuf>> = LazyLock::new(build_check);

#[test]
fn the_charts_accept_the_good_installs() {
    let Some(check) = CHECK.as_deref() else {
        return;
    };
    let output = Command::new(check)
        .arg(source_folder().join("testdata"))
        .output()
        .expect("the check starts");

    say(&String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{}", findings(&output));
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // Only Admiralty's chart is in no Go module, so only it may be left out.
        let skipped = line.starts_with("skip  admiralty ");
        assert!(line.starts_with("ok  ") || skipped, "{line}");
    }
}

#[test]
fn the_charts_accept_what_the_examples_compile_to() {
    let Some(check) = CHECK.as_deref() else {
        return;
    };
    for example in common::EXAMPLES {
        let output = common::compile_folder(&common::example(example), GitOpsEngine::Argocd);
        let installs = TempDir::new().expect("a temporary folder");
        for rendered in &output.units {
            let cluster = &output.model.clusters[rendered.unit.cluster];
            for RenderedChart { chart, values } in &rendered.charts {
                let install = json!({
                    "chart": chart.name,
                    "version": chart.version,
                    "release": chart.release,
                    "namespace": chart.namespace,
                    "kubernetes": cluster.kubernetes.to_string(),
                    "values": values,
                });
                let file = format!("{}.{}.json", cluster.name, chart.release);
                fs::write(installs.path().join(file), install.to_string()).expect("a file");
            }
        }

        let output = Command::new(check)
            .arg(installs.path())
            .output()
            .expect("the check starts");

        say(&String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{}", findings(&output));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            lines
                .lines()
                .filter(|line| line.starts_with("ok  "))
                .count()
                > 8,
            "{lines}"
        );
        for line in lines.lines() {
            // These two charts are in no Go module that is served; the check says so loudly.
            let skipped = ["skip  admiralty ", "skip  cluster-autoscaler "]
                .iter()
                .any(|start| line.starts_with(start));
            assert!(line.starts_with("ok  ") || skipped, "{line}");
        }
    }
}

#[test]
fn an_unknown_key_is_found_and_a_similar_one_suggested() {
    assert_finding(
        "istiod",
        |values| values["pilot"] = json!({ "envv": { "ENABLE_NATIVE_SIDECARS": "true" } }),
        "pilot.envv: unknown key; did you mean env?",
    );
    assert_finding(
        "istiod",
        |values| values["global"]["clusterName"] = json!("dc-frankfurt"),
        "global.clusterName: unknown key; did you mean global.multiCluster.clusterName?",
    );
    assert_finding(
        "cert-manager",
        |values| values["crds"] = json!({ "enable": true }),
        "crds.enable: unknown key; did you mean enabled?",
    );
}

#[test]
fn a_global_that_the_gateway_does_not_read_is_found() {
    assert_finding(
        "gateway",
        |values| values["global"] = json!({ "meshID": "acme" }),
        "global.meshID: unknown key",
    );
}

#[test]
fn a_wrong_field_of_the_mesh_config_is_found() {
    assert_finding(
        "istiod",
        |values| values["meshConfig"]["accessLogFil"] = json!("/dev/stdout"),
        "meshConfig.accessLogFil: istio.mesh.v1alpha1.MeshConfig has no such field; \
         did you mean accessLogFile?",
    );
    assert_finding(
        "istiod",
        |values| values["meshConfig"]["outboundTrafficPolicy"]["mode"] = json!("ALLOW"),
        "meshConfig.outboundTrafficPolicy.mode: invalid value for enum field mode: \"ALLOW\"",
    );
}

#[test]
fn a_variable_that_istiod_does_not_read_is_found() {
    assert_finding(
        "istiod",
        |values| values["env"] = json!({ "ENABLE_NATIVE_SIDECAR": "true" }),
        "env.ENABLE_NATIVE_SIDECAR: istiod reads no such variable; \
         did you mean ENABLE_NATIVE_SIDECARS?",
    );
}

#[test]
fn a_value_of_the_wrong_type_is_found() {
    assert_finding(
        "istiod",
        |values| values["autoscaleMin"] = json!("two"),
        "autoscaleMin: is of type string, but the chart has number there",
    );
    assert_finding(
        "gateway",
        |values| values["autoscaling"]["minReplicas"] = json!("two"),
        "at '/autoscaling/minReplicas': got string, want integer",
    );
}

#[test]
fn a_folder_without_installs_is_an_error() {
    let Some(check) = CHECK.as_deref() else {
        return;
    };
    let empty = TempDir::new().expect("a temporary folder");

    let output = Command::new(check)
        .arg(empty.path())
        .output()
        .expect("the check starts");

    assert_eq!(output.status.code(), Some(2), "{}", findings(&output));
}

#[test]
fn the_check_passes_its_own_tests() {
    if CHECK.is_none() {
        return;
    }
    let output = go(["test", "./..."]);
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        findings(&output)
    );
}

/// Breaks the values of one good install and expects exactly this finding.
#[track_caller]
fn assert_finding(chart: &str, spoil: impl FnOnce(&mut Value), finding: &str) {
    let Some(check) = CHECK.as_deref() else {
        return;
    };
    let file = format!("dc-frankfurt.{chart}.json");
    let text =
        fs::read_to_string(source_folder().join("testdata").join(&file)).expect("a good install");
    let mut install: Value = serde_json::from_str(&text).expect("a good install is JSON");
    spoil(&mut install["values"]);
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join(&file), install.to_string())
        .expect("the temporary folder is writable");

    let output = Command::new(check)
        .arg(folder.path())
        .output()
        .expect("the check starts");

    assert_eq!(output.status.code(), Some(1), "{}", findings(&output));
    assert!(
        findings(&output).contains(finding),
        "expected {finding:?} in:\n{}",
        findings(&output)
    );
}

fn findings(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Builds the Go program once for its current sources. Without `go`, tests pass
/// and say that they were skipped.
fn build_check() -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_err() {
        say("SKIPPED tests/charts.rs: there is no `go`, so no chart is rendered or checked\n");
        return None;
    }
    let program = cache_folder()
        .join(format!("charts-{}", hash_of_sources()))
        .join("charts");
    if !program.exists() {
        say(&format!(
            "tests/charts.rs: building {}\n",
            program.display()
        ));
        let output = go([
            OsStr::new("build"),
            OsStr::new("-o"),
            program.as_os_str(),
            OsStr::new("."),
        ]);
        assert!(output.status.success(), "{}", findings(&output));
    }
    // Helm is built here and not by the first test to need it, because several
    // tests start at once.
    let status = Command::new(&program)
        .arg("-prepare")
        .status()
        .expect("the check starts");
    assert!(
        status.success(),
        "helm cannot be built or a chart cannot be downloaded"
    );
    Some(program)
}

fn go<I: IntoIterator<Item = A>, A: AsRef<OsStr>>(arguments: I) -> Output {
    Command::new("go")
        .args(arguments)
        .current_dir(source_folder())
        .output()
        .expect("go starts")
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/charts")
}

/// The folder that the Go program caches in too.
fn cache_folder() -> PathBuf {
    std::env::var_os("XDG_CACHE_HOME")
        .filter(|base| !base.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("XDG_CACHE_HOME or HOME is set")
        .join("hcb")
}

fn hash_of_sources() -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(source_folder())
        .expect("the check's sources are there")
        .map(|entry| entry.expect("the check's sources are readable").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        hash.update(fs::read(file).expect("the check's sources are readable"));
    }
    hash.finalize()[..8]
        .iter()
        .fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes all text");
            text
        })
}

/// Writes past the test harness, which keeps what tests print to itself.
fn say(text: &str) {
    std::io::stderr()
        .write_all(text.as_bytes())
        .expect("standard error is writable");
}
