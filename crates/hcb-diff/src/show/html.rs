//! One HTML page: no script, nothing that is loaded from elsewhere, for light and dark screens.

use super::lines::{self, Line};
use super::{cost, counts, differing_part, levels, overview, place, sign};
use crate::cause::Cause;
use crate::pair::Action;
use crate::report::{Change, Field, Impact, Level, Report};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("page.html");
/// Values of more lines than this are cut.
const MOST_LINES: usize = 400;

#[derive(Serialize)]
struct Page<'a> {
    title: String,
    before: &'a str,
    after: &'a str,
    levels: String,
    counts: String,
    unchanged: usize,
    by_level: [(&'static str, usize); 3],
    cost: Option<String>,
    notes: &'a [String],
    /// Markup: it is written by [`overview`], which escapes what it is given.
    overview: Option<String>,
    impacts: Vec<ShownImpact<'a>>,
    changes: Vec<ShownChange<'a>>,
}

#[derive(Serialize)]
struct ShownImpact<'a> {
    level: Option<&'static str>,
    subject: &'a str,
    effect: &'a str,
    rule: &'a str,
    about: &'a str,
    details: &'a [String],
    causes: Vec<ShownCause>,
    objects: Vec<String>,
    changes: &'a [usize],
}

#[derive(Serialize)]
struct ShownCause {
    place: String,
    /// Whether it was not shown before.
    first: bool,
    lines: Vec<ShownLine>,
}

#[derive(Serialize)]
struct ShownLine {
    class: &'static str,
    sign: &'static str,
    text: String,
}

#[derive(Serialize)]
struct ShownChange<'a> {
    level: Option<&'static str>,
    action: &'static str,
    sign: &'static str,
    subject: &'a str,
    objects: Vec<String>,
    causes: Vec<ShownCause>,
    fields: Vec<ShownField<'a>>,
}

#[derive(Serialize)]
struct ShownField<'a> {
    path: &'a str,
    lines: Vec<ShownLine>,
}

/// The report as a page.
pub fn render(report: &Report) -> String {
    let mut seen = BTreeSet::new();
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    match syntax {
        Ok(syntax) => environment.set_syntax(syntax),
        Err(error) => unreachable!("the default syntax: {error}"),
    }
    let page = environment.render_str(
        PAGE,
        minijinja::Value::from(Serde(Page {
            title: title(report),
            before: &report.before,
            after: &report.after,
            levels: levels(report),
            counts: counts(&report.counts),
            unchanged: report.counts.unchanged_files,
            by_level: [Level::Danger, Level::Caution, Level::Note]
                .map(|level| (level.word(), report.count(level))),
            cost: cost(report),
            notes: &report.notes,
            overview: overview::svg(report),
            impacts: report
                .impacts
                .iter()
                .map(|one| impact(one, &mut seen))
                .collect(),
            changes: report
                .changes
                .iter()
                .map(|one| change(one, &mut seen))
                .collect(),
        })),
    );
    match page {
        Ok(page) => page,
        // The template is part of the program, and a test renders every case with it.
        Err(error) => unreachable!("the page's template: {error:#}"),
    }
}

fn title(report: &Report) -> String {
    if report.is_empty() {
        return "No change".to_owned();
    }
    format!("{} → {}", report.before, report.after)
}

fn impact<'a>(impact: &'a Impact, seen: &mut BTreeSet<&'a Cause>) -> ShownImpact<'a> {
    let rule = crate::impact::RULES
        .iter()
        .find(|rule| rule.id == impact.rule);
    ShownImpact {
        level: Some(impact.level.word()),
        subject: &impact.subject,
        effect: &impact.effect,
        rule: &impact.rule,
        about: rule.map(|rule| rule.about).unwrap_or_default(),
        details: &impact.details,
        causes: impact.causes.iter().map(|one| cause(one, seen)).collect(),
        objects: objects(&impact.objects),
        changes: &impact.changes,
    }
}

fn change<'a>(change: &'a Change, seen: &mut BTreeSet<&'a Cause>) -> ShownChange<'a> {
    ShownChange {
        level: change.level.map(Level::word),
        action: match change.action {
            Action::Add => "added",
            Action::Remove => "removed",
            Action::Change => "changed",
            Action::Replace => "replaced",
            Action::Move => "moved",
        },
        sign: sign(change.action),
        subject: &change.subject,
        objects: objects(&change.objects),
        causes: change.causes.iter().map(|one| cause(one, seen)).collect(),
        fields: change.fields.iter().map(field).collect(),
    }
}

fn objects(objects: &[crate::report::ObjectRef]) -> Vec<String> {
    objects.iter().map(|object| object.path.clone()).collect()
}

fn cause<'a>(cause: &'a Cause, shown: &mut BTreeSet<&'a Cause>) -> ShownCause {
    let (before, after) = match (cause.before.as_slice(), cause.after.as_slice()) {
        ([before], [after]) => {
            let (before, after) = differing_part(before, after);
            (vec![before], vec![after])
        }
        (before, after) => (before.to_vec(), after.to_vec()),
    };
    let went = before.into_iter().map(|text| ShownLine {
        class: "went",
        sign: "-",
        text,
    });
    let came = after.into_iter().map(|text| ShownLine {
        class: "came",
        sign: "+",
        text,
    });
    ShownCause {
        place: place(cause),
        first: shown.insert(cause),
        lines: went.chain(came).collect(),
    }
}

fn field(field: &Field) -> ShownField<'_> {
    let shown = |line: Line| match line {
        Line::Same(text) => ShownLine {
            class: "same",
            sign: " ",
            text,
        },
        Line::Went(text) => ShownLine {
            class: "went",
            sign: "-",
            text,
        },
        Line::Came(text) => ShownLine {
            class: "came",
            sign: "+",
            text,
        },
        Line::Gap => ShownLine {
            class: "gap",
            sign: " ",
            text: "…".to_owned(),
        },
    };
    let lines = match lines::short(field) {
        Some((before, after)) => before
            .map(Line::Went)
            .into_iter()
            .chain(after.map(Line::Came))
            .collect(),
        None => lines::lines(field),
    };
    let cut = lines.len().saturating_sub(MOST_LINES);
    let mut lines: Vec<_> = lines.into_iter().take(MOST_LINES).map(shown).collect();
    if cut > 0 {
        lines.push(ShownLine {
            class: "gap",
            sign: " ",
            text: format!("… {cut} more lines"),
        });
    }
    ShownField {
        path: &field.path,
        lines,
    }
}
