//! A text to tokens, by the grammar of cel-go 0.26 (`parser/gen/CEL.g4`). Kubernetes does not allow
//! names in backquotes.

use super::CompileError;
use super::syntax::Literal;
use std::ops::Range;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Literal(Literal),
    /// A number without sign that only becomes a literal with the sign before it: `-2^63` is an
    /// int, `2^63` is not.
    Integer {
        digits: String,
        radix: u32,
    },
    Ident(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

/// A token and its bytes.
#[derive(Debug, Clone)]
pub(super) struct Spanned {
    pub(super) token: Token,
    pub(super) at: Range<usize>,
}

const SYMBOLS: [&str; 26] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!",
    "?", ":", "+", "*", "/", "%", "=", "&",
];

/// All tokens of `text`, the last is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned>, CompileError> {
    let mut lexer = Lexer { text, position: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.token == Token::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    position: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.position..]
    }

    fn next(&mut self) -> Result<Spanned, CompileError> {
        self.skip_blanks();
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Spanned {
                token: Token::End,
                at: start..start,
            });
        };
        let token = if let Some((prefix, quote)) = string_prefix(rest) {
            self.string(prefix, quote)?
        } else if first.is_ascii_digit()
            || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
        {
            self.number()?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = take_while(rest, |c| c.is_ascii_alphanumeric() || c == '_');
            self.position += word.len();
            match word {
                "true" => Token::Literal(Literal::Bool(true)),
                "false" => Token::Literal(Literal::Bool(false)),
                "null" => Token::Literal(Literal::Null),
                "in" => Token::Symbol("in"),
                _ => Token::Ident(word.to_owned()),
            }
        } else if first == '`' {
            return Err(self
                .unknown(first)
                .help("write `map['a-b']` for keys that are no identifiers"));
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            match symbol {
                Some(symbol) if !matches!(*symbol, "=" | "&") => {
                    self.position += symbol.len();
                    Token::Symbol(symbol)
                }
                _ => return Err(self.unknown(first)),
            }
        };
        Ok(Spanned {
            token,
            at: start..self.position,
        })
    }

    fn unknown(&self, found: char) -> CompileError {
        CompileError::syntax(
            format!("Syntax error: token recognition error at: '{found}'"),
            self.position..self.position + found.len_utf8(),
        )
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blanks = take_while(rest, |c| matches!(c, '\t' | ' ' | '\r' | '\n' | '\x0c'));
            self.position += blanks.len();
            if !self.rest().starts_with("//") {
                return;
            }
            self.position += take_while(self.rest(), |c| c != '\n').len();
        }
    }

    fn number(&mut self) -> Result<Token, CompileError> {
        let start = self.position;
        let rest = self.rest();
        let is_digit = |c: char| c.is_ascii_digit();
        if let Some(hex) = rest.strip_prefix("0x") {
            let digits = take_while(hex, |c| c.is_ascii_hexdigit());
            if !digits.is_empty() {
                self.position += 2 + digits.len();
                return self.integer(start, digits, 16);
            }
        }
        let whole = take_while(rest, is_digit);
        let mut length = whole.len();
        if let Some(fraction) = rest[length..].strip_prefix('.') {
            let digits = take_while(fraction, is_digit);
            if !digits.is_empty() {
                length += 1 + digits.len();
            }
        }
        if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let digits = take_while(unsigned, is_digit);
            if !digits.is_empty() {
                length += 1 + (exponent.len() - unsigned.len()) + digits.len();
            }
        }
        self.position += length;
        if length == whole.len() {
            return self.integer(start, whole, 10);
        }
        match rest[..length].parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Token::Literal(Literal::Double(value))),
            _ => Err(CompileError::syntax(
                "invalid double literal",
                start..self.position,
            )),
        }
    }

    fn integer(&mut self, start: usize, digits: &str, radix: u32) -> Result<Token, CompileError> {
        if !self.rest().starts_with(['u', 'U']) {
            return Ok(Token::Integer {
                digits: digits.to_owned(),
                radix,
            });
        }
        self.position += 1;
        u64::from_str_radix(digits, radix)
            .map(|value| Token::Literal(Literal::Uint(value)))
            .map_err(|_| CompileError::syntax("invalid uint literal", start..self.position))
    }

    fn string(&mut self, prefix: Prefix, quote: &str) -> Result<Token, CompileError> {
        let start = self.position;
        let body = start + prefix.length + quote.len();
        let is_long = quote.len() == 3;
        let mut position = body;
        loop {
            let rest = &self.text[position..];
            if rest.starts_with(quote) {
                break;
            }
            let Some(found) = rest.chars().next() else {
                return Err(self.unterminated(start));
            };
            if !is_long && matches!(found, '\n' | '\r') {
                return Err(self.unterminated(start));
            }
            position += found.len_utf8();
            if found == '\\' && !prefix.is_raw {
                // What is escaped cannot end the text.
                let Some(escaped) = self.text[position..].chars().next() else {
                    return Err(self.unterminated(start));
                };
                position += escaped.len_utf8();
            }
        }
        let content = &self.text[body..position];
        self.position = position + quote.len();
        let error = |message| CompileError::syntax(message, start..self.position);
        if prefix.is_bytes {
            let bytes = if prefix.is_raw {
                content.as_bytes().to_vec()
            } else {
                unescape(content, true).map_err(error)?
            };
            return Ok(Token::Literal(Literal::Bytes(bytes)));
        }
        let text = if prefix.is_raw {
            content.to_owned()
        } else {
            let bytes = unescape(content, false).map_err(error)?;
            String::from_utf8(bytes).map_err(|_| error("invalid unicode code point"))?
        };
        Ok(Token::Literal(Literal::String(text)))
    }

    fn unterminated(&self, start: usize) -> CompileError {
        CompileError::syntax(
            "Syntax error: this text has no end",
            start..self.text.len().min(start + 1),
        )
    }
}

fn take_while(text: &str, is_part: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !is_part(c)).unwrap_or(text.len())]
}

#[derive(Clone, Copy)]
struct Prefix {
    is_bytes: bool,
    is_raw: bool,
    length: usize,
}

/// The prefix and the quote, where `text` begins with a string.
fn string_prefix(text: &str) -> Option<(Prefix, &'static str)> {
    let unprefixed = text.strip_prefix(['b', 'B']).unwrap_or(text);
    let quoted = unprefixed.strip_prefix(['r', 'R']).unwrap_or(unprefixed);
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| quoted.starts_with(quote))?;
    let prefix = Prefix {
        is_bytes: unprefixed.len() < text.len(),
        is_raw: quoted.len() < unprefixed.len(),
        length: text.len() - quoted.len(),
    };
    Some((prefix, quote))
}

/// The bytes that an escaped text stands for (cel-go's `parser/unescape.go`).
fn unescape(text: &str, is_bytes: bool) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        let Some(escape) = rest.chars().next() else {
            return Err("unable to unescape string, found '\\' as last character");
        };
        rest = &rest[escape.len_utf8()..];
        let mut digits = |count: usize, radix: u32| {
            let digits = rest.get(..count)?;
            if !digits.chars().all(|c| c.is_digit(radix)) {
                return None;
            }
            rest = &rest[count..];
            u32::from_str_radix(digits, radix).ok()
        };
        let value = match escape {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            '\\' | '\'' | '"' | '`' | '?' => u32::from(escape),
            'x' | 'X' => digits(2, 16).ok_or("unable to unescape string")?,
            'u' if !is_bytes => digits(4, 16).ok_or("unable to unescape string")?,
            'U' if !is_bytes => digits(8, 16).ok_or("unable to unescape string")?,
            '0'..='3' => {
                let high = u32::from(escape) - u32::from('0');
                let low = digits(2, 8).ok_or("unable to unescape octal sequence in string")?;
                high * 64 + low
            }
            _ => return Err("unable to unescape string"),
        };
        if is_bytes {
            bytes.push(u8::try_from(value).map_err(|_| "unable to unescape string")?);
        } else {
            let c = char::from_u32(value).ok_or("invalid unicode code point")?;
            bytes.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}
