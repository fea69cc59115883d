//! Code Quality reports of GitLab:
//! <https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>.

use super::{Base, identified, lines};
use crate::diag::{Diagnostic, Severity};
use crate::source::Sources;
use serde_json::{Value, json};

pub(super) fn render(findings: &[&Diagnostic], sources: &Sources, base: &Base) -> String {
    let report: Value = identified(findings, sources, base)
        .into_iter()
        .map(|(finding, place, fingerprint)| {
            json!({
                "description": lines(finding).join("; "),
                "check_name": finding.rule_id(),
                "fingerprint": fingerprint,
                "severity": match finding.severity {
                    Severity::Error => "major",
                    Severity::Warning => "minor",
                },
                "location": {
                    "path": place.path,
                    "lines": { "begin": place.start.line, "end": place.end.line },
                },
            })
        })
        .collect();
    format!("{report:#}\n")
}
