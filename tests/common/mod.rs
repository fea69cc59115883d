//! What tests of the whole way share. Not every test uses all of it.
#![allow(dead_code)]

pub(crate) mod cel;

use hcb_compile::compile::{Options, Output, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_compile::policy::library;
use hcb_source::diag::{Diagnostics, text};
use hcb_source::source::{Role, Sources};
use hcb_spec::spec::GitOpsEngine;
use std::collections::BTreeMap;
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

/// The folder of a case with templates of its own.
const TEMPLATES: &str = "templates";

/// The `.yaml` files below a folder, with their texts, sorted by path. Below `policies/` are policies,
/// with their tests, and below `templates/` templates, which are no part of a spec.
pub(crate) fn read(folder: &Path) -> Sources {
    let mut paths = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder that can be read") {
            let path = entry.expect("an entry that can be read").path();
            if path.is_dir() {
                if !path.ends_with(TEMPLATES) {
                    folders.push(path);
                }
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
        let is_policy = path.starts_with(folder.join(library::FOLDER));
        if !is_policy {
            sources.add(path, text);
        } else if library::is_part_of_a_policy(&path) {
            sources.add_as(Role::Policy, path, text);
        }
    }
    sources
}

/// The templates with those of the folder `templates/` of a case in their places.
pub(crate) fn templates(folder: &Path) -> Templates {
    let root = folder.join(TEMPLATES);
    let mut overrides = BTreeMap::new();
    for (path, text) in Templates::sources() {
        if let Ok(own) = std::fs::read_to_string(root.join(&path)) {
            assert_ne!(own, text, "{path} is as the built-in one");
            overrides.insert(path, own);
        }
    }
    Templates::new(overrides)
        .unwrap_or_else(|problems| panic!("templates of {}: {problems:?}", folder.display()))
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
            today: None,
            engine: Some(engine),
        },
        &mut diagnostics,
        &mut Timings::default(),
    );
    let findings = text::render(&diagnostics.sorted(), &sources, false, 100);
    assert!(diagnostics.is_empty(), "{findings}");
    output.expect("an output where there is no finding")
}

/// Runs git in a folder, as somebody.
#[track_caller]
pub(crate) fn git(folder: &Path, arguments: &[&str]) {
    let output = std::process::Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git starts");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
