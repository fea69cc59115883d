//! Changes, and what is said of them.
//!
//! Each folder of `tests/diff/` holds a change: `spec.patch`, a patch of an example, or the trees
//! `before/` and `after/`; and `expected.txt`, what `hcb diff` prints. `HCB_UPDATE=1 cargo test --test diff`
//! writes that anew; read it as a reviewer would before it is committed.

mod common;

use common::git;
use hcb_diff::impact::RULES;
use hcb_diff::show::{html, markdown, terminal};
use hcb_diff::{Causes, Report, Side, compare};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn hcb(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hcb"))
        .args(arguments)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .stdin(Stdio::null())
        .output()
        .expect("hcb starts")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a file that can be copied");
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff");
    let mut cases: Vec<_> = fs::read_dir(root)
        .expect("a folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    cases
}

/// Lays both sides of a case out below a folder.
fn lay_out(case: &Path, folder: &Path) {
    let patch = case.join("spec.patch");
    if !patch.exists() {
        copy(&case.join("before"), &folder.join("before"));
        copy(&case.join("after"), &folder.join("after"));
        return;
    }
    let text = fs::read_to_string(&patch).expect("a patch");
    let line = text
        .lines()
        .find(|line| line.starts_with("--- a/examples/"))
        .expect("a patch of an example");
    let example = line["--- a/examples/".len()..]
        .split('/')
        .next()
        .expect("an example");
    copy(&common::example(example), &folder.join("before"));
    copy(&common::example(example), &folder.join("after"));
    let strip = "-p3";
    git(
        &folder.join("after"),
        &["apply", strip, patch.to_str().expect("UTF-8")],
    );
}

#[test]
fn each_case_prints_its_expected_report() {
    let update = std::env::var_os("HCB_UPDATE").is_some();
    let schema = hcb(Path::new("."), &["diff", "--json-schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("a schema");
    let schema = jsonschema::validator_for(&schema).expect("a schema that is one");
    let mut failures = Vec::new();
    let mut told = BTreeSet::new();
    for case in cases() {
        let name = case
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let folder = TempDir::new().expect("a folder");
        lay_out(&case, folder.path());
        let output = hcb(folder.path(), &["diff", "before", "after"]);
        let found = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(
            output.status.code(),
            Some(0),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json = hcb(
            folder.path(),
            &["diff", "before", "after", "--format", "json"],
        );
        let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
        let errors: Vec<_> = schema
            .iter_errors(&json)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        for impact in json["impacts"].as_array().expect("impacts") {
            told.insert(impact["rule"].as_str().expect("a rule").to_owned());
        }
        let path = case.join("expected.txt");
        let expected = fs::read_to_string(&path).unwrap_or_default();
        if found != expected {
            if update {
                fs::write(&path, &found).expect("a file that can be written");
            } else {
                failures.push(format!("{name}:\n{found}\ninstead of\n{expected}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    for rule in RULES {
        // What a server refuses is shown by one: tests/testbed/tests/diff.rs.
        assert!(
            rule.id == "refused" || told.contains(rule.id),
            "no case shows `{}`",
            rule.id
        );
    }
}

#[test]
fn a_tree_compared_with_itself_has_no_difference() {
    for example in common::EXAMPLES {
        for (engine, _) in common::ENGINES {
            let side = side(&common::compile_folder(&common::example(example), engine));
            let report = compare(&side, &side, &Causes::default()).expect("trees that can be read");
            assert!(report.is_empty() && report.level.is_none());
            assert_eq!(report.counts.unchanged_files, side.files.len());
        }
    }
}

fn side(output: &hcb_compile::compile::Output) -> Side {
    let files = output.tree.manifests();
    Side {
        name: "a tree".to_owned(),
        files: files
            .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
            .collect(),
        ..Side::default()
    }
}

/// A repository with the seed example as its spec, and a branch that changes it.
fn repository() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    git(here, &["init", "--quiet", "--initial-branch=main"]);
    copy(&common::example("seed"), &here.join("hybrid"));
    git(here, &["add", "."]);
    git(here, &["commit", "--quiet", "--message=one"]);
    git(here, &["checkout", "--quiet", "-b", "change"]);
    edit(here, "hybrid/cloud.yaml", "perMonth: 200", "perMonth: 300");
    edit(
        here,
        "hybrid/workloads/train-mnist.yaml",
        "keras-mnist:1.0.0",
        "keras-mnist:1.1.0",
    );
    git(here, &["commit", "--quiet", "--all", "--message=two"]);
    // What comes to main meanwhile is no part of the change.
    git(here, &["checkout", "--quiet", "main"]);
    edit(here, "hybrid/cloud.yaml", "after: 1m", "after: 2m");
    git(here, &["commit", "--quiet", "--all", "--message=three"]);
    git(here, &["checkout", "--quiet", "change"]);
    folder
}

fn edit(folder: &Path, file: &str, from: &str, to: &str) {
    let path = folder.join(file);
    let text = fs::read_to_string(&path).expect("a text");
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(path, text.replacen(from, to, 1)).expect("a file that can be written");
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = hcb(folder, &[&["diff", "--format", "json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Rules with the lines of the spec that lead to what they say.
fn told(report: &Value) -> Vec<(String, Vec<String>)> {
    let impacts = report["impacts"].as_array().expect("impacts");
    impacts
        .iter()
        .map(|impact| {
            let causes = impact["causes"].as_array().expect("causes");
            let lines = causes.iter().map(|cause| {
                let place = &cause["place"];
                format!(
                    "{}:{}",
                    place["file"].as_str().expect("a file"),
                    place["line"]
                )
            });
            (
                impact["rule"].as_str().expect("a rule").to_owned(),
                lines.collect(),
            )
        })
        .collect()
}

#[test]
fn two_revisions_are_compared_without_the_work_tree() {
    let folder = repository();
    let here = folder.path();
    // What is not committed stays as it is, and is not looked at.
    edit(here, "hybrid/cloud.yaml", "kubernetes:", "kubernetes: [");
    let dirty = fs::read(here.join("hybrid/cloud.yaml")).ok();
    let report = json(here, &["--git=main"]);
    assert_eq!(dirty, fs::read(here.join("hybrid/cloud.yaml")).ok());
    let line = |file: &str, line: usize| vec![format!("{file}:{line}")];
    assert_eq!(
        told(&report),
        [
            (
                "job-replaced".to_owned(),
                line("workloads/train-mnist.yaml", 8)
            ),
            ("budget".to_owned(), line("cloud.yaml", 69)),
            ("monthly-cost".to_owned(), line("cloud.yaml", 69)),
            (
                "image-changed".to_owned(),
                line("workloads/train-mnist.yaml", 8)
            ),
        ]
    );
    assert!(
        report["before"]
            .as_str()
            .is_some_and(|name| name.contains("where it left main"))
    );
    // Without the merge base, what main has since then is taken back.
    let report = json(here, &["--git=main..change"]);
    assert!(
        told(&report).iter().any(|(rule, _)| rule == "gates"),
        "{report}"
    );
    // The main branch is found by its name.
    assert_eq!(told(&json(here, &["--git"])).len(), 4);
}

#[test]
fn uncommitted_changes_are_compared_with_the_worktree_option() {
    let folder = repository();
    let here = folder.path();
    edit(here, "hybrid/cloud.yaml", "perHour: 1.92", "perHour: 9");
    assert_eq!(told(&json(here, &["--git"])).len(), 4);
    let with = told(&json(here, &["--git", "--worktree"]));
    assert_eq!(
        with.iter().filter(|(rule, _)| rule == "budget").count(),
        2,
        "{with:?}"
    );
}

#[test]
fn a_missing_revision_is_an_error_that_says_what_to_do() {
    let folder = repository();
    for (range, expected) in [
        ("--git=nowhere", "there is no revision `nowhere`"),
        ("--git=--output=x", "there is no revision `--output=x`"),
    ] {
        let output = hcb(folder.path(), &["diff", range]);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("HCB802") && text.contains(expected), "{text}");
    }
    let elsewhere = TempDir::new().expect("a folder");
    let clone = elsewhere.path().join("clone");
    let origin = format!("file://{}", folder.path().display());
    git(
        elsewhere.path(),
        &[
            "clone",
            "--quiet",
            "--depth=1",
            "--branch=change",
            &origin,
            "clone",
        ],
    );
    let output = hcb(&clone, &["diff", "--git=origin/main"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && text.contains("whole history"),
        "{text}"
    );
}

#[test]
fn a_new_spec_is_reported_as_entirely_new() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    git(here, &["init", "--quiet", "--initial-branch=main"]);
    git(
        here,
        &["commit", "--quiet", "--allow-empty", "--message=one"],
    );
    git(here, &["checkout", "--quiet", "-b", "change"]);
    copy(&common::example("seed"), &here.join("hybrid"));
    git(here, &["add", "."]);
    git(here, &["commit", "--quiet", "--message=two"]);
    let output = hcb(here, &["diff", "--git", "--summary"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("everything is new"));
    assert!(String::from_utf8_lossy(&output.stdout).contains("added"));
}

#[test]
fn a_side_that_does_not_compile_reports_its_findings_with_their_places() {
    let folder = repository();
    let here = folder.path();
    edit(here, "hybrid/cloud.yaml", "tier: public", "tier: pubic");
    git(here, &["commit", "--quiet", "--all", "--message=four"]);
    let output = hcb(here, &["diff", "--git"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("hybrid/cloud.yaml:") && text.contains("pubic"),
        "{text}"
    );
    // A side of which the work tree may know nothing is told with its revision.
    let output = hcb(here, &["diff", "--git=HEAD..HEAD~1"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("HEAD at ") && text.contains(":hybrid/cloud.yaml:"),
        "{text}"
    );
}

#[test]
fn the_committed_tree_is_compared_with_the_spec() {
    let folder = repository();
    let here = folder.path();
    assert_eq!(hcb(here, &["compile"]).status.code(), Some(0));
    let output = hcb(here, &["diff"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("no object differs"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hcb diff --git"));
    edit(here, "hybrid/cloud.yaml", "perMonth: 300", "perMonth: 400");
    // The lines are those since the last commit, of which the tree is.
    let line = vec!["cloud.yaml:69".to_owned()];
    assert_eq!(
        told(&json(here, &[])),
        [
            ("budget".to_owned(), line.clone()),
            ("monthly-cost".to_owned(), line)
        ]
    );
}

#[test]
fn files_of_others_beside_the_tree_are_ignored() {
    let folder = repository();
    let here = folder.path();
    assert_eq!(hcb(here, &["compile"]).status.code(), Some(0));
    let tree = here.join("generated/seed/argocd");
    fs::write(
        tree.join("kustomization.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: of-others}\n",
    )
    .expect("a file");
    let output = hcb(here, &["diff"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("no object differs"), "{text}");
}

#[test]
fn the_exit_code_follows_the_level_of_fail_on() {
    let folder = repository();
    let here = folder.path();
    for (level, code) in [("danger", 0), ("caution", 1), ("note", 1)] {
        let output = hcb(here, &["diff", "--git", "--fail-on", level]);
        assert_eq!(output.status.code(), Some(code), "{level}");
    }
    let same = hcb(here, &["diff", "--git=HEAD..HEAD", "--fail-on", "note"]);
    assert_eq!(same.status.code(), Some(0));
}

#[test]
fn reports_point_at_the_lines_of_the_spec() {
    let folder = repository();
    let here = folder.path();
    let output = hcb(
        here,
        &[
            "diff",
            "--git",
            "--summary",
            "--report",
            "github=annotations.txt",
            "--report",
            "sarif=diff.sarif",
        ],
    );
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = fs::read_to_string(here.join("annotations.txt")).expect("annotations");
    let line = text
        .lines()
        .find(|line| line.contains("replaced"))
        .expect("an annotation");
    assert!(
        line.starts_with("::warning ")
            && line.contains("file=hybrid/workloads/train-mnist.yaml,line=8"),
        "{text}"
    );
    let sarif: Value =
        serde_json::from_slice(&fs::read(here.join("diff.sarif")).expect("SARIF")).expect("JSON");
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert!(
        results
            .iter()
            .any(|result| result["ruleId"] == "diff/budget"),
        "{sarif}"
    );
}

/// Two trees of which many objects differ in many ways.
fn many(count: usize) -> Report {
    let tree = |value: usize| {
        let file = |index: usize| {
            let path = format!("clusters/c{}/web/ns/configmap-{index}.yaml", index % 5);
            let line = |line: usize| {
                format!(
                    "    line {line} of {}",
                    if line == 7 { index * value } else { line }
                )
            };
            let data: Vec<_> = (0..20).map(line).collect();
            let data = data.join("\n");
            let text = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m{index}\n  namespace: ns\ndata:\n  text: |\n{data}"
            );
            (path, text.into_bytes())
        };
        Side {
            name: format!("tree {value}"),
            files: (1..=count).map(file).collect(),
            ..Side::default()
        }
    };
    compare(&tree(1), &tree(2), &Causes::default()).expect("trees that can be read")
}

#[test]
fn markdown_stays_within_its_budget_and_never_hides_that_something_differs() {
    for count in [1, 40, 700] {
        let report = many(count);
        for budget in [120, 500, 2000, 20_000, markdown::BUDGET] {
            let text = markdown::render(&report, budget);
            let length = text.chars().count();
            assert!(
                length <= budget,
                "{count} objects: {length} of {budget} characters"
            );
            assert!(text.starts_with(markdown::MARKER));
            assert!(text.contains(&format!("{count} changed")), "{text}");
            assert!(!text.contains("no object differs"));
        }
    }
    // What does not fit is said.
    let text = markdown::render(&many(700), markdown::BUDGET);
    assert!(text.contains("changes do not fit into this comment"));
    let whole = markdown::render(&many(3), markdown::BUDGET);
    assert!(
        whole.contains("-   line 7 of 1\n") && whole.contains("+   line 7 of 2\n"),
        "{whole}"
    );
    assert!(!whole.contains("fit"), "{whole}");
}

#[test]
fn values_are_escaped_in_every_format() {
    let tree = |value: &str| {
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" },
            "data": { "a": value, "b": format!("{value}\n{value}\n```\n") },
        });
        Side {
            name: "<b>`x`</b> @everyone".to_owned(),
            files: [("a.yaml".to_owned(), object.to_string().into_bytes())].into(),
            ..Side::default()
        }
    };
    let hostile = "</details><script>alert(1)</script> ``` @everyone [x](javascript:x)";
    let report = compare(&tree("fine"), &tree(hostile), &Causes::default()).expect("trees");
    let page = html::render(&report);
    assert!(
        !page.contains("<script") && !page.contains("</b>"),
        "{page}"
    );
    let comment = markdown::render(&report, markdown::BUDGET);
    // Outside of code there is neither markup nor a mention, and nothing in a fence closes it.
    let fence = comment
        .lines()
        .find(|line| line.ends_with("diff") && line.contains("````"))
        .expect("a long fence");
    let fence = fence.trim().trim_end_matches("diff");
    assert_eq!(
        comment.lines().filter(|line| line.trim() == fence).count(),
        1,
        "{comment}"
    );
    let outside: String = comment.split(fence).step_by(2).collect();
    let outside = outside.replace("`` <b>`x`</b> @everyone ``", "");
    assert!(
        !outside.contains("<script") && !outside.contains("<b>") && !outside.contains('@'),
        "{outside}"
    );
}

#[test]
fn the_html_page_loads_nothing_from_elsewhere() {
    let page = html::render(&many(20));
    for elsewhere in ["<script", "http://", "https://", "url(", "@import", "src="] {
        let rest = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!rest.contains(elsewhere), "the page has {elsewhere}");
    }
    for needed in [
        "<html lang=\"en\">",
        "<title>",
        "prefers-color-scheme: dark",
        "<h1>",
        "<main>",
    ] {
        assert!(page.contains(needed), "the page has no {needed}");
    }
}

/// The page in a real browser: it is shown without an error, and its picture is drawn.
#[test]
fn a_browser_renders_the_html_page() {
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            Command::new(name)
                .arg("--version")
                .output()
                .is_ok_and(|output| output.status.success())
        });
    let Some(browser) = browser else {
        let _ = std::io::stderr().write_all(
            b"SKIPPED: a_browser_renders_the_html_page needs chromium, which is not installed\n",
        );
        return;
    };
    let folder = TempDir::new().expect("a folder");
    lay_out(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff/cluster-removed"),
        folder.path(),
    );
    let output = hcb(
        folder.path(),
        &["diff", "before", "after", "--html", "page.html"],
    );
    assert_eq!(output.status.code(), Some(0));
    let page = format!("file://{}", folder.path().join("page.html").display());
    let profile = format!(
        "--user-data-dir={}",
        folder.path().join("profile").display()
    );
    let picture = folder.path().join("page.png");
    let run = |arguments: &[&str]| {
        Command::new(browser)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--window-size=1280,900",
                &profile,
            ])
            .args(arguments)
            .arg(&page)
            .stdin(Stdio::null())
            .output()
            .expect("the browser starts")
    };
    let dom = run(&["--dump-dom", "--enable-logging=stderr"]);
    let text = String::from_utf8_lossy(&dom.stdout).into_owned();
    assert!(
        text.contains("hetzner-helsinki") && text.contains("</svg>"),
        "{text}"
    );
    let complaints = String::from_utf8_lossy(&dom.stderr).into_owned();
    assert!(!complaints.contains("CONSOLE"), "{complaints}");
    run(&[&format!("--screenshot={}", picture.display())]);
    let bytes = fs::read(&picture).expect("a picture");
    assert!(
        bytes.starts_with(b"\x89PNG") && bytes.len() > 20_000,
        "a picture of {} bytes",
        bytes.len()
    );
}

#[test]
fn a_file_that_is_no_manifest_is_an_error_with_its_place() {
    let folder = TempDir::new().expect("a folder");
    for (side, text) in [("before", "a: 1\n"), ("after", "kind: [\n")] {
        fs::create_dir(folder.path().join(side)).expect("a folder");
        fs::write(folder.path().join(side).join("x.yaml"), text).expect("a file");
    }
    let output = hcb(folder.path(), &["diff", "before", "after"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("after: x.yaml:"), "{text}");
    assert!(output.stdout.is_empty());
}

#[test]
fn the_published_schema_is_that_of_the_report() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/diff-report.json");
    let schema = format!("{:#}\n", Report::schema());
    if std::env::var_os("HCB_UPDATE").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, &schema).expect("a file that can be written");
    }
    let published = fs::read_to_string(&path).expect("a schema");
    assert_eq!(
        published, schema,
        "HCB_UPDATE=1 cargo test --test diff writes it anew"
    );
}

#[test]
fn the_documentation_lists_every_rule() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/diff.md"))
        .expect("a page");
    for rule in RULES {
        let row = format!("| `{}` | {} |", rule.id, rule.about);
        assert!(page.contains(&row), "docs/diff.md has no row {row}");
    }
}

#[test]
fn values_of_secrets_are_never_shown() {
    let tree = |value: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nimmutable: true\ndata: {{token: {value}}}\nstringData: {{other: {value}}}\n"
        );
        Side {
            files: [("a.yaml".to_owned(), text.into_bytes())].into(),
            ..Side::default()
        }
    };
    let report = compare(
        &tree("b2xkdmFsdWU="),
        &tree("bmV3dmFsdWU="),
        &Causes::default(),
    )
    .expect("trees");
    assert_eq!(report.changes.len(), 1);
    let terminal = terminal::Terminal {
        colour: false,
        width: 200,
        changes: true,
    };
    for text in [
        terminal::render(&report, terminal),
        markdown::render(&report, markdown::BUDGET),
        html::render(&report),
        serde_json::to_string(&report).expect("JSON"),
    ] {
        assert!(
            text.contains("data.token") && text.contains("hidden"),
            "{text}"
        );
        assert!(!text.contains("b2xk") && !text.contains("bmV3"), "{text}");
    }
}

#[test]
fn a_wide_terminal_shows_long_values_side_by_side() {
    let report = many(1);
    let wide = terminal::Terminal {
        colour: false,
        width: 150,
        changes: true,
    };
    let text = terminal::render(&report, wide);
    let row = text
        .lines()
        .find(|line| line.contains("line 7 of 1"))
        .expect("a row");
    assert!(row.contains("│ + line 7 of 2"), "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 150),
        "{text}"
    );
    let narrow = terminal::render(&report, terminal::Terminal { width: 100, ..wide });
    assert!(
        !narrow.contains('│') && narrow.contains("- line 7 of 1\n"),
        "{narrow}"
    );
}
