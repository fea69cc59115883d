//! For a comment on a pull request: Markdown that fits.
//!
//! A comment of more than 65,536 characters is refused by GitHub. What does not fit is left out from the
//! back: first what differs, then the details of what it does, and what is left out is said.

use super::lines::{self, Line};
use super::{cost, counts, levels, place, sign};
use crate::cause::Cause;
use crate::report::{Change, Impact, Level, Report};
use std::fmt::Write as _;

/// The most characters that a comment may have on GitHub. GitLab allows more.
pub const BUDGET: usize = 65_536;

/// What marks the one comment that is brought up to date.
pub const MARKER: &str = "<!-- hcb diff -->";

/// Room for the sentence that says what was cut.
const CUT: usize = 100;

/// The report as Markdown of at most `budget` characters.
pub fn render(report: &Report, budget: usize) -> String {
    let all = Parts {
        changes: Changes::Whole,
        impacts: usize::MAX,
        causes: true,
    };
    let steps = [
        all,
        Parts {
            changes: Changes::Titles,
            ..all
        },
        Parts {
            changes: Changes::Count,
            ..all
        },
        Parts {
            changes: Changes::Count,
            impacts: usize::MAX,
            causes: false,
        },
        Parts {
            changes: Changes::Count,
            impacts: 50,
            causes: false,
        },
        Parts {
            changes: Changes::Count,
            impacts: 10,
            causes: false,
        },
        Parts {
            changes: Changes::Count,
            impacts: 0,
            causes: false,
        },
    ];
    for parts in steps {
        let text = whole(report, parts, budget);
        if text.chars().count() <= budget {
            return text;
        }
    }
    let mut text = format!("{MARKER}\n**{}**\n", headline(report));
    text.truncate(text.floor_char_boundary(budget));
    text
}

#[derive(Debug, Clone, Copy)]
struct Parts {
    changes: Changes,
    impacts: usize,
    causes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Changes {
    /// With their fields, as many as fit, then the others by their titles.
    Whole,
    Titles,
    Count,
}

fn headline(report: &Report) -> String {
    if report.is_empty() {
        return counts(&report.counts);
    }
    let mut parts = vec![levels(report), counts(&report.counts)];
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn whole(report: &Report, parts: Parts, budget: usize) -> String {
    let mut text = String::new();
    let heading = match report.level {
        Some(Level::Danger) => "🔴",
        Some(Level::Caution) => "🟡",
        Some(Level::Note) => "🔵",
        None => "⚪",
    };
    let _ = writeln!(text, "{MARKER}\n### {heading} {}\n", headline(report));
    let _ = writeln!(text, "{} → {}", code(&report.before), code(&report.after));
    if let Some(cost) = cost(report) {
        let _ = writeln!(text, "\n{}", escaped(&cost));
    }
    for note in &report.notes {
        let _ = writeln!(text, "\n> {}", escaped(note));
    }
    if !report.impacts.is_empty() && parts.impacts > 0 {
        text.push_str("\n#### What it does\n\n");
    }
    for impact in report.impacts.iter().take(parts.impacts) {
        self::impact(&mut text, impact, parts);
    }
    let left_out = report.impacts.len().saturating_sub(parts.impacts);
    if left_out > 0 {
        let _ = writeln!(
            text,
            "\n**{left_out} more impacts do not fit into this comment.**"
        );
    }
    if report.changes.is_empty() {
        return text;
    }
    changes(&mut text, report, parts.changes, budget);
    text
}

fn impact(text: &mut String, impact: &Impact, parts: Parts) {
    let sign = match impact.level {
        Level::Danger => "🔴 **danger**",
        Level::Caution => "🟡 **caution**",
        Level::Note => "🔵 note",
    };
    let _ = writeln!(
        text,
        "- {sign} **{}**: {}",
        escaped(&impact.subject),
        escaped(&impact.effect)
    );
    for detail in &impact.details {
        let _ = writeln!(text, "  - {}", escaped(detail));
    }
    if parts.causes {
        let causes: Vec<_> = impact.causes.iter().take(3).map(self::cause).collect();
        if !causes.is_empty() {
            let more = impact.causes.len().saturating_sub(3);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let _ = writeln!(text, "  - because of {}{more}", causes.join(", "));
        }
    }
}

fn cause(cause: &Cause) -> String {
    let place = code(&place(cause));
    match (cause.before.as_slice(), cause.after.as_slice()) {
        ([before], [after]) => format!("{place} ({} → {})", code(before), code(after)),
        ([], [after]) => format!("{place} (+ {})", code(after)),
        ([before], []) => format!("{place} (− {})", code(before)),
        _ => place,
    }
}

fn changes(text: &mut String, report: &Report, show: Changes, budget: usize) {
    let count = report.changes.len();
    let objects: usize = report
        .changes
        .iter()
        .map(|change| change.objects.len())
        .sum();
    if show == Changes::Count {
        let _ = writeln!(
            text,
            "\n**{} do not fit into this comment.** `hcb diff` shows them.",
            counted(count, objects)
        );
        return;
    }
    let _ = writeln!(
        text,
        "\n<details><summary>What differs: {}</summary>\n",
        counted(count, objects)
    );
    // Room for the titles of those that come after, and for the end.
    let end = "\n</details>\n";
    let mut titles: usize = report
        .changes
        .iter()
        .map(|change| title(change).chars().count() + 1)
        .sum();
    let mut used = text.chars().count() + end.len() + CUT;
    let mut cut = 0;
    for change in &report.changes {
        let title = title(change);
        let short = title.chars().count() + 1;
        titles -= short;
        let mut entry = format!("{title}\n");
        if show == Changes::Whole {
            let body = body(change);
            let needed = short + body.chars().count();
            if used + needed + titles <= budget {
                entry.push_str(&body);
            } else if !body.is_empty() {
                cut += 1;
            }
        } else if !change.fields.is_empty() {
            cut += 1;
        }
        used += entry.chars().count();
        text.push_str(&entry);
    }
    text.push_str(end);
    if cut > 0 {
        let _ = writeln!(
            text,
            "\n**The fields of {cut} changes do not fit into this comment.** `hcb diff` shows them."
        );
    }
}

/// `3 changes to 1 object`.
fn counted(changes: usize, objects: usize) -> String {
    let many = |count: usize, one: &str| {
        if count == 1 {
            format!("1 {one}")
        } else {
            format!("{count} {one}s")
        }
    };
    format!("{} to {}", many(changes, "change"), many(objects, "object"))
}

fn title(change: &Change) -> String {
    let level = match change.level {
        Some(Level::Danger) => " 🔴",
        Some(Level::Caution) => " 🟡",
        Some(Level::Note) => " 🔵",
        None => "",
    };
    format!(
        "- {} **{}**{level}",
        code(sign(change.action)),
        escaped(&change.subject)
    )
}

fn body(change: &Change) -> String {
    if change.fields.is_empty() {
        return String::new();
    }
    let mut diff = String::new();
    for field in &change.fields {
        if let Some((before, after)) = lines::short(field) {
            let _ = writeln!(diff, "  {}", field.path);
            for (sign, value) in [("-", before), ("+", after)] {
                if let Some(value) = value {
                    let _ = writeln!(diff, "{sign}   {value}");
                }
            }
            continue;
        }
        let _ = writeln!(diff, "  {}", field.path);
        for line in lines::lines(field) {
            let _ = match line {
                Line::Same(line) => writeln!(diff, "    {line}"),
                Line::Went(line) => writeln!(diff, "-   {line}"),
                Line::Came(line) => writeln!(diff, "+   {line}"),
                Line::Gap => writeln!(diff, "    …"),
            };
        }
    }
    // A fence that nothing in it can close.
    let longest = diff
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    let mut body = format!("\n  {fence}diff\n");
    for line in diff.lines() {
        // Inside a list item; the sign stays the first of its line.
        let _ = writeln!(body, "  {line}");
    }
    let _ = writeln!(body, "  {fence}");
    body
}

/// A text that stays one, whatever is in it: no HTML, no link, no mention of people.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '&' => result.push_str("&amp;"),
            '@' => result.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                result.push('\\');
                result.push(c);
            }
            '\n' | '\r' => result.push(' '),
            c => result.push(c),
        }
    }
    result
}

/// A text as code.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    if longest > 0 || text.is_empty() {
        format!("{fence} {text} {fence}")
    } else {
        format!("{fence}{text}{fence}")
    }
}
