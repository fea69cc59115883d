//! What commands print.

use super::output::{Colour, Format, OutputStyle};
use comfy_table::{Table, presets};
use hcb_source::diag::{Diagnostics, Severity, json, text};
use hcb_source::source::Sources;
use std::io::{IsTerminal, Write};

/// Prints what a command made. Fails when nobody reads it any more.
pub(super) fn data(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// A table without lines, for eyes and for `grep`.
pub(super) fn table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// A table as text. Rows are for `grep` as much as for eyes: no trailing blanks.
pub(super) fn plain(table: &Table) -> String {
    let lines: Vec<_> = table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect();
    lines.join("\n")
}

/// Prints a JSON document.
pub(super) fn json_data(value: &serde_json::Value) -> anyhow::Result<()> {
    data(&format!("{value:#}\n"))
}

/// Says something. When nobody listens, that is no reason to stop.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Says why the command could not do its work.
pub(super) fn failure(error: &anyhow::Error) {
    say(&format!("error: {error:#}"));
}

/// `1 file`, `2 files`.
pub(super) fn count(many: usize, one: &str) -> String {
    match many {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    }
}

/// Shows findings: as text on stderr, with a count. In JSON they are part of the document that the
/// command prints, by [`findings_json`].
pub(super) fn findings(diagnostics: &Diagnostics, sources: &Sources, style: OutputStyle) {
    let Some(counts) = counts(diagnostics).filter(|_| style.format == Format::Text) else {
        return;
    };
    let first = diagnostics.sorted()[0].code.id();
    let text = rendered(diagnostics, sources, style);
    say(&format!(
        "{text}{counts}; `hcb explain-code {first}` says more"
    ));
}

/// Findings as text for stderr.
pub(super) fn rendered(diagnostics: &Diagnostics, sources: &Sources, style: OutputStyle) -> String {
    let colour = has_colour(style, std::io::stderr().is_terminal());
    text::render(&diagnostics.sorted(), sources, colour, terminal_width())
}

/// `2 errors, 1 warning`; `None` where there are no findings.
pub(super) fn counts(diagnostics: &Diagnostics) -> Option<String> {
    let sorted = diagnostics.sorted();
    let counted = |severity, one: &str| {
        let many = sorted
            .iter()
            .filter(|found| found.severity == severity)
            .count();
        (many > 0).then(|| count(many, one))
    };
    let counts: Vec<_> = [
        counted(Severity::Error, "error"),
        counted(Severity::Warning, "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Whether a stream gets colour.
pub(super) fn has_colour(style: OutputStyle, is_terminal: bool) -> bool {
    match style.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    }
}

/// The findings as JSON.
pub(super) fn findings_json(diagnostics: &Diagnostics, sources: &Sources) -> serde_json::Value {
    diagnostics
        .sorted()
        .into_iter()
        .filter_map(|diagnostic| serde_json::to_value(json::render(diagnostic, sources)).ok())
        .collect()
}

/// The width of the terminal, or that of a printed page.
pub(super) fn terminal_width() -> usize {
    let columns = std::env::var("COLUMNS").ok();
    columns
        .and_then(|columns| columns.parse().ok())
        .unwrap_or(100)
}

/// A line that says what is going on while it takes long; on a terminal only.
pub(super) struct Progress {
    shown: bool,
}

impl Progress {
    pub(super) fn new(style: OutputStyle) -> Self {
        Self {
            shown: style.format == Format::Text && std::io::stderr().is_terminal(),
        }
    }

    /// Replaces the line.
    pub(super) fn phase(&self, what: &str) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[2K{what}…");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[2K");
        }
    }
}
