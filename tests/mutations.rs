//! Replaces each text of each valid spec in turn by each text that Kubernetes is known to refuse
//! somewhere. Either the checks of the spec refuse it, or the API server still accepts every
//! manifest. If only the schema of a manifest refuses it, a check is missing.

mod common;

use hcb_compile::compile::{Options, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_source::diag::{Diagnostics, codes};
use hcb_source::source::Sources;
use hcb_source::yaml::{Node, Value};
use rayon::prelude::*;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::built_in);

/// Empty, too long, and with characters that names, versions, URLs or quantities never have.
fn hostile() -> Vec<String> {
    let fixed = [
        "", " ", "-a", "a-", "a b", "A_b", "a.b", "a/b", "a>b", "ä", "0", "-1", "a\nb", "{pool}",
    ];
    let long = [64, 254, 1100].map(|length| "a".repeat(length));
    fixed.map(str::to_owned).into_iter().chain(long).collect()
}

/// The places of all texts in the document, including keys of mappings.
fn texts(node: &Node, found: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Mapping(entries) => {
            for entry in entries {
                found.push(entry.key_location.range());
                texts(&entry.node, found);
            }
        }
        Value::Sequence(items) => items.iter().for_each(|item| texts(item, found)),
        _ => found.push(node.location.range()),
    }
}

/// Whether the spec is refused, or compiles to manifests that pass their schemas.
fn is_decided_by_the_spec(text: &str) -> Result<(), String> {
    let mut sources = Sources::default();
    sources.add("cloud.yaml", text);
    let mut diagnostics = Diagnostics::default();
    let _ = compile(
        &sources,
        Path::new(""),
        &TEMPLATES,
        Options::default(),
        &mut diagnostics,
        &mut Timings::default(),
    );
    match diagnostics
        .sorted()
        .into_iter()
        .find(|found| codes::OF_MANIFESTS.contains(&found.code))
    {
        None => Ok(()),
        Some(found) => Err(found.message.clone()),
    }
}

#[test]
fn the_checks_of_the_spec_refuse_every_value_that_a_schema_would_refuse() {
    let hostile = hostile();
    let mut cases = Vec::new();
    for entry in std::fs::read_dir("tests/valid").expect("the folder of valid specs") {
        let folder = entry.expect("an entry").path();
        for (id, file) in common::read(&folder).iter() {
            let documents = hcb_source::yaml::read(id, &file.text, &mut Diagnostics::default());
            let mut ranges = Vec::new();
            for document in &documents {
                texts(document, &mut ranges);
            }
            for range in ranges {
                for text in &hostile {
                    let mut changed = file.text.clone();
                    let quoted = serde_json::Value::from(text.as_str()).to_string();
                    changed.replace_range(range.clone(), &quoted);
                    cases.push((
                        file.path.clone(),
                        file.text[range.clone()].to_owned(),
                        text,
                        changed,
                    ));
                }
            }
        }
    }
    assert!(cases.len() > 10_000, "only {} cases", cases.len());
    let found: Vec<_> = cases
        .par_iter()
        .filter_map(|(path, before, text, changed)| {
            let message = is_decided_by_the_spec(changed).err()?;
            Some(format!(
                "{}: {before:?} -> {text:.40?}: {message:.100}",
                path.display()
            ))
        })
        .collect();
    assert!(
        found.is_empty(),
        "{} of {} cases:\n{}",
        found.len(),
        cases.len(),
        found.join("\n")
    );
}
