//! What the tests of the compiler share. Not every test uses all of it.
#![allow(dead_code)]

use hcb_api::config::ReconcilerConfig;
use hcb_compile::compile::{Options, Output, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_compile::policy::library;
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::{Role, Sources};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A folder of the repository.
pub(crate) fn repository(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(folder)
}

/// The specs of a folder that has one in each folder below it.
pub(crate) fn specs(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(repository(folder)).expect("a folder of specs");
    let folders = entries.map(|entry| entry.expect("an entry").path());
    let specs: Vec<_> = folders
        .filter(|folder| folder.join("cloud.yaml").is_file())
        .collect();
    assert!(!specs.is_empty(), "{folder} has no specs");
    specs
}

/// The texts of a spec.
pub(crate) fn read(folder: &Path) -> Sources {
    let mut sources = Sources::default();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder_below) = folders.pop() {
        for entry in std::fs::read_dir(&folder_below).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "yaml") {
                let text = std::fs::read_to_string(&path).expect("a text");
                if !path.starts_with(folder.join(library::FOLDER)) {
                    sources.add(path, text);
                } else if library::is_part_of_a_policy(&path) {
                    sources.add_as(Role::Policy, path, text);
                }
            }
        }
    }
    sources
}

/// Compiles a spec that has no errors.
pub(crate) fn compiled(sources: &Sources, root: &Path) -> Output {
    let mut diagnostics = Diagnostics::default();
    let output = compile(
        sources,
        root,
        &Templates::built_in(),
        Options::default(),
        &mut diagnostics,
        &mut Timings::default(),
    );
    output.unwrap_or_else(|| panic!("{}", said(&diagnostics, sources)))
}

fn said(diagnostics: &Diagnostics, sources: &Sources) -> String {
    text::render(&diagnostics.sorted(), sources, false, 100)
}

/// The text of the reconciler's configuration.
pub(crate) fn config_text(output: &Output) -> String {
    let mut manifests = output.units.iter().flat_map(|unit| &unit.manifests);
    let config = manifests
        .find_map(|manifest| manifest.value.pointer("/data/config.yaml"))
        .expect("the reconciler's configuration");
    config.as_str().expect("a text").to_owned()
}

/// The reconciler's configuration, as the reconciler reads it.
pub(crate) fn config(text: &str) -> ReconcilerConfig {
    let mut diagnostics = Diagnostics::default();
    let mut sources = Sources::default();
    let file = sources.add("config.yaml", text);
    let config = ReconcilerConfig::read(file, text, &mut diagnostics);
    config.unwrap_or_else(|| panic!("{}", said(&diagnostics, &sources)))
}

/// The template of the pods of a Job or a `CronJob`.
pub(crate) fn pod_template<'a>(output: &'a Output, kind: &str) -> &'a Value {
    let mut manifests = output.units.iter().flat_map(|unit| &unit.manifests);
    let job = manifests
        .find(|manifest| manifest.kind() == kind && manifest.group() == "batch")
        .expect("a job");
    &job.value["spec"]["template"]
}
