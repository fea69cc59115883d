//! Malformed specs and their findings.
//!
//! Each folder of `tests/cases/` has a whole spec with a mistake and, in `findings.txt`, what hcb
//! prints. Templates in its folder `templates/`, if any, replace those of hcb.
//! `HCB_UPDATE=1 cargo test --test cases` updates the findings; read them before you commit them.
//! Each folder of `tests/valid/` has a spec that must have no findings.

mod common;

use hcb_compile::compile::{Options, Timings, compile};
use hcb_source::diag::{Code, Diagnostics, Severity, codes, text};
use hcb_source::source::Sources;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Compiles a case. Paths are relative to its folder, so that the findings are the same
/// wherever the checkout is.
fn findings(folder: &Path) -> (Diagnostics, Sources) {
    let mut sources = Sources::default();
    for (_, file) in common::read(folder).iter() {
        let path = file
            .path
            .strip_prefix(folder)
            .expect("a path below the folder");
        sources.add_as(file.role, path, file.text.clone());
    }
    let mut diagnostics = Diagnostics::default();
    compile(
        &sources,
        Path::new(""),
        &common::templates(folder),
        Options {
            today: Some(jiff::civil::date(2026, 12, 1)),
            ..Options::default()
        },
        &mut diagnostics,
        &mut Timings::default(),
    );
    (diagnostics, sources)
}

fn folders(name: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name);
    let entries = fs::read_dir(root).expect("a folder of cases");
    let mut folders: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    folders
}

#[test]
fn hcb_prints_the_expected_findings_for_each_malformed_spec() {
    let update = std::env::var_os("HCB_UPDATE").is_some();
    let cases = folders("cases");
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    let mut failures = Vec::new();
    for folder in cases {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let (diagnostics, sources) = findings(&folder);
        let sorted = diagnostics.sorted();
        assert!(!sorted.is_empty(), "{name}: nothing is wrong with this one");
        for diagnostic in &sorted {
            assert!(
                !diagnostic.labels.is_empty(),
                "{name}: a finding without a place"
            );
        }
        let count = |severity| {
            sorted
                .iter()
                .filter(|found| found.severity == severity)
                .count()
        };
        let found = format!(
            "{}errors: {}, warnings: {}\n",
            text::render(&sorted, &sources, false, 100),
            count(Severity::Error),
            count(Severity::Warning)
        );
        let path = folder.join("findings.txt");
        if update {
            fs::write(&path, &found).expect("findings can be written");
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if expected != found {
            let diff = similar::TextDiff::from_lines(&expected, &found);
            failures.push(format!(
                "== {name}\n{}",
                diff.unified_diff().header("expected", "found")
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The codes of findings across clusters.
const OF_LINTS: [Code; 5] = [
    codes::NO_SHARED_ROOT,
    codes::MESH_NETWORK,
    codes::MESH_GATEWAY,
    codes::REMOTE_SECRET,
    codes::VERSION_SKEW,
];

#[test]
fn every_code_that_a_spec_can_cause_has_a_case() {
    let mut seen: BTreeSet<Code> = BTreeSet::new();
    for folder in folders("cases") {
        let (diagnostics, _) = findings(&folder);
        seen.extend(
            diagnostics
                .sorted()
                .iter()
                .map(|diagnostic| diagnostic.code),
        );
    }
    let beyond_a_spec = [
        // Findings about files that cannot be read are tested with the command line.
        codes::UNREADABLE,
        codes::NOT_UTF8,
    ];
    let missing: Vec<_> = codes::ALL
        .iter()
        .filter(|code| {
            (**code < codes::TEMPLATE || OF_LINTS.contains(code))
                && !beyond_a_spec.contains(code)
                && !seen.contains(code)
        })
        .map(|code| format!("{} {}", code.id(), code.title()))
        .collect();
    assert!(missing.is_empty(), "codes without a case: {missing:#?}");
}

#[test]
fn valid_specs_have_no_findings() {
    let valid = folders("valid");
    assert!(valid.len() >= 8, "only {} valid specs", valid.len());
    for folder in valid {
        for (engine, _) in common::ENGINES {
            common::compile_folder(&folder, engine);
        }
    }
}
