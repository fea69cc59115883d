//! Findings in the formats of other tools, checked with the schema or reader of each format.

use hcb_source::diag::report::{Base, FORMATS, Format, render};
use hcb_source::diag::{Diagnostic, Diagnostics, Rule, codes};
use hcb_source::source::{Location, Sources};
use serde_json::{Value, json};
use std::sync::Arc;

/// Findings with everything that could break a format.
fn findings() -> (Diagnostics, Sources, Base) {
    let mut sources = Sources::default();
    let text = "metadata:\n  name: ü <x> & y\nspec:\n  - a\n  - b\n";
    let awkward = sources.add("spec/100% awkward, : name.yaml", text);
    sources.add("spec/good.yaml", "a: 1\n");
    let at = |text_of: &str| {
        let start = text.find(text_of).expect("it is in the text");
        Location::new(awkward, start..start + text_of.len())
    };
    let mut diagnostics = Diagnostics::default();
    diagnostics.push(
        Diagnostic::error(
            codes::BAD_NAME,
            "50% of `ü <x> & y`:\r\nis no name, ::error::",
        )
        .at(at("ü <x> & y"), "not a name")
        .also(at("spec"), "for this")
        .note("names are short")
        .help("did you mean `x`?"),
    );
    diagnostics.push(
        Diagnostic::warning(codes::NO_EFFECT, "this has no effect").at(at("- a\n  - b"), "none"),
    );
    diagnostics.push(
        Diagnostic::error(codes::SCHEMA, "Pod `a` has no limits")
            .at(at("spec"), "leads to this manifest")
            .rule(Arc::new(Rule {
                name: "pods-have-limits".to_owned(),
                title: "Pods have limits".to_owned(),
                page: "# Pods have limits\n".to_owned(),
            })),
    );
    // The same finding at another place, and one without a place.
    diagnostics.push(
        Diagnostic::warning(codes::NO_EFFECT, "this has no effect").at(at("metadata"), "none"),
    );
    diagnostics.push(Diagnostic::error(codes::ONE_CLOUD, "there is no document"));
    let base = Base {
        working_directory: "/repository/team".into(),
        root: "/repository".into(),
    };
    (diagnostics, sources, base)
}

fn rendered(format: Format) -> String {
    let (diagnostics, sources, base) = findings();
    render(format, &diagnostics, &sources, &base).expect("it can be rendered")
}

#[test]
fn sarif_reports_are_valid_by_the_schema_of_sarif() {
    let mut schema: Value =
        serde_json::from_str(include_str!("reports/sarif-2.1.0.schema.json")).expect("JSON");
    // A pattern of the schema is malformed: a bracket is closed twice.
    for definition in ["run", "toolComponent"] {
        let properties = &mut schema["definitions"][definition]["properties"];
        let language = properties["language"].as_object_mut().expect("a property");
        language.remove("pattern");
    }
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let mut log: Value = serde_json::from_str(&rendered(Format::Sarif)).expect("JSON");
    let errors: Vec<_> = schema.iter_errors(&log).map(|e| e.to_string()).collect();
    assert_eq!(errors, [""; 0]);

    // Each result names the rule that it points at.
    let run = log["runs"][0].clone();
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 5);
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("an index");
        let index = usize::try_from(index).expect("small");
        let rule = &run["tool"]["driver"]["rules"][index];
        assert_eq!(rule["id"], result["ruleId"]);
        assert_ne!(result["locations"], json!([]));
    }

    // The schema refuses a wrong report.
    log["runs"][0]["results"][0]["level"] = "fatal".into();
    assert!(!schema.is_valid(&log));
}

#[test]
fn reports_without_findings_are_complete_documents() {
    let (_, sources, base) = findings();
    let nothing = Diagnostics::default();
    let shown = |format| render(format, &nothing, &sources, &base).expect("it can be rendered");
    let sarif: Value = serde_json::from_str(&shown(Format::Sarif)).expect("JSON");
    assert_eq!(sarif["runs"][0]["results"], json!([]));
    assert_eq!(shown(Format::Gitlab), "[]\n");
    assert_eq!(shown(Format::Json), "[]\n");
    assert_eq!(shown(Format::Github), "");
    let junit = quick_junit::Report::deserialize_from_str(&shown(Format::Junit)).expect("JUnit");
    assert_eq!((junit.tests, junit.failures), (2, 0));
}

#[test]
fn a_junit_report_counts_every_finding() {
    let xml = rendered(Format::Junit);
    let report = quick_junit::Report::deserialize_from_str(&xml).expect("JUnit");
    assert_eq!((report.tests, report.failures, report.errors), (6, 3, 0));
    let suites: Vec<_> = report.test_suites.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(
        suites,
        ["team/spec/100% awkward, : name.yaml", "team/spec/good.yaml"]
    );
}

#[test]
fn each_github_command_is_one_line_whatever_the_message() {
    let commands = rendered(Format::Github);
    assert_eq!(commands.lines().count(), 5);
    for line in commands.lines() {
        assert!(
            line.starts_with("::error file=") || line.starts_with("::warning file="),
            "{line}"
        );
    }
}

#[test]
fn the_log_says_how_many_findings_github_does_not_show() {
    let (_, mut sources, base) = findings();
    let file = sources.add("many.yaml", "x\n".repeat(20));
    let mut diagnostics = Diagnostics::default();
    for line in 0..11 {
        diagnostics.push(
            Diagnostic::error(codes::BAD_NAME, "no name")
                .at(Location::new(file, 2 * line..2 * line + 1), "this"),
        );
    }
    let commands = render(Format::Github, &diagnostics, &sources, &base).expect("commands");
    assert_eq!(
        commands
            .lines()
            .filter(|line| line.starts_with("::error"))
            .count(),
        11
    );
    let last = commands.lines().last().unwrap_or_default();
    assert!(last.starts_with("::notice title=hcb::"), "{last}");
    assert!(last.contains("10 of 11 errors"), "{last}");
}

#[test]
fn fingerprints_stay_the_same_when_lines_move() {
    let prints = |above: &str| -> Vec<String> {
        let mut sources = Sources::default();
        let file = sources.add("a.yaml", format!("{above}name: X\nname: X\n"));
        let mut diagnostics = Diagnostics::default();
        for start in [above.len() + 6, above.len() + 14] {
            diagnostics.push(
                Diagnostic::error(codes::BAD_NAME, "bad")
                    .at(Location::new(file, start..start + 1), "this"),
            );
        }
        let report = render(Format::Gitlab, &diagnostics, &sources, &Base::default());
        let report: Value = serde_json::from_str(&report.expect("a report")).expect("JSON");
        let found = report.as_array().expect("a list").iter();
        found
            .map(|found| found["fingerprint"].to_string())
            .collect()
    };
    let first = prints("");
    assert_ne!(first[0], first[1], "two findings are told apart");
    assert_eq!(first, prints("# a comment\n"));
}

#[test]
fn every_format_matches_its_snapshot() {
    for (name, format) in FORMATS {
        let mut rendered = rendered(format);
        if format == Format::Sarif {
            // The pages of the codes have their own tests.
            let mut log: Value = serde_json::from_str(&rendered).expect("JSON");
            for rule in log["runs"][0]["tool"]["driver"]["rules"]
                .as_array_mut()
                .expect("rules")
            {
                assert!(
                    rule["help"]["markdown"]
                        .as_str()
                        .is_some_and(|page| page.starts_with("# "))
                );
                rule["help"] = "its page".into();
            }
            rendered = format!("{log:#}");
        }
        insta::assert_snapshot!(name, rendered);
    }
}
