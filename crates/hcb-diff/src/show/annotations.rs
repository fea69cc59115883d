//! For the reports of findings: what a change does, on the lines of the spec that lead to it.

use crate::cause::Cause;
use crate::report::{Impact, Level, Report};
use hcb_source::diag::{Diagnostic, Diagnostics, Rule, codes};
use hcb_source::source::{Location, Sources};
use std::path::Path;
use std::sync::Arc;

/// The impacts as findings. A danger is an error, a caution a warning; notes are left out. `root` is the
/// folder that the report tells files relative to.
pub fn of(report: &Report, root: &Path, sources: &Sources) -> Diagnostics {
    let mut diagnostics = Diagnostics::default();
    for impact in &report.impacts {
        let message = format!("{}: {}", impact.subject, impact.effect);
        let mut finding = match impact.level {
            Level::Note => continue,
            Level::Caution => Diagnostic::warning(codes::IMPACT, message),
            Level::Danger => Diagnostic::error(codes::IMPACT, message),
        };
        finding = finding.rule(rule(impact));
        finding.notes.clone_from(&impact.details);
        let places = impact
            .causes
            .iter()
            .filter_map(|cause| locate(cause, root, sources));
        for (index, place) in places.enumerate().take(3) {
            finding = if index == 0 {
                finding.at(place, "leads to it")
            } else {
                finding.also(place, "leads to it too")
            };
        }
        diagnostics.push(finding);
    }
    diagnostics
}

fn rule(impact: &Impact) -> Arc<Rule> {
    let known = crate::impact::RULES
        .iter()
        .find(|rule| rule.id == impact.rule);
    Arc::new(Rule {
        name: format!("diff/{}", impact.rule),
        title: known.map(|rule| rule.about.to_owned()).unwrap_or_default(),
        page: codes::IMPACT.page(),
    })
}

/// The line of a cause, without the blanks around it.
fn locate(cause: &Cause, root: &Path, sources: &Sources) -> Option<Location> {
    let path = root.join(&cause.place.file);
    let (id, file) = sources.iter().find(|(_, file)| file.path == path)?;
    let number = cause.place.line?;
    let mut start = 0;
    for (index, line) in file.text.split_inclusive('\n').enumerate() {
        if index + 1 == number {
            let indent = line.len() - line.trim_start().len();
            let end = start + line.trim_end().len().max(indent);
            return Some(Location::new(id, start + indent..end));
        }
        start += line.len();
    }
    None
}
