//! A memo changes only the time that a run takes: the files are the same, and the findings are the same at the
//! same places, whatever was changed since the memo was filled.

mod common;

use common::{example, read};
use hcb_compile::compile::Memo;
use hcb_compile::compile::{Options, Timings, compile_with};
use hcb_compile::manifest::Templates;
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use hcb_spec::spec::GitOpsEngine;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Replacements of the first occurrence of a text. They change everything that findings and files depend on, so
/// that nothing can be missing from the keys of the memo.
const CHANGES: [(&str, &str); 19] = [
    ("", ""),
    // Values of one manifest, of all, and of names.
    ("retries: 10", "retries: 11"),
    ("  name: large", "  name: larger"),
    ("weight: 50", "weight: 60"),
    ("EPOCHS: \"12\"", "EPOCHS: \"13\""),
    ("name: sweep", "name: swept"),
    // Versions, by which schemas and policies differ.
    ("kubernetes: \"1.34\"", "kubernetes: \"1.33\""),
    ("kubernetes: \"1.34\"", "kubernetes: \"1.12\""),
    // Violations of policies, their actions, parameters and exceptions.
    (
        "ghcr.io/example/keras-mnist:1.0.0",
        "quay.io/keras-mnist:latest",
    ),
    ("hcb-budget: {action: deny}", "hcb-budget: {action: warn}"),
    (
        "registries: [ghcr.io/example/]",
        "registries: [ghcr.io/other/]",
    ),
    ("deadlineSeconds: 432000", "deadlineSeconds: 4320"),
    (
        "clusters: {dc-munich: warn}",
        "clusters: {dc-frankfurt: warn}",
    ),
    ("workload: {name: pretrain,", "workload: {name: sweep,"),
    ("expires: 2030-12-31", "expires: 2020-12-31"),
    // The team's own policies.
    (
        "request.namespace != 'production'",
        "request.namespace != 'research'",
    ),
    (
        "message: only production is urgent",
        "message: nobody is urgent",
    ),
    ("priority: batch", "priority: urgent"),
    // The rest is still read.
    ("deadline: 2h", "deadlines: 2h"),
];

/// Everything that a run produces, to be compared.
#[derive(Debug, PartialEq)]
struct Made {
    files: Option<BTreeMap<Arc<str>, Arc<str>>>,
    findings: Vec<String>,
}

fn changed(from: &str, to: &str) -> Sources {
    let mut sources = Sources::default();
    let mut is_open = true;
    for (_, file) in read(&example("large")).iter() {
        let here = is_open && !from.is_empty() && file.text.contains(from);
        is_open &= !here;
        let text = if here {
            file.text.replacen(from, to, 1)
        } else {
            file.text.clone()
        };
        sources.add_as(file.role, &file.path, text);
    }
    assert!(
        from.is_empty() || !is_open,
        "`{from}` is not in the example"
    );
    sources
}

fn made(
    sources: &Sources,
    compile: impl FnOnce(Options, &mut Diagnostics) -> Option<hcb_compile::compile::Output>,
    engine: GitOpsEngine,
) -> Made {
    let options = Options {
        engine: Some(engine),
        today: Some("2026-12-01".parse().expect("a date")),
    };
    let mut diagnostics = Diagnostics::default();
    let output = compile(options, &mut diagnostics);
    let findings = diagnostics.sorted().into_iter().map(|found| {
        let places = found.labels.iter().map(|label| {
            let at = sources.line_column(label.location);
            format!(
                "{}:{}:{}",
                sources.path(label.location).display(),
                at.line,
                at.column
            )
        });
        format!("{found:?} {:?}", places.collect::<Vec<_>>())
    });
    Made {
        files: output.map(|output| output.tree.files),
        findings: findings.collect(),
    }
}

#[test]
fn a_run_with_a_memo_gives_the_same_files_and_findings_as_one_without() {
    let root = example("large");
    let templates = Templates::built_in();
    // Each changes the original example, so every turn also reverts the change before it.
    let engines = [
        GitOpsEngine::Argocd,
        GitOpsEngine::Argocd,
        GitOpsEngine::Flux,
    ];
    let turns: Vec<_> = CHANGES
        .into_iter()
        .zip(engines.into_iter().cycle())
        .map(|((from, to), engine)| (from, to, engine, changed(from, to)))
        .collect();
    let made_with = |memo: &Memo, sources: &Sources, engine| {
        let run = |options, diagnostics: &mut Diagnostics| {
            let mut timings = Timings::default();
            compile_with(
                memo,
                sources,
                &root,
                &templates,
                options,
                diagnostics,
                &mut timings,
            )
        };
        made(sources, run, engine)
    };
    let is_same = |with: &Made, without: &Made, from: &str, to: &str| {
        assert!(
            with == without,
            "`{from}` to `{to}`: {:#?}\nwithout: {:#?}",
            with.findings,
            without.findings
        );
    };
    let without: Vec<_> = turns
        .par_iter()
        .map(|(from, to, engine, sources)| {
            let without = made_with(&Memo::none(), sources, *engine);
            let with = made_with(&Memo::of_one_run(), sources, *engine);
            is_same(&with, &without, from, to);
            without
        })
        .collect();
    assert!(without.iter().any(|made| made.files.is_some()));
    assert!(without.iter().any(|made| made.findings.len() > 1));

    let mut memo = Memo::empty();
    for ((from, to, engine, sources), without) in turns.iter().zip(without) {
        let with = made_with(&memo, sources, *engine);
        is_same(&with, &without, from, to);
        memo.end_run();
    }
}
