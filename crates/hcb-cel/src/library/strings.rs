//! Texts (cel-go's `ext/strings.go`, version 2). Positions count characters.

use super::{Arguments, Entry};
use crate::Error;
use crate::value::Value;

pub(crate) const FUNCTIONS: &[Entry] = &[
    (
        "string_char_at_int: |string|.charAt(int) -> string",
        |call| {
            let index = call.int(1)?;
            let text = call.text(0)?;
            let at = usize::try_from(index).map_err(|_| out_of_range(index))?;
            match text.chars().nth(at) {
                Some(c) => Ok(c.to_string().into()),
                None if text.chars().count() == at => Ok("".into()),
                None => Err(out_of_range(index)),
            }
        },
    ),
    (
        "string_index_of_string: |string|.indexOf(string) -> int",
        |call| index_of(call.text(0)?, call.text(1)?, 0),
    ),
    (
        "string_index_of_string_int: |string|.indexOf(string, int) -> int",
        |call| index_of(call.text(0)?, call.text(1)?, call.int(2)?),
    ),
    (
        "string_last_index_of_string: |string|.lastIndexOf(string) -> int",
        |call| {
            let (text, part) = (call.text(0)?, call.text(1)?);
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if part.is_empty() {
                return Ok(Value::Int(length));
            }
            if text.len() < part.len() {
                return Ok(Value::Int(-1));
            }
            last_index_of(text, part, length - 1)
        },
    ),
    (
        "string_last_index_of_string_int: |string|.lastIndexOf(string, int) -> int",
        |call| last_index_of(call.text(0)?, call.text(1)?, call.int(2)?),
    ),
    (
        "string_lower_ascii: |string|.lowerAscii() -> string",
        |call| Ok(call.text(0)?.to_ascii_lowercase().into()),
    ),
    (
        "string_replace_string_string: |string|.replace(string, string) -> string",
        |call| Ok(call.text(0)?.replace(call.text(1)?, call.text(2)?).into()),
    ),
    (
        "string_replace_string_string_int: |string|.replace(string, string, int) -> string",
        |call| {
            let (text, old, new) = (call.text(0)?, call.text(1)?, call.text(2)?);
            Ok(match usize::try_from(call.int(3)?) {
                Ok(count) => text.replacen(old, new, count),
                Err(_) => text.replace(old, new),
            }
            .into())
        },
    ),
    (
        "string_split_string: |string|.split(string) -> list(string)",
        |call| Ok(split(call.text(0)?, call.text(1)?, -1)),
    ),
    (
        "string_split_string_int: |string|.split(string, int) -> list(string)",
        |call| Ok(split(call.text(0)?, call.text(1)?, call.int(2)?)),
    ),
    (
        "string_substring_int: |string|.substring(int) -> string",
        |call| {
            let (text, start) = (call.text(0)?, call.int(1)?);
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if !(0..=length).contains(&start) {
                return Err(out_of_range(start));
            }
            Ok(text[byte_of(text, start)..].to_owned().into())
        },
    ),
    (
        "string_substring_int_int: |string|.substring(int, int) -> string",
        |call| {
            let (text, start, end) = (call.text(0)?, call.int(1)?, call.int(2)?);
            let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
            if start > end {
                return Err(Error::new(format!(
                    "invalid substring range. start: {start}, end: {end}"
                )));
            }
            for bound in [start, end] {
                if !(0..=length).contains(&bound) {
                    return Err(out_of_range(bound));
                }
            }
            Ok(text[byte_of(text, start)..byte_of(text, end)]
                .to_owned()
                .into())
        },
    ),
    ("string_trim: |string|.trim() -> string", |call| {
        Ok(call.text(0)?.trim().to_owned().into())
    }),
    (
        "string_upper_ascii: |string|.upperAscii() -> string",
        |call| Ok(call.text(0)?.to_ascii_uppercase().into()),
    ),
    (
        "string_format: |string|.format(list(dyn)) -> string",
        |call| match call.get(1)? {
            Value::List(arguments) => crate::format::format(call.text(0)?, arguments),
            _ => Err(Error::no_overload()),
        },
    ),
    ("strings_quote: strings.quote(string) -> string", |call| {
        let mut quoted = String::from("\"");
        for c in call.text(0)?.chars() {
            match c {
                '\x07' => quoted.push_str("\\a"),
                '\x08' => quoted.push_str("\\b"),
                '\x0c' => quoted.push_str("\\f"),
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '\t' => quoted.push_str("\\t"),
                '\x0b' => quoted.push_str("\\v"),
                '\\' => quoted.push_str("\\\\"),
                '"' => quoted.push_str("\\\""),
                c => quoted.push(c),
            }
        }
        quoted.push('"');
        Ok(quoted.into())
    }),
    ("list_join: |list(string)|.join() -> string", |call| {
        join(call, "")
    }),
    (
        "list_join_string: |list(string)|.join(string) -> string",
        |call| join(call, call.text(1)?),
    ),
];

fn out_of_range(index: i64) -> Error {
    Error::new(format!("index out of range: {index}"))
}

/// The byte at which character `index` begins.
fn byte_of(text: &str, index: i64) -> usize {
    usize::try_from(index)
        .ok()
        .and_then(|index| text.char_indices().nth(index))
        .map_or(text.len(), |(byte, _)| byte)
}

fn character_of(text: &str, byte: usize) -> i64 {
    i64::try_from(text[..byte].chars().count()).unwrap_or(i64::MAX)
}

fn index_of<'a>(text: &str, part: &str, offset: i64) -> Result<Value<'a>, Error> {
    if part.is_empty() {
        return Ok(Value::Int(offset));
    }
    if offset < 0 {
        return Err(out_of_range(offset));
    }
    let start = byte_of(text, offset);
    let found = text[start..].find(part);
    Ok(Value::Int(
        found.map_or(-1, |at| character_of(text, start + at)),
    ))
}

fn last_index_of<'a>(text: &str, part: &str, offset: i64) -> Result<Value<'a>, Error> {
    if part.is_empty() {
        return Ok(Value::Int(offset));
    }
    if offset < 0 {
        return Err(out_of_range(offset));
    }
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if offset >= length {
        return Ok(Value::Int(-1));
    }
    let last_start = byte_of(text, offset);
    let end = (last_start + part.len()).min(text.len());
    let end = text.ceil_char_boundary(end);
    let found = text[..end].rfind(part).filter(|&at| at <= last_start);
    Ok(Value::Int(found.map_or(-1, |at| character_of(text, at))))
}

fn split<'a>(text: &str, separator: &str, limit: i64) -> Value<'a> {
    let owned = |part: &str| Value::from(part.to_owned());
    if limit == 0 {
        return Vec::new().into();
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if separator.is_empty() {
        // Into characters.
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if parts.len() + 1 == limit {
                parts.push(owned(rest));
                break;
            }
            let (first, after) = rest.split_at(c.len_utf8());
            parts.push(owned(first));
            rest = after;
        }
        return parts.into();
    }
    text.splitn(limit, separator)
        .map(owned)
        .collect::<Vec<_>>()
        .into()
}

fn join<'a>(call: &Arguments<'a, '_>, separator: &str) -> Result<Value<'a>, Error> {
    let Value::List(list) = call.get(0)? else {
        return Err(Error::no_overload());
    };
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        match item.as_str() {
            Some(text) => joined.push_str(text),
            None => return Err(Error::new(format!("join: invalid input: {item}"))),
        }
    }
    Ok(joined.into())
}
