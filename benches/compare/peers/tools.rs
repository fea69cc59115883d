//! The other tools: which they are, how they are built and run.

use crate::fleet::{cluster, run};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A tool in Go, pinned by a module of its own.
struct Tool {
    name: &'static str,
    /// The folder of the module below `benches/peers`.
    folder: &'static str,
    /// The module that says its version.
    module: &'static str,
    /// Its program in that module.
    program: &'static str,
}

const fn tool_of(
    name: &'static str,
    folder: &'static str,
    module: &'static str,
    program: &'static str,
) -> Tool {
    Tool {
        name,
        folder,
        module,
        program,
    }
}

const TOOLS: [Tool; 7] = [
    tool_of("helm template", "helm", "helm.sh/helm/v4", "/cmd/helm"),
    tool_of(
        "kustomize build",
        "kustomize",
        "sigs.k8s.io/kustomize/kustomize/v5",
        "",
    ),
    tool_of("ytt", "ytt", "carvel.dev/ytt", "/cmd/ytt"),
    tool_of(
        "jsonnet (Go)",
        "jsonnet",
        "github.com/google/go-jsonnet",
        "/cmd/jsonnet",
    ),
    tool_of("cue export", "cue", "cuelang.org/go", "/cmd/cue"),
    tool_of(
        "kubeconform",
        "kubeconform",
        "github.com/yannh/kubeconform",
        "/cmd/kubeconform",
    ),
    tool_of(
        "kyverno apply",
        "policies",
        "github.com/kyverno/kyverno",
        "/cmd/cli/kubectl-kyverno",
    ),
];

/// The one that is a crate.
const JRSONNET: (&str, &str) = ("jrsonnet (Rust)", "0.5.0-pre98");

fn known(name: &str) -> &'static Tool {
    let mut tools = TOOLS.iter();
    tools
        .find(|tool| tool.name == name)
        .unwrap_or_else(|| panic!("no tool `{name}`"))
}

/// The program of a tool, built from the modules and crates that are pinned here.
pub(crate) fn tool(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bin = root.join("target/peers/bin");
    let program = bin.join(name.split(' ').next().unwrap_or(name));
    if program.exists() {
        return program;
    }
    fs::create_dir_all(&bin).expect("a folder");
    if name == JRSONNET.0 {
        run(Command::new("cargo")
            .args(["install", "--locked", "jrsonnet", "--version", JRSONNET.1])
            .arg("--root")
            .arg(root.join("target/peers")));
        return program;
    }
    let tool = known(name);
    run(Command::new("go")
        .args(["build", "-ldflags=-s -w", "-o"])
        .arg(&program)
        .arg(format!("{}{}", tool.module, tool.program))
        .current_dir(root.join("benches/peers").join(tool.folder)));
    program
}

/// The version of a tool as its module or crate says it.
pub(crate) fn version(name: &str) -> String {
    if name == JRSONNET.0 {
        return JRSONNET.1.to_owned();
    }
    let tool = known(name);
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("benches/peers")
        .join(tool.folder)
        .join("go.mod");
    let text = fs::read_to_string(path).expect("a go.mod");
    let mut lines = text.lines().filter_map(|line| {
        line.trim()
            .trim_start_matches("require ")
            .strip_prefix(tool.module)
    });
    lines
        .find_map(|rest| rest.split_whitespace().next())
        .unwrap_or("?")
        .to_owned()
}

/// Runs a command for each cluster, as many at a time as there are cores.
pub(crate) fn for_each_cluster(folder: &Path, clusters: usize, script: &str) -> Duration {
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
