//! Generated files contain no secret: no Secret with data, and nothing that looks like a key, a token or a
//! password.

use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Prefixes of keys and tokens, each with the least number of characters that follow.
const PREFIXES: &[(&str, usize)] = &[
    ("-----BEGIN ", 10),
    // JSON Web Tokens: `{"` in base64.
    ("eyJ", 20),
    // PEM in base64, as in a kubeconfig or in the data of a Secret.
    ("LS0tLS1", 8),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ghp_", 20),
    ("github_pat_", 20),
    ("glpat-", 15),
    ("xoxb-", 10),
    ("hvs.", 20),
    ("sk-", 20),
];
/// The length from which words are checked.
const LONG: usize = 20;
/// Bits a character. Words and names of mixed case have less than 4, hexadecimal digits too; random
/// base64 of this length has more.
const RANDOM: f64 = 4.1;

/// The reason why a text may be a secret.
fn suspicion(text: &str) -> Option<String> {
    let is_of_a_key =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '.');
    for (prefix, least) in PREFIXES {
        for (at, _) in text.match_indices(prefix) {
            let before = text[..at].chars().next_back();
            let rest = &text[at + prefix.len()..];
            let length = rest
                .chars()
                .take_while(|c| is_of_a_key(*c) || *c == ' ')
                .count();
            if length >= *least && !before.is_some_and(char::is_alphanumeric) {
                return Some(format!("`{prefix}…`"));
            }
        }
    }
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '=')))
        .find(|word| word.len() >= LONG && is_mixed(word) && entropy(word) > RANDOM)
        .map(|word| format!("`{word}` looks random"))
}

/// Whether a word has digits and letters of both cases, like base64 of random bytes.
fn is_mixed(word: &str) -> bool {
    let has = |of: fn(&char) -> bool| word.chars().any(|c| of(&c));
    has(char::is_ascii_digit) && has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase)
}

/// Shannon's entropy of the characters, in bits a character.
fn entropy(word: &str) -> f64 {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for c in word.chars() {
        *counts.entry(c).or_default() += 1.0;
    }
    let all: f64 = counts.values().sum();
    let bits = counts
        .values()
        .map(|count| -count / all * (count / all).log2());
    bits.sum()
}

/// Whether there is a Secret with data anywhere in a value.
fn has_secret_with_data(value: &Value) -> bool {
    let is_full = |key: &str| {
        let data = value.get(key).and_then(Value::as_object);
        data.is_some_and(|data| !data.is_empty())
    };
    if value["kind"] == "Secret" && (is_full("data") || is_full("stringData")) {
        return true;
    }
    match value {
        Value::Object(fields) => fields.values().any(has_secret_with_data),
        Value::Array(items) => items.iter().any(has_secret_with_data),
        _ => false,
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn no_generated_file_has_a_secret() {
    let mut paths = Vec::new();
    files(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("generated"),
        &mut paths,
    );
    assert!(paths.len() > 1300, "only {} files", paths.len());
    let mut problems = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a text");
        if let Some(why) = text.lines().find_map(suspicion) {
            problems.push(format!("{}: {why}", path.display()));
        }
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let mut sources = Sources::default();
            let file = sources.add(&path, text.as_str());
            let documents = hcb_source::yaml::read(file, &text, &mut Diagnostics::default());
            if documents
                .iter()
                .any(|document| has_secret_with_data(&document.to_json()))
            {
                problems.push(format!("{}: a Secret with data", path.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_check_recognizes_secrets_in_manifests() {
    for secret in [
        "token: eyJhbGciOiJSUzI1NiIsImtpZCI6IkFCQyJ9.eyJpc3MiOiJrdWJlIn0.c2ln",
        "  -----BEGIN RSA PRIVATE KEY-----",
        "certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
        "accessKeyId: AKIAIOSFODNN7EXAMPLE",
        "secretAccessKey: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        "password: \"hvs.CAESIJlU9JMYEhOPYv4igdhm9PnZDrabYTobQ4Ymnlq1qY\"",
    ] {
        assert!(suspicion(secret).is_some(), "{secret}");
    }
    for fine in [
        "name: train-98ffb9e8",
        "checksum: 4f2d0c9a1be37655aa21f0f4bd02c1e94f2d0c9a1be37655aa21f0f4bd02c1e9",
        "image: ghcr.io/hcb-dev/hcb:0.1.0",
        "certificate-authority-data: \"{{ .ca | b64enc }}\"",
        "kind: ValidatingAdmissionPolicyBinding",
    ] {
        assert_eq!(suspicion(fine), None, "{fine}");
    }
    let list = serde_json::json!({"kind": "List", "items": [{"kind": "Secret", "stringData": {"a": "b"}}]});
    assert!(has_secret_with_data(&list));
}
