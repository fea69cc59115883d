//! Specs of 0.1.0.

use super::present::{CONSTRAINTS, WORKLOAD};
use super::{SPECS, argument, hcb, old, said};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

#[test]
fn every_spec_of_0_1_0_compiles() {
    for (spec, engine) in SPECS {
        let out = TempDir::new().expect("a folder");
        let folder = old(&format!("specs/{spec}"));
        let output = hcb(&[
            "compile",
            argument(&folder),
            "--engine",
            engine,
            "--out",
            argument(out.path()),
        ]);
        assert_eq!(output.status.code(), Some(0), "{spec}: {}", said(&output));
    }
}

/// What is in a folder; nothing where there is none.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

/// The annotations of jobs that say where their pods may run, of a tree compiled with more arguments, by the
/// workload that they are of.
fn restrictions(spec: &str, more: &[&str]) -> BTreeMap<String, String> {
    let out = TempDir::new().expect("a folder");
    let folder = old(&format!("specs/{spec}"));
    let arguments = [
        &["compile", argument(&folder), "--out", argument(out.path())],
        more,
    ];
    let output = hcb(&arguments.concat());
    assert_eq!(output.status.code(), Some(0), "{spec}: {}", said(&output));
    let mut found = BTreeMap::new();
    for cluster in entries(&out.path().join("clusters")) {
        let namespaces = entries(&cluster.join("workloads"));
        for file in namespaces.iter().flat_map(|namespace| entries(namespace)) {
            let text = fs::read_to_string(file).expect("a manifest");
            for job in serde_saphyr::from_multiple::<Value>(&text).expect("YAML") {
                let template = job
                    .pointer("/spec/jobTemplate/spec/template")
                    .or_else(|| job.pointer("/spec/template"));
                let metadata = template.map(|template| &template["metadata"]);
                let Some(metadata) = metadata else { continue };
                let restriction = metadata["annotations"][CONSTRAINTS].as_str();
                let workload = metadata["labels"][WORKLOAD].as_str();
                let workload = workload.expect("the workload's name").to_owned();
                found.insert(workload, restriction.unwrap_or_default().to_owned());
            }
        }
    }
    found
}

#[test]
fn a_users_copy_of_the_job_template_of_0_1_0_still_keeps_jobs_where_they_may_run() {
    let templates = old("templates");
    let own = restrictions("large", &["--templates", argument(&templates)]);
    assert!(own.values().any(|text| !text.is_empty()), "{own:#?}");
    assert_eq!(own, restrictions("large", &[]));
}
