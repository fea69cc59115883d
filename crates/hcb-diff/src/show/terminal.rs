//! For a terminal: what it does first, then what differs.

use super::lines::{self, Line};
use super::{cost, counts, differing_part, levels, place, sign};
use crate::cause::Cause;
use crate::pair::Action;
use crate::report::{Change, Field, Impact, Level, Report};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// How a report looks on a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Whether there is colour.
    pub colour: bool,
    /// The width in columns.
    pub width: usize,
    /// Whether the differences themselves are shown, and not only what they do.
    pub changes: bool,
}

/// From this width on, long values are shown beside one another.
const WIDE: usize = 140;
/// Values of more lines than this are cut.
const MOST_LINES: usize = 60;
/// The words of levels stand in a column of this width.
const COLUMN: usize = 9;

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BLUE: &str = "34";

impl Terminal {
    fn paint(self, style: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{style}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn level(self, level: Level) -> String {
        let style = match level {
            Level::Danger => "1;31",
            Level::Caution => "1;33",
            Level::Note => "1;34",
        };
        let word = level.word().to_uppercase();
        format!(
            "{}{}",
            self.paint(style, &word),
            " ".repeat(COLUMN.saturating_sub(word.len()))
        )
    }

    /// A paragraph that begins after `first` columns, with the lines after that indented by `indent`.
    fn wrapped(self, text: &str, first: usize, indent: usize) -> String {
        let mut result = String::new();
        let mut column = first;
        for word in text.split(' ') {
            let length = word.chars().count();
            if column > indent && column + 1 + length > self.width.max(40) {
                let _ = write!(result, "\n{}", " ".repeat(indent));
                column = indent;
            } else if column > first || !result.is_empty() {
                result.push(' ');
                column += 1;
            }
            result.push_str(word);
            column += length;
        }
        result
    }
}

/// The report as text.
pub fn render(report: &Report, terminal: Terminal) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} {}", terminal.paint(DIM, "before"), report.before);
    let _ = writeln!(text, "{}  {}", terminal.paint(DIM, "after"), report.after);
    let mut summary = vec![levels(report), counts(&report.counts)];
    summary.retain(|part| !part.is_empty());
    let _ = writeln!(text, "\n{}", terminal.paint(BOLD, &summary.join("; ")));
    if let Some(cost) = cost(report) {
        let _ = writeln!(text, "{cost}");
    }
    for note in &report.notes {
        let _ = writeln!(
            text,
            "{}",
            terminal.paint(YELLOW, &terminal.wrapped(note, 0, 0))
        );
    }
    if !report.impacts.is_empty() {
        text.push('\n');
    }
    // Lines of the spec are shown whole once.
    let mut shown = BTreeSet::new();
    for impact in &report.impacts {
        self::impact(&mut text, impact, terminal, &mut shown);
    }
    if terminal.changes && !report.changes.is_empty() {
        let _ = writeln!(text, "\n{}", terminal.paint(BOLD, "what differs"));
        for change in &report.changes {
            self::change(&mut text, change, terminal, &mut shown);
        }
    }
    text
}

type PrintedCauses<'a> = BTreeSet<&'a Cause>;

fn impact<'a>(
    text: &mut String,
    impact: &'a Impact,
    terminal: Terminal,
    shown: &mut PrintedCauses<'a>,
) {
    let line = format!("{}: {}", impact.subject, impact.effect);
    let _ = writeln!(
        text,
        "{}{}",
        terminal.level(impact.level),
        terminal.wrapped(&line, COLUMN, COLUMN)
    );
    let margin = " ".repeat(COLUMN);
    for detail in &impact.details {
        let _ = writeln!(text, "{margin}{}", terminal.wrapped(detail, COLUMN, COLUMN));
    }
    causes(text, &impact.causes, &margin, terminal, shown);
}

/// The lines of the spec; of many, the first three.
fn causes<'a>(
    text: &mut String,
    causes: &'a [Cause],
    margin: &str,
    terminal: Terminal,
    shown: &mut PrintedCauses<'a>,
) {
    for cause in causes.iter().take(3) {
        let place = terminal.paint(BLUE, &place(cause));
        if let ([before], [after]) = (cause.before.as_slice(), cause.after.as_slice()) {
            let (before, after) = differing_part(before, after);
            let (before, after) = (terminal.paint(RED, &before), terminal.paint(GREEN, &after));
            let _ = writeln!(text, "{margin}{place}  {before} -> {after}");
            continue;
        }
        let signed: Vec<_> = [("-", RED, &cause.before), ("+", GREEN, &cause.after)]
            .into_iter()
            .flat_map(|(sign, style, lines)| lines.iter().map(move |line| (sign, style, line)))
            .collect();
        if signed.len() <= 1 || !shown.insert(cause) {
            let first = signed.first().map(|(sign, style, line)| {
                let more = if signed.len() > 1 { " …" } else { "" };
                format!(
                    "  {}",
                    terminal.paint(style, &format!("{sign} {line}{more}"))
                )
            });
            let _ = writeln!(text, "{margin}{place}{}", first.unwrap_or_default());
            continue;
        }
        let _ = writeln!(text, "{margin}{place}");
        for (sign, style, line) in signed.iter().take(6) {
            let _ = writeln!(
                text,
                "{margin}  {}",
                terminal.paint(style, &format!("{sign} {line}"))
            );
        }
        if signed.len() > 6 {
            let _ = writeln!(text, "{margin}  … {} more lines", signed.len() - 6);
        }
    }
    if causes.len() > 3 {
        let _ = writeln!(
            text,
            "{margin}and {} more places in the spec",
            causes.len() - 3
        );
    }
}

fn change<'a>(
    text: &mut String,
    change: &'a Change,
    terminal: Terminal,
    shown: &mut PrintedCauses<'a>,
) {
    let style = match change.action {
        Action::Add => GREEN,
        Action::Remove => RED,
        _ => YELLOW,
    };
    let _ = writeln!(
        text,
        "\n{} {}",
        terminal.paint(style, sign(change.action)),
        terminal.paint(BOLD, &terminal.wrapped(&change.subject, 2, 4))
    );
    causes(text, &change.causes, "  ", terminal, shown);
    for field in &change.fields {
        self::field(text, field, terminal);
    }
}

fn field(text: &mut String, field: &Field, terminal: Terminal) {
    if let Some((before, after)) = lines::short(field) {
        let before = before.map(|value| terminal.paint(RED, &value));
        let after = after.map(|value| terminal.paint(GREEN, &value));
        let _ = match (before, after) {
            (Some(before), Some(after)) => {
                writeln!(text, "    {}: {before} -> {after}", field.path)
            }
            (None, Some(after)) => writeln!(
                text,
                "    {} {}: {after}",
                terminal.paint(GREEN, "+"),
                field.path
            ),
            (Some(before), None) => writeln!(
                text,
                "    {} {}: {before}",
                terminal.paint(RED, "-"),
                field.path
            ),
            (None, None) => Ok(()),
        };
        return;
    }
    let _ = writeln!(text, "    {}", field.path);
    let all = lines::lines(field);
    let shown = &all[..all.len().min(MOST_LINES)];
    if terminal.width >= WIDE && field.before.is_some() && field.after.is_some() {
        columns(text, shown, terminal);
    } else {
        for line in shown {
            let _ = writeln!(text, "      {}", one(line, terminal));
        }
    }
    if all.len() > shown.len() {
        let _ = writeln!(text, "      … {} more lines", all.len() - shown.len());
    }
}

fn one(line: &Line, terminal: Terminal) -> String {
    match line {
        Line::Same(line) => format!("  {line}"),
        Line::Went(line) => terminal.paint(RED, &format!("- {line}")),
        Line::Came(line) => terminal.paint(GREEN, &format!("+ {line}")),
        Line::Gap => terminal.paint(DIM, "  …"),
    }
}

fn columns(text: &mut String, lines: &[Line], terminal: Terminal) {
    let half = (terminal.width - 6 - 3) / 2;
    let cell = |line: Option<&Line>| -> (String, usize) {
        let Some(line) = line else {
            return (String::new(), 0);
        };
        let plain = one(
            line,
            Terminal {
                colour: false,
                ..terminal
            },
        );
        let cut: String = plain.chars().take(half).collect();
        let length = cut.chars().count();
        let style = match line {
            Line::Went(_) => RED,
            Line::Came(_) => GREEN,
            Line::Gap => DIM,
            Line::Same(_) => "0",
        };
        (terminal.paint(style, &cut), length)
    };
    for (left, right) in lines::side_by_side(lines) {
        let (left, length) = cell(left);
        let (right, _) = cell(right);
        let row = format!("      {left}{} │ {right}", " ".repeat(half - length));
        let _ = writeln!(text, "{}", row.trim_end());
    }
}
