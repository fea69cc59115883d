//! What changed in a value, line by line.

use crate::report::Field;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

/// One line of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// It is there before and after.
    Same(String),
    /// It went.
    Went(String),
    /// It came.
    Came(String),
    /// Lines that are the same are left out here.
    Gap,
}

/// How many unchanged lines are shown around changed ones.
const AROUND: usize = 2;

/// A difference of one line only: `old -> new`, where both are scalars that fit on a line.
pub fn short(field: &Field) -> Option<(Option<String>, Option<String>)> {
    let fits = |value: &Option<Value>| match value {
        None => Some(None),
        Some(Value::Object(map)) if map.is_empty() => Some(Some("{}".to_owned())),
        Some(Value::Array(list)) if list.is_empty() => Some(Some("[]".to_owned())),
        Some(Value::Object(_) | Value::Array(_)) => None,
        Some(Value::String(text)) if text.contains('\n') || text.chars().count() > 80 => None,
        Some(Value::String(text)) if text.is_empty() => Some(Some("\"\"".to_owned())),
        Some(value) => Some(Some(crate::fields::plain(value))),
    };
    Some((fits(&field.before)?, fits(&field.after)?))
}

fn text(value: Option<&Value>) -> String {
    let mut text = match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => hcb_source::yaml::to_string(value),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The lines of a difference, with a few unchanged ones around those that changed.
pub fn lines(field: &Field) -> Vec<Line> {
    let (before, after) = (text(field.before.as_ref()), text(field.after.as_ref()));
    let diff = TextDiff::from_lines(&before, &after);
    let mut lines = Vec::new();
    let groups = diff.grouped_ops(AROUND);
    for (index, group) in groups.iter().enumerate() {
        let begins_later = group
            .first()
            .is_some_and(|op| op.old_range().start > 0 || op.new_range().start > 0);
        if index > 0 || begins_later {
            lines.push(Line::Gap);
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let text = change.value().trim_end_matches('\n').to_owned();
            lines.push(match change.tag() {
                ChangeTag::Equal => Line::Same(text),
                ChangeTag::Delete => Line::Went(text),
                ChangeTag::Insert => Line::Came(text),
            });
        }
    }
    lines
}

/// Lines beside one another: what went left of what came.
pub(crate) fn side_by_side(lines: &[Line]) -> Vec<(Option<&Line>, Option<&Line>)> {
    let mut rows = Vec::new();
    let mut went: Vec<&Line> = Vec::new();
    let mut came: Vec<&Line> = Vec::new();
    let flush = |went: &mut Vec<_>, came: &mut Vec<_>, rows: &mut Vec<_>| {
        let height = went.len().max(came.len());
        for row in 0..height {
            rows.push((went.get(row).copied(), came.get(row).copied()));
        }
        went.clear();
        came.clear();
    };
    for line in lines {
        match line {
            Line::Went(_) if came.is_empty() => went.push(line),
            Line::Came(_) => came.push(line),
            _ => {
                flush(&mut went, &mut came, &mut rows);
                match line {
                    Line::Went(_) => went.push(line),
                    _ => rows.push((Some(line), Some(line))),
                }
            }
        }
    }
    flush(&mut went, &mut came, &mut rows);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn long_values_are_shown_around_their_differences() {
        let text = |odd: &str| {
            (0..30)
                .map(|n| {
                    if n == 15 {
                        format!("{odd}\n")
                    } else {
                        format!("{n}\n")
                    }
                })
                .collect::<String>()
        };
        let field = Field {
            path: "data".to_owned(),
            before: Some(json!(text("old"))),
            after: Some(json!(text("new"))),
        };
        assert_eq!(short(&field), None);
        let lines = lines(&field);
        assert_eq!(
            lines,
            [
                Line::Gap,
                Line::Same("13".into()),
                Line::Same("14".into()),
                Line::Went("old".into()),
                Line::Came("new".into()),
                Line::Same("16".into()),
                Line::Same("17".into()),
            ]
        );
        let rows = side_by_side(&lines);
        assert_eq!(rows.len(), 6);
        assert_eq!(
            rows[3],
            (
                Some(&Line::Went("old".into())),
                Some(&Line::Came("new".into()))
            )
        );
    }
}
