//! `string.format` (cel-go's `ext/formatting.go`, with the locale `en_US`).

use super::check::Checked;
use super::convert;
use super::library::quoted;
use super::syntax::{Expr, ExprKind, Literal};
use super::types::Type;
use super::value::{List, Value};
use super::{CompileError, Error};
use std::fmt::Write;

/// The digits of `%f` and `%e` where none are asked for.
const PRECISION: usize = 6;

/// More digits than a double has.
const PRECISION_LIMIT: usize = 1000;

/// A clause such as `%.2f`.
#[derive(Debug, Clone, Copy)]
struct Clause {
    letter: char,
    precision: Option<usize>,
}

/// Either a piece of text or a clause.
enum Piece<'t> {
    Text(&'t str),
    Clause(Result<Clause, Error>),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('%') {
            pieces.push(Piece::Text("%"));
            rest = after;
            continue;
        }
        let (clause, length) = clause(after);
        let ends = clause.is_err();
        pieces.push(Piece::Clause(clause));
        if ends {
            return pieces;
        }
        rest = &after[length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The clause at the start of `text`, which is what follows `%`, and its length.
fn clause(text: &str) -> (Result<Clause, Error>, usize) {
    let failed = |message: &str| {
        (
            Err(Error::new(format!(
                "could not parse formatting clause: {message}"
            ))),
            0,
        )
    };
    if text.is_empty() {
        return (Err(Error::fixed("unexpected end of string")), 0);
    }
    let (precision, rest) = match text.strip_prefix('.') {
        Some(after) => {
            let digits = after
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(after.len());
            if digits == after.len() {
                return failed(
                    "error while parsing precision: could not find end of precision specifier",
                );
            }
            match after[..digits].parse::<usize>() {
                Ok(precision) => (Some(precision), &after[digits..]),
                Err(_) => {
                    return failed(&format!(
                        "error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing {}: invalid syntax",
                        quoted(&after[..digits])
                    ));
                }
            }
        }
        None => (None, text),
    };
    let letter = rest.chars().next().unwrap_or_default();
    if !"sdfebxXo".contains(letter) {
        return failed(&format!("unrecognized formatting clause \"{letter}\""));
    }
    let length = text.len() - rest.len() + 1;
    (Ok(Clause { letter, precision }), length)
}

/// Fills the clauses of `text` with `arguments`.
pub(super) fn format<'a>(text: &str, arguments: &List<'_>) -> Result<Value<'a>, Error> {
    let mut formatted = String::with_capacity(text.len());
    let mut next = 0;
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => formatted.push_str(text),
            Piece::Clause(clause) => {
                let argument = arguments
                    .get(next)
                    .ok_or_else(|| Error::new(format!("index {next} out of range")))?;
                let clause = clause?;
                let part = one(clause, &argument)
                    .map_err(|error| Error::new(format!("error during formatting: {error}")))?;
                formatted.push_str(&part);
                next += 1;
            }
        }
    }
    Ok(formatted.into())
}

fn one(clause: Clause, value: &Value<'_>) -> Result<String, Error> {
    let name = value.type_name();
    let wrong = |allowed: &str| Err(Error::new(format!("{allowed}, was given {name}")));
    match clause.letter {
        's' => string(value),
        'd' => match value {
            Value::Int(value) => Ok(value.to_string()),
            Value::Uint(value) => Ok(value.to_string()),
            _ => wrong("decimal clause can only be used on integers"),
        },
        'f' | 'e' => {
            let number = match value {
                Value::Double(number) => *number,
                Value::String(text) => match &**text {
                    "NaN" => f64::NAN,
                    "Infinity" => f64::INFINITY,
                    "-Infinity" => f64::NEG_INFINITY,
                    _ if clause.letter == 'f' => {
                        return wrong("fixed-point clause can only be used on doubles");
                    }
                    _ => return wrong("scientific clause can only be used on doubles"),
                },
                _ if clause.letter == 'f' => {
                    return wrong("fixed-point clause can only be used on doubles");
                }
                _ => return wrong("scientific clause can only be used on doubles"),
            };
            let precision = clause.precision.unwrap_or(PRECISION);
            if precision > PRECISION_LIMIT {
                return Err(Error::fixed("the precision is too large"));
            }
            Ok(if clause.letter == 'f' {
                fixed(number, precision)
            } else {
                // The precision is taken for a width.
                format!("{:>precision$}", scientific(number))
            })
        }
        'b' => match value {
            Value::Int(value) => Ok(signed(*value, |magnitude| format!("{magnitude:b}"))),
            Value::Uint(value) => Ok(format!("{value:b}")),
            Value::Bool(value) => Ok(u8::from(*value).to_string()),
            _ => wrong("only integers and bools can be formatted as binary"),
        },
        'x' | 'X' => {
            let is_upper = clause.letter == 'X';
            let hex = match value {
                Value::Int(value) => signed(*value, |magnitude| format!("{magnitude:x}")),
                Value::Uint(value) => format!("{value:x}"),
                Value::String(text) => bytes_to_hex(text.as_bytes()),
                Value::Bytes(bytes) => bytes_to_hex(bytes),
                _ => {
                    return wrong(
                        "only integers, byte buffers, and strings can be formatted as hex",
                    );
                }
            };
            Ok(if is_upper { hex.to_uppercase() } else { hex })
        }
        _ => match value {
            Value::Int(value) => Ok(signed(*value, |magnitude| format!("{magnitude:o}"))),
            Value::Uint(value) => Ok(format!("{value:o}")),
            _ => wrong("octal clause can only be used on integers"),
        },
    }
}

fn signed(value: i64, digits: impl Fn(u64) -> String) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", digits(value.unsigned_abs()))
}

fn bytes_to_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn special(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number == f64::INFINITY {
        Some("∞")
    } else if number == f64::NEG_INFINITY {
        Some("-∞")
    } else {
        None
    }
}

/// With separators for thousands, as the locale has them.
fn fixed(number: f64, precision: usize) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let plain = format!("{number:.precision$}");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.as_str()),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (digits, None),
    };
    let mut grouped = String::with_capacity(whole.len() + whole.len() / 3);
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{grouped}.{fraction}"),
        None => format!("{sign}{grouped}"),
    }
}

/// As the locale has it: `1.500000×10⁰³`.
fn scientific(number: f64) -> String {
    if let Some(special) = special(number) {
        return special.to_owned();
    }
    let plain = format!("{number:.PRECISION$e}");
    let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ("⁻", exponent),
        None => ("", exponent),
    };
    let raised: String = format!("{exponent:0>2}")
        .chars()
        .map(|digit| match digit {
            '0' => '⁰',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            _ => '⁹',
        })
        .collect();
    format!("{digits}×10{sign}{raised}")
}

fn string(value: &Value<'_>) -> Result<String, Error> {
    match value {
        Value::List(list) => {
            let items = list
                .iter()
                .map(|item| nested(&item))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(format!("[{}]", items.join(", ")))
        }
        Value::Map(map) => {
            let mut entries = map
                .entries()
                .iter()
                .map(|(key, value)| match key {
                    Value::String(_) | Value::Bool(_) | Value::Int(_) | Value::Uint(_) => {
                        Ok((nested(key)?, nested(value)?))
                    }
                    _ => Err(Error::new(format!(
                        "no formatting function for map key of type {}",
                        key.type_name()
                    ))),
                })
                .collect::<Result<Vec<_>, _>>()?;
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            Ok(format!("{{{}}}", entries.join(", ")))
        }
        Value::Optional(_) | Value::Opaque(_) => Err(Error::new(format!(
            "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps, was given {}",
            value.type_name()
        ))),
        _ => match convert::to_string(value)? {
            Value::String(text) => Ok(text.to_string()),
            _ => Err(Error::no_overload()),
        },
    }
}

/// A value inside of a list or a map, as a literal.
fn nested(value: &Value<'_>) -> Result<String, Error> {
    Ok(match value {
        Value::String(text) => quoted(text),
        Value::Bytes(_) => format!("b{}", quoted(&string(value)?)),
        Value::Double(number) => match special(*number) {
            Some("NaN") => "\"NaN\"".to_owned(),
            Some("∞") => "\"+Inf\"".to_owned(),
            Some(_) => "\"-Inf\"".to_owned(),
            None => format!("{number:.PRECISION$}"),
        },
        Value::Timestamp(_) => format!("timestamp({})", quoted(&string(value)?)),
        Value::Duration(_) => format!("duration({})", quoted(&string(value)?)),
        Value::Optional(_) | Value::Opaque(_) => {
            return Err(Error::new(format!(
                "no formatting function for {}",
                value.type_name()
            )));
        }
        other => string(other)?,
    })
}

/// Checks all calls of `format` whose text is a constant and whose arguments are a list literal.
pub(super) fn validate(expr: &Expr, nodes: &[Checked]) -> Result<(), CompileError> {
    let all = |parts: &mut dyn Iterator<Item = &Expr>| -> Result<(), CompileError> {
        for part in parts {
            validate(part, nodes)?;
        }
        Ok(())
    };
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Ident(_) | ExprKind::Struct(_) => Ok(()),
        ExprKind::Select { operand, .. } => validate(operand, nodes),
        ExprKind::List(elements) => all(&mut elements.iter().map(|element| &element.value)),
        ExprKind::Map(entries) => {
            all(&mut entries.iter().flat_map(|entry| [&entry.key, &entry.value]))
        }
        ExprKind::Fold(fold) => all(&mut [
            &fold.range,
            &fold.start,
            &fold.condition,
            &fold.step,
            &fold.result,
        ]
        .into_iter()),
        ExprKind::Call {
            function,
            target,
            arguments,
        } => {
            if function == "format"
                && let Some(target) = target
                && let ExprKind::Literal(Literal::String(text)) = &target.kind
                && let [arguments] = arguments.as_slice()
                && let ExprKind::List(elements) = &arguments.kind
            {
                let elements: Vec<&Expr> = elements.iter().map(|element| &element.value).collect();
                literal(expr, text, &elements, nodes)?;
            }
            all(&mut target.as_deref().into_iter().chain(arguments))
        }
    }
}

fn literal(
    expr: &Expr,
    text: &str,
    elements: &[&Expr],
    nodes: &[Checked],
) -> Result<(), CompileError> {
    let mut used = 0;
    for piece in pieces(text) {
        let Piece::Clause(clause) = piece else {
            continue;
        };
        let clause =
            clause.map_err(|error| CompileError::check(error.to_string(), expr.at.clone()))?;
        let Some(element) = elements.get(used) else {
            return Err(CompileError::check(
                format!("index {used} out of range"),
                expr.at.clone(),
            ));
        };
        used += 1;
        let ty = &nodes[element.id].ty;
        let fits = match clause.letter {
            's' => is_printable(ty),
            'd' | 'o' => matches!(ty, Type::Dyn | Type::Int | Type::Uint),
            'f' | 'e' => matches!(ty, Type::Dyn | Type::Double | Type::String),
            'b' => matches!(ty, Type::Dyn | Type::Int | Type::Uint | Type::Bool),
            _ => matches!(
                ty,
                Type::Dyn | Type::Int | Type::Uint | Type::String | Type::Bytes
            ),
        };
        if !fits {
            return Err(CompileError::check(
                format!(
                    "error during formatting: `%{}` cannot be used on {ty}",
                    clause.letter
                ),
                element.at.clone(),
            ));
        }
    }
    if elements.len() > used {
        return Err(CompileError::check(
            format!(
                "too many arguments supplied to string.format (expected {used}, got {})",
                elements.len()
            ),
            expr.at.clone(),
        ));
    }
    Ok(())
}

fn is_printable(ty: &Type) -> bool {
    !matches!(
        ty,
        Type::Optional(_) | Type::Opaque(_) | Type::Struct(_) | Type::Error
    )
}
