//! The pages of the codes are right: every example leads to its finding, and what the page says
//! fixes it.
//!
//! A block of YAML in a page is one of three things:
//!
//! - it starts with `# in HybridCloud, spec.clusters[0]` (or `# in Workload, …`): its keys take the
//!   place of those of the same name there, in `tests/codes/base.yaml`; a further line of this form
//!   starts another fragment;
//! - it starts with `# the whole spec`: it is just that;
//! - else it is a document that takes the place of the base's workload.

use hcb_compile::compile::{Options, Timings, compile};
use hcb_compile::manifest::Templates;
use hcb_source::diag::{Code, Diagnostics, codes};
use hcb_source::source::Sources;
use serde_json::Value;
use std::path::Path;
use std::sync::LazyLock;

/// Codes that no spec leads to, and what they are about. Their pages show a shell session instead.
const NOT_BY_A_SPEC: &[(Code, &str)] = &[
    (codes::UNREADABLE, "a file that cannot be read"),
    (codes::NOT_UTF8, "bytes that are no text"),
    (codes::TEMPLATE, "a template of the user's"),
    (codes::SCHEMA, "a template of the user's"),
    (codes::SCHEMA_UNKNOWN, "a template of the user's"),
    (codes::DUPLICATE_OBJECT, "a template of the user's"),
    (codes::NO_SHARED_ROOT, "a template of the user's"),
    (codes::MESH_NETWORK, "a template of the user's"),
    (codes::MESH_GATEWAY, "a template of the user's"),
    (codes::REMOTE_SECRET, "a template of the user's"),
    (codes::VERSION_SKEW, "a template of the user's"),
    (codes::FOREIGN_FILE, "the output folder"),
    (codes::BAD_OUTPUT, "the output folder"),
    (codes::DRIFT, "the output folder"),
    (codes::WRITE_FAILED, "the output folder"),
    (codes::POLICY_SHAPE, "a policy"),
    (codes::POLICY_EXPRESSION, "a policy"),
    (codes::POLICY_UNSUPPORTED, "a policy"),
    (codes::POLICY_FILE, "a policy of the user's"),
    (codes::POLICY_UNDECIDED, "a policy of the user's"),
    (codes::POLICY_TEST, "a policy of the user's"),
    (codes::IMPACT, "two states"),
    (codes::REVISION, "a Git repository"),
];

static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::built_in);

#[test]
fn the_base_spec_has_no_findings() {
    assert_eq!(findings(&base()), [] as [String; 0]);
}

#[test]
fn every_example_leads_to_its_finding() {
    for code in by_a_spec() {
        let page = code.page();
        let example = first_block(section(&page, "Example"), "yaml")
            .unwrap_or_else(|| panic!("{} has no example", code.id()));
        let found = findings(&texts(example));
        assert!(
            found.iter().any(|finding| finding.starts_with(&code.id())),
            "the example of {} leads to {found:#?}",
            code.id()
        );
    }
}

#[test]
fn every_fixed_example_compiles_without_findings() {
    for code in by_a_spec() {
        let page = code.page();
        let fixed = blocks(section(&page, "How to fix it"), "yaml");
        assert!(!fixed.is_empty(), "{} does not show how", code.id());
        for block in fixed {
            let found = findings(&texts(block));
            assert!(
                found.is_empty(),
                "{}, fixed as the page says, leads to {found:#?}:\n{block}",
                code.id()
            );
        }
    }
}

#[test]
fn codes_that_no_spec_leads_to_show_a_shell_session() {
    for (code, why) in NOT_BY_A_SPEC {
        let page = code.page();
        let session = first_block(section(&page, "Example"), "console");
        let id = code.id();
        let session = session.unwrap_or_else(|| panic!("{id} comes of {why}: show a session"));
        assert!(session.starts_with("$ "), "{id}: {session}");
        assert!(!section(&page, "How to fix it").is_empty(), "{id}");
    }
}

#[test]
fn pages_are_short_enough_for_a_terminal() {
    for code in codes::ALL {
        let page = code.page();
        let wide = page
            .lines()
            // A word without blanks cannot be wrapped.
            .find(|line| line.len() > 100 && line.split(' ').all(|word| word.len() < 60));
        assert_eq!(wide, None, "a long line in {}", code.id());
        // The settings of all providers stand in one place.
        let most = if *code == codes::AUTOSCALER_SETTINGS {
            170
        } else {
            65
        };
        assert!(page.lines().count() <= most, "{} is long", code.id());
    }
}

fn by_a_spec() -> impl Iterator<Item = Code> {
    let not = |code: &Code| NOT_BY_A_SPEC.iter().all(|(other, _)| other != code);
    codes::ALL.iter().copied().filter(not)
}

/// The text below the heading `## NAME`, to the next one of its level.
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let Some((_, below)) = page.split_once(&format!("\n## {name}\n")) else {
        return "";
    };
    below.split("\n## ").next().unwrap_or_default()
}

fn first_block<'a>(text: &'a str, language: &str) -> Option<&'a str> {
    blocks(text, language).into_iter().next()
}

fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    text.split(&format!("```{language}\n"))
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .collect()
}

/// The texts of the base: the cloud's and the workload's.
fn base() -> Vec<String> {
    let text = include_str!("codes/base.yaml");
    text.split("\n---\n").map(str::to_owned).collect()
}

/// The texts of the spec that a block stands for.
fn texts(block: &str) -> Vec<String> {
    let mut texts = base();
    if block.starts_with("# the whole spec\n") {
        return vec![block.to_owned()];
    }
    if !block.starts_with("# in ") {
        block.clone_into(&mut texts[1]);
        return texts;
    }
    let mut documents: Vec<Value> = texts.iter().map(|text| value(text)).collect();
    for fragment in format!("\n{block}").split("\n# in ").skip(1) {
        let (place, yaml) = fragment.split_once('\n').expect("keys below the place");
        let (kind, path) = place.split_once(", ").expect("a kind and a path");
        let document = documents
            .iter_mut()
            .find(|document| document["kind"] == kind)
            .expect("a kind of the base");
        put(document, path, value(yaml));
    }
    documents.iter().map(hcb_source::yaml::to_string).collect()
}

/// Puts the keys of `fragment` at `path`, which is written as findings write it.
fn put(document: &mut Value, path: &str, fragment: Value) {
    let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
    let at = document
        .pointer_mut(&pointer)
        .and_then(Value::as_object_mut);
    let at = at.unwrap_or_else(|| panic!("the base has no mapping at `{path}`"));
    match fragment {
        Value::Object(keys) => at.extend(keys),
        other => panic!("a fragment is a mapping, not {other}"),
    }
}

fn value(yaml: &str) -> Value {
    let mut sources = Sources::default();
    let file = sources.add("block.yaml", yaml);
    let mut diagnostics = Diagnostics::default();
    let documents = hcb_source::yaml::read(file, yaml, &mut diagnostics);
    assert!(
        diagnostics.is_empty(),
        "{:#?}\n{yaml}",
        diagnostics.sorted()
    );
    documents.first().expect("a document").to_json()
}

/// What a compilation of the texts finds, each as `CODE message`.
fn findings(texts: &[String]) -> Vec<String> {
    let mut sources = Sources::default();
    for (index, text) in texts.iter().enumerate() {
        sources.add(format!("{index}.yaml"), text.as_str());
    }
    let mut diagnostics = Diagnostics::default();
    compile(
        &sources,
        Path::new(""),
        &TEMPLATES,
        Options {
            today: Some(jiff::civil::date(2026, 12, 1)),
            ..Options::default()
        },
        &mut diagnostics,
        &mut Timings::default(),
    );
    let sorted = diagnostics.sorted();
    sorted
        .iter()
        .map(|diagnostic| format!("{} {}", diagnostic.code.id(), diagnostic.message))
        .collect()
}
