//! What tests of the whole way share. Not every test uses all of it.
#![allow(dead_code)]

use hcb::compile::{Options, Output, Timings, compile};
use hcb::diag::{Diagnostics, text};
use hcb::manifest::Templates;
use hcb::source::Sources;
use hcb::spec::GitOpsEngine;
use std::path::{Path, PathBuf};

/// The examples of the repository.
pub(crate) const EXAMPLES: [&str; 2] = ["seed", "large"];

/// Both engines with their names in paths.
pub(crate) const ENGINES: [(GitOpsEngine, &str); 2] = [
    (GitOpsEngine::Argocd, "argocd"),
    (GitOpsEngine::Flux, "flux"),
];

/// The folder of an example.
pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("examples")
        .join(name)
}

/// The `.yaml` files below a folder, with their texts, sorted by path.
pub(crate) fn read(folder: &Path) -> Sources {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                paths.push(path);
            }
        }
    }
    paths.sort();
    let mut sources = Sources::default();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("a text");
        sources.add(path, text);
    }
    sources
}

/// Compiles a folder that has nothing wrong with it.
#[track_caller]
pub(crate) fn compile_folder(folder: &Path, engine: GitOpsEngine) -> Output {
    let sources = read(folder);
    let mut diagnostics = Diagnostics::default();
    let output = compile(
        &sources,
        folder,
        &Templates::built_in(),
        Options {
            engine: Some(engine),
        },
        &mut diagnostics,
        &mut Timings::default(),
    );
    let findings = text::render(&diagnostics.sorted(), &sources, false, 100);
    assert!(diagnostics.is_empty(), "{findings}");
    output.expect("an output where there is no finding")
}
