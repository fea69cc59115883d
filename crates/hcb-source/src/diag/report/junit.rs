//! `JUnit` XML, as test reports of CI systems read it: a suite for each file of the spec, and a
//! failed test for each error in it. A file without an error is a test that passed, so that a
//! report of a good spec is not an empty one, which some systems take for a failure. Warnings are
//! tests that passed, with what is said of them as their output.

use super::{Base, lines, place};
use crate::diag::{Diagnostic, Severity, text};
use crate::source::Sources;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;

pub(super) fn render(
    findings: &[&Diagnostic],
    sources: &Sources,
    base: &Base,
) -> Result<String, quick_junit::SerializeError> {
    let mut by_file: BTreeMap<String, Vec<&Diagnostic>> = sources
        .iter()
        .map(|(_, file)| (base.path(&file.path), Vec::new()))
        .collect();
    for finding in findings {
        by_file
            .entry(place(finding, sources, base).path)
            .or_default()
            .push(finding);
    }
    let mut report = Report::new(super::TOOL);
    for (path, findings) in &by_file {
        let mut suite = TestSuite::new(path);
        for finding in findings {
            suite.add_test_case(case(path, finding, sources, base));
        }
        if findings
            .iter()
            .all(|finding| finding.severity != Severity::Error)
        {
            let mut case = TestCase::new("no errors", TestCaseStatus::success());
            case.set_classname(path);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    let mut xml = report.to_string()?;
    if !xml.ends_with('\n') {
        xml.push('\n');
    }
    Ok(xml)
}

fn case(path: &str, finding: &Diagnostic, sources: &Sources, base: &Base) -> TestCase {
    let at = place(finding, sources, base).start;
    let shown = text::render(&[finding], sources, false, 100);
    let mut status = match finding.severity {
        Severity::Error => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Severity::Warning => TestCaseStatus::success(),
    };
    if finding.severity == Severity::Error {
        status.set_type(finding.rule_id());
        status.set_message(lines(finding).join("; "));
        status.set_description(shown.trim_end());
    }
    let name = format!(
        "{} {}:{} {}",
        finding.rule_id(),
        at.line,
        at.column,
        finding.message.replace(char::is_control, " ")
    );
    let mut case = TestCase::new(name, status);
    case.set_classname(path);
    if finding.severity == Severity::Warning {
        case.set_system_out(shown.trim_end());
    }
    case
}
