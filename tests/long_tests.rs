//! The table of the long tests, `.ci/long-tests.tsv`, names every one of them and paths that are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Why a test that is ignored is no long test.
const NO_LONG_TEST: &str = "run by another test";

struct Row {
    test: String,
    paths: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rows() -> Vec<Row> {
    let table = fs::read_to_string(root().join(".ci/long-tests.tsv")).expect("the table");
    let rows = table.lines().filter(|line| !line.starts_with('#'));
    rows.map(|line| {
        let [test, build, run, built, needs, paths] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("six columns: {line}");
        };
        for minutes in [build, run] {
            minutes.parse::<u32>().expect("minutes");
        }
        let (prefix, count) = built.split_once(':').expect("PREFIX:COUNT");
        assert!(
            !prefix.is_empty() && count.parse::<u32>().is_ok(),
            "{built}"
        );
        assert!(!needs.is_empty(), "`-` where it needs nothing: {line}");
        Row {
            test: test.to_owned(),
            paths: paths.split(' ').map(str::to_owned).collect(),
        }
    })
    .collect()
}

/// The source files of a test target of the testbed.
fn files_below(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).expect("a folder");
    entries
        .flat_map(|entry| files_below(&entry.expect("an entry").path()))
        .collect()
}

/// The test targets of the testbed that hold an ignored test which no other test runs.
fn long_tests() -> BTreeSet<String> {
    let targets = fs::read_dir(root().join("tests/testbed/tests")).expect("the testbed's tests");
    let is_long = |path: &PathBuf| {
        let mut files = files_below(path).into_iter();
        files.any(|file| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let mut lines = text.lines();
            lines.any(|line| {
                line.trim_start().starts_with("#[ignore") && !line.contains(NO_LONG_TEST)
            })
        })
    };
    targets
        .map(|entry| entry.expect("an entry").path())
        .filter(is_long)
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

#[test]
fn every_ignored_test_has_a_row_and_every_row_a_test() {
    let named: BTreeSet<_> = rows().into_iter().map(|row| row.test).collect();
    assert_eq!(named, long_tests());
}

#[test]
fn every_path_of_the_table_exists() {
    for row in rows() {
        for path in &row.paths {
            assert!(root().join(path).exists(), "{}: {path}", row.test);
        }
    }
}

#[test]
fn a_long_test_depends_on_its_own_files_and_on_those_of_the_same_name() {
    for row in rows() {
        let own = [
            format!("tests/testbed/tests/{}", row.test),
            format!("tests/testbed/tests/{}.rs", row.test),
            format!("tests/testbed/src/{}", row.test),
            format!("tests/testbed/src/{}.rs", row.test),
            format!("tests/testbed/{}", row.test),
            format!("docs/{}.md", row.test),
        ];
        // A page of that name is an input only where the test reads it.
        let is_input = |path: &&String| !path.starts_with("docs/") || row.test == "operations";
        for path in own.iter().filter(is_input) {
            if root().join(path).exists() {
                assert!(row.paths.contains(path), "{}: {path} is missing", row.test);
            }
        }
    }
}
