//! SARIF 2.1.0: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
//!
//! Each kind of finding is a rule with its page, each policy one of its own. GitHub's code scanning
//! refuses a result without a place, and tells findings of two runs apart by `partialFingerprints`:
//! <https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning>.

use super::{Base, identified, lines};
use crate::diag::{Diagnostic, Severity};
use crate::source::{LineColumn, Sources};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn render(findings: &[&Diagnostic], sources: &Sources, base: &Base) -> String {
    let mut rules = BTreeMap::new();
    for finding in findings {
        rules
            .entry(finding.rule_id())
            .or_insert_with(|| rule(finding));
    }
    let results: Vec<_> = identified(findings, sources, base)
        .into_iter()
        .map(|(finding, place, fingerprint)| {
            let id = finding.rule_id();
            let related: Vec<_> = finding
                .labels
                .iter()
                .skip(1)
                .enumerate()
                .map(|(number, label)| {
                    let file = sources.file(label.location.file);
                    let range = label.location.range();
                    let mut related = location(
                        &base.path(&file.path),
                        file.line_column(range.start),
                        file.line_column(range.end),
                        &file.text[range],
                    );
                    related["id"] = (number + 1).into();
                    related["message"] = json!({ "text": label.text });
                    related
                })
                .collect();
            let mut result = json!({
                "ruleId": id,
                "ruleIndex": rules.keys().position(|rule| *rule == id),
                "level": level(finding.severity),
                "message": { "text": lines(finding).join("\n") },
                "locations": [location(&place.path, place.start, place.end, place.text)],
                "partialFingerprints": { "hcb/v1": fingerprint },
            });
            if !related.is_empty() {
                result["relatedLocations"] = related.into();
            }
            result
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": super::TOOL,
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules.into_values().collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(finding: &Diagnostic) -> Value {
    let (title, page) = match &finding.rule {
        Some(rule) => (rule.title.clone(), rule.page.clone()),
        None => (finding.code.title(), finding.code.page()),
    };
    let mut rule = json!({
        "id": finding.rule_id(),
        "shortDescription": { "text": title },
        "properties": { "tags": [finding.code.id()] },
    });
    if !page.is_empty() {
        rule["help"] = json!({ "text": page, "markdown": page });
    }
    if finding.rule.is_none() {
        rule["helpUri"] = format!(
            "{}/blob/main/docs/codes/{}.md",
            env!("CARGO_PKG_REPOSITORY"),
            finding.code.id()
        )
        .into();
    }
    rule
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn location(path: &str, start: LineColumn, end: LineColumn, text: &str) -> Value {
    let mut region = json!({
        "startLine": start.line,
        "startColumn": start.column,
        "endLine": end.line,
        "endColumn": end.column,
    });
    if !text.is_empty() {
        region["snippet"] = json!({ "text": text });
    }
    json!({ "physicalLocation": { "artifactLocation": artifact(path), "region": region } })
}

/// Paths are from the root of the repository, as URIs; what is outside is a `file:` URI.
fn artifact(path: &str) -> Value {
    if path.starts_with('/')
        && let Ok(url) = url::Url::from_file_path(path)
    {
        return json!({ "uri": url.as_str() });
    }
    let segments: Vec<_> = path
        .split('/')
        .map(|segment| percent_encoding::utf8_percent_encode(segment, SEGMENT).to_string())
        .collect();
    json!({ "uri": segments.join("/"), "uriBaseId": "%SRCROOT%" })
}

/// The characters of a path segment that are escaped: all but the unreserved ones of RFC 3986.
const SEGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
