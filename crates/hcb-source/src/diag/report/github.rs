//! Workflow commands of GitHub Actions: `::error file=…,line=…::message`, one line each, which the
//! runner turns into annotations. Escapes as in `@actions/core`:
//! <https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts>.

use super::{Base, count, lines, place};
use crate::diag::{Diagnostic, Severity};
use crate::source::Sources;
use std::fmt::Write;

/// How many annotations of a kind GitHub shows for a step.
const SHOWN_PER_KIND: usize = 10;

pub(super) fn render(findings: &[&Diagnostic], sources: &Sources, base: &Base) -> String {
    let mut commands = String::new();
    for finding in findings {
        let place = place(finding, sources, base);
        let kind = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(
            commands,
            "::{kind} file={},line={},endLine={}",
            property(&place.path),
            place.start.line,
            place.end.line
        );
        // Columns over several lines are refused by GitHub. Theirs include the last one.
        if place.start.line == place.end.line {
            let last = place.end.column.saturating_sub(1).max(place.start.column);
            let _ = write!(commands, ",col={},endColumn={last}", place.start.column);
        }
        let _ = writeln!(
            commands,
            ",title={}::{}",
            property(&finding.rule_id()),
            data(&lines(finding).join("\n"))
        );
    }
    let cut: Vec<_> = [(Severity::Error, "errors"), (Severity::Warning, "warnings")]
        .into_iter()
        .map(|(severity, word)| (count(findings, severity), word))
        .filter(|(many, _)| *many > SHOWN_PER_KIND)
        .map(|(many, word)| format!("{SHOWN_PER_KIND} of {many} {word}"))
        .collect();
    if !cut.is_empty() {
        let _ = writeln!(
            commands,
            "::notice title=hcb::GitHub shows {SHOWN_PER_KIND} annotations of a kind for a step, so {} are shown; the log has all of them",
            cut.join(" and ")
        );
    }
    commands
}

/// The text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
