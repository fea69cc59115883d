//! Findings for programs: one JSON object each.

use super::{Diagnostic, Label, Severity};
use crate::source::{LineColumn, Sources};
use serde::Serialize;
use std::borrow::Cow;

/// A finding as JSON. Lines and columns count from one, columns in characters.
#[derive(Debug, Serialize)]
pub struct JsonDiagnostic<'a> {
    code: String,
    /// The name of the policy, for findings of policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    severity: Severity,
    message: &'a str,
    places: Vec<Place<'a>>,
    help: &'a [String],
    notes: &'a [String],
}

#[derive(Debug, Serialize)]
struct Place<'a> {
    file: Cow<'a, str>,
    start: LineColumn,
    end: LineColumn,
    text: &'a str,
    label: &'a str,
}

/// The finding with its places resolved.
pub fn render<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> JsonDiagnostic<'a> {
    JsonDiagnostic {
        code: diagnostic.code.id(),
        policy: diagnostic.rule.as_ref().map(|rule| rule.name.as_str()),
        severity: diagnostic.severity,
        message: &diagnostic.message,
        places: diagnostic
            .labels
            .iter()
            .map(|label| place(label, sources))
            .collect(),
        help: &diagnostic.help,
        notes: &diagnostic.notes,
    }
}

fn place<'a>(label: &'a Label, sources: &'a Sources) -> Place<'a> {
    let file = sources.file(label.location.file);
    let range = label.location.range();
    Place {
        file: file.path.to_string_lossy(),
        start: file.line_column(range.start),
        end: file.line_column(range.end),
        text: &file.text[range],
        label: &label.text,
    }
}
