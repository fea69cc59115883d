//! What an installation of 0.1.0 meets when it is upgraded, and when it is rolled back: its specs compile, the
//! tree that it wrote is taken over, and what its reconciler left in the clusters is read and gone on from.
//!
//! `0.1.0/` holds what 0.1.0 reads and writes. README.md says how it was made.

/// What these tests use of hcb, in one place.
mod present {
    pub(crate) use hcb::cli::command;
    pub(crate) use hcb_api::config::ReconcilerConfig;
    pub(crate) use hcb_api::explanation::{DECISION, Explanation};
    pub(crate) use hcb_api::gate::GATE;
    pub(crate) use hcb_api::gate::Gate;
    pub(crate) use hcb_api::labels::{
        CANCELLED_AT as CANCELLED, OBJECT_STORE as ENDPOINT, WORKLOAD,
    };
    pub(crate) use hcb_api::labels::{CONSTRAINTS, TARGET};
    pub(crate) use hcb_api::names::{LEASE, REPORTER};
    pub(crate) use hcb_api::status::{CONFIG_MAP, Handover, KEY, Status};
    pub(crate) use hcb_reconciler::core::facts::{Fact, State};
    pub(crate) use hcb_reconciler::core::record::{Line, Replayed, replay};
    pub(crate) use hcb_reconciler::core::status::status;
    pub(crate) use hcb_reconciler::engine::admiralty::PACING;
    pub(crate) use hcb_reconciler::runtime::metrics::Metrics;
    pub(crate) use hcb_source::diag::{Diagnostics, text};
    pub(crate) use hcb_source::source::Sources;
}

mod configs;
mod names;
mod reader_0_1_0;
mod records;
mod specs;
mod state;
mod submissions;
mod trees;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The specs of 0.1.0, each with the engines that a tree of it was kept for.
const SPECS: [(&str, &str); 5] = [
    ("seed", "argocd"),
    ("seed", "flux"),
    ("large", "argocd"),
    ("every-setting", "flux"),
    ("the-rest", "flux"),
];

/// A file or a folder of 0.1.0.
fn old(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/upgrade/0.1.0")
        .join(path)
}

/// The text of a file of 0.1.0.
#[track_caller]
fn old_text(path: &str) -> String {
    fs::read_to_string(old(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The JSON in a file of 0.1.0.
#[track_caller]
fn old_json(path: &str) -> serde_json::Value {
    serde_json::from_str(&old_text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs the hcb of today, at a date at which no exception of the specs is over.
fn hcb(arguments: &[&str]) -> Output {
    hcb_with(arguments, &[])
}

fn hcb_with(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(arguments)
        .env("HCB_TODAY", "2026-12-01")
        .env("NO_COLOR", "1")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("hcb starts")
}

/// What a run printed.
fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// The path of a folder as an argument.
fn argument(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
