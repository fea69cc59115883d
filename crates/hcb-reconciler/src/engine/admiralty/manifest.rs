//! The pod as it was asked for, which Admiralty's webhook keeps in an annotation of the proxy.
//!
//! An admission policy leaves the annotation to the webhook. It is read as if anybody could write it nevertheless: a
//! pod may be older than the policy.

use hcb_api::pod_spec::PodSpec;
use serde::Deserialize;

/// What an API server stores of all annotations of an object together, in bytes.
const LONGEST: usize = 256 * 1024;
/// The nodes of a document of YAML. A pod with a thousand variables has about ten thousand.
const MOST_NODES: usize = 50_000;
/// How deep a document may be. A pod is about 15 deep.
const DEEPEST: usize = 64;

/// Why a manifest is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum ManifestError {
    #[error("it has {0} bytes, more than the {LONGEST} of all annotations of an object")]
    Long(usize),
    #[error("it is no pod: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it is no pod: {0}")]
    Yaml(#[source] Box<serde_saphyr::Error>),
}

/// Reads a manifest: YAML as Go writes it, without anchors and aliases, or JSON. It takes time in proportion to the
/// length of the text.
pub(super) fn read(text: &str) -> Result<PodSpec, ManifestError> {
    #[derive(Deserialize)]
    struct Original {
        spec: PodSpec,
    }
    if text.len() > LONGEST {
        return Err(ManifestError::Long(text.len()));
    }
    let original: Original = if text.starts_with('{') {
        serde_json::from_str(text)?
    } else {
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_aliases: 0,
                max_anchors: 0,
                max_merge_keys: 0,
                max_documents: 1,
                max_depth: DEEPEST,
                max_nodes: MOST_NODES,
                max_events: 4 * MOST_NODES,
            },
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| ManifestError::Yaml(Box::new(error)))?
    };
    Ok(original.spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;
    use std::time::{Duration, Instant};

    /// A document of which every alias is ten of the one before.
    fn bomb() -> String {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            let ten = vec![before; 10].join(", ");
            writeln!(text, "a{level}: &a{level} [{ten}]").expect("a String");
        }
        text + "spec: {containers: [], tolerations: *a8}\n"
    }

    #[test]
    fn a_manifest_as_go_writes_it_is_read() {
        let text = "metadata:\n  annotations:\n    note: |\n      *not* an &alias\n  creationTimestamp: null\nspec:\n  containers:\n  - args:\n    - '*.txt'\n    name: main\n    resources:\n      requests:\n        cpu: \"4\"\nstatus: {}\n";
        read(text).expect("YAML");
        read(r#"{"spec": {"containers": [{"name": "main"}]}}"#).expect("JSON");
    }

    #[test]
    fn what_would_grow_without_end_is_refused_at_once() {
        let began = Instant::now();
        let deep = format!("spec: {}{}", "[".repeat(9_000), "]".repeat(9_000));
        let deep_json = format!(r#"{{"spec": {}{}}}"#, "[".repeat(9_000), "]".repeat(9_000));
        let wide = format!("spec: {{}}\nx: [{}]", "1,".repeat(100_000));
        let texts = [
            bomb(),
            "spec: &a {containers: []}\nother: *a".to_owned(),
            "spec:\n  <<: {containers: []}".to_owned(),
            deep,
            deep_json,
            wide,
            " ".repeat(LONGEST + 1),
            "spec: {}\n---\nspec: {}".to_owned(),
            String::new(),
            "no pod".to_owned(),
        ];
        for text in &texts {
            for _ in 0..20 {
                let start = &text[..text.len().min(60)];
                assert!(read(text).is_err(), "{start}");
            }
        }
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn the_longest_manifest_is_read_in_a_moment() {
        let mut text = "spec:\n  containers:\n  - name: main\n    env:\n".to_owned();
        while text.len() < LONGEST - 60 {
            text += "    - name: SOME_VARIABLE\n      value: 'some value'\n";
        }
        let began = Instant::now();
        read(&text).expect("a pod");
        assert!(
            began.elapsed() < Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
    }
}
