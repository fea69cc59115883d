//! A report for people and for programs. Pure: where it goes is the caller's.

pub mod annotations;
pub mod html;
pub mod lines;
pub mod markdown;
pub(crate) mod overview;
pub mod terminal;

use crate::cause::Cause;
use crate::cost::CostRange;
use crate::pair::Action;
use crate::report::{Counts, Level, Report};
use std::fmt::Write as _;

/// `1 danger, 2 cautions`; nothing where there is no impact.
pub fn levels(report: &Report) -> String {
    let counted: Vec<_> = [Level::Danger, Level::Caution, Level::Note]
        .into_iter()
        .filter_map(|level| match report.count(level) {
            0 => None,
            1 => Some(format!("1 {}", level.word())),
            many => Some(format!("{many} {}s", level.word())),
        })
        .collect();
    counted.join(", ")
}

/// `5 objects changed, 1 removed`; or that there is nothing.
pub fn counts(counts: &Counts) -> String {
    let all = [
        (counts.added, "added"),
        (counts.changed, "changed"),
        (counts.replaced, "replaced"),
        (counts.moved, "moved"),
        (counts.removed, "removed"),
    ];
    let counted: Vec<_> = all
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if counted.is_empty() {
        return match counts.same {
            0 => "no object differs".to_owned(),
            same => format!("no object differs but for comments or order ({same} files)"),
        };
    }
    format!("objects: {}", counted.join(", "))
}

/// What a month costs: `0.00 to 200.00 EUR a month`.
fn range(range: &CostRange, currency: &str) -> String {
    format!("{:.2} to {:.2}{currency}", range.min, range.max)
}

/// The sentence on costs; none where no tree says what it consists of.
pub fn cost(report: &Report) -> Option<String> {
    let cost = report.cost.as_ref()?;
    let currency = cost
        .currency
        .as_ref()
        .map(|currency| format!(" {currency}"))
        .unwrap_or_default();
    let text = match (&cost.before, &cost.after) {
        (Some(before), Some(after)) if before == after => {
            format!("{}, as before", range(after, &currency))
        }
        (Some(before), Some(after)) => format!(
            "{}; before {}",
            range(after, &currency),
            range(before, &currency)
        ),
        (None, Some(after)) => range(after, &currency),
        (Some(before), None) => format!("before {}", range(before, &currency)),
        (None, None) => return None,
    };
    let last = cost.after.as_ref().or(cost.before.as_ref())?;
    let mut text = format!("a month costs {text}");
    if last.without_budget > last.max + 0.005 {
        let _ = write!(text, " (without a budget {:.2})", last.without_budget);
    }
    if !last.unpriced.is_empty() {
        let names = crate::words::abbreviated(&last.unpriced, 3);
        let _ = write!(text, "; no price: {names}");
    }
    Some(text)
}

/// The sign of an action.
fn sign(action: Action) -> &'static str {
    match action {
        Action::Add => "+",
        Action::Remove => "-",
        Action::Change => "~",
        Action::Replace => "±",
        Action::Move => ">",
    }
}

/// `cloud.yaml:12`, or the file alone.
fn place(cause: &Cause) -> String {
    match cause.place.line {
        Some(line) => format!("{}:{line}", cause.place.file),
        None => cause.place.file.clone(),
    }
}

/// Of two long lines, the part in which they differ.
fn differing_part(before: &str, after: &str) -> (String, String) {
    const SHORT: usize = 90;
    if before.len() + after.len() <= SHORT {
        return (before.to_owned(), after.to_owned());
    }
    let same = |left: &mut dyn Iterator<Item = char>, right: &mut dyn Iterator<Item = char>| {
        left.zip(right)
            .take_while(|(left, right)| left == right)
            .map(|(c, _)| c.len_utf8())
            .sum::<usize>()
    };
    let first = same(&mut before.chars(), &mut after.chars());
    // From the item of the flow mapping that differs, to its end.
    let start = before[..first].rfind([',', '{']).map_or(0, |at| at + 1);
    let rest = (&before[start..], &after[start..]);
    let last = same(&mut rest.0.chars().rev(), &mut rest.1.chars().rev());
    let cut = |text: &str| {
        let same = text.len() - last.min(text.len());
        let end = text[same..]
            .find([',', '}'])
            .map_or(text.len(), |at| same + at);
        let open = if start > 0 { "… " } else { "" };
        let close = if end < text.len() { " …" } else { "" };
        format!("{open}{}{close}", text[..end].trim())
    };
    (cut(rest.0), cut(rest.1))
}

#[cfg(test)]
mod tests {
    use super::differing_part;

    #[test]
    fn long_lines_are_cut_to_the_part_that_differs() {
        let line = |max: &str, end: &str| {
            format!(
                "- {{name: spot, min: 0, max: {max}, cpu: 15, memory: 58Gi, instanceType: m7a.4xlarge{end}}}"
            )
        };
        for (before, after, expected) in [
            (
                line("40", ""),
                line("10", ""),
                ("… max: 40 …", "… max: 10 …"),
            ),
            (line("4", ""), line("40", ""), ("… max: 4 …", "… max: 40 …")),
            (
                line("4", ", spot: true"),
                line("4", ""),
                (
                    "… instanceType: m7a.4xlarge, spot: true …",
                    "… instanceType: m7a.4xlarge …",
                ),
            ),
            ("a: 1".to_owned(), "a: 2".to_owned(), ("a: 1", "a: 2")),
        ] {
            let (left, right) = differing_part(&before, &after);
            assert_eq!((left.as_str(), right.as_str()), expected);
        }
    }
}
