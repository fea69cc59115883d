//! Events of the parser to a tree of [`Node`]s.

use super::{Entry, Node, Value};
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::source::{FileId, Location};
use granit_parser::{Event, Parser, ScalarStyle, Span, options};

/// Nesting deeper than this is refused: no spec needs it, and a stack is finite.
const DEPTH_LIMIT: usize = 64;

/// Reads every document of `text`. A document with a syntax error is left out, those after it are
/// read; every finding goes to `diagnostics`. Empty documents are left out silently.
pub fn read(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<Node> {
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_LIMIT,
        block_nesting_limit: DEPTH_LIMIT,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut builder = Builder::new(file, text);
    loop {
        match parser.next() {
            Some(Ok((Event::DocumentStart(..), _))) => builder = Builder::new(file, text),
            Some(Ok((Event::DocumentEnd, _))) => documents.extend(builder.root.take()),
            Some(Ok((event, span))) => builder.event(event, &span, diagnostics),
            Some(Err(error)) => {
                diagnostics.push(syntax_error(file, text, &error));
                builder = Builder::new(file, text);
                // The parser finds the next document by itself; without one the file is done.
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
            None => break,
        }
    }
    documents.retain(|document| document.value != Value::Null);
    documents
}

fn syntax_error(file: FileId, text: &str, error: &granit_parser::ScanError) -> Diagnostic {
    let start = error
        .marker()
        .byte_offset()
        .unwrap_or(text.len())
        .min(text.len());
    let start = text.floor_char_boundary(start);
    // One whole character, or nothing at the end of the file.
    let end = text[start..]
        .chars()
        .next()
        .map_or(start, |found| start + found.len_utf8());
    let message = error.info().clone();
    let is_tab = |text: &str| text.starts_with('\t');
    let line = text[..start].rsplit('\n').next().unwrap_or_default();
    let help = if is_tab(line.trim_start_matches(' ')) || is_tab(&text[start..]) {
        Some("indent with spaces: YAML does not allow tabs")
    } else if message.contains("recursion") {
        Some("no spec is nested this deep")
    } else if [
        "trailing content",
        "illegal placement",
        "while parsing",
        "expected",
    ]
    .iter()
    .any(|words| message.contains(words))
    {
        Some("is a quote or a bracket before this not closed?")
    } else {
        None
    };
    Diagnostic::error(codes::YAML_SYNTAX, format!("this is not YAML: {message}"))
        .at(Location::new(file, start..end), "the reader stopped here")
        .maybe_help(help.map(str::to_owned))
}

/// A collection that is still open.
enum Open {
    Sequence(Location, Vec<Node>),
    Mapping(Location, Vec<Entry>, Option<(String, Location)>),
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    open: Vec<Open>,
    root: Option<Node>,
    has_alias: bool,
}

impl<'a> Builder<'a> {
    fn new(file: FileId, text: &'a str) -> Self {
        Self {
            file,
            text,
            open: Vec::new(),
            root: None,
            has_alias: false,
        }
    }

    fn event(&mut self, event: Event<'_>, span: &Span, diagnostics: &mut Diagnostics) {
        let location = self.location(span);
        if let Some(tag) = event.tag()
            && !tag.is_yaml_core_schema()
        {
            diagnostics.push(
                Diagnostic::error(codes::YAML_FEATURE, "a custom tag has no meaning here")
                    .at(location, "the value of the tag")
                    .help("remove the tag"),
            );
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let value = match tag {
                    Some(tag) if tag.is_yaml_core_schema_tag("str") => Value::String(text.into()),
                    _ if style == ScalarStyle::Plain => plain(&text),
                    _ => Value::String(text.into()),
                };
                self.value(Node { location, value }, diagnostics);
            }
            // The first of a document is enough: the others go with it.
            Event::Alias(_) | Event::UnresolvedAlias(_) if self.has_alias => {
                let value = Value::Null;
                self.value(Node { location, value }, diagnostics);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.has_alias = true;
                diagnostics.push(
                    Diagnostic::error(codes::YAML_FEATURE, "aliases are not allowed in a spec")
                        .at(location, "an alias")
                        .help("write the value out: every value has one place, which findings and diffs point at"),
                );
                let value = Value::Null;
                self.value(Node { location, value }, diagnostics);
            }
            Event::SequenceStart(..) => self.open.push(Open::Sequence(location, Vec::new())),
            Event::MappingStart(..) => self.open.push(Open::Mapping(location, Vec::new(), None)),
            Event::SequenceEnd => {
                if let Some(Open::Sequence(start, items)) = self.open.pop() {
                    let end = items.last().map_or(location, |item| item.location);
                    let node = Node {
                        location: join(start, end),
                        value: Value::Sequence(items),
                    };
                    self.value(node, diagnostics);
                }
            }
            Event::MappingEnd => {
                if let Some(Open::Mapping(start, entries, _)) = self.open.pop() {
                    let end = entries.last().map_or(location, |entry| entry.node.location);
                    let node = Node {
                        location: join(start, end),
                        value: Value::Mapping(entries),
                    };
                    self.value(node, diagnostics);
                }
            }
            _ => {}
        }
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, node: Node, diagnostics: &mut Diagnostics) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Mapping(_, entries, pending)) => match pending.take() {
                None => *pending = Some((key(self.text, &node, diagnostics), node.location)),
                Some((key, key_location)) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                        diagnostics.push(
                            Diagnostic::error(
                                codes::DUPLICATE_KEY,
                                format!("the key `{key}` stands twice in one mapping"),
                            )
                            .at(key_location, "again here")
                            .also(first.key_location, "first here")
                            .help("keep one of them: readers of YAML disagree on which one counts"),
                        );
                    } else {
                        entries.push(Entry {
                            key,
                            key_location,
                            node,
                        });
                    }
                }
            },
        }
    }

    fn location(&self, span: &Span) -> Location {
        let range = span.byte_range().unwrap_or(0..0);
        let start = range.start.min(self.text.len());
        let end = range.end.clamp(start, self.text.len());
        // An empty value spans the white space up to the next token: underline nothing of it.
        let trimmed = self.text[start..end].trim_end().len();
        Location::new(self.file, start..start + trimmed)
    }
}

/// The text of a key. Keys that are not strings are taken as written, as JSON would have them.
fn key(text: &str, node: &Node, diagnostics: &mut Diagnostics) -> String {
    match &node.value {
        Value::String(key) => {
            if key == "<<" {
                diagnostics.push(
                    Diagnostic::error(codes::YAML_FEATURE, "merge keys are not allowed in a spec")
                        .at(node.location, "a merge key")
                        .help("write the merged keys out"),
                );
            }
            key.clone()
        }
        Value::Sequence(_) | Value::Mapping(_) => {
            diagnostics.push(
                Diagnostic::error(codes::YAML_FEATURE, "a key must be a plain word")
                    .at(node.location, "a list or a mapping cannot be a key"),
            );
            String::new()
        }
        _ => text[node.location.range()].to_owned(),
    }
}

fn join(start: Location, end: Location) -> Location {
    Location {
        file: start.file,
        start: start.start,
        end: end.end.max(start.end),
    }
}

/// A plain scalar by the YAML 1.2 core schema, section 10.3.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => Value::Number(number, text.to_owned()),
        None => Value::String(text.to_owned()),
    }
}

fn number(text: &str) -> Option<serde_json::Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let integer_part_ends = |c: char| !c.is_ascii_digit();
    let digits = unsigned.find(integer_part_ends).unwrap_or(unsigned.len());
    if digits == unsigned.len() && digits > 0 {
        // A leading zero is octal in YAML 1.1 and decimal in 1.2: it stays a string, and where a
        // number is wanted the finding says so.
        if digits > 1 && unsigned.starts_with('0') {
            return None;
        }
        let text = text.strip_prefix('+').unwrap_or(text);
        return text
            .parse::<i64>()
            .map(Into::into)
            .or_else(|_| text.parse::<u64>().map(Into::into))
            .ok();
    }
    let float = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.chars().any(|c| c.is_ascii_digit())
        && unsigned
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    if !float {
        return None;
    }
    text.parse().ok().and_then(serde_json::Number::from_f64)
}
