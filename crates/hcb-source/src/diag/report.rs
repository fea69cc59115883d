//! Findings for other tools: one format a file, one line of [`render`] each. The caller writes the
//! report.

mod github;
mod gitlab;
mod junit;
mod sarif;

use super::{Diagnostic, Diagnostics, Severity, json};
use crate::source::{LineColumn, Sources};
use std::path::{Component, Path, PathBuf};

/// What reports call the tool that made them.
const TOOL: &str = "hcb";

/// Findings that cannot be written as a report.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// They cannot be written as JSON.
    #[error("the findings cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// They cannot be written as XML.
    #[error("the findings cannot be written as XML")]
    Xml(#[from] quick_junit::SerializeError),
}

/// A format of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// `JUnit` XML, for test reports.
    Junit,
    /// Workflow commands of GitHub Actions, which become annotations of a pull request.
    Github,
    /// Code Quality JSON of GitLab, shown in a merge request.
    Gitlab,
    /// The findings as `--format json` has them, in a list.
    Json,
}

/// Every format with its name on the command line.
pub const FORMATS: [(&str, Format); 5] = [
    ("sarif", Format::Sarif),
    ("junit", Format::Junit),
    ("github", Format::Github),
    ("gitlab", Format::Gitlab),
    ("json", Format::Json),
];

/// What paths in reports are relative to. Readers of reports want paths from the root of the
/// repository, whatever the folder that hcb runs in.
#[derive(Debug, Clone, Default)]
pub struct Base {
    /// The folder that paths of sources are relative to, absolute.
    pub working_directory: PathBuf,
    /// The root of the repository, absolute.
    pub root: PathBuf,
}

/// A place as reports have it. Lines and columns count from one, columns in characters; the end is
/// one past the last character.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place<'a> {
    path: String,
    start: LineColumn,
    end: LineColumn,
    text: &'a str,
}

/// The findings in a format.
///
/// # Errors
///
/// Where they cannot be written as JSON or XML.
pub fn render(
    format: Format,
    diagnostics: &Diagnostics,
    sources: &Sources,
    base: &Base,
) -> Result<String, RenderError> {
    let findings = diagnostics.sorted();
    match format {
        Format::Sarif => Ok(sarif::render(&findings, sources, base)),
        Format::Junit => Ok(junit::render(&findings, sources, base)?),
        Format::Github => Ok(github::render(&findings, sources, base)),
        Format::Gitlab => Ok(gitlab::render(&findings, sources, base)),
        Format::Json => {
            let rendered: Vec<_> = findings
                .iter()
                .map(|finding| json::render(finding, sources))
                .collect();
            Ok(format!("{}\n", serde_json::to_string_pretty(&rendered)?))
        }
    }
}

impl Base {
    /// A path from the root of the repository, with `/` between segments; a path that leads out of
    /// it is unchanged.
    fn path(&self, path: &Path) -> String {
        let mut absolute = PathBuf::new();
        for component in self.working_directory.join(path).components() {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    absolute.pop();
                }
                other => absolute.push(other),
            }
        }
        let path = absolute.strip_prefix(&self.root).unwrap_or(path);
        let segments: Vec<_> = path
            .components()
            .filter(|component| *component != Component::CurDir)
            .map(|component| match component {
                Component::RootDir => "".into(),
                other => other.as_os_str().to_string_lossy(),
            })
            .collect();
        segments.join("/")
    }
}

/// The place of a finding. The tools want one for each finding: those about no text in particular are
/// placed at the beginning of the first.
fn place<'a>(finding: &Diagnostic, sources: &'a Sources, base: &Base) -> Place<'a> {
    let start = LineColumn { line: 1, column: 1 };
    let Some(label) = finding.labels.first() else {
        let path = sources.iter().next().map(|(_, file)| base.path(&file.path));
        return Place {
            path: path.unwrap_or_else(|| ".".to_owned()),
            start,
            end: start,
            text: "",
        };
    };
    let file = sources.file(label.location.file);
    let range = label.location.range();
    Place {
        path: base.path(&file.path),
        start: file.line_column(range.start),
        end: file.line_column(range.end),
        text: &file.text[range],
    }
}

/// The lines of a finding: its message, the remark on its place, notes and help.
fn lines(finding: &Diagnostic) -> Vec<String> {
    let mut lines = vec![finding.message.clone()];
    lines.extend(
        finding
            .labels
            .first()
            .filter(|label| !label.text.is_empty())
            .map(|label| format!("here: {}", label.text)),
    );
    lines.extend(finding.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(finding.help.iter().map(|help| format!("help: {help}")));
    lines
}

/// What identifies a finding from run to run: not its line, which changes with every line above.
/// `ordinal` distinguishes findings that are otherwise the same.
fn fingerprint(finding: &Diagnostic, place: &Place<'_>, ordinal: usize) -> String {
    let parts = [
        finding.rule_id(),
        place.path.clone(),
        place.text.to_owned(),
        finding.message.clone(),
        ordinal.to_string(),
    ];
    crate::digest::short(&parts.join("\0"), 40)
}

/// How many findings of a severity there are.
fn count(findings: &[&Diagnostic], severity: Severity) -> usize {
    findings
        .iter()
        .filter(|finding| finding.severity == severity)
        .count()
}

/// The findings with their places and fingerprints, which are different for each.
fn identified<'a>(
    findings: &'a [&'a Diagnostic],
    sources: &'a Sources,
    base: &'a Base,
) -> Vec<(&'a Diagnostic, Place<'a>, String)> {
    let mut seen = std::collections::BTreeSet::new();
    findings
        .iter()
        .map(|finding| {
            let place = place(finding, sources, base);
            let mut ordinal = 0;
            let mut print = fingerprint(finding, &place, ordinal);
            while !seen.insert(print.clone()) {
                ordinal += 1;
                print = fingerprint(finding, &place, ordinal);
            }
            (*finding, place, print)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_relative_to_the_root_of_the_repository() {
        let base = Base {
            working_directory: "/repository/specs".into(),
            root: "/repository".into(),
        };
        for (path, told) in [
            ("cloud.yaml", "specs/cloud.yaml"),
            ("./cloud.yaml", "specs/cloud.yaml"),
            ("../other/cloud.yaml", "other/cloud.yaml"),
            ("/repository/a.yaml", "a.yaml"),
            ("/elsewhere/a.yaml", "/elsewhere/a.yaml"),
        ] {
            assert_eq!(base.path(Path::new(path)), told, "{path}");
        }
    }
}
