//! Regular expressions, in the syntax and with the meaning of Go's package `regexp` (RE2).

use super::{Arguments, Entry};
use crate::value::Value;
use crate::{CompileError, Error};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::Range;

pub(crate) const FUNCTIONS: &[Entry] = &[
    (
        "string_find_string: |string|.find(string) -> string",
        |call| {
            with_pattern(call, "Illegal regex: ", |pattern| {
                let text = call.text(0)?;
                let found = pattern.0.find(text).map_or("", |found| found.as_str());
                Ok(found.to_owned().into())
            })
        },
    ),
    (
        "string_find_all_string: |string|.findAll(string) -> list(string)",
        |call| find_all(call, -1),
    ),
    (
        "string_find_all_string_int: |string|.findAll(string, int) -> list(string)",
        |call| find_all(call, call.int(2)?),
    ),
];

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(regex::Regex);

/// Why a pattern cannot be used.
#[derive(Debug)]
pub(crate) struct PatternError {
    message: String,
    /// Whether Go takes it, or may take it.
    is_unsupported: bool,
}

impl PatternError {
    pub(crate) fn at(&self, at: &Range<usize>) -> CompileError {
        if self.is_unsupported {
            CompileError::unsupported(self.message.clone(), at.clone())
        } else {
            CompileError::check(self.message.clone(), at.clone())
        }
    }
}

/// So many patterns that are made while a policy is evaluated are kept.
const KEPT: usize = 64;

thread_local! {
    /// Patterns made of parameters are the same for every object, and compiling one takes longer than all
    /// else in most policies.
    static RECENT: RefCell<HashMap<String, Pattern>> = RefCell::default();
}

/// More memory than this no pattern of a policy needs.
const SIZE_LIMIT: usize = 4 << 20;

impl Pattern {
    pub(crate) fn compile(text: &str) -> Result<Self, PatternError> {
        let translated = translate(text)?;
        regex::RegexBuilder::new(&translated)
            .size_limit(SIZE_LIMIT)
            .build()
            .map(Self)
            .map_err(|error| PatternError {
                message: format!("error parsing regexp: {}", first_line(&error.to_string())),
                is_unsupported: matches!(error, regex::Error::CompiledTooBig(_)),
            })
    }

    /// As [`Self::compile`], for texts that may come again.
    fn recall(text: &str) -> Result<Self, PatternError> {
        if let Some(known) = RECENT.with_borrow(|recent| recent.get(text).cloned()) {
            return Ok(known);
        }
        let compiled = Self::compile(text)?;
        RECENT.with_borrow_mut(|recent| {
            if recent.len() >= KEPT {
                recent.clear();
            }
            recent.insert(text.to_owned(), compiled.clone());
        });
        Ok(compiled)
    }
}

fn first_line(text: &str) -> String {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or(text)
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

/// The pattern in the syntax of the crate `regex`: classes such as `\d` are those of ASCII, and
/// what the crate reads in another way than Go is refused. Errors are in Go's words.
fn translate(text: &str) -> Result<String, PatternError> {
    let mut translator = Translator {
        text,
        position: 0,
        out: String::with_capacity(text.len() + 16),
        open_groups: 0,
        last: Last::Nothing,
    };
    translator.pattern()?;
    Ok(translator.out)
}

/// What stands before the place that is read, for what may be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Item,
    /// A repetition, and where its operator begins.
    Repetition(usize),
}

struct Translator<'t> {
    text: &'t str,
    position: usize,
    out: String,
    open_groups: usize,
    last: Last,
}

fn invalid<T>(what: &str, part: &str) -> Result<T, PatternError> {
    Err(PatternError {
        message: format!("error parsing regexp: {what}: `{part}`"),
        is_unsupported: false,
    })
}

impl<'t> Translator<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest().chars().next()?;
        self.position += next.len_utf8();
        Some(next)
    }

    fn pattern(&mut self) -> Result<(), PatternError> {
        loop {
            let start = self.position;
            let Some(c) = self.next() else {
                break;
            };
            match c {
                '\\' => self.escape(start, false)?,
                '[' => self.class(start)?,
                '(' => {
                    self.open_groups += 1;
                    self.group(start)?;
                    self.last = Last::Nothing;
                    continue;
                }
                ')' => {
                    let Some(open) = self.open_groups.checked_sub(1) else {
                        return invalid("unexpected )", self.text);
                    };
                    self.open_groups = open;
                    self.out.push(')');
                }
                '|' => {
                    self.out.push('|');
                    self.last = Last::Nothing;
                    continue;
                }
                '*' | '+' | '?' => {
                    self.repetition(start, &self.text[start..self.position])?;
                    continue;
                }
                '{' => {
                    if let Some(repeat) = self.counts() {
                        self.repetition(start, repeat)?;
                        continue;
                    }
                    // For Go this is no repetition, but a brace.
                    self.out.push_str(r"\{");
                }
                '}' => self.out.push_str(r"\}"),
                ']' => self.out.push_str(r"\]"),
                c => self.out.push(c),
            }
            self.last = Last::Item;
        }
        if self.open_groups > 0 {
            return invalid("missing closing )", self.text);
        }
        Ok(())
    }

    /// `{2}`, `{2,}` or `{2,3}` at the place of the brace that was read.
    fn counts(&mut self) -> Option<&'t str> {
        let rest = self.rest();
        let end = rest.find('}')?;
        let counts = &rest[..end];
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_repeat = match counts.split_once(',') {
            Some((from, to)) => is_number(from) && (to.is_empty() || is_number(to)),
            None => is_number(counts),
        };
        if !is_repeat {
            return None;
        }
        let start = self.position - 1;
        self.position += end + 1;
        Some(&self.text[start..self.position])
    }

    fn repetition(&mut self, start: usize, operator: &'t str) -> Result<(), PatternError> {
        let mut end = self.position;
        if self.rest().starts_with('?') {
            self.position += 1;
            end += 1;
        }
        match self.last {
            Last::Nothing => return invalid("missing argument to repetition operator", operator),
            Last::Repetition(before) => {
                return invalid(
                    "invalid nested repetition operator",
                    &self.text[before..end],
                );
            }
            Last::Item => {}
        }
        let counts: Vec<u32> = operator
            .trim_matches(['{', '}'])
            .split(',')
            .filter(|count| count.starts_with(|c: char| c.is_ascii_digit()))
            .map(|count| count.parse().unwrap_or(u32::MAX))
            .collect();
        if counts.iter().any(|&count| count > 1000) || !counts.is_sorted() {
            return invalid("invalid repeat count", operator);
        }
        self.out.push_str(&self.text[start..end]);
        self.last = Last::Repetition(start);
        Ok(())
    }

    /// What follows `(`.
    fn group(&mut self, start: usize) -> Result<(), PatternError> {
        self.out.push('(');
        let Some(flags) = self.rest().strip_prefix('?') else {
            return Ok(());
        };
        let name = flags.strip_prefix("P<").or_else(|| flags.strip_prefix('<'));
        if let Some(name) = name
            && !name.starts_with(['=', '!'])
        {
            let Some(end) = name.find('>') else {
                return invalid("invalid named capture", &self.text[start..]);
            };
            let is_word = !name[..end].is_empty()
                && name[..end]
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_');
            let whole = self.text.len() - name.len() + end + 1;
            if !is_word {
                return invalid("invalid named capture", &self.text[start..whole]);
            }
            // What a group is called does not matter here, and may begin with a digit for Go.
            self.position = whole;
            return Ok(());
        }
        let end = flags.find(|c| !"imsU-".contains(c));
        match end.and_then(|end| flags[end..].chars().next()) {
            Some(last @ (':' | ')')) => {
                let length = 1 + end.unwrap_or_default() + 1;
                let part = &self.text[self.position..self.position + length];
                if part.contains("--")
                    || part == "?)"
                    || part.trim_end_matches([':', ')']).ends_with('-')
                {
                    return invalid(
                        "invalid or unsupported Perl syntax",
                        &self.text[start..self.position + length],
                    );
                }
                self.out.push_str(part);
                self.position += length;
                if last == ')' {
                    self.open_groups -= 1;
                }
                Ok(())
            }
            found => {
                let length = 1 + end.unwrap_or(flags.len()) + found.map_or(0, char::len_utf8);
                let part = &self.text[start..self.position + length];
                if found.is_none() {
                    return invalid("missing closing )", self.text);
                }
                invalid("invalid or unsupported Perl syntax", part)
            }
        }
    }

    fn escape(&mut self, start: usize, in_class: bool) -> Result<(), PatternError> {
        let Some(escaped) = self.next() else {
            return invalid("trailing backslash at end of expression", "");
        };
        let out = &mut self.out;
        match escaped {
            'd' if in_class => out.push_str("0-9"),
            'd' => out.push_str("[0-9]"),
            'D' => out.push_str("[^0-9]"),
            's' if in_class => out.push_str(r"\t\n\x0C\r "),
            's' => out.push_str(r"[\t\n\x0C\r ]"),
            'S' => out.push_str(r"[^\t\n\x0C\r ]"),
            'w' if in_class => out.push_str("0-9A-Za-z_"),
            'w' => out.push_str("[0-9A-Za-z_]"),
            'W' => out.push_str("[^0-9A-Za-z_]"),
            'b' if !in_class => out.push_str(r"(?-u:\b)"),
            'B' if !in_class => out.push_str(r"(?-u:\B)"),
            'A' | 'z' if !in_class => {
                out.push('\\');
                out.push(escaped);
            }
            'Q' if !in_class => {
                // Everything up to `\E` stands for itself.
                let rest = &self.text[self.position..];
                let end = rest.find(r"\E").unwrap_or(rest.len());
                out.push_str(&regex::escape(&rest[..end]));
                self.position = (self.position + end + 2).min(self.text.len());
            }
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => {
                out.push('\\');
                out.push(escaped);
            }
            'p' | 'P' | 'x' => self.braced(start, escaped)?,
            '0'..='7' => {
                let digits = self.text[start + 1..]
                    .find(|c: char| !c.is_digit(8))
                    .unwrap_or(self.text.len() - start - 1)
                    .min(3);
                if escaped != '0' && digits == 1 {
                    return invalid("invalid escape sequence", &self.text[start..self.position]);
                }
                let octal = &self.text[start + 1..=start + digits];
                let value = u32::from_str_radix(octal, 8).unwrap_or_default();
                let _ = write!(self.out, r"\x{{{value:x}}}");
                self.position = start + 1 + digits;
            }
            c if c.is_ascii_punctuation() => {
                out.push('\\');
                out.push(c);
            }
            _ => return invalid("invalid escape sequence", &self.text[start..self.position]),
        }
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\x41` or `\x{1F600}`.
    fn braced(&mut self, start: usize, letter: char) -> Result<(), PatternError> {
        let rest = self.rest();
        let length = if rest.starts_with('{') {
            rest.find('}').map(|end| end + 1)
        } else if letter == 'x' {
            rest.get(..2).map(str::len)
        } else {
            rest.chars().next().map(char::len_utf8)
        };
        let what = if letter == 'x' {
            "invalid escape sequence"
        } else {
            "invalid character class range"
        };
        let Some(length) = length else {
            return invalid(what, &self.text[start..]);
        };
        self.position += length;
        let part = &self.text[start..self.position];
        if regex::Regex::new(part).is_err() {
            return invalid(what, part);
        }
        self.out.push_str(part);
        Ok(())
    }

    /// What follows `[`, to the bracket that closes it.
    fn class(&mut self, start: usize) -> Result<(), PatternError> {
        self.out.push('[');
        if self.rest().starts_with('^') {
            self.next();
            self.out.push('^');
        }
        let mut is_first = true;
        // The character before, from which a range may go on, and its place.
        let mut before: Option<(usize, char)> = None;
        loop {
            let at = self.position;
            let rest = self.rest();
            let Some(c) = self.next() else {
                return invalid("missing closing ]", &self.text[start..]);
            };
            match c {
                ']' if !is_first => break,
                '[' if rest.starts_with("[:") && rest.contains(":]") => {
                    let end = rest.find(":]").unwrap_or_default() + 2;
                    let name = &rest[..end];
                    if regex::Regex::new(&format!("[{name}]")).is_err() {
                        return invalid("invalid character class range", name);
                    }
                    self.out.push_str(name);
                    self.position = at + end;
                }
                '-' if !is_first && !rest.starts_with("-]") && !self.ends_range() => {
                    // A dash between two single characters makes a range; elsewhere Go refuses it.
                    self.out.push('-');
                    let end_start = self.position;
                    match self.next() {
                        Some('\\') => self.escape(end_start, true)?,
                        Some(c) => {
                            if let Some((from, first)) = before
                                && first > c
                            {
                                let range = &self.text[from..self.position];
                                return invalid("invalid character class range", range);
                            }
                            self.literal(c);
                        }
                        None => return invalid("missing closing ]", &self.text[start..]),
                    }
                }
                '\\' => self.escape(at, true)?,
                c => self.literal(c),
            }
            before = Some((at, c)).filter(|_| !matches!(c, '-' | '\\' | '['));
            is_first = false;
        }
        self.out.push(']');
        match regex::Regex::new(&self.out[self.out.rfind('[').unwrap_or_default()..]) {
            Err(error) if error.to_string().contains("invalid character class range") => invalid(
                "invalid character class range",
                &self.text[start..self.position],
            ),
            _ => Ok(()),
        }
    }

    /// Whether what was read last is no single character, so that no range begins there.
    fn ends_range(&self) -> bool {
        self.out.ends_with(":]")
    }

    /// A character in a class that stands for itself: some are operators for the crate.
    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }
}

fn with_pattern<'a>(
    call: &Arguments<'a, '_>,
    prefix: &str,
    use_pattern: impl Fn(&Pattern) -> Result<Value<'a>, Error>,
) -> Result<Value<'a>, Error> {
    if let Some(pattern) = call.pattern {
        use_pattern(pattern)
    } else {
        let pattern = Pattern::recall(call.text(1)?)
            .map_err(|error| Error::new(format!("{prefix}{}", error.message)))?;
        use_pattern(&pattern)
    }
}

pub(crate) fn matches<'a>(call: &Arguments<'a, '_>) -> Result<Value<'a>, Error> {
    if call.pattern.is_none() && !matches!(call.get(0)?, Value::String(_)) {
        return Err(Error::fixed("no such overload: matches"));
    }
    with_pattern(call, "", |pattern| {
        Ok(Value::Bool(pattern.0.is_match(call.text(0)?)))
    })
}

fn find_all<'a>(call: &Arguments<'a, '_>, limit: i64) -> Result<Value<'a>, Error> {
    with_pattern(call, "Illegal regex: ", |pattern| {
        let text = call.text(0)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(pattern
            .0
            .find_iter(text)
            .take(limit)
            .map(|found| Value::from(found.as_str().to_owned()))
            .collect::<Vec<_>>()
            .into())
    })
}
