//! The other tools: how they are built, and which they are.

use crate::fleet::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tool, built from the modules and crates that are pinned here.
pub(crate) fn tool(name: &str) -> PathBuf {
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
    let (folder, package) = match name {
        "helm" => (name, "helm.sh/helm/v4/cmd/helm"),
        "kustomize" => (name, "sigs.k8s.io/kustomize/kustomize/v5"),
        "ytt" => (name, "carvel.dev/ytt/cmd/ytt"),
        "jsonnet" => (name, "github.com/google/go-jsonnet/cmd/jsonnet"),
        "cue" => (name, "cuelang.org/go/cmd/cue"),
        "kubeconform" => (name, "github.com/yannh/kubeconform/cmd/kubeconform"),
        "kyverno" => (
            "policies",
            "github.com/kyverno/kyverno/cmd/cli/kubectl-kyverno",
        ),
        other => unreachable!("{other}"),
    };
    run(Command::new("go")
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(package)
        .current_dir(root.join("benches/peers").join(folder)));
    program
}

/// The version of a tool as its module or crate says it.
pub(crate) fn version(peer: &str) -> String {
    let (folder, module) = match peer {
        "helm template" => ("helm", "helm.sh/helm/v4"),
        "kustomize build" => ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
        "ytt" => ("ytt", "carvel.dev/ytt"),
        "jsonnet (Go)" => ("jsonnet", "github.com/google/go-jsonnet"),
        "cue export" => ("cue", "cuelang.org/go"),
        "kubeconform" => ("kubeconform", "github.com/yannh/kubeconform"),
        "kyverno" => ("policies", "github.com/kyverno/kyverno"),
        _ => return "0.5.0-pre98".to_owned(),
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/peers")
        .join(folder)
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
