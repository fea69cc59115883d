//! Expressions in the documents of policies: compiled, with places in the file for what is wrong.

use super::{PolicyReader, steps};
use crate::policy::misspelling::help_with;
use hcb_cel::{self, CompileErrorKind, Environment, Type};
use hcb_source::diag::{Code, Diagnostic, codes};
use hcb_source::source::Location;
use hcb_source::yaml::Node;

impl PolicyReader<'_> {
    /// Compiles the expression at `path`, which must be of one of the types in `wanted`.
    pub(super) fn compile(
        &mut self,
        path: &[&str],
        expression: &str,
        environment: &Environment,
        wanted: Option<&[Type]>,
    ) -> Option<hcb_cel::Program> {
        let steps = steps(path);
        if expression.trim().is_empty() {
            self.shape(path, "an expression is missing");
            return None;
        }
        let node = self.node.descend(&steps)?;
        match hcb_cel::Program::compile(expression, environment) {
            Ok(program) => {
                let ty = program.result_type();
                if wanted.is_none_or(|wanted| wanted.contains(ty)) {
                    return Some(program);
                }
                let names: Vec<String> = wanted
                    .iter()
                    .copied()
                    .flatten()
                    .map(Type::to_string)
                    .collect();
                let message = format!(
                    "the expression must be of type {}, and is of type {ty}",
                    names.join(" or ")
                );
                let help = (*ty == Type::Dyn).then(|| {
                    format!(
                        "compare it with something, or convert it: `{}(...)`",
                        names[0]
                    )
                });
                self.found.push(
                    Diagnostic::error(codes::POLICY_EXPRESSION, message)
                        .at(
                            self.place(node, expression, 0..expression.len()),
                            "this expression",
                        )
                        .maybe_help(help),
                );
            }
            Err(error) => {
                let code: Code = match error.kind {
                    CompileErrorKind::Syntax | CompileErrorKind::Check => codes::POLICY_EXPRESSION,
                    CompileErrorKind::Unsupported => codes::POLICY_UNSUPPORTED,
                };
                let place = self.place(node, expression, error.range.clone());
                self.found.push(
                    Diagnostic::error(code, error.message.clone())
                        .at(place, "here")
                        .maybe_help(help_with(&error)),
                );
            }
        }
        None
    }

    /// The place in the file of a range of the expression that `node` holds: indentation, escapes
    /// and folded lines of YAML stand between its characters.
    fn place(&self, node: &Node, expression: &str, range: std::ops::Range<usize>) -> Location {
        let raw = &self.text[node.location.range()];
        let base = node.location.start as usize;
        let map = align(raw, expression);
        let start = map.get(range.start).copied().unwrap_or(raw.len());
        let end = match range.end.checked_sub(1).and_then(|last| map.get(last)) {
            Some(&last) if last >= start => {
                last + raw[last..].chars().next().map_or(0, char::len_utf8)
            }
            _ => start,
        };
        // A line at a time is enough to underline.
        let end = raw[start..end].find('\n').map_or(end, |line| start + line);
        if start >= end {
            return node.location;
        }
        Location::new(node.location.file, base + start..base + end)
    }
}

/// For each byte of `value` the byte of `raw`, the same scalar as it is written, that it is from.
fn align(raw: &str, value: &str) -> Vec<usize> {
    let mut rest = raw;
    let mut offset = 0;
    if raw.starts_with(['|', '>'])
        && let Some(line) = raw.find('\n')
    {
        rest = &raw[line + 1..];
        offset = line + 1;
    } else if raw.starts_with(['"', '\'']) {
        rest = &raw[1..];
        offset = 1;
    }
    let mut map = Vec::with_capacity(value.len());
    for wanted in value.chars() {
        let found = rest
            .char_indices()
            .find(|(_, c)| *c == wanted || (wanted == ' ' && *c == '\n'))
            .map(|(at, c)| (at, c.len_utf8()));
        let at = match found {
            // Far away it is not the same character, but one that is written in another way.
            Some((at, length))
                if rest[..at]
                    .chars()
                    .all(|c| c.is_whitespace() || matches!(c, '\\' | '\'')) =>
            {
                let here = offset + at;
                offset += at + length;
                rest = &rest[at + length..];
                here
            }
            _ => offset.min(raw.len()),
        };
        map.extend(std::iter::repeat_n(at, wanted.len_utf8()));
    }
    map
}
