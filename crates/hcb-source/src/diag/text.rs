//! Findings for people: the place in the file, underlined, as compilers show it.

use super::{Diagnostic, Severity};
use crate::source::Sources;
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Element, Group, Level, Renderer, Snippet};

/// The findings as text. `colour` adds ANSI colours; `width` is that of the terminal, in columns.
pub fn render(
    diagnostics: &[&Diagnostic],
    sources: &Sources,
    colour: bool,
    width: usize,
) -> String {
    let renderer = if colour {
        Renderer::styled().decor_style(DecorStyle::Unicode)
    } else {
        Renderer::plain()
    }
    .term_width(width);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, sources)]));
        text.push_str("\n\n");
    }
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut elements: Vec<Element<'a>> = Vec::new();
    let mut rest = diagnostic.labels.as_slice();
    let mut primary = true;
    // Labels of one file share a snippet, and the file of the first label comes first.
    while let Some(first) = rest.first() {
        let same = rest
            .iter()
            .take_while(|label| label.location.file == first.location.file)
            .count();
        let file = sources.file(first.location.file);
        let mut snippet = Snippet::source(file.text.as_str()).path(file.path.to_string_lossy());
        for label in &rest[..same] {
            let kind = if std::mem::take(&mut primary) {
                AnnotationKind::Primary
            } else {
                AnnotationKind::Context
            };
            snippet =
                snippet.annotation(kind.span(label.location.range()).label(label.text.as_str()));
        }
        elements.push(snippet.into());
        rest = &rest[same..];
    }
    for note in &diagnostic.notes {
        elements.push(Level::NOTE.message(note.as_str()).into());
    }
    for help in &diagnostic.help {
        elements.push(Level::HELP.message(help.as_str()).into());
    }
    level
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.id())
        .elements(elements)
}
