//! The scripts of `ci/` and the files that call them, as pull requests run them.
//!
//! The APIs of GitHub and GitLab cannot run here: what `ci/comment.sh` sends is recorded on loopback and
//! compared with what their documentation asks for. Everything else is run for real.

mod common;

use common::git;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::{Receiver, channel};
use tempfile::TempDir;

const TOKEN: &str = "secret-token";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn has(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A request as the server received it.
#[derive(Debug)]
struct Request {
    line: String,
    headers: Vec<String>,
    body: Value,
}

/// Records requests and answers them, one connection after another.
fn recorder(answer: impl Fn(&str) -> Value + Send + 'static) -> (String, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            let mut headers = Vec::new();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).expect("a header");
                if header.trim().is_empty() {
                    break;
                }
                headers.push(header.trim().to_owned());
            }
            let length = headers.iter().find_map(|header| {
                header
                    .to_lowercase()
                    .strip_prefix("content-length: ")
                    .and_then(|length| length.parse().ok())
            });
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).expect("a body");
            let text = answer(line.trim()).to_string();
            let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
            let request = Request {
                line: line.trim().to_owned(),
                headers,
                body,
            };
            // Before it is answered, since the client may look as soon as it has the answer.
            if sender.send(request).is_err() {
                return;
            }
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    (address, receiver)
}

fn comment(platform: &str, address: &str, file: &Path) -> Output {
    Command::new("bash")
        .arg(root().join("ci/comment.sh"))
        .arg(platform)
        .arg(file)
        .env("GITHUB_API_URL", address)
        .env("GITHUB_REPOSITORY", "acme/cloud")
        .env("GITHUB_TOKEN", TOKEN)
        .env("HCB_PULL_REQUEST", "7")
        .env("CI_API_V4_URL", address)
        .env("CI_PROJECT_ID", "42")
        .env("CI_MERGE_REQUEST_IID", "7")
        .env("HCB_GITLAB_TOKEN", TOKEN)
        .env("no_proxy", "127.0.0.1")
        .output()
        .expect("bash starts")
}

#[test]
fn a_comment_is_created_once_and_then_updated() {
    if !(has("curl") && has("jq")) {
        say("SKIPPED: a_comment_is_created_once_and_then_updated needs curl and jq");
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("comment.md");
    let text = "<!-- hcb diff -->\n### \"quoted\" $HOME `x` \\ ü\n";
    fs::write(&file, text).expect("a file");
    let full_page: Vec<_> = (0..100)
        .map(|id| json!({ "id": id, "body": "talk" }))
        .collect();
    let own =
        json!([{ "id": 500, "body": "talk" }, { "id": 501, "body": "<!-- hcb diff -->\nold" }]);
    let github = [
        "GET /repos/acme/cloud/issues/7/comments?per_page=100&page=",
        "POST /repos/acme/cloud/issues/7/comments",
        "PATCH /repos/acme/cloud/issues/comments/501",
    ];
    let gitlab = [
        "GET /projects/42/merge_requests/7/notes?per_page=100&page=",
        "POST /projects/42/merge_requests/7/notes",
        "PUT /projects/42/merge_requests/7/notes/501",
    ];
    for (platform, [list, make, change], header) in [
        ("github", github, format!("authorization: bearer {TOKEN}")),
        ("gitlab", gitlab, format!("private-token: {TOKEN}")),
    ] {
        for (pages, expected) in [
            (vec![json!([])], make),
            (vec![json!(full_page), json!([])], make),
            (vec![json!(full_page), own.clone()], change),
        ] {
            let count = pages.len();
            let (address, requests) = recorder(move |line| {
                let page = line
                    .split("page=")
                    .last()
                    .and_then(|rest| rest.split(' ').next()?.parse().ok());
                page.and_then(|page: usize| pages.get(page - 1).cloned())
                    .unwrap_or_else(|| json!({ "id": 1 }))
            });
            let output = comment(platform, &address, &file);
            assert!(
                output.status.success(),
                "{platform}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            let requests: Vec<_> = requests.try_iter().collect();
            let lines: Vec<_> = requests
                .iter()
                .map(|request| request.line.trim_end_matches(" HTTP/1.1"))
                .collect();
            let mut wanted: Vec<_> = (1..=count).map(|page| format!("{list}{page}")).collect();
            wanted.push(expected.to_owned());
            assert_eq!(lines, wanted);
            for request in &requests {
                assert!(
                    request
                        .headers
                        .iter()
                        .any(|found| found.to_lowercase() == header),
                    "{request:?}"
                );
            }
            assert_eq!(
                requests.last().expect("a request").body,
                json!({ "body": text })
            );
        }
    }
}

#[test]
fn the_comment_script_fails_when_the_platform_refuses_the_request() {
    if !(has("curl") && has("jq")) {
        say(
            "SKIPPED: the_comment_script_fails_when_the_platform_refuses_the_request needs curl and jq",
        );
        return;
    }
    // Nothing listens on this port.
    let output = comment("github", "http://127.0.0.1:1", &root().join("README.md"));
    assert!(!output.status.success());
}

/// A checkout with the seed example, its tree, and a branch that makes its budget larger.
fn checkout(folder: &Path) {
    git(folder, &["init", "--quiet", "--initial-branch=main"]);
    fs::create_dir_all(folder.join("hybrid/workloads")).expect("a folder");
    for file in ["cloud.yaml", "workloads/train-mnist.yaml"] {
        fs::copy(
            common::example("seed").join(file),
            folder.join("hybrid").join(file),
        )
        .expect("a copy");
    }
    compile(folder);
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message=one"]);
    git(folder, &["checkout", "--quiet", "-b", "change"]);
    let spec = folder.join("hybrid/cloud.yaml");
    let text = fs::read_to_string(&spec).expect("a spec");
    fs::write(&spec, text.replace("perMonth: 200", "perMonth: 300")).expect("a file");
    git(folder, &["commit", "--quiet", "--all", "--message=two"]);
}

fn compile(folder: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_hcb"))
        .arg("compile")
        .current_dir(folder)
        .output();
    assert!(output.expect("hcb starts").status.success());
}

/// The search path with the binary under test first.
fn path() -> std::ffi::OsString {
    let hcb = PathBuf::from(env!("CARGO_BIN_EXE_hcb"));
    let first = hcb.parent().expect("a folder").to_owned();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first).chain(std::env::split_paths(&rest)))
        .expect("a path")
}

fn check(folder: &Path, variables: &[(&str, &str)]) -> Output {
    Command::new("bash")
        .arg(root().join("ci/pull-request.sh"))
        .current_dir(folder)
        .env("PATH", path())
        .envs(variables.iter().copied())
        .output()
        .expect("bash starts")
}

#[test]
fn the_script_checks_the_spec_the_tree_and_the_change_of_a_pull_request() {
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    checkout(here);
    // The tree was not compiled: the script reports that, and still runs the other steps.
    let output = check(here, &[("HCB_REPORT", "github"), ("HCB_BASE", "main")]);
    let (told, said) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("HCB602"), "{said}");
    assert!(
        told.contains("::warning") && told.contains("file=hybrid/cloud.yaml,line=69"),
        "{told}"
    );
    let comment = fs::read_to_string(here.join("hcb-reports/comment.md")).expect("a comment");
    assert!(
        comment.starts_with("<!-- hcb diff -->") && comment.contains("raised from 200 to 300 EUR"),
        "{comment}"
    );
    for file in ["diff.html", "diff.sarif", "validate.sarif"] {
        assert!(here.join("hcb-reports").join(file).exists(), "{file}");
    }
    compile(here);
    assert_eq!(check(here, &[("HCB_BASE", "main")]).status.code(), Some(0));
    let strict = check(here, &[("HCB_BASE", "main"), ("HCB_FAIL_ON", "caution")]);
    assert_eq!(strict.status.code(), Some(1));
    let gitlab = check(here, &[("HCB_REPORT", "gitlab"), ("HCB_OUT", "out")]);
    assert_eq!(
        gitlab.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&gitlab.stderr)
    );
    let quality: Value =
        serde_json::from_slice(&fs::read(here.join("out/diff.gitlab")).expect("a report"))
            .expect("JSON");
    assert_eq!(quality[0]["location"]["path"], "hybrid/cloud.yaml");
}

/// The steps of the action in their order, as the runner runs them.
#[test]
fn each_step_of_the_github_action_runs() {
    if !(has("curl") && has("jq")) {
        say("SKIPPED: each_step_of_the_github_action_runs needs curl and jq");
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let here = folder.path();
    checkout(here);
    compile(here);
    let text = fs::read_to_string(root().join("action.yml")).expect("the action");
    let action: Value = serde_saphyr::from_str(&text).expect("YAML");
    let (address, requests) = recorder(|line| {
        if line.starts_with("GET") {
            json!([])
        } else {
            json!({ "id": 1 })
        }
    });
    let file = |name: &str| here.join(name).display().to_string();
    let known = [
        ("github.action_path", root().display().to_string()),
        ("inputs.spec", "hybrid".to_owned()),
        ("inputs.tree", String::new()),
        ("inputs.fail-on", "caution".to_owned()),
        (
            "github.base_ref && format('origin/{0}', github.base_ref) || ''",
            "main".to_owned(),
        ),
        ("runner.temp", here.display().to_string()),
        ("inputs.token", TOKEN.to_owned()),
        ("github.event.pull_request.number", "7".to_owned()),
        ("steps.check.outputs.reports", file("hcb-reports")),
    ];
    let mut codes = Vec::new();
    for step in action["runs"]["steps"].as_array().expect("steps") {
        assert_eq!(step["shell"], "bash");
        let outputs = fs::read_to_string(here.join("output")).unwrap_or_default();
        let code = outputs
            .lines()
            .find_map(|line| line.strip_prefix("code="))
            .unwrap_or_default()
            .to_owned();
        let mut command = Command::new("bash");
        command.args([
            "-eo",
            "pipefail",
            "-c",
            step["run"].as_str().expect("a script"),
        ]);
        command
            .current_dir(here)
            .env("PATH", path())
            .env("no_proxy", "127.0.0.1");
        for (name, value) in [
            ("GITHUB_OUTPUT", "output"),
            ("GITHUB_PATH", "path"),
            ("GITHUB_STEP_SUMMARY", "summary"),
        ] {
            command.env(name, file(value));
        }
        command
            .env("GITHUB_API_URL", &address)
            .env("GITHUB_REPOSITORY", "acme/cloud")
            .env("RUNNER_TEMP", here);
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let mut value = value
                .as_str()
                .expect("a text")
                .replace("${{ steps.check.outputs.code }}", &code);
            for (expression, known) in &known {
                value = value.replace(&format!("${{{{ {expression} }}}}"), known);
            }
            assert!(!value.contains("${{"), "{name} is {value}");
            command.env(name, value);
        }
        // No value of a pull request is ever interpolated into a script.
        assert!(!step["run"].as_str().expect("a script").contains("${{"));
        codes.push(command.output().expect("bash starts").status.code());
    }
    assert_eq!(
        codes,
        [Some(0), Some(0), Some(0), Some(1)],
        "install, check, comment, result"
    );
    let requests: Vec<_> = requests.try_iter().collect();
    let body = requests.last().expect("requests").body["body"]
        .as_str()
        .expect("a body")
        .to_owned();
    assert!(body.contains("raised from 200 to 300 EUR"), "{body}");
    assert!(
        fs::read_to_string(here.join("summary"))
            .expect("a summary")
            .contains("raised from")
    );
}

#[test]
fn the_files_that_others_include_are_yaml_and_refer_to_existing_files() {
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(root().join(name)).expect("a text");
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let gitlab = read("ci/gitlab.yml");
    let script = gitlab["hcb"]["script"].to_string();
    for name in ["ci/pull-request.sh", "ci/comment.sh"] {
        assert!(
            script.contains(name) && root().join(name).exists(),
            "{name}"
        );
    }
    for hook in read(".pre-commit-hooks.yaml").as_array().expect("hooks") {
        let entry = hook["entry"].as_str().expect("a command");
        let arguments: Vec<_> = entry.split(' ').skip(1).chain(["--help"]).collect();
        let output = Command::new(env!("CARGO_BIN_EXE_hcb"))
            .args(arguments)
            .output();
        assert!(output.expect("hcb starts").status.success(), "{entry}");
    }
}
