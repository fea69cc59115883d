//! `hcb policy test`.

use crate::cli::input::files_below;
use crate::cli::output::{Format, Outcome, OutputStyle};
use crate::cli::show;
use anyhow::{Context, bail};
use hcb_compile::policy::library;
use hcb_compile::policy::suite::{self, Suite};
use hcb_source::diag::Diagnostics;
use hcb_source::source::Sources;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Run the tests of policies: `tests.yaml` beside each says which objects it lets pass, which it
/// refuses, and in which words.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  hcb policy test                      the policies in `hybrid/policies/`\n  hcb policy test spec/policies        those in another folder\n  hcb policy test --built-in           those that come with hcb\n  hcb policy test --junit tests.xml    a report for CI too"
)]
pub(super) struct Args {
    /// The folder of the policies, or of a single one.
    #[arg(default_value = "hybrid/policies", conflicts_with = "built_in")]
    folder: PathBuf,
    /// Test the built-in policies.
    #[arg(long)]
    built_in: bool,
    /// Write a report as `JUnit` XML to this file too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) fn run(args: &Args, style: OutputStyle) -> anyhow::Result<Outcome> {
    let files = if args.built_in {
        library::built_in_files()
            .map(|(path, text)| (PathBuf::from(path), text))
            .collect()
    } else {
        read(args)?
    };
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    let suites = suite::run(&files, &mut sources, &mut diagnostics);
    if suites.is_empty() && diagnostics.is_empty() {
        bail!(
            "there is no `policy.yaml` below `{}`",
            args.folder.display()
        );
    }
    if let Some(file) = &args.junit {
        crate::cli::report::write_file(file, &junit(&suites)?)?;
    }
    let failed = diagnostics.has_errors();
    match style.format {
        Format::Json => show::json_data(&json!({
            "passed": !failed,
            "policies": suites.iter().map(to_json).collect::<Vec<_>>(),
            "findings": show::findings_json(&diagnostics, &sources),
        }))?,
        Format::Text => {
            for suite in &suites {
                let good = suite
                    .cases
                    .iter()
                    .filter(|case| case.failures.is_empty())
                    .count();
                let word = if good == suite.cases.len() {
                    "ok"
                } else {
                    "FAILED"
                };
                show::data(&format!(
                    "{word:6} {} ({good} of {})\n",
                    suite.policy,
                    suite.cases.len()
                ))?;
            }
            show::findings(&diagnostics, &sources, style);
        }
    }
    Ok(if failed {
        Outcome::Findings
    } else {
        Outcome::Ok
    })
}

/// The files of the folder, by path.
fn read(args: &Args) -> anyhow::Result<BTreeMap<PathBuf, String>> {
    if !args.folder.is_dir() {
        bail!(
            "there is no folder `{}`; name the folder of the policies, or `--built-in`",
            args.folder.display()
        );
    }
    files_below(&args.folder, &["yaml", "md"])?
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("reading `{}`", path.display()))?;
            Ok((path, text))
        })
        .collect()
}

fn to_json(suite: &Suite) -> serde_json::Value {
    let cases = suite.cases.iter().map(|case| {
        json!({
            "name": case.name,
            "passed": case.failures.is_empty(),
            "failures": case.failures,
            "violations": case.violations.iter().map(|(of, message)| json!({"of": of, "message": message})).collect::<Vec<_>>(),
        })
    });
    json!({ "policy": suite.policy, "tests": cases.collect::<Vec<_>>() })
}

fn junit(suites: &[Suite]) -> anyhow::Result<String> {
    let mut report = Report::new("hcb policy test");
    for suite in suites {
        let mut tests = TestSuite::new(suite.policy.as_str());
        for case in &suite.cases {
            let mut status = TestCaseStatus::success();
            if !case.failures.is_empty() {
                status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                status.set_message(case.failures.join("; "));
            }
            let mut test = TestCase::new(case.name.as_str(), status);
            test.set_classname(suite.policy.as_str());
            tests.add_test_case(test);
        }
        report.add_test_suite(tests);
    }
    Ok(report.to_string()?)
}
